"""What people do in the Salesforce stand-in by hand, and what the API shows of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.salesforce.ids import canonical

KEY = "QBench_Id__c"


@pytest.fixture
def org() -> SalesforceOrg:
    return SalesforceOrg(external_keys=True)


def test_ids_have_the_vendors_check_suffix() -> None:
    assert canonical("001D000000IRFma") == "001D000000IRFmaIAH"
    assert canonical("001D000000IRFmaIAH") == "001D000000IRFmaIAH"
    assert canonical("001D000000IRFmaIAA") is None


def test_a_merge_points_losers_to_the_winner_and_moves_their_contacts(org: SalesforceOrg) -> None:
    winner, loser = org.add("Account", {"Name": "W"}), org.add("Account", {"Name": "L"})
    contact = org.add("Contact", {"LastName": "C", "AccountId": loser})
    org.merge("Account", winner, [loser])
    gone = org.record("Account", loser)
    assert (gone["IsDeleted"], gone["MasterRecordId"]) == (True, winner)
    assert org.record("Contact", contact)["AccountId"] == winner
    assert [row["Id"] for row in org.records("Account")] == [winner]


def test_a_merge_takes_at_most_three_records(org: SalesforceOrg) -> None:
    ids = [org.add("Account", {"Name": "A"}) for _ in range(4)]
    with pytest.raises(ValueError, match="one or two losers"):
        org.merge("Account", ids[0], ids[1:])


def test_a_deleted_account_takes_its_contacts_along_and_back(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "A"})
    contact = org.add("Contact", {"LastName": "C", "AccountId": account})
    org.delete("Account", account)
    assert org.record("Contact", contact)["IsDeleted"] is True
    org.undelete("Account", account)
    assert [row["Id"] for row in org.records("Contact")] == [contact]


def test_a_record_whose_key_was_taken_meanwhile_cannot_come_back(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "A", KEY: "a1"})
    org.delete("Account", account)
    org.add("Account", {"Name": "B", KEY: "a1"})
    with pytest.raises(ValueError, match=KEY):
        org.undelete("Account", account)


def test_a_deleted_record_cannot_be_edited_deleted_or_merged(org: SalesforceOrg) -> None:
    account, other = org.add("Account", {"Name": "A"}), org.add("Account", {"Name": "B"})
    org.delete("Account", account)
    actions: tuple[Callable[[], None], ...] = (
        lambda: org.update("Account", account, {"Phone": "1"}),
        lambda: org.delete("Account", account),
        lambda: org.merge("Account", other, [account]),
        lambda: org.merge("Account", account, [other]),
    )
    for action in actions:
        with pytest.raises(KeyError):
            action()


def test_a_purged_record_is_gone(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "A"})
    org.delete("Account", account)
    org.empty_recycle_bin()
    assert org.records("Account", include_deleted=True) == []
    with pytest.raises(KeyError):
        org.record("Account", account)


def test_unknown_fields_cannot_be_seeded(org: SalesforceOrg) -> None:
    with pytest.raises(ValueError, match="Nothing"):
        org.add("Account", {"Name": "A", "Nothing": "x"})


def test_an_edit_by_hand_moves_the_modification_stamp(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "A", "SystemModstamp": "2026-01-01T00:00:00Z", "Phone": "1"})
    org.update("Account", account, {"Phone": None})
    row = org.record("Account", account)
    assert row["Phone"] is None
    assert row["SystemModstamp"] > "2026-01-01T00:00:00.000+0000"


def test_records_can_be_added_from_many_threads(org: SalesforceOrg) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: org.add("Account", {"Name": f"A{number}", KEY: str(number)}), range(400)))
    assert len(set(ids)) == len(org.records("Account")) == 400
