"""What steps work with: the state database and one client per service and integration."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from typing import Protocol

import dagster as dg

from crm_pipeline.crms.base import CrmKind, CrmSettings
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.quiet import quiet_client_libraries
from crm_pipeline.store.database import Store

STORE = Store()
"""The state database of this process. Opened at first use, by the environment."""


GARBAGE_THRESHOLD = 20_000
"""New objects after which a run looks for garbage."""


class _Client(Protocol):
    def close(self) -> None: ...


def qbench_resource(settings: QBenchSettings, integration: str) -> dg.ResourceDefinition:
    """The QBench client of an integration: signs in at its first call, closed at the end of the run."""

    def connect() -> _Client:
        from crm_pipeline.qbench.source import QBench

        return QBench(settings, integration=integration)

    return _resource(connect, description=f"Reads the QBench tenant of {integration}.")


def crm_resource(kind: CrmKind, settings: CrmSettings, integration: str) -> dg.ResourceDefinition:
    """The CRM client of an integration: signs in at its first call, closed at the end of the run."""
    return _resource(lambda: kind.connect(settings, integration), description=f"Writes to the {kind.title} of {integration}.")


def _resource(connect: Callable[[], _Client], *, description: str) -> dg.ResourceDefinition:
    @dg.resource(description=description)
    def client(_context: dg.InitResourceContext) -> Iterator[_Client]:
        quiet_client_libraries()
        _look_for_garbage_seldom()
        with closing(connect()) as connected:
            yield connected

    return client


@cache
def _look_for_garbage_seldom() -> None:
    """Once a run begins, look for garbage among what it makes, not each time among the hundreds of thousands of objects of all modules.

    Frames and records hold no cycles: reference counts free them.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
