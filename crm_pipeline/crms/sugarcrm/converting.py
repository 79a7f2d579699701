"""Which leads did people convert, and into which contacts? The lead stays as it is, with the ids of both, and can be edited still."""

from __future__ import annotations

from collections.abc import Sequence

from crm_pipeline.crms.sugarcrm import CONTACTS, LEADS
from crm_pipeline.crms.sugarcrm.queries import column, one_of
from crm_pipeline.crms.sugarcrm.reading import PARENT, Reader, Record
from crm_pipeline.crms.sugarcrm.values import TRUE
from crm_pipeline.errors import CrmFailsOnRecordException

CONVERTED_FIELD, CONTACT_FIELD = "converted", "contact_id"


def converted(reader: Reader, crm_ids: Sequence[str]) -> list[dict[str, object]]:
    """Rows of schemas.CONVERTED for the converted ones of these leads.

    Of a contact that is not there any more no id is told: SugarCRM takes it from the lead (seen on SuiteCRM 7.14.8).
    """
    leads, failed = reader.by_ids(LEADS, crm_ids, [CONVERTED_FIELD, CONTACT_FIELD])
    became = {crm_id: lead.get(CONTACT_FIELD) for crm_id, lead in leads.items() if is_converted(lead)}
    ids = [one for one in became.values() if one]
    contacts, unshown = reader.by_ids(CONTACTS, ids, [PARENT]) if ids else ({}, set())
    failed |= {lead for lead, contact in became.items() if contact in unshown}
    told = [(lead, contact) for lead, contact in became.items() if lead not in failed]
    return [
        {"crm_id": lead, "contact_crm_id": contact, "account_crm_id": contacts.get(str(contact), {}).get(PARENT), "person": False}
        for lead, contact in told
    ] + [{"crm_id": lead, "person": False, "error_type": CrmFailsOnRecordException.__name__} for lead in sorted(failed)]


def leads_of(reader: Reader, contact_ids: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """The leads that became these contacts, as pairs of contact and lead, null where SugarCRM fails."""

    def condition(part: Sequence[str]) -> str:
        return one_of(column(LEADS.name, CONTACT_FIELD), part)

    leads, failed = reader.of_each(LEADS, list(dict.fromkeys(contact_ids)), [CONVERTED_FIELD, CONTACT_FIELD], condition=condition)
    if any(lead.get(CONTACT_FIELD) not in contact_ids for lead in leads):
        raise reader.transport.unexpected("answered get_entry_list for leads of contacts with leads of others")
    return [(lead[CONTACT_FIELD], lead["id"]) for lead in leads if is_converted(lead)] + [(contact, None) for contact in sorted(failed)]


def is_converted(lead: Record) -> bool:
    """Whether a lead, which was read with that field, was converted."""
    return lead.get(CONVERTED_FIELD) in (TRUE, "true")
