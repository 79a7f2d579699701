"""Leads in SugarCRM, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from crm_pipeline.crms.abilities import ConvertingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import LEADS
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.bench import Bench


def test_lead_whose_contact_cannot_be_read_is_open_by_itself(bench: Bench, site: SugarSite, connect: Callable[..., Crm]) -> None:
    """Else the contact would count as one without an account."""
    leads = [site.add("Leads", {"last_name": f"Lee {number}", "account_name": "Lab"}) for number in range(2)]
    (_, unread), (account, contact) = (site.convert_lead(lead) for lead in leads)
    bench.faults.add(Fault(path="#get_entry_list$", holding=unread, status=500, times=None))
    told = cast(ConvertingCrm, connect()).converted(LEADS, leads).astype("object").set_index("crm_id")
    told = told.where(told.notna(), None)[["contact_crm_id", "account_crm_id", "error_type"]]
    assert told.T.to_dict("list") == {leads[0]: [None, None, "CrmFailsOnRecordException"], leads[1]: [contact, account, None]}
