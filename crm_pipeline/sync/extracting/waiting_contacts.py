"""Reads the contacts again that are not known to have exactly one customer (docs/rules.md, 43).

Their customers may change in QBench without a new ``last_updated``, so that no window would show it. What has changed is
staged; the next run of the hour normalizes it and loads it. Those whose customers QBench fails to tell are asked for each hour.
"""

from __future__ import annotations

import logging

from crm_pipeline.model import RecordType
from crm_pipeline.source import Source
from crm_pipeline.store.database import Store
from crm_pipeline.store.out_of_date import ids_of_unknown_customers, ids_without_one_customer
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage

logger = logging.getLogger(__name__)

BATCH = 500
"""Contacts that are read before what has changed of them is staged."""

MOST_OF_AN_HOUR = 50
"""Contacts of unknown customers that one hourly run asks for; the night asks for all of them."""


def read_untold(integration: str, record_type: RecordType, *, store: Store, source: Source, back: ComingBack = NOTHING) -> list[int]:
    """Read contacts again whose customers QBench failed to tell, and stage those that it tells now; the ids of the others.

    No call where there are none, two or three for each. Raises the ServiceError of a QBench that is down.
    """
    with store.transaction() as connection:
        ids = ids_of_unknown_customers(connection, integration, record_type, most=MOST_OF_AN_HOUR)
    if not ids:
        return []
    answer = source.by_id(record_type, ids)
    with store.transaction() as connection:
        stage(connection, integration, record_type, frame=answer.frame, source=source, back=back)
    logger.info("%s: QBench tells the customers of %d contacts now, of %d still not", integration, len(answer.frame), len(answer.failed))
    return answer.failed


class WaitingContacts:
    """One reading. ``run`` does it.

    ``read`` and ``changed`` say how many contacts were there, and how many of them changed; ``failed``: the QBench ids of those whose own
    reads fail, which are tried again the next time.
    """

    def __init__(self, integration: str, record_type: RecordType, *, store: Store, source: Source, back: ComingBack = NOTHING) -> None:
        self.read = 0
        self.changed = 0
        self.failed: list[int] = []
        self._integration = integration
        self._record_type = record_type
        self._store = store
        self._source = source
        self._back = back

    def run(self) -> None:
        """Stage what has changed. Raises the ServiceError or ConfigurationError that stopped it; what is staged stays."""
        with reading(self._source, integration=self._integration, store=self._store):
            with self._store.transaction() as connection:
                ids = ids_without_one_customer(connection, self._integration, self._record_type)
            for start in range(0, len(ids), BATCH):
                answer = self._source.by_id(self._record_type, ids[start : start + BATCH])
                with self._store.transaction() as connection:
                    self.changed += stage(
                        connection, self._integration, self._record_type, frame=answer.frame, source=self._source, back=self._back
                    )
                self.read += len(answer.frame)
                self.failed += answer.failed
                logger.info("%s: read %d of %d contacts without one customer again", self._integration, self.read, len(ids))
