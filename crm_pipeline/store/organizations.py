"""Which organization an integration's links belong to, and whose external keys stand there."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Connection, text

from crm_pipeline.errors import ConfigurationError, LinkRefusedError, WrongOrgError
from crm_pipeline.model import RecordType
from crm_pipeline.store.rows import execute
from crm_pipeline.store.telling import tell_all

LinksThen = Literal["keep", "forget"]
"""What becomes of the links when another organization is adopted: they are its links, or nobody's."""

_STORE = """
WITH before AS (SELECT key_space FROM crm_pipeline.organization WHERE integration = :integration AND service = :service)
INSERT INTO crm_pipeline.organization (integration, service, org_id, key_space) VALUES (:integration, :service, :org_id, :key_space)
ON CONFLICT (integration, service) DO UPDATE SET key_space = excluded.key_space
RETURNING org_id, EXISTS (SELECT FROM before WHERE key_space IS DISTINCT FROM CAST(:key_space AS text)) AS has_other_keys
"""

_STORED = "SELECT org_id FROM crm_pipeline.organization WHERE integration = :integration AND service = :service"

_ADOPT = """
UPDATE crm_pipeline.organization SET org_id = :org_id, key_space = :key_space WHERE integration = :integration AND service = :service
"""

_HELD_THERE = """
SELECT theirs.integration, theirs.crm_id FROM crm_pipeline.link AS ours
JOIN crm_pipeline.link AS theirs
  ON theirs.org_id = :org_id AND theirs.record_type = ours.record_type AND theirs.crm_id = ours.crm_id
 AND (theirs.integration, theirs.crm) <> (ours.integration, ours.crm)
WHERE ours.integration = :integration AND ours.crm = :service
LIMIT 1
"""

_LINKED_BY_OTHERS = """
SELECT EXISTS (
  SELECT FROM crm_pipeline.link
  WHERE org_id = :org_id AND record_type = :record_type AND integration <> :integration AND linked_at >= :since
)
"""

_SHARING = r"""
SELECT integration FROM crm_pipeline.organization
WHERE service = :service AND org_id = :org_id AND integration <> :integration
  AND lower(regexp_replace(key_space, '\s', '', 'g')) = lower(regexp_replace(CAST(:key_space AS text), '\s', '', 'g'))
"""
"""Case and white space apart: the CRMs' unique fields ignore case, and trim what is written."""


def require_organization(connection: Connection, integration: str, service: str, *, org_id: str, key_space: str | None = None) -> None:
    """Store the organization of a service at its first use.

    ``key_space``: the external key field and prefix the integration writes, null without a key. Raises WrongOrgError when
    another organization is stored, and ConfigurationError when another integration writes the same keys there: one's keys
    would be taken for the other's (docs/rules.md, 1 and 2).
    """
    row = {"integration": integration, "service": service, "org_id": org_id, "key_space": key_space}
    _require_own_keys(connection, row)
    stored = execute(connection, _STORE, row).one()
    if stored.org_id != org_id:
        raise WrongOrgError(integration=integration, service=service, stored=stored.org_id, found=org_id)
    if stored.has_other_keys:
        tell_all(connection, integration, service)


def check_organization(connection: Connection, integration: str, service: str, *, org_id: str, key_space: str | None = None) -> None:
    """Raise what ``require_organization`` raises, and store nothing."""
    row = {"integration": integration, "service": service, "org_id": org_id, "key_space": key_space}
    _require_own_keys(connection, row)
    stored = stored_organization(connection, integration, service)
    if stored is not None and stored != org_id:
        raise WrongOrgError(integration=integration, service=service, stored=stored, found=org_id)


def stored_organization(connection: Connection, integration: str, service: str) -> str | None:
    """The organization that the integration's links belong to; None before the first use."""
    return execute(connection, _STORED, {"integration": integration, "service": service}).scalars().first()


def adopt_organization(
    connection: Connection, integration: str, service: str, *, org_id: str, key_space: str | None, links: LinksThen
) -> int:
    """Store another organization in the place of the stored one; returns how many links were kept or forgotten.

    Forgetting takes the open intents, latest outcomes and readings along, so that every record is planned as never synced. Raises
    ConfigurationError when another integration writes the same keys there, and LinkRefusedError when another integration
    holds a record that a kept link names.
    """
    row = {"integration": integration, "service": service, "org_id": org_id, "key_space": key_space}
    _require_own_keys(connection, row)
    held = connection.execute(text(_HELD_THERE), row).first()
    if held is not None and links == "keep":
        raise LinkRefusedError(f"integration {held.integration} holds {held.crm_id} in organization {org_id}; keep no links")
    connection.execute(text(_ADOPT), row)
    if links == "keep":
        tell_all(connection, integration, service)
        statement = "UPDATE crm_pipeline.link SET org_id = :org_id WHERE integration = :integration AND crm = :service"
        for table in ("intent", "creation"):
            connection.execute(
                text(f"UPDATE crm_pipeline.{table} SET org_id = :org_id WHERE integration = :integration AND crm = :service"), row
            )
        return connection.execute(text(statement), row).rowcount
    for table in ("intent", "outcome", "creation", "crm_record", "change_outcome"):
        connection.execute(text(f"DELETE FROM crm_pipeline.{table} WHERE integration = :integration AND crm = :service"), row)
    return connection.execute(text("DELETE FROM crm_pipeline.link WHERE integration = :integration AND crm = :service"), row).rowcount


def moment(connection: Connection) -> datetime:
    """Now, by the database's clock."""
    return cast(datetime, connection.execute(text("SELECT now()")).scalar_one())


def linked_by_others_since(connection: Connection, integration: str, *, org_id: str, record_type: RecordType, since: datetime) -> bool:
    """Whether another integration linked a record of the organization since then."""
    row = {"integration": integration, "org_id": org_id, "record_type": record_type, "since": since}
    return bool(connection.execute(text(_LINKED_BY_OTHERS), row).scalar_one())


def _require_own_keys(connection: Connection, row: dict[str, str | None]) -> None:
    sharing = execute(connection, _SHARING, row).scalars().first()
    if sharing is not None:
        raise ConfigurationError(
            f"integration {row['integration']}: integration {sharing} writes the same external key to this {row['service']} organization; "
            "give one of them an external_key_prefix, or another external_key; "
            f"if it is {sharing} that was renamed, give its folder the old name again, under which its links are kept"
        )
