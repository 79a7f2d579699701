"""What a portal's set-up says beside its properties: the scopes of the token, and companies that it makes by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS, KIND
from crm_pipeline.crms.hubspot.contracts import TOKEN_INFO
from crm_pipeline.crms.hubspot.paths import TOKEN_INFO as TOKEN_INFO_PATH
from crm_pipeline.crms.hubspot.settings import HubSpotSettings
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import ServiceError

AREA = KIND.name
DOMAIN = "domain"
"""The property of companies by which HubSpot tells which of them an email address belongs to."""


def scopes_needed(objects: Collection[str], *, sensitive: bool) -> list[str]:
    """The scopes that syncing these objects takes; README names those of owner rules and lists, whose own calls tell."""
    rights = [f"crm.objects.{name}.{right}" for name in objects for right in ("read", "write")]
    if sensitive:
        rights += [f"crm.objects.{name}.sensitive.{right}.v2" for name in objects for right in ("read", "write")]
    return sorted([*rights, *(f"crm.schemas.{name}.read" for name in objects)])


def scopes(transport: Transport, settings: HubSpotSettings, objects: Collection[str]) -> Finding:
    """Whether the token has the scopes. HubSpot tells them of private apps' tokens; of service keys it is not documented.

    The token goes to HubSpot in the body, as that call wants it (source: HubSpot's private apps guide).
    """
    token = settings.token.read(integration=transport.integration)
    try:
        answer = transport.post(TOKEN_INFO_PATH, {"tokenKey": token}, label="sign_in", holds=TOKEN_INFO).content
    except ServiceError:
        told = "HubSpot does not tell the scopes of this token; one that lacks is named by the first call that needs it"
        return Finding("ok", AREA, "scopes", told)
    held = set(answer["scopes"])
    # A right to the records is one to their properties, too.
    lacking = [
        scope
        for scope in scopes_needed(objects, sensitive=settings.sensitive_properties)
        if scope not in held and scope.replace("schemas", "objects") not in held
    ]
    if not lacking:
        return Finding("ok", AREA, "scopes", f"the token has those that {' and '.join(objects)} take")
    remedy = f"add them to the service key or private app of the token in {settings.token.env}"
    return Finding("problem", AREA, "scopes", f"the token lacks {', '.join(lacking)}", remedy)


def company_creation(written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Whether HubSpot may make companies beside those of the sync. It has a switch for that which no API shows."""
    if CONTACTS.name not in written:
        return
    subject = "company creation"
    if DOMAIN in written.get(COMPANIES.name, ()):
        yield Finding("ok", AREA, subject, f"{DOMAIN} is mapped: HubSpot finds the company of a contact by its email domain")
        return
    told = (
        "if Create and associate companies with contacts is on, which no API tells, HubSpot makes a company of its own for each email "
        "domain that no company has"
    )
    remedy = f"switch it off (Settings, Objects, Companies), or map hubspot.{DOMAIN}"
    yield Finding("warning", AREA, subject, told, remedy)
