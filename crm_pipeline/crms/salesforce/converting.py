"""Which leads did people convert, and into which contacts? ("Lead", Object Reference: IsConverted, ConvertedContactId)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.crms.salesforce.queries import SelectIn
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.schemas import CONVERTED

CONVERTED_FIELD = "IsConverted"
CONTACT_FIELD = "ConvertedContactId"


def conversions(transport: SalesforceTransport, sobject: str, crm_ids: Sequence[str]) -> tuple[pd.DataFrame, set[str]]:
    """The converted ones of these leads and the contacts that they became (the first columns of schemas.CONVERTED), 2,000 a call.

    And the ids of those on which Salesforce fails.
    """
    leads, failed = transport.retrieve(sobject, list(dict.fromkeys(crm_ids)), ["Id", CONVERTED_FIELD, CONTACT_FIELD])
    rows = [(lead["Id"], lead.get(CONTACT_FIELD)) for lead in leads if lead.get(CONVERTED_FIELD)]
    return pd.DataFrame(rows, columns=CONVERTED.names[:2], dtype="str"), failed


def leads_of(transport: SalesforceTransport, sobject: str, contact_ids: Sequence[str]) -> pd.DataFrame:
    """The leads that became these contacts: columns ``contact_crm_id`` and ``crm_id``, null where Salesforce fails."""
    statement = SelectIn(sobject, ["Id", CONTACT_FIELD], CONTACT_FIELD)
    leads, failed = transport.query_in(statement, contact_ids)
    if not {lead[CONTACT_FIELD] for lead in leads} <= set(contact_ids):
        raise transport.unexpected("answered a query for leads of contacts with leads of others")
    rows = [(lead[CONTACT_FIELD], lead["Id"]) for lead in leads] + [(contact, None) for contact in sorted(failed)]
    return pd.DataFrame(rows, columns=["contact_crm_id", "crm_id"], dtype="str")


def with_contacts(became: pd.DataFrame, contacts: pd.DataFrame, *, person: str | None, failed: set[str]) -> pd.DataFrame:
    """Converted leads (schemas.CONVERTED) by ``conversions`` and what became of their contacts since (schemas.EXAMINED).

    ``person``: the column of ``contacts`` that is true in person accounts. A contact that was merged is told as the one that it is now;
    one that is gone as it was, without an account. A lead whose contact Salesforce fails to show is among those that it ``failed`` on.
    """
    known = contacts.rename(columns={"crm_id": "contact_crm_id"})[["contact_crm_id", "state", "leads_to", "parent_crm_id"]]
    known["person"] = contacts[person].map(bool).astype("bool") if person else False
    rows = became.merge(known, on="contact_crm_id", how="left")
    unshown = rows["contact_crm_id"].notna() & rows["state"].isna()
    rows["contact_crm_id"] = rows["leads_to"].fillna(rows["contact_crm_id"])
    rows["person"] = rows["person"].eq(True)
    told = rows[~unshown].rename(columns={"parent_crm_id": "account_crm_id"}).reindex(columns=CONVERTED.names)
    ill = pd.DataFrame({"crm_id": sorted(failed | set(rows.loc[unshown, "crm_id"]))}, dtype="str")
    return CONVERTED.build(pd.concat([told, ill.assign(person=False, error_type=CrmFailsOnRecordException.__name__)], ignore_index=True))
