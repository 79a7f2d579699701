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
"""Records that a CRM deleted, or whose links were live again lately, a row each."""

_LINKS = "crm_pipeline.link WHERE integration = :integration AND record_type = :record_type"

_FLAGGED = f"""
WITH looked_at AS (
  SELECT DISTINCT qbench_id FROM {_LINKS}
    AND (status = 'deleted' AND NOT held OR status = 'live' AND updated_at > now() - interval '1 day')
), linked AS (
  SELECT link.qbench_id, bool_or(link.status = 'deleted' AND NOT link.held) AS gone,
    (array_agg(ARRAY[link.crm, link.crm_id] ORDER BY link.status <> 'deleted', link.crm))[1:1] AS first
  FROM crm_pipeline.link AS link JOIN looked_at USING (qbench_id)
  WHERE link.integration = :integration AND link.record_type = :record_type AND link.status IN ('live', 'deleted')
  GROUP BY link.qbench_id
)
SELECT linked.qbench_id, linked.first[1][1] AS crm, linked.first[1][2] AS crm_id, linked.gone, source.content -> :field AS shown
FROM linked JOIN crm_pipeline.raw_record AS source
  ON source.integration = :integration AND source.record_type = :record_type AND source.qbench_id = linked.qbench_id
WHERE NOT source.deleted AND (linked.gone OR source.content ->> :field IS NOT NULL)
ORDER BY linked.qbench_id
"""


def flagged(connection: Connection, integration: str, record_type: RecordType, *, field: str) -> pd.DataFrame:
    """What a field of QBench says of records that a CRM deleted, or that were linked or restored within a day (FLAGGED)."""
    return fetch(connection, _FLAGGED, {"integration": integration, "record_type": record_type, "field": field}, FLAGGED)


def count_linked(connection: Connection, integration: str, record_type: RecordType) -> int:
    """How many records of QBench are linked in any CRM."""
    statement = text(f"SELECT count(DISTINCT qbench_id) FROM {_LINKS} AND status <> 'source_deleted'")
    return int(connection.execute(statement, {"integration": integration, "record_type": record_type}).scalar_one())
