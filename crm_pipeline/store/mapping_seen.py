"""Since when may a record that is told of changes have been decided without today's mapping?

Contacts that go as leads, and leads that are contacts, are normalized again where the mapping changed, as all that waits: once by each
mapping. From then on those that were decided since are compared with it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType
from crm_pipeline.store.customers_seen import LONGEST_TRANSACTION

_BEGIN = text("""
SELECT least(until, coalesce((
  SELECT until FROM crm_pipeline.mapping_seen
  WHERE integration = :integration AND record_type = :record_type AND mapping_digest = :mapping_digest
), now() - interval '1000 years')) AS since, until
FROM (SELECT now() - CAST(:longest AS interval) AS until) AS this
""")
"""After the last look, or, where the server's clock was set back since, where this one ends."""

_SAVE = text("""
INSERT INTO crm_pipeline.mapping_seen (integration, record_type, mapping_digest, until)
VALUES (:integration, :record_type, :mapping_digest, :until)
ON CONFLICT (integration, record_type) DO UPDATE SET mapping_digest = excluded.mapping_digest, until = excluded.until
""")


@dataclass(frozen=True, slots=True)
class MappingLook:
    """A look, by a mapping, at what was decided after ``since``; once it is over, what was decided before ``until`` is normalized by it."""

    mapping_digest: str
    since: datetime
    until: datetime


def begin_mapping_look(connection: Connection, integration: str, record_type: RecordType, *, mapping_digest: str) -> MappingLook:
    """What is to be looked at, beginning now: all decisions, where another mapping was the last to see them."""
    parameters = {"integration": integration, "record_type": record_type, "mapping_digest": mapping_digest}
    row = connection.execute(_BEGIN, {**parameters, "longest": LONGEST_TRANSACTION}).one()
    return MappingLook(mapping_digest, row.since, row.until)


def save_mapping_look(connection: Connection, integration: str, record_type: RecordType, look: MappingLook) -> None:
    """Store that all records of this type which the look found were normalized anew."""
    parameters = {"integration": integration, "record_type": record_type, "mapping_digest": look.mapping_digest, "until": look.until}
    connection.execute(_SAVE, parameters)
