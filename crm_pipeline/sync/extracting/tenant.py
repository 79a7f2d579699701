"""Who may read a QBench tenant now? One run at a time, and only for the integration whose records it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.reading import organization
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization


@contextmanager
def reading(client: QBenchClient, *, integration: str, store: Store) -> Iterator[None]:
    """Read the client's tenant for an integration, while nobody else reads it. Raises WrongOrgError, and the client's ServiceError."""
    tenant = organization(client)
    with store.lock(f"reading {tenant}"):
        with store.transaction() as connection:
            require_organization(connection, integration, "qbench", org_id=tenant)
        yield
