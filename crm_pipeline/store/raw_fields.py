"""Which fields do QBench's records have, as far as they are staged?"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType

NEWEST = 5_000
"""Rows that are looked at every hour: a field that one of them has costs next to nothing, one that none has these rows."""

_STAGED = "FROM crm_pipeline.raw_record WHERE integration = :integration AND record_type = :record_type AND NOT deleted"
_HAS = """
CASE jsonb_typeof(content)
  WHEN 'array' THEN EXISTS (SELECT FROM crm_pipeline.field_names WHERE id = CAST(content ->> 0 AS bigint) AND field = ANY(names))
  ELSE jsonb_exists(content, field) END
"""
_ABSENT = f"""
WITH held AS {{kept}} (SELECT content {_STAGED} {{newest}})
SELECT named.field FROM unnest(CAST(:fields AS text[])) WITH ORDINALITY AS named (field, place)
WHERE EXISTS (SELECT FROM held) AND NOT EXISTS (SELECT FROM held WHERE {_HAS})
ORDER BY named.place
"""


def absent_fields(
    connection: Connection, integration: str, record_type: RecordType, *, fields: Sequence[str], newest: int | None
) -> list[str]:
    """Those of the fields that no staged record has, not even a blank one: of the ``newest`` records, or (None) of all.

    Where nothing is staged, nothing is known and none is absent.
    """
    # The newest are picked out once; all of them are not to be kept.
    picked = {"kept": "MATERIALIZED", "newest": "ORDER BY version DESC, qbench_id DESC LIMIT :newest"}
    statement = _ABSENT.format(**{"kept": "NOT MATERIALIZED", "newest": ""} if newest is None else picked)
    parameters = {"integration": integration, "record_type": record_type, "fields": list(fields)}
    return list(connection.execute(text(statement), parameters if newest is None else {**parameters, "newest": newest}).scalars())
