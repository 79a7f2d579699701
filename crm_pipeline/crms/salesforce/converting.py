"""Which leads did people convert, and into which contacts? ("Lead", Object Reference: IsConverted, ConvertedContactId)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.crms.salesforce.rows import PARENT_FIELD
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.schemas import CONVERTED

CONVERTED_FIELD = "IsConverted"
CONTACT_FIELD = "ConvertedContactId"


def converted(transport: SalesforceTransport, sobject: str, crm_ids: Sequence[str], *, contacts: str, person: str | None) -> pd.DataFrame:
    """The converted ones of these leads (schemas.CONVERTED). ``contacts``: their object, ``person``: its field for person accounts.

    A contact that is not there any more is told as it was, without an account.
    """
    wanted = list(dict.fromkeys(crm_ids))
    if not wanted:
        return CONVERTED.empty()
    leads, failed = transport.retrieve(sobject, wanted, ["Id", CONVERTED_FIELD, CONTACT_FIELD])
    became = {str(lead["Id"]): lead.get(CONTACT_FIELD) for lead in leads if lead.get(CONVERTED_FIELD)}
    ids = [one for one in dict.fromkeys(became.values()) if one]
    found, unshown = transport.retrieve(contacts, ids, ["Id", PARENT_FIELD, *([person] if person else [])]) if ids else ([], set())
    by_id = {str(one["Id"]): one for one in found}
    failed |= {lead for lead, contact in became.items() if contact in unshown}
    rows = [
        {
            "crm_id": lead,
            "contact_crm_id": contact,
            "account_crm_id": by_id.get(str(contact), {}).get(PARENT_FIELD),
            "person": bool(person and by_id.get(str(contact), {}).get(person)),
        }
        for lead, contact in became.items()
        if lead not in failed
    ]
    rows += [{"crm_id": one, "person": False, "error_type": CrmFailsOnRecordException.__name__} for one in sorted(failed)]
    return CONVERTED.build(pd.DataFrame(rows, columns=CONVERTED.names))
