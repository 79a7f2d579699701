"""Which organization an integration's links belong to."""

from __future__ import annotations

from sqlalchemy import Connection, text

from crm_pipeline.errors import WrongOrgError


def require_organization(connection: Connection, integration: str, service: str, *, org_id: str) -> None:
    """Store the organization of a service at its first use; raises WrongOrgError when another one is stored."""
    key = {"integration": integration, "service": service}
    connection.execute(
        text(
            "INSERT INTO crm_pipeline.organization (integration, service, org_id) VALUES (:integration, :service, :org_id) "
            "ON CONFLICT (integration, service) DO NOTHING"
        ),
        {**key, "org_id": org_id},
    )
    stored = connection.execute(
        text("SELECT org_id FROM crm_pipeline.organization WHERE integration = :integration AND service = :service"), key
    ).scalar_one()
    if stored != org_id:
        raise WrongOrgError(integration=integration, service=service, stored=stored, found=org_id)
