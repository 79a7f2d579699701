"""What steps work with: the state database and one client per service and integration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind, CrmSettings
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.store.database import Store

STORE = Store()
"""The state database of this process. Opened at first use, by the environment."""

CLIENT_LOGGERS = ("httpcore", "httpx")
"""Loggers of the library that calls QBench and the receivers of alerts; each CRM names those of its own."""


class _Client(Protocol):
    def close(self) -> None: ...


def qbench_resource(settings: QBenchSettings, integration: str) -> dg.ResourceDefinition:
    """The QBench client of an integration: signs in at its first call, closed at the end of the run."""

    def connect() -> _Client:
        from crm_pipeline.qbench.client import QBenchClient

        return QBenchClient(settings, integration=integration)

    return _resource(connect, description=f"Reads the QBench tenant of {integration}.")


def crm_resource(kind: CrmKind, settings: CrmSettings, integration: str) -> dg.ResourceDefinition:
    """The CRM client of an integration: signs in at its first call, closed at the end of the run."""
    return _resource(lambda: kind.connect(settings, integration), description=f"Writes to the {kind.title} of {integration}.")


def quiet_client_libraries() -> None:
    """Let the client libraries log warnings only, unless someone set a level for one of them by its name.

    Below that they write addresses, which can hold secrets and the values that are looked up.
    """
    for name in {*CLIENT_LOGGERS, *(logger for kind in crm_kinds().values() for logger in kind.client_loggers)}:
        library = logging.getLogger(name)
        if library.level == logging.NOTSET:
            library.setLevel(logging.WARNING)


def _resource(connect: Callable[[], _Client], *, description: str) -> dg.ResourceDefinition:
    @dg.resource(description=description)
    def client(_context: dg.InitResourceContext) -> Iterator[_Client]:
        quiet_client_libraries()
        with closing(connect()) as connected:
            yield connected

    return client
