"""HubSpot: companies and contacts through its CRM object APIs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from crm_pipeline.crms.base import Capabilities, CrmKind, CrmObject
from crm_pipeline.crms.hubspot.preset import OWNER_FIELD, PRESETS
from crm_pipeline.crms.hubspot.settings import HubSpotSettings
from crm_pipeline.model import RecordType, Verb

if TYPE_CHECKING:
    from crm_pipeline.crms.base import Crm, CrmSettings

__all__ = ["KIND", "HubSpotSettings"]


def _connect(settings: CrmSettings, integration: str) -> Crm:
    # Loaded on first use: the client library takes a fifth of a second to import.
    from crm_pipeline.crms.hubspot.client import HubSpotCrm

    if not isinstance(settings, HubSpotSettings):
        raise TypeError("HubSpot is connected with HubSpotSettings")
    return HubSpotCrm(settings, integration=integration)


def _record_id(typed: str) -> str:
    given = typed.strip()
    if not (given.isascii() and given.isdecimal()):
        raise ValueError(f"{given!r} is no HubSpot record id; give the digits alone that stand at the end of the record's address")
    return given


KIND = CrmKind(
    name="hubspot",
    title="HubSpot",
    objects=MappingProxyType(
        {
            RecordType.ACCOUNT: CrmObject(name="companies", asset="companies"),
            RecordType.CONTACT: CrmObject(name="contacts", asset="contacts"),
        }
    ),
    presets=PRESETS,
    owner_field=OWNER_FIELD,
    capabilities=Capabilities(
        batch_size=100, association_batch_size=1000, several_accounts=True, parent_goes_with=frozenset({Verb.CREATE})
    ),
    settings=HubSpotSettings,
    connect=_connect,
    record_id=_record_id,
    client_loggers=("hubspot", "urllib3"),
)
