"""What steps work with: the state database and one client per service and integration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind, CrmSettings
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.memory import make_room_for_records
from crm_pipeline.orchestration import names
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


def clients_of(spec: IntegrationSpec) -> dict[str, dg.ResourceDefinition]:
    """The clients of an integration's services, by the keys of their resources."""
    kinds = [crm_kinds()[name] for name in spec.crms.configured]
    return {
        names.resource_key(spec.name, "qbench"): qbench_resource(spec.qbench, spec.name),
        **{names.resource_key(spec.name, kind.name): crm_resource(kind, spec.crms.configured[kind.name], spec.name) for kind in kinds},
    }


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
