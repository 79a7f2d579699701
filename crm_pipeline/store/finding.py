"""Which records does a person mean by an id, an email address or a name? By keys and indexes; names by one look at all records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from crm_pipeline.model import READ, RecordType
from crm_pipeline.store.normalized_fields import email_of, joined, value_of
from crm_pipeline.store.stories import Key

MOST_FOUND = 20
"""Records that are told where several are found."""

_IN = "integration = ANY(:integrations) AND record_type = ANY(:record_types)"

_BY_ID = f"SELECT integration, record_type, qbench_id FROM crm_pipeline.raw_record WHERE {_IN} AND qbench_id = :qbench_id"

_BY_CRM_ID = """
SELECT link.record_type, link.qbench_id FROM crm_pipeline.link
JOIN crm_pipeline.organization ON organization.integration = link.integration AND organization.service = link.crm
WHERE link.crm = :crm AND link.org_id = organization.org_id AND link.record_type = ANY(:record_types) AND link.crm_id = :crm_id
  AND organization.integration = :integration
UNION ALL
-- Before the first load: links made by hand, of the organization that the credentials led to.
SELECT record_type, qbench_id FROM crm_pipeline.link
WHERE integration = :integration AND crm = :crm AND record_type = ANY(:record_types) AND crm_id = :crm_id
  AND NOT EXISTS (SELECT FROM crm_pipeline.organization WHERE integration = :integration AND service = :crm)
"""

_BY_EMAIL = f"""
SELECT integration, record_type, qbench_id FROM crm_pipeline.normalized_record AS staged
WHERE {_IN} AND record_type = '{RecordType.CONTACT}' AND {email_of("staged")} = lower(:words)
ORDER BY integration, record_type, qbench_id
"""

_EMAIL, _NAME, _FIRST_NAME, _LAST_NAME = (value_of("staged", f"'{name}'") for name in ("email", "name", "first_name", "last_name"))

_BY_WORDS = f"""
WITH named AS (
  SELECT integration, record_type, qbench_id, {_EMAIL} AS email, concat_ws(' ', {_NAME}, {_FIRST_NAME}, {_LAST_NAME}) AS name,
    coalesce({_NAME}, {_FIRST_NAME} || ' ' || {_LAST_NAME}) AS whole
  FROM crm_pipeline.normalized_record AS staged {joined("staged")} WHERE {_IN}
), found AS (
  SELECT *, coalesce(lower(whole) = lower(:words), false) AS is_whole FROM named WHERE concat_ws(' ', name, email) ILIKE :pattern
)
SELECT integration, record_type, qbench_id FROM found WHERE is_whole OR NOT EXISTS (SELECT FROM found WHERE is_whole)
ORDER BY integration, record_type, qbench_id LIMIT :most
"""

_NEWEST = "SELECT max(version) FROM crm_pipeline.raw_record WHERE integration = :integration AND record_type = :record_type"

_SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def by_qbench_id(connection: Connection, integrations: Sequence[str], qbench_id: int, *, record_types: Sequence[RecordType]) -> list[Key]:
    """The records that have this id in QBench: a customer, a contact, or one of each."""
    return _found(connection, _BY_ID, integrations, record_types, qbench_id=qbench_id)


def by_crm_id(
    connection: Connection, integration: str, crm: str, crm_id: str, *, record_types: Sequence[RecordType]
) -> list[tuple[RecordType, int]]:
    """The record types in the CRM, and the QBench ids, that are linked to the CRM's record of this id."""
    parameters = {"integration": integration, "crm": crm, "crm_id": crm_id, "record_types": list(record_types)}
    return [(RecordType(record_type), qbench_id) for record_type, qbench_id in connection.execute(text(_BY_CRM_ID), parameters)]


def by_words(connection: Connection, integrations: Sequence[str], words: str, *, record_types: Sequence[RecordType]) -> list[Key]:
    """The records whose email address these words are; else whose name they are; else those that have them in either.

    A person's last name alone is part of a name, also where the record has no other: it does not stand for all who bear it.
    One more than MOST_FOUND where there are more. Of addresses an index knows; for names all records are looked at, in one query.
    """
    if "@" in words and (found := _found(connection, _BY_EMAIL, integrations, record_types, words=words)):
        return found
    pattern = f"%{words.translate(_SPECIAL)}%"
    return _found(connection, _BY_WORDS, integrations, record_types, words=words, pattern=pattern, most=MOST_FOUND + 1)


def newest_read(connection: Connection, integration: str, record_type: RecordType) -> datetime | None:
    """The newest ``last_updated`` of the records of this type that were read; None where none was."""
    newest = connection.execute(text(_NEWEST), {"integration": integration, "record_type": record_type}).scalar()
    return None if newest is None else datetime.fromtimestamp(newest, UTC)


def _found(
    connection: Connection, statement: str, integrations: Sequence[str], record_types: Sequence[RecordType], **sought: object
) -> list[Key]:
    parameters = {"integrations": list(integrations), "record_types": [each for each in record_types if each in READ], **sought}
    rows = connection.execute(text(statement), parameters)
    return [Key(integration, RecordType(record_type), qbench_id) for integration, record_type, qbench_id in rows]
