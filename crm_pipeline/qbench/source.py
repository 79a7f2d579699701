"""QBench as a source of records (crm_pipeline.source)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from crm_pipeline.calls import CallCounter
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import ServiceError
from crm_pipeline.model import RecordType
from crm_pipeline.pacing import Leases
from crm_pipeline.qbench import writing
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.customers import contact_ids, named_contact_ids
from crm_pipeline.qbench.diagnosis import qbench_findings
from crm_pipeline.qbench.one_by_one import is_of_one_record
from crm_pipeline.qbench.reading import Reading, deleted_since, organization, read_by_id, read_changes, read_deletions, read_restored
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.qbench.together import read_again
from crm_pipeline.source import ContactIds, ReadById

logger = logging.getLogger(__name__)


class QBench:
    """One integration's QBench tenant; signs in at its first call. Fulfils ``crm_pipeline.source.WritableSource``."""

    def __init__(self, settings: QBenchSettings, *, integration: str) -> None:
        self._client = QBenchClient(settings, integration=integration)

    @property
    def calls(self) -> CallCounter:
        """The HTTP calls made so far."""
        return self._client.calls

    def share_pace(self, leases: Leases) -> None:
        """Keep the tenant's limit of calls together with all who use it."""
        self._client.share_pace(leases)

    def organization(self) -> str:
        """The host of the tenant's address (reading.organization)."""
        return organization(self._client)

    def findings(self, fields: Mapping[RecordType, Collection[str]]) -> Iterator[Finding]:
        """Whether the tenant can be read as the integration wants it (diagnosis.qbench_findings)."""
        return qbench_findings(self._client, fields)

    def changes(self, record_type: RecordType, *, since: int | None, until: int, resume: int | None = None) -> Reading:
        """The records last updated within a window (reading.read_changes)."""
        return read_changes(self._client, record_type, since=since, until=until, resume=resume)

    def deletions(self, record_type: RecordType, *, since: int | None, until: int) -> Reading:
        """The records deleted within a window (reading.read_deletions)."""
        return read_deletions(self._client, record_type, since=since, until=until)

    def deleted_ids(self, record_type: RecordType, *, since: int) -> frozenset[int] | None:
        """The records deleted since then, by the probe for changes; None where the settings do not ask it, or QBench does not answer."""
        return deleted_since(self._client, record_type, since) if self._client.settings.updates_probe else None

    def by_id(self, record_type: RecordType, ids: Sequence[int]) -> ReadById:
        """These records (reading.read_by_id)."""
        return read_by_id(self._client, record_type, ids)

    def restored(self, record_type: RecordType, ids: Sequence[int]) -> ReadById:
        """Those of these records that QBench has again (reading.read_restored)."""
        return read_restored(self._client, record_type, ids)

    def contacts_of(self, customer: Mapping[str, Any]) -> ContactIds:
        """A customer's contacts. For one contact's sake QBench may fail on the whole list: then those that its record names."""
        try:
            return ContactIds(contact_ids(self._client.once, customer), complete=True)
        except ServiceError as error:
            if not is_of_one_record(error):
                raise
            logger.warning("only the contacts are read that the record of a customer names: %s", error)
            return ContactIds(named_contact_ids(customer), complete=False)

    @property
    def clock_ahead(self) -> timedelta:
        """How far QBench's clock is ahead of ours."""
        return self._client.clock.ahead

    @property
    def longest_batch(self) -> int:
        """The rows of one call (writing.LONGEST_BATCH)."""
        return writing.LONGEST_BATCH

    def read_again(self, record_type: RecordType, known: pd.DataFrame) -> ReadById:
        """These records as they are now (together.read_again)."""
        return read_again(self._client, record_type, known)

    def change(self, record_type: RecordType, changes: pd.DataFrame) -> pd.DataFrame:
        """Write values into records (writing.change)."""
        return writing.change(self._client, record_type, changes)

    def create(self, record_type: RecordType, values: Mapping[str, Any]) -> pd.DataFrame:
        """Make a record (writing.create)."""
        return writing.create(self._client, record_type, values)

    def connect(self, *, contact_id: int, customer_id: int) -> pd.DataFrame:
        """Link a contact to a customer (writing.connect)."""
        return writing.connect(self._client, contact_id=contact_id, customer_id=customer_id)

    def matching(self, record_type: RecordType, value: str) -> pd.DataFrame:
        """Live records that may have this name or email address (writing.matching)."""
        return writing.matching(self._client, record_type, value)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
