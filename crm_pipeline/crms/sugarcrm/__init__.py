"""SugarCRM: accounts, contacts and leads of SuiteCRM 7 and 8 and of SugarCRM CE, through their REST API v4_1.

The commercial editions have another API (v11), which this folder does not speak.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from crm_pipeline.crms.base import Capabilities, CrmKind, CrmObject
from crm_pipeline.crms.sugarcrm.preset import ACCOUNT_PRESET, CONTACT_PRESET, LEAD_PRESET, OWNER_FIELD
from crm_pipeline.crms.sugarcrm.settings import SugarSettings
from crm_pipeline.model import RecordType

if TYPE_CHECKING:
    from crm_pipeline.crms.base import Crm, CrmSettings

__all__ = ["KIND", "SugarSettings"]

RECORD_ID = re.compile(r"[A-Za-z0-9_.-]{1,36}", re.ASCII)
"""What an id may look like: 36 characters at most, a UUID as a rule."""


def _connect(settings: CrmSettings, integration: str) -> Crm:
    # Loaded on first use: whoever loads definitions does not pay for the client.
    from crm_pipeline.crms.sugarcrm.client import SugarCrm

    if not isinstance(settings, SugarSettings):
        raise TypeError("SugarCRM is connected with SugarSettings")
    return SugarCrm(settings, integration=integration)


def _record_id(typed: str) -> str:
    given = typed.strip()
    if not RECORD_ID.fullmatch(given):
        raise ValueError(f"{given!r} is no SugarCRM record id; give what stands behind record= in the address of the record's page")
    return given


ACCOUNTS = CrmObject(record_type=RecordType.ACCOUNT, name="Accounts", asset="accounts", preset=ACCOUNT_PRESET)
CONTACTS = CrmObject(record_type=RecordType.CONTACT, name="Contacts", asset="contacts", preset=CONTACT_PRESET)
LEADS = CrmObject(record_type=RecordType.LEAD, name="Leads", asset="leads", preset=LEAD_PRESET)

KIND = CrmKind(
    name="sugarcrm",
    title="SugarCRM",
    objects=MappingProxyType({RecordType.ACCOUNT: (ACCOUNTS,), RecordType.CONTACT: (CONTACTS,), RecordType.LEAD: (LEADS,)}),
    owner_field=OWNER_FIELD,
    capabilities=Capabilities(batch_size=50, association_batch_size=50, own_ids=True, validates=False, blank_booleans=False),
    settings=SugarSettings,
    connect=_connect,
    record_id=_record_id,
    client_loggers=("httpx", "httpcore"),
)
