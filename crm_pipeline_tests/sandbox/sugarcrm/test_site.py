"""What people do in the SugarCRM stand-in, and what of it the API shows.

Sources: SuiteCRM user guide, "Converting Leads" and "Merging Records"; SuiteCRM's source for what a merge leaves; its administration guide
("Prune Database") for pruned records.
"""

from __future__ import annotations

import httpx
import pytest

from crm_pipeline.sandbox.sugarcrm import Field
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sandbox.sugarcrm.conftest import KEY, Serve, Served, named, new


def test_an_edit_moves_the_date_and_names_who_edited(sugar: Served) -> None:
    account = sugar.site.add("Accounts", {"name": "A", "phone_office": "1"})
    sugar.site.update("Accounts", account, {"phone_office": "", "name": "B"}, at=sugar.clock.now + 60)
    assert sugar.rows("Accounts", "", "name", "phone_office", "date_modified", "modified_by_name") == [
        {"name": "B", "phone_office": "", "date_modified": "2026-11-18 11:07:40", "modified_by_name": "Pat Person"}
    ]


def test_what_the_api_writes_is_by_its_own_user(sugar: Served) -> None:
    sugar.save("Accounts", {"name": "A"})
    assert sugar.rows("Accounts", "", "modified_user_id", "created_by") == [
        {"modified_user_id": sugar.site.user_id, "created_by": sugar.site.user_id}
    ]


def test_people_can_change_an_email_where_the_api_cannot(sugar: Served) -> None:
    contact = sugar.site.add("Contacts", {"last_name": "C", "email1": "a@example.org"})
    sugar.site.update("Contacts", contact, {"email1": "b@example.org"})
    assert sugar.rows("Contacts", "", "email1") == [{"email1": "b@example.org"}]
    assert sugar.site.addresses("Contacts", contact) == [("b@example.org", True)]


def test_a_deletion_is_found_by_its_date_and_a_restored_record_is_live_again(sugar: Served) -> None:
    account = sugar.site.add("Accounts", {"name": "A"})
    sugar.site.delete("Accounts", account, at=sugar.clock.now + 60)
    since = "accounts.deleted = 1 AND accounts.date_modified >= '2026-11-18 11:07:00'"
    assert (sugar.ids("Accounts", since, deleted=1), sugar.ids("Accounts")) == ([account], [])
    sugar.site.restore("Accounts", account)
    assert sugar.ids("Accounts") == [account]


def test_a_pruned_record_was_never_there_and_its_id_is_free(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A"))
    sugar.site.delete("Accounts", "own-1")
    sugar.site.prune("Accounts", "own-1")
    assert sugar.ids("Accounts", deleted=1) == []
    assert sugar.save("Accounts", new("own-1", name="B")) == ["own-1"]


def test_a_merge_deletes_the_losers_and_tells_nobody_where_they_went(sugar: Served) -> None:
    winner, loser = (sugar.site.add("Accounts", {"name": name}) for name in "AB")
    contact = sugar.site.add("Contacts", {"last_name": "C", "account_id": loser})
    sugar.site.merge("Accounts", winner, loser, values={"website": "example.org"})
    assert sugar.rows("Accounts", "", "id", "website") == [{"id": winner, "website": "example.org"}]
    assert sugar.site.accounts_of(contact) == [winner]
    gone = sugar.site.record("Accounts", loser)
    assert (gone["deleted"], winner in gone.values()) == ("1", False)


def test_a_converted_lead_stays_and_names_the_contact_and_the_account_that_it_became(sugar: Served) -> None:
    lead = sugar.site.add("Leads", {"last_name": "L", "account_name": "Acme", "email1": "l@example.org", KEY: "7", "phone_work": "1"})
    account, contact = sugar.site.convert_lead(lead)
    assert sugar.rows("Leads", "", "status", "converted", "contact_id", "account_id") == [
        {"status": "Converted", "converted": "1", "contact_id": contact, "account_id": account}
    ]
    assert sugar.rows("Contacts", "", "last_name", "email1", "account_name", KEY, "phone_work") == [
        {"last_name": "L", "email1": "l@example.org", "account_name": "Acme", KEY: "7", "phone_work": "1"}
    ]
    with pytest.raises(ValueError, match="converted"):
        sugar.site.convert_lead(lead)


def test_a_lead_can_be_converted_into_what_is_there_which_keeps_its_values(sugar: Served) -> None:
    account = sugar.site.add("Accounts", {"name": "A"})
    contact = sugar.site.add("Contacts", {"last_name": "C"})
    lead = sugar.site.add("Leads", {"last_name": "L", "account_name": "Acme"})
    assert sugar.site.convert_lead(lead, account_id=account, contact_id=contact) == (account, contact)
    assert sugar.rows("Contacts", "", "last_name", "account_id") == [{"last_name": "C", "account_id": account}]
    assert sugar.ids("Accounts") == [account]


def test_nothing_keeps_the_api_from_writing_to_a_converted_lead(sugar: Served) -> None:
    lead = sugar.site.add("Leads", {"last_name": "L", "account_name": "Acme"})
    sugar.site.convert_lead(lead)
    sugar.save("Leads", {"id": lead, "title": "x"})
    assert sugar.rows("Leads", "", "title", "converted") == [{"title": "x", "converted": "1"}]


def test_leads_are_never_taken_for_another_and_their_account_is_a_text(sugar: Served) -> None:
    for _ in range(2):
        sugar.save("Leads", {"last_name": "L", "email1": "l@example.org", "account_name": "Acme"})
    assert sugar.rows("Leads", "", "account_name", "email1") == [{"account_name": "Acme", "email1": "l@example.org"}] * 2
    assert sugar.ids("Accounts") == []


def test_the_studio_takes_no_field_without_its_ending(sugar: Served) -> None:
    for one in (Field(name="tier", source="custom"), Field(name="tier_c"), Field(name=KEY, source="custom")):
        with pytest.raises(ValueError, match="cannot be added"):
            sugar.site.add_field("Accounts", one)


def test_a_field_of_several_options_keeps_them_between_carets(sugar: Served) -> None:
    sugar.site.add_field("Accounts", Field(name="tests_c", type="multienum", options={"a": "A", "b": "B"}, source="custom"))
    sugar.save("Accounts", {"name": "A", "tests_c": ["a", "b"]})
    assert sugar.rows("Accounts", "", "tests_c") == [{"tests_c": "^a^,^b^"}]


def test_calls_of_one_session_wait_for_each_other_and_those_of_another_do_not(served_site: Serve) -> None:
    sugar = served_site(row_seconds=10_000)
    other = sugar.login()["id"]
    with pytest.raises(httpx.ReadTimeout):
        sugar.post("set_entries", sugar.session, "Accounts", [named({"name": "A"})], timeout=0.2)
    await_that(lambda: sugar.site.asked[-1].method == "set_entries", "the write under way")
    assert sugar.post("get_user_id", other).json() == sugar.site.user_id
    with pytest.raises(httpx.ReadTimeout):
        sugar.post("get_user_id", sugar.session, timeout=0.2)


def test_roles_take_modules_and_actions_from_the_user(sugar: Served) -> None:
    sugar.site.denied |= {("Leads", "access"), ("Accounts", "edit")}
    told = {module["module_key"]: module["acls"] for module in sugar.call("get_available_modules", "all")["modules"]}
    assert "Leads" not in told
    assert {acl["action"]: acl["access"] for acl in told["Accounts"]}["edit"] is False
    assert sugar.save("Accounts", {"name": "Lab"}) == []
    assert all(acl["access"] for acl in told["Contacts"])
