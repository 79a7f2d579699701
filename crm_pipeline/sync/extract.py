"""Reads what changed in QBench into the staging, resuming where an interrupted read stopped."""

from __future__ import annotations

import logging

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.reading import Page, organization, read_changes, read_deletions
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.reading import Progress, finish, interrupted_at, save_progress
from crm_pipeline.store.staging import Window, stage_raw

logger = logging.getLogger(__name__)


class Extract:
    """One read of one record type. ``run`` does it; ``rows``, ``deleted`` (those of them) and ``resumed_at_row`` say what was done."""

    def __init__(self, integration: str, record_type: RecordType, *, store: Store, client: QBenchClient) -> None:
        self.rows = 0
        self.deleted = 0
        self.resumed_at_row = 0
        self._integration = integration
        self._record_type = record_type
        self._store = store
        self._client = client

    def run(self, window: Window) -> None:
        """Stage the window's records. Raises the ServiceError or ConfigurationError that stopped it; what is staged stays."""
        host = organization(self._client)
        with self._store.lock(f"reading {host}"):
            with self._store.transaction() as connection:
                require_organization(connection, self._integration, "qbench", org_id=host)
                earlier = interrupted_at(connection, self._integration, self._record_type, window=window)
            if earlier is not None:
                self.rows = self.resumed_at_row = earlier.rows
                logger.info("%s %ss: resuming an interrupted read after %d rows", self._integration, self._record_type, earlier.rows)
            self._read(window, resume=earlier.position if earlier is not None else None)

    def _read(self, window: Window, *, resume: int | None) -> None:
        for page in read_changes(self._client, self._record_type, since=window.since, until=window.until, resume=resume):
            self._stage(page, window, position=page.position)
            logger.info("%s %ss: %d rows read%s", self._integration, self._record_type, self.rows, _of(page.total))
        # Behind the others, so that a record deleted while they are read is seen deleted at last.
        for page in read_deletions(self._client, self._record_type, since=window.since, until=window.until):
            self.deleted += len(page.frame)
            self._stage(page, window, position=window.until)
        with self._store.transaction() as connection:
            finish(connection, self._integration, self._record_type, window=window)

    def _stage(self, page: Page, window: Window, *, position: int) -> None:
        self.rows += len(page.frame)
        with self._store.transaction() as connection:
            stage_raw(connection, self._integration, self._record_type, frame=page.frame)
            progress = Progress(position=position, rows=self.rows)
            save_progress(connection, self._integration, self._record_type, window=window, progress=progress)


def _of(total: int | None) -> str:
    return f" of about {total}" if total is not None else ""
