"""What steps work with: the state database and one client per service and integration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import dagster as dg

from crm_pipeline.crms.base import CrmKind, CrmSettings
from crm_pipeline.memory import make_room_for_records
from crm_pipeline.pacing import share_pace
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.quiet import quiet_client_libraries
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases

STORE = Store()
"""The state database of this process. Opened at first use, by the environment."""
LEASES = PaceLeases(STORE)
"""By which its clients keep the services' limits together with all other processes."""


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
        make_room_for_records()
        with closing(connect()) as connected:
            share_pace(connected, LEASES)
            yield connected

    return client
