"""Salesforce: accounts, contacts and leads through simple-salesforce and the sObject Collections of the REST API."""

from __future__ import annotations

from types import MappingProxyType

from crm_pipeline.crms.base import Capabilities, Crm, CrmKind, CrmObject, CrmSettings
from crm_pipeline.crms.salesforce.ids import record_id
from crm_pipeline.crms.salesforce.preset import ACCOUNT_PRESET, CONTACT_PRESET, LEAD_PRESET, OWNER_FIELD
from crm_pipeline.crms.salesforce.settings import SalesforceSettings
from crm_pipeline.model import RecordType

__all__ = ["KIND", "SalesforceSettings"]


def _connect(settings: CrmSettings, integration: str) -> Crm:
    # The client library takes a quarter of a second to import; a code location that only loads must not pay for it.
    from crm_pipeline.crms.salesforce.client import SalesforceCrm

    if not isinstance(settings, SalesforceSettings):
        raise TypeError(f"Salesforce is connected with SalesforceSettings, not {type(settings).__name__}")
    return SalesforceCrm(settings, integration)


ACCOUNTS = CrmObject(record_type=RecordType.ACCOUNT, name="Account", asset="accounts", preset=ACCOUNT_PRESET)
CONTACTS = CrmObject(record_type=RecordType.CONTACT, name="Contact", asset="contacts", preset=CONTACT_PRESET)
LEADS = CrmObject(record_type=RecordType.LEAD, name="Lead", asset="leads", preset=LEAD_PRESET)

KIND = CrmKind(
    name="salesforce",
    title="Salesforce",
    objects=MappingProxyType({RecordType.ACCOUNT: (ACCOUNTS,), RecordType.CONTACT: (CONTACTS,), RecordType.LEAD: (LEADS,)}),
    owner_field=OWNER_FIELD,
    # sObject Collections take 200 rows a request, a contact's account with any of them.
    capabilities=Capabilities(batch_size=200, association_batch_size=200, calls_in_flight=16, blank_booleans=False),
    settings=SalesforceSettings,
    connect=_connect,
    record_id=record_id,
    client_loggers=("simple_salesforce", "urllib3"),
)
