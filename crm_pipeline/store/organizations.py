"""Which organization an integration's links belong to, and whose external keys stand there."""

from __future__ import annotations

from sqlalchemy import Connection, text

from crm_pipeline.errors import ConfigurationError, WrongOrgError

_STORE = """
INSERT INTO crm_pipeline.organization (integration, service, org_id, key_space) VALUES (:integration, :service, :org_id, :key_space)
ON CONFLICT (integration, service) DO UPDATE SET key_space = excluded.key_space
RETURNING org_id
"""

_STORED = "SELECT org_id FROM crm_pipeline.organization WHERE integration = :integration AND service = :service"

_SHARING = """
SELECT integration FROM crm_pipeline.organization
WHERE service = :service AND org_id = :org_id AND key_space = :key_space AND integration <> :integration
"""


def require_organization(connection: Connection, integration: str, service: str, *, org_id: str, key_space: str | None = None) -> None:
    """Store the organization of a service at its first use.

    ``key_space``: the external key field and prefix the integration writes, null without a key. Raises WrongOrgError when
    another organization is stored, and ConfigurationError when another integration writes the same keys there: one's keys
    would be taken for the other's (rules.md, 1 and 2).
    """
    row = {"integration": integration, "service": service, "org_id": org_id, "key_space": key_space}
    check_organization(connection, integration, service, org_id=org_id, key_space=key_space)
    stored = connection.execute(text(_STORE), row).scalar_one()
    if stored != org_id:
        raise WrongOrgError(integration=integration, service=service, stored=stored, found=org_id)


def check_organization(connection: Connection, integration: str, service: str, *, org_id: str, key_space: str | None = None) -> None:
    """Raise what ``require_organization`` raises, and store nothing."""
    row = {"integration": integration, "service": service, "org_id": org_id, "key_space": key_space}
    sharing = connection.execute(text(_SHARING), row).scalars().first()
    if sharing is not None:
        raise ConfigurationError(
            f"integration {integration}: integration {sharing} writes the same external key to this {service} organization; "
            "give one of them an external_key_prefix, or another external_key"
        )
    stored = connection.execute(text(_STORED), row).scalars().first()
    if stored is not None and stored != org_id:
        raise WrongOrgError(integration=integration, service=service, stored=stored, found=org_id)
