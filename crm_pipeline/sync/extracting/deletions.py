"""Which staged records were deleted in QBench, or came back, without a new ``last_updated``, so that no window shows it?

The whole list of deleted records is compared with what is staged. What differs is staged at the version that it has, for its date
says nothing; the next run of the hour normalizes it and loads it.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

import pandas as pd

from crm_pipeline.model import RecordType
from crm_pipeline.source import Gap, Source
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import staged_as_deleted, staged_states
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage

logger = logging.getLogger(__name__)

BATCH = 500
"""Records that are read by their ids before what is back of them is staged."""


class Deletions:
    """One comparison over these record types. ``run`` does it; what it found, its attributes say, over all of them.

    ``listed``: records that QBench lists as deleted; ``deleted`` and ``restored``: staged records that were not known to be. ``failed``,
    by record type: the QBench ids of those whose own reads fail; whether they are back is asked again the next time. ``gaps``: deleted
    records that QBench fails to list; they are read again the next time.
    """

    def __init__(self, integration: str, *record_types: RecordType, store: Store, source: Source, back: ComingBack = NOTHING) -> None:
        self.listed = 0
        self.deleted = 0
        self.restored = 0
        self.failed: dict[RecordType, list[int]] = {record_type: [] for record_type in record_types}
        self.gaps: list[Gap] = []
        self._integration = integration
        self._store = store
        self._source = source
        self._back = back

    def run(self) -> None:
        """Stage what differs. Raises the ServiceError or ConfigurationError that stopped it; what is staged stays."""
        with reading(self._source, integration=self._integration, store=self._store):
            for record_type in self.failed:
                found = stage_deleted(self._integration, record_type, store=self._store, source=self._source, back=self._back)
                self.listed += len(found.ids)
                self.deleted += found.news
                self.gaps += found.gaps
                self._stage_restored(record_type, found.ids)
        logger.info(
            "%s: QBench lists %d deleted records; %d of them were not known to be, %d known ones are back",
            self._integration,
            self.listed,
            self.deleted,
            self.restored,
        )

    def _stage_restored(self, record_type: RecordType, listed: set[int]) -> None:
        with self._store.transaction() as connection:
            known = staged_as_deleted(connection, self._integration, record_type).set_index("qbench_id")
        ids = [qbench_id for qbench_id in known.index.tolist() if qbench_id not in listed]
        for start in range(0, len(ids), BATCH):
            answer = self._source.restored(record_type, ids[start : start + BATCH])
            with self._store.transaction() as connection:
                frame = _at_their_versions(answer.frame, known["version"])
                self.restored += stage(connection, self._integration, record_type, frame=frame, source=self._source, back=self._back)
            self.failed[record_type] += answer.failed


@dataclass(frozen=True, slots=True)
class Listed:
    """QBench's whole list of deleted records: the ids, how many of them were news, and the records that QBench fails to list."""

    ids: set[int]
    news: int
    gaps: list[Gap]


def stage_deleted(integration: str, record_type: RecordType, *, store: Store, source: Source, back: ComingBack = NOTHING) -> Listed:
    """Read QBench's whole list of deleted records and stage those not known to be. Raises a ServiceError."""
    listed: set[int] = set()
    news = 0
    deletions = source.deletions(record_type, since=None, until=sys.maxsize)
    for page in deletions:
        ids = page.frame["qbench_id"].tolist()
        listed.update(ids)
        with store.transaction() as connection:
            known = staged_states(connection, integration, record_type, ids=ids).set_index("qbench_id")
            untold = page.frame[~page.frame["qbench_id"].isin(known.index[known["deleted"]])]
            rows = _at_their_versions(untold, known["version"])
            news += stage(connection, integration, record_type, frame=rows, source=source, back=back)
    return Listed(listed, news, deletions.gaps)


def _at_their_versions(frame: pd.DataFrame, versions: pd.Series) -> pd.DataFrame:
    """Raw rows, those that are staged at the versions that they have there."""
    known = frame["qbench_id"].map(versions)
    return frame.assign(version=known.fillna(frame["version"]).astype("int64")).reset_index(drop=True)
