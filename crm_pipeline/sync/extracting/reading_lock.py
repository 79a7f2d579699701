"""Who may read a tenant now? One run at a time, and only for the integration whose records it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crm_pipeline.source import Source
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization


@contextmanager
def reading(source: Source, *, integration: str, store: Store) -> Iterator[None]:
    """Read the source's tenant for an integration, while nobody else reads it. Raises WrongOrgError, and the source's ServiceError."""
    tenant = source.organization()
    with store.lock(f"reading {tenant}"):
        with store.transaction() as connection:
            require_organization(connection, integration, "qbench", org_id=tenant)
        yield
