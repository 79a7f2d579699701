"""Records that are moved to Salesforce's recycle bin: in how many calls, what refuses them, and what goes with them."""

from __future__ import annotations

import pytest

from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS
from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.errors import RequestRefusedError, ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox


def accounts(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.org.add("Account", {"Name": f"Laboratory {number}"}) for number in range(count)]


def test_two_hundred_records_take_a_call(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 201)
    assert crm.remove(ACCOUNTS, ids)["error_type"].isna().all()
    assert sandbox.org.records("Account") == []
    assert crm.calls.snapshot()["write"] == 2


@pytest.mark.parametrize("status", [400, 403, 404, 500, 504])
def test_record_for_which_the_call_is_refused_or_fails_is_named_and_the_others_go(
    sandbox: Sandbox, crm: SalesforceCrm, status: int
) -> None:
    ids = accounts(sandbox, 12)
    no = [{"errorCode": "OF_ITS_OWN", "message": "no"}]
    sandbox.faults.add(Fault(service="salesforce", status=status, body=no, holding=ids[4], times=None))
    told = crm.remove(ACCOUNTS, ids)
    assert told.loc[told["error_type"].notna(), "crm_id"].tolist() == [ids[4]]
    assert [record["Id"] for record in sandbox.org.records("Account")] == [ids[4]]


def test_record_on_which_others_hang_stays_and_says_why(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 2)
    sandbox.org.undeletable.add(ids[0])
    told = crm.remove(ACCOUNTS, ids).set_index("crm_id")
    assert told.loc[ids[0], ["error_type", "error_code"]].tolist() == ["RecordRefusedException", "DELETE_FAILED"]
    assert told.loc[ids[1]].isna().all()


def test_locked_record_is_to_be_tried_again(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 2)
    sandbox.org.lock("Account", ids[0])
    assert crm.remove(ACCOUNTS, ids).set_index("crm_id")["error_type"].dropna().to_dict() == {ids[0]: "RecordLockedException"}


def test_service_that_is_down_before_anything_is_removed_raises(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 20)
    crm.organization()
    sandbox.faults.add(Fault(service="salesforce", status=503, times=None))
    with pytest.raises(ServiceUnavailableError):
        crm.remove(ACCOUNTS, ids)


def test_record_that_a_lost_answer_already_removed_is_no_error(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 3)
    sandbox.faults.add(Fault(service="salesforce", method="DELETE", kind="drop_after"))
    assert crm.remove(ACCOUNTS, ids)["error_type"].isna().all()
    assert sandbox.org.records("Account") == []


def test_contacts_and_opportunities_go_with_their_account(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    account, other = accounts(sandbox, 2)
    contact = sandbox.org.add("Contact", {"LastName": "Ada", "AccountId": account})
    sandbox.org.add("Contact", {"LastName": "Eve", "AccountId": other})
    deal = sandbox.org.add("Opportunity", {"Name": "Deal", "AccountId": account, "StageName": "Open", "CloseDate": "2026-12-01"})
    told = crm.children([account, account])
    assert told[["parent_crm_id", "crm_id", "object"]].to_numpy().tolist() == [
        [account, contact, "Contact"],
        [account, deal, "Opportunity"],
    ]
    assert crm.calls.snapshot()["read"] == 2
    assert crm.remove(CONTACTS, [contact])["error_type"].isna().all()
    assert crm.children([account])["crm_id"].tolist() == [deal]


def test_account_of_which_is_not_known_what_goes_with_it_is_named(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 5)
    sandbox.faults.add(Fault(service="salesforce", status=500, holding=ids[2], times=None))
    told = crm.children(ids)
    assert set(told["parent_crm_id"]) == {ids[2]}
    assert told["crm_id"].isna().all()
    assert set(told["error_type"]) == {"CrmFailsOnRecordException"}


def test_object_that_the_user_may_not_see_is_not_taken_for_one_without_records(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = accounts(sandbox, 2)
    no = [{"errorCode": "INVALID_TYPE", "message": "sObject type 'Opportunity' is not supported."}]
    sandbox.faults.add(Fault(service="salesforce", status=400, body=no, holding="Opportunity", times=None))
    with pytest.raises(RequestRefusedError, match="INVALID_TYPE"):
        crm.children(ids)
