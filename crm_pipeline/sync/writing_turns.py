"""Who may write to a CRM now? The two locks of whoever writes, by their names, and how several integrations take turns.

An integration writes to a CRM in one run at a time. Integrations that share an organization may write to it side by side,
but not to one object at once: of two that look for a record and then write it, the second would not see what the first made
of it. A long load lets the others have their turn between two of its frames.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.organizations import linked_by_others_since, moment


def run_of(store: Store, integration: str, service: str) -> AbstractContextManager[Lock]:
    """The lock under which a run of an integration writes to a service, or changes its links."""
    return store.lock(f"{integration}: writing {service}")


def turn_at(store: Store, service: str, *, org_id: str, record_type: RecordType) -> AbstractContextManager[Lock]:
    """The lock under which one object of an organization is written, whatever the integration; taken under ``run_of``."""
    return store.lock(f"{service} organization {org_id}: writing {record_type}s")


class Turns:
    """One load's turns at its object. Left with the block."""

    def __init__(self, store: Store, *, integration: str, service: str, org_id: str, record_type: RecordType) -> None:
        self._store = store
        self._integration = integration
        self._service = service
        self._org_id = org_id
        self._record_type = record_type
        self._held = ExitStack()
        self._lock: Lock

    def __enter__(self) -> Turns:
        self._take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a turn."""
        return self._lock.is_wanted

    def pass_on(self) -> bool:
        """Let those who wait have their turn first; whether they linked records, so that what was looked up is out of date."""
        with self._store.transaction() as connection:
            since = moment(connection)
        self._held.close()
        self._take()
        with self._store.transaction() as connection:
            return linked_by_others_since(connection, self._integration, org_id=self._org_id, record_type=self._record_type, since=since)

    def require(self) -> None:
        """Raises StoreError when the turn was lost with its connection."""
        self._lock.require()

    def _take(self) -> None:
        turn = turn_at(self._store, self._service, org_id=self._org_id, record_type=self._record_type)
        self._lock = self._held.enter_context(turn)
