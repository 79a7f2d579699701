"""Whose CRM records are to be deleted because QBench deleted the record, or has it as inactive; and which were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import DeletedInQBenchException, InactiveContactException
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import LinkOrigin
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch

REMOVABLE = FrameSchema(
    "removable",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "version last sent"),
        Column("object", "str", "API name of the CRM's object; null: the usual one of the record type"),
        Column("crm_id", "str", "id of the CRM record"),
        Column("error_type", "str", "why it is to go: the record error of the record in QBench"),
        Column("customer_status", "str", "of an inactive contact: its customer's status in QBench; null where it says none"),
    ),
)
"""Links whose CRM records are to be deleted, one row per link."""

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_REMOVABLE = f"""
SELECT link.qbench_id, link.version, link.object, link.crm_id,
  CASE WHEN source.deleted THEN '{DeletedInQBenchException.__name__}' ELSE staged.error_type END AS error_type,
  crm_pipeline.unpacked(customer.content) ->> 'status' AS customer_status
FROM crm_pipeline.link AS link
JOIN crm_pipeline.raw_record AS source
  ON source.integration = link.integration AND source.record_type = link.record_type AND source.qbench_id = link.qbench_id
LEFT JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = link.integration AND staged.record_type = link.record_type AND staged.qbench_id = link.qbench_id
LEFT JOIN crm_pipeline.raw_record AS customer
  ON customer.integration = link.integration AND customer.record_type = 'account' AND customer.qbench_id = staged.customer_id
    AND NOT customer.deleted
WHERE link.integration = :integration AND link.crm = :crm AND link.record_type = :record_type
  AND link.deleted_by_us IS NULL AND link.origin = ANY(:origins)
  AND ((:deleted AND link.status = 'source_deleted' AND source.deleted)
    OR (:inactive AND link.status IN ('live', 'source_deleted') AND NOT source.deleted
        AND staged.error_type = '{InactiveContactException.__name__}' AND customer.qbench_id IS NOT NULL))
ORDER BY link.qbench_id
"""


def removable(connection: Connection, state: CrmState, *, deleted: bool, inactive: bool, also_linked: bool) -> pd.DataFrame:
    """The links whose CRM records may be to go (REMOVABLE), those that we deleted already left out.

    ``deleted``, ``inactive``: of records that QBench deleted, of contacts that are inactive. ``also_linked``: those too that the
    pipeline did not make.
    """
    origins = list(LinkOrigin) if also_linked else [LinkOrigin.CREATED]
    parameters = {**asdict(state), "deleted": deleted, "inactive": inactive, "origins": [str(origin) for origin in origins]}
    return fetch(connection, _REMOVABLE, parameters, REMOVABLE)


def about_to_remove(connection: Connection, state: CrmState, *, ids: Sequence[int]) -> None:
    """Store before the call that the CRM records of these links go, so that a check that follows a crash expects it."""
    statement = text(f"UPDATE crm_pipeline.link SET status = 'source_deleted' WHERE {_KEY} AND qbench_id = ANY(:ids)")
    connection.execute(statement, {**asdict(state), "ids": list(ids)})


def save_removed(connection: Connection, state: CrmState, *, ids: Sequence[int]) -> None:
    """Store that the CRM records of these links are gone by our doing, or were when we came."""
    statement = text(f"UPDATE crm_pipeline.link SET deleted_by_us = now(), updated_at = now() WHERE {_KEY} AND qbench_id = ANY(:ids)")
    connection.execute(statement, {**asdict(state), "ids": list(ids)})
