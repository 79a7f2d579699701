"""Which records were deleted in QBench, which links belong to them, and how such a link finds another record."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import InactiveContactException
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import LinkStatus, RecordType
from crm_pipeline.schemas import HOLDERS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch
from crm_pipeline.store.statistics import refresh_statistics
from crm_pipeline.store.telling import tell_of_customers

_MAY_SYNC = f"""
NOT EXISTS (
  SELECT FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = link.integration AND staged.record_type = link.record_type AND staged.qbench_id = link.qbench_id
    AND staged.error_type = '{InactiveContactException.__name__}')
"""
_FOLLOW = """
UPDATE crm_pipeline.link AS link SET status = :status, updated_at = now() FROM crm_pipeline.raw_record AS source
WHERE link.integration = :integration AND link.crm = :crm AND link.record_type = :record_type AND link.status = :earlier
  AND source.integration = link.integration AND source.record_type = :source AND source.qbench_id = link.qbench_id
  AND {condition}
RETURNING link.qbench_id
"""
_FOLLOW_DELETED = text(_FOLLOW.format(condition="source.deleted"))
_FOLLOW_RESTORED = text(_FOLLOW.format(condition=f"NOT source.deleted AND link.deleted_by_us IS NULL AND {_MAY_SYNC}"))
_FORGET = text(f"""
DELETE FROM crm_pipeline.link AS link USING crm_pipeline.raw_record AS source
WHERE link.integration = :integration AND link.crm = :crm AND link.record_type = :record_type AND link.status = 'source_deleted'
  AND source.integration = link.integration AND source.record_type = :source AND source.qbench_id = link.qbench_id
  AND link.deleted_by_us IS NOT NULL AND NOT source.deleted AND {_MAY_SYNC}
""")

# The record itself says that it was deleted: its link follows once a load begins, which may be after this one.
_ARE_LEFT_BEHIND = """
integration = :integration AND crm = :crm AND record_type = :record_type AND org_id = :org_id
  AND status IN ('live', 'source_deleted') AND crm_id = ANY(:crm_ids)
  AND EXISTS (
    SELECT FROM crm_pipeline.raw_record AS source
    WHERE source.integration = link.integration AND source.record_type = :source AND source.qbench_id = link.qbench_id
      AND source.deleted)
"""
_LEFT_BEHIND = f"SELECT crm_id, integration, qbench_id FROM crm_pipeline.link WHERE {_ARE_LEFT_BEHIND}"
_RELEASE = f"DELETE FROM crm_pipeline.link WHERE {_ARE_LEFT_BEHIND}"

_STATES = """
SELECT qbench_id, version, deleted FROM crm_pipeline.raw_record
WHERE integration = :integration AND record_type = :record_type AND {which} ORDER BY qbench_id
"""

STAGED_STATES = FrameSchema(
    "staged_states",
    (
        Column("qbench_id", "int64", "QBench id of a staged record"),
        Column("version", "int64", "its version, Unix seconds"),
        Column("deleted", "bool", "it is known to be deleted in QBench"),
    ),
)


def staged_states(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """Those of these records that are staged (STAGED_STATES)."""
    statement = _STATES.format(which="qbench_id = ANY(:ids)")
    return fetch(connection, statement, {"integration": integration, "record_type": record_type, "ids": ids}, STAGED_STATES)


def staged_as_deleted(connection: Connection, integration: str, record_type: RecordType) -> pd.DataFrame:
    """All records that are known to be deleted in QBench (STAGED_STATES)."""
    statement = _STATES.format(which="deleted")
    return fetch(connection, statement, {"integration": integration, "record_type": record_type}, STAGED_STATES)


def follow_deletions(connection: Connection, state: CrmState) -> None:
    """Let links follow their records: ``source_deleted`` where QBench deleted the record, ``live`` again where it is back.

    The link of one that is back, and whose CRM record we deleted, is forgotten: it syncs as if it never had.
    """
    refresh_statistics(connection)
    key = {**asdict(state), "source": state.source}
    connection.execute(_FORGET, key)
    gone = connection.execute(_FOLLOW_DELETED, {**key, "status": LinkStatus.SOURCE_DELETED, "earlier": LinkStatus.LIVE})
    back = connection.execute(_FOLLOW_RESTORED, {**key, "status": LinkStatus.LIVE, "earlier": LinkStatus.SOURCE_DELETED})
    tell_of_customers(connection, state, ids=[*gone.scalars(), *back.scalars()])


def left_behind(connection: Connection, state: CrmState, *, org_id: str, crm_ids: list[str]) -> pd.DataFrame:
    """Those of these CRM records whose QBench record, which holds them, was deleted (schemas.HOLDERS)."""
    key = {**asdict(state), "source": state.source, "org_id": org_id, "crm_ids": crm_ids}
    return fetch(connection, _LEFT_BEHIND, key, HOLDERS)


def release(connection: Connection, state: CrmState, *, org_id: str, crm_ids: list[str]) -> None:
    """Forget the links of deleted records to these CRM records, which other records take over."""
    if crm_ids:
        connection.execute(text(_RELEASE), {**asdict(state), "source": state.source, "org_id": org_id, "crm_ids": crm_ids})
