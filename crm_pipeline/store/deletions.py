"""Which links belong to records that were deleted in QBench, and how such a link finds another record."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.schemas import HOLDERS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch
from crm_pipeline.store.statistics import refresh_statistics

_FOLLOW = """
UPDATE crm_pipeline.link AS link SET status = :status, updated_at = now() FROM crm_pipeline.raw_record AS source
WHERE link.integration = :integration AND link.crm = :crm AND link.record_type = :record_type AND link.status = :earlier
  AND source.integration = link.integration AND source.record_type = link.record_type AND source.qbench_id = link.qbench_id
  AND {condition}
"""
_FOLLOW_DELETED = text(_FOLLOW.format(condition="source.deleted"))
_FOLLOW_RESTORED = text(_FOLLOW.format(condition="NOT source.deleted"))

_LEFT_BEHIND = """
SELECT crm_id, integration, qbench_id FROM crm_pipeline.link
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND org_id = :org_id
  AND status IN ('live', 'source_deleted') AND crm_id = ANY(:crm_ids)
  AND EXISTS (
    SELECT FROM crm_pipeline.raw_record AS source
    WHERE source.integration = link.integration AND source.record_type = link.record_type AND source.qbench_id = link.qbench_id
      AND source.deleted)
"""

_RELEASE = """
DELETE FROM crm_pipeline.link
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND org_id = :org_id
  AND status = 'source_deleted' AND crm_id = ANY(:crm_ids)
"""


def follow_deletions(connection: Connection, state: CrmState) -> None:
    """Let links follow their records: ``source_deleted`` where QBench deleted the record, ``live`` again where it is back."""
    refresh_statistics(connection)
    connection.execute(_FOLLOW_DELETED, {**asdict(state), "status": "source_deleted", "earlier": "live"})
    connection.execute(_FOLLOW_RESTORED, {**asdict(state), "status": "live", "earlier": "source_deleted"})


def left_behind(connection: Connection, state: CrmState, *, org_id: str, crm_ids: list[str]) -> pd.DataFrame:
    """Those of these CRM records whose QBench record, which holds them, was deleted (schemas.HOLDERS)."""
    return fetch(connection, _LEFT_BEHIND, {**asdict(state), "org_id": org_id, "crm_ids": crm_ids}, HOLDERS)


def release(connection: Connection, state: CrmState, *, org_id: str, crm_ids: list[str]) -> None:
    """Forget the links of deleted records to these CRM records, which other records take over."""
    if crm_ids:
        connection.execute(text(_RELEASE), {**asdict(state), "org_id": org_id, "crm_ids": crm_ids})
