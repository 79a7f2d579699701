"""What a CRM said last of an object's fields, and when; names and options alone, no record's value."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.schemas import CRM_FIELDS

_KEPT = """
SELECT fields FROM crm_pipeline.description
WHERE integration = :integration AND crm = :crm AND object = :object AND org_id = :org_id AND settings = :settings
  AND read_at > now() - CAST(:age AS interval)
"""

_KEEP = """
INSERT INTO crm_pipeline.description (integration, crm, object, org_id, settings, fields)
VALUES (:integration, :crm, :object, :org_id, :settings, CAST(:fields AS jsonb))
ON CONFLICT (integration, crm, object) DO UPDATE
SET org_id = excluded.org_id, settings = excluded.settings, fields = excluded.fields, read_at = now()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a description is kept, and of whom it counts: of this organization, asked by these settings (a digest of them)."""

    integration: str
    crm: str
    object: str
    org_id: str
    settings: str


def kept_fields(connection: Connection, place: Place, *, age: timedelta) -> pd.DataFrame | None:
    """The object's fields (schemas.CRM_FIELDS) as they were described within this time; None where they were not."""
    rows = connection.execute(text(_KEPT), {**asdict(place), "age": age}).scalars().first()
    return None if rows is None else _frame(rows)


def keep_fields(connection: Connection, place: Place, *, fields: pd.DataFrame) -> None:
    """Keep what an object's fields (schemas.CRM_FIELDS) are now."""
    connection.execute(text(_KEEP), {**asdict(place), "fields": as_json(fields)})


def as_json(fields: pd.DataFrame) -> str:
    """The fields (schemas.CRM_FIELDS) as a text; that of equal ones is equal."""
    columns = {name: [None if _is_null(value) else value for value in fields[name].tolist()] for name in CRM_FIELDS.names}
    return json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)], sort_keys=True)


def _is_null(value: Any) -> bool:
    return not isinstance(value, list) and bool(pd.isna(value))


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = {name: [row[name] for row in rows] for name in CRM_FIELDS.names}
    columns["options"] = [[tuple(option) for option in options] for options in columns["options"]]
    return CRM_FIELDS.build(pd.DataFrame(columns))
