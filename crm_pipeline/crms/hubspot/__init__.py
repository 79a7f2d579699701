"""HubSpot: companies and contacts through its CRM object APIs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from crm_pipeline.crms.base import Capabilities, CrmKind, CrmObject
from crm_pipeline.crms.hubspot.preset import COMPANY_PRESET, CONTACT_PRESET, OWNER_FIELD
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
    # HubSpot finds a record by its number, with noughts before it too; links know one form.
    return str(int(given))


COMPANIES = CrmObject(record_type=RecordType.ACCOUNT, name="companies", asset="companies", preset=COMPANY_PRESET)
CONTACTS = CrmObject(record_type=RecordType.CONTACT, name="contacts", asset="contacts", preset=CONTACT_PRESET)

KIND = CrmKind(
    name="hubspot",
    title="HubSpot",
    objects=MappingProxyType({RecordType.ACCOUNT: (COMPANIES,), RecordType.CONTACT: (CONTACTS,)}),
    owner_field=OWNER_FIELD,
    capabilities=Capabilities(
        batch_size=100,
        association_batch_size=1000,
        calls_in_flight=100,
        several_accounts=True,
        parent_goes_with=frozenset({Verb.CREATE}),
        keeps_lists=True,
    ),
    settings=HubSpotSettings,
    connect=_connect,
    record_id=_record_id,
    client_loggers=("hubspot", "urllib3"),
)
