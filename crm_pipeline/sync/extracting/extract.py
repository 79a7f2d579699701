"""Reads what changed in QBench into the staging, resuming where an interrupted read stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.model import MODELS, RecordType, children
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN
from crm_pipeline.source import Gap, Page, Source
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import staged_states
from crm_pipeline.store.gaps import close_gap, keep_gaps, open_gaps
from crm_pipeline.store.reading import Progress, finish, interrupted_at, save_progress
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.deletions import stage_deleted
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.returned_customers import read_contacts_of_returned
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage
from crm_pipeline.sync.extracting.waiting_contacts import read_untold
from crm_pipeline.sync.progress import Pulse, progress

logger = logging.getLogger(__name__)

MOST_GAPS = 10
"""Times with a record that QBench fails to list which one run reads again."""


class Extract:
    """One read of one record type. ``run`` does it; what it did, its attributes say.

    ``rows``, ``deleted`` (those of them), ``resumed_at_row``, ``read_again`` (contacts of customers that are back); ``position``:
    the version up to which everything is staged, the window's end once the read is complete; ``newest``: the latest version that
    QBench has, if it showed any. ``untold``: QBench ids of contacts whose customers QBench does not tell, of this read and earlier ones.
    ``gaps``: the records that QBench fails to list, of this read and of earlier ones, and ``deletion_gaps`` of its list of deleted ones.
    ``back``: the fields that come back from a CRM.
    """

    def __init__(self, integration: str, record_type: RecordType, *, store: Store, source: Source, back: ComingBack = NOTHING) -> None:
        self.rows = 0
        self.position = 0
        self.newest: int | None = None
        self.deleted = 0
        self.resumed_at_row = 0
        self.read_again = 0
        self.untold: list[int] = []
        self.gaps: list[Gap] = []
        self.deletion_gaps: list[Gap] = []
        self._integration = integration
        self._record_type = record_type
        self._store = store
        self._source = source
        self._back = back
        self._started = time.monotonic()
        self._pulse = Pulse()
        self._calls_before = sum(source.calls.snapshot().values())

    def run(self, window: Window) -> None:
        """Stage the window's records. Raises the ServiceError or ConfigurationError that stopped it; what is staged stays."""
        self.position = window.since or 0
        with reading(self._source, integration=self._integration, store=self._store):
            with self._store.transaction() as connection:
                earlier = interrupted_at(connection, self._integration, self._record_type, window=window)
            if earlier is not None:
                self.rows = self.resumed_at_row = earlier.rows
                self.position = earlier.position
                logger.info("%s %ss: resuming an interrupted read after %d rows", self._integration, self._record_type, earlier.rows)
            self._read(window, resume=earlier.position if earlier is not None else None)

    def _read(self, window: Window, *, resume: int | None) -> None:
        changes = self._source.changes(self._record_type, since=window.since, until=window.until, resume=resume)
        untold: Page | None = None
        for page in changes:
            self._stage(page, window, position=page.position, gaps=changes.gaps)
            untold = page
            if self._pulse.beats():
                self._tell_progress(page)
                untold = None
        if untold is not None:
            self._tell_progress(untold)
        self.newest, self.gaps = changes.newest, changes.gaps
        # Behind the others, so that a record deleted while they are read is seen deleted at last.
        self._read_deleted(window)
        with self._store.transaction() as connection:
            keep_gaps(connection, self._integration, self._record_type, windows=_times(self.gaps))
            finish(connection, self._integration, self._record_type, window=window)
        self.position = window.until
        self._read_gaps()
        if children(self._record_type):
            self.read_again += read_contacts_of_returned(
                self._integration, self._record_type, store=self._store, source=self._source, back=self._back
            )
        if MODELS[self._record_type].parent is not None:
            again = read_untold(self._integration, self._record_type, store=self._store, source=self._source, back=self._back)
            self.untold = sorted({*self.untold, *again})

    def _read_deleted(self, window: Window) -> None:
        named = None if window.since is None else self._source.deleted_ids(self._record_type, since=window.since)
        if named is not None and not named:
            return
        deletions = self._source.deletions(self._record_type, since=window.since, until=window.until)
        for page in deletions:
            self.deleted += len(page.frame)
            self._stage(page, window, position=window.until)
        # The nightly comparison with the whole list reads them again.
        self.deletion_gaps = deletions.gaps
        if not named:
            return
        with self._store.transaction() as connection:
            known = staged_states(connection, self._integration, self._record_type, ids=sorted(named))
        if not known["deleted"].all():
            found = stage_deleted(self._integration, self._record_type, store=self._store, source=self._source, back=self._back)
            self.deleted += found.news
            self.deletion_gaps = found.gaps

    def _read_gaps(self) -> None:
        """Read the times again in which QBench failed to list a record before, and stage what it lists there now."""
        with self._store.transaction() as connection:
            times = open_gaps(connection, self._integration, self._record_type, most=MOST_GAPS)
        known = _times(self.gaps)
        for gap in (gap for gap in times if gap not in known):
            changes = self._source.changes(self._record_type, since=gap.since, until=gap.until)
            for page in changes:
                with self._store.transaction() as connection:
                    self.read_again += self._stage_rows(connection, page.frame, since=gap.since, late=True)
            with self._store.transaction() as connection:
                close_gap(connection, self._integration, self._record_type, window=gap)
                keep_gaps(connection, self._integration, self._record_type, windows=_times(changes.gaps))
            self.gaps = [*self.gaps, *changes.gaps]

    def _stage(self, page: Page, window: Window, *, position: int, gaps: Sequence[Gap] = ()) -> None:
        self.rows += len(page.frame)
        self.untold += page.frame.loc[page.frame["unreadable"].eq(CUSTOMERS_UNKNOWN), "qbench_id"].tolist()
        with self._store.transaction() as connection:
            self._stage_rows(connection, page.frame, since=window.since)
            reached = Progress(position=position, rows=self.rows)
            save_progress(connection, self._integration, self._record_type, window=window, progress=reached)
            # One that stands behind this position is met again, by this read or the one that resumes it.
            met = _times([replace(gap, until=min(gap.until, position + 1)) for gap in gaps if gap.since <= position])
            keep_gaps(connection, self._integration, self._record_type, windows=met)
        self.position = position

    def _stage_rows(self, connection: Connection, frame: pd.DataFrame, *, since: int | None, late: bool = False) -> int:
        integration, source, back = self._integration, self._source, self._back
        return stage(connection, integration, self._record_type, frame=frame, source=source, back=back, since=since, late=late)

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
            sum(self._source.calls.snapshot().values()) - self._calls_before,
        )


def _times(gaps: Sequence[Gap]) -> list[Window]:
    return [Window(since=gap.since, until=int(gap.until)) for gap in gaps]
