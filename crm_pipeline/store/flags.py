"""Of which records says QBench that a CRM deleted them, and which did a CRM delete?"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import RecordType
from crm_pipeline.store.rows import fetch

FLAGGED = FrameSchema(
    "flagged",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("crm", "str", "a CRM that the record is linked in, one that deleted it where there is one"),
        Column("crm_id", "str", "id of its record there"),
        Column("gone", "bool", "a CRM deleted its record"),
        Column("shown", "object", "what the field holds in QBench, as staged; null for a blank"),
    ),
)
"""Records that a CRM deleted, or that were flagged before, a row each."""

_LINKS = "crm_pipeline.link WHERE integration = :integration AND record_type = :record_type"

_FLAGGED = f"""
WITH told AS (
  SELECT DISTINCT ON (qbench_id) qbench_id, reason FROM crm_pipeline.change_history
  WHERE integration = :integration AND record_type = :record_type AND reason IN (:set, :cleared)
  ORDER BY qbench_id, id DESC
), looked_at AS (
  SELECT qbench_id FROM {_LINKS} AND status = 'deleted' AND NOT held
  UNION SELECT qbench_id FROM told WHERE reason = :set
), linked AS (
  SELECT link.qbench_id, bool_or(link.status = 'deleted' AND NOT link.held) AS gone,
    (array_agg(ARRAY[link.crm, link.crm_id] ORDER BY link.status <> 'deleted', link.crm))[1:1] AS first
  FROM crm_pipeline.link AS link JOIN looked_at USING (qbench_id)
  WHERE link.integration = :integration AND link.record_type = :record_type AND link.status IN ('live', 'deleted')
  GROUP BY link.qbench_id
)
SELECT linked.qbench_id, linked.first[1][1] AS crm, linked.first[1][2] AS crm_id, linked.gone,
  crm_pipeline.unpacked(source.content) -> :field AS shown
FROM linked JOIN crm_pipeline.raw_record AS source
  ON source.integration = :integration AND source.record_type = :record_type AND source.qbench_id = linked.qbench_id
WHERE NOT source.deleted AND (linked.gone OR crm_pipeline.unpacked(source.content) ->> :field IS NOT NULL)
ORDER BY linked.qbench_id
"""


def flagged(connection: Connection, integration: str, record_type: RecordType, *, field: str, reasons: tuple[str, str]) -> pd.DataFrame:
    """What a field of QBench says of records that a CRM deleted, or that were flagged and not cleared since (FLAGGED).

    ``reasons``: those of the outcomes that tell of either.
    """
    set_, cleared = reasons
    parameters = {"integration": integration, "record_type": record_type, "field": field, "set": set_, "cleared": cleared}
    return fetch(connection, _FLAGGED, parameters, FLAGGED)


def count_linked(connection: Connection, integration: str, record_type: RecordType) -> int:
    """How many records of QBench are linked in any CRM."""
    statement = text(f"SELECT count(DISTINCT qbench_id) FROM {_LINKS} AND status <> 'source_deleted'")
    return int(connection.execute(statement, {"integration": integration, "record_type": record_type}).scalar_one())
