"""Reads what changed in QBench into the staging, resuming where an interrupted read stopped."""

from __future__ import annotations

import logging
import time

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.reading import Page, deleted_since, organization, read_changes, read_deletions
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import staged_states
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.reading import Progress, finish, interrupted_at, save_progress
from crm_pipeline.store.staging import Window, stage_raw
from crm_pipeline.sync.deletions import stage_deleted
from crm_pipeline.sync.progress import progress
from crm_pipeline.sync.returned_customers import read_contacts_of_returned
from crm_pipeline.sync.waiting_contacts import read_untold

logger = logging.getLogger(__name__)


class Extract:
    """One read of one record type. ``run`` does it; what it did, its attributes say.

    ``rows``, ``deleted`` (those of them), ``resumed_at_row``, ``read_again`` (contacts of customers that are back); ``position``:
    the version up to which everything is staged, the window's end once the read is complete; ``newest``: the latest version that
    QBench has, if it showed any. ``untold``: QBench ids of contacts whose customers QBench does not tell, of this read and earlier ones.
    """

    def __init__(self, integration: str, record_type: RecordType, *, store: Store, client: QBenchClient) -> None:
        self.rows = 0
        self.position = 0
        self.newest: int | None = None
        self.deleted = 0
        self.resumed_at_row = 0
        self.read_again = 0
        self.untold: list[int] = []
        self._integration = integration
        self._record_type = record_type
        self._store = store
        self._client = client
        self._started = time.monotonic()
        self._calls_before = sum(client.calls.snapshot().values())

    def run(self, window: Window) -> None:
        """Stage the window's records. Raises the ServiceError or ConfigurationError that stopped it; what is staged stays."""
        tenant = organization(self._client)
        self.position = window.since or 0
        with self._store.lock(f"reading {tenant}"):
            with self._store.transaction() as connection:
                require_organization(connection, self._integration, "qbench", org_id=tenant)
                earlier = interrupted_at(connection, self._integration, self._record_type, window=window)
            if earlier is not None:
                self.rows = self.resumed_at_row = earlier.rows
                self.position = earlier.position
                logger.info("%s %ss: resuming an interrupted read after %d rows", self._integration, self._record_type, earlier.rows)
            self._read(window, resume=earlier.position if earlier is not None else None)

    def _read(self, window: Window, *, resume: int | None) -> None:
        changes = read_changes(self._client, self._record_type, since=window.since, until=window.until, resume=resume)
        for page in changes:
            self._stage(page, window, position=page.position)
            self._tell_progress(page)
        self.newest = changes.newest
        # Behind the others, so that a record deleted while they are read is seen deleted at last.
        self._read_deleted(window)
        with self._store.transaction() as connection:
            finish(connection, self._integration, self._record_type, window=window)
        self.position = window.until
        if self._record_type is RecordType.ACCOUNT:
            self.read_again = read_contacts_of_returned(self._integration, store=self._store, client=self._client)
        else:
            again = read_untold(self._integration, store=self._store, client=self._client)
            self.untold = sorted({*self.untold, *again})

    def _read_deleted(self, window: Window) -> None:
        probes = self._client.settings.updates_probe and window.since is not None
        named = deleted_since(self._client, self._record_type, window.since or 0) if probes else None
        if named is not None and not named:
            return
        for page in read_deletions(self._client, self._record_type, since=window.since, until=window.until):
            self.deleted += len(page.frame)
            self._stage(page, window, position=window.until)
        if not named:
            return
        with self._store.transaction() as connection:
            known = staged_states(connection, self._integration, self._record_type, ids=sorted(named))
        if not known["deleted"].all():
            _, news = stage_deleted(self._integration, self._record_type, store=self._store, client=self._client)
            self.deleted += news

    def _stage(self, page: Page, window: Window, *, position: int) -> None:
        self.rows += len(page.frame)
        self.untold += page.frame.loc[page.frame["unreadable"].eq(CUSTOMERS_UNKNOWN), "qbench_id"].tolist()
        with self._store.transaction() as connection:
            stage_raw(connection, self._integration, self._record_type, frame=page.frame)
            reached = Progress(position=position, rows=self.rows)
            save_progress(connection, self._integration, self._record_type, window=window, progress=reached)
        self.position = position

    def _tell_progress(self, page: Page) -> None:
        logger.info(
            "%s %ss: read %s; %d calls",
            self._integration,
            self._record_type,
            # What QBench announced are the rows from where this read began.
            progress(
                self.rows,
                None if page.total is None else self.resumed_at_row + page.total,
                seconds=time.monotonic() - self._started,
                skipped=self.resumed_at_row,
            ),
            sum(self._client.calls.snapshot().values()) - self._calls_before,
        )
