"""What comes back from a CRM by the mapping of the latest run: what links keep was agreed on by that mapping, and by no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Connection, text

from crm_pipeline.model import LinkStatus
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_STORED = f"SELECT units FROM crm_pipeline.way_back WHERE {_KEY} FOR UPDATE"

_STORE = """
INSERT INTO crm_pipeline.way_back (integration, crm, record_type, units)
VALUES (:integration, :crm, :record_type, CAST(:units AS jsonb))
ON CONFLICT (integration, crm, record_type) DO UPDATE SET units = excluded.units
"""

_FORGET = f"""
UPDATE crm_pipeline.link SET bases = bases - CAST(:names AS text[]), sending = nullif(sending - CAST(:names AS text[]), '{{}}')
WHERE {_KEY} AND bases ?| CAST(:names AS text[])
"""

_FORGET_WRITES = f"DELETE FROM crm_pipeline.replacing WHERE {_KEY} AND field = ANY(:names)"

_READ_ALL = f"""
INSERT INTO crm_pipeline.crm_record (integration, crm, record_type, crm_id, object, fields, pending)
SELECT integration, crm, record_type, crm_id, object, '{{}}', true FROM crm_pipeline.link
WHERE {_KEY} AND status = '{LinkStatus.LIVE}' ORDER BY crm_id
ON CONFLICT (integration, crm, record_type, crm_id) DO UPDATE SET pending = true
"""


def follow_way_back(connection: Connection, state: CrmState, *, units: Mapping[str, str]) -> None:
    """Note what comes back by today's mapping: ``units``, each with its fields in the CRM and in QBench; none where nothing does.

    Of a unit that does not come back any more, or is made of other fields, links forget what they keep: switched on again, it begins
    anew. Where a unit is new, all linked records are looked at by the next run, so that what they show is accepted before it is
    edited. Where nothing came back before, the first window holds them all.
    """
    row = asdict(state)
    before: dict[str, str] | None = execute(connection, _STORED, row).scalar()
    if before == units or (before is None and not units):
        return
    connection.execute(text(_STORE), {**row, "units": json.dumps(dict(units))})
    if before is None:
        return
    if gone := [name for name, fields in before.items() if units.get(name) != fields]:
        for statement in (_FORGET, _FORGET_WRITES):
            connection.execute(text(statement), {**row, "names": gone})
    if any(before.get(name) != fields for name, fields in units.items()):
        connection.execute(text(_READ_ALL), row)
