"""What SugarCRM does to records that are written as other CRMs' are, and that the adapter lets none of it happen, or names it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import ACCOUNTS, CONTACTS, LEADS
from crm_pipeline.crms.sugarcrm.own_ids import AT_ONCE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.sugarcrm import Field, SugarSite
from crm_pipeline.sandbox.sugarcrm.settings import ACCESS
from crm_pipeline.testing.batches import Put, intents_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import errors_of, written

Connect = Callable[..., Crm]
EMAIL = "ana@labs.example"


def named(number: int, **values: Any) -> Put:
    return Put(number, {"name": f"Lab {number}", **values})


def person(number: int, **values: Any) -> Put:
    return Put(number, {"last_name": "Lee", "email1": f"person{number}@labs.example", **values})


def in_the_way(site: SugarSite, name: str, *, code: str) -> None:
    """Saving the account of this name fails."""
    site.obstacles.append(Obstacle("Accounts", lambda record: record.get("name") == name, code))


# Creates with ids of their own


def test_contact_like_one_that_is_there_is_another_one_and_takes_nothing_from_it(site: SugarSite, crm: Crm) -> None:
    there = site.add("Contacts", {"last_name": "Lee", "email1": EMAIL})
    made = written(crm, CONTACTS, person(1, email1=EMAIL))[1]
    assert (made["error_type"], made["created"]) == (None, True)
    assert made["crm_id"] != there
    assert site.record("Contacts", there)["email1"] == EMAIL


def test_record_that_people_deleted_is_made_anew_with_the_next_id(site: SugarSite, crm: Crm) -> None:
    """As often as they delete it."""
    ids = set()
    for _ in range(AT_ONCE + 1):
        made = written(crm, ACCOUNTS, named(1))[1]
        assert (made["error_type"], made["created"]) == (None, True)
        ids.add(made["crm_id"])
        site.delete("Accounts", made["crm_id"])
    assert len(ids) == AT_ONCE + 1
    assert site.records("Accounts") == []


def test_create_that_is_carried_out_late_is_no_second_record_and_changes_nothing(bench: Bench, site: SugarSite, connect: Connect) -> None:
    ends = threading.Event()
    crm = connect(timeout_seconds=0.5)
    bench.faults.add(Fault(path="#set_entries$", kind="late", until=ends))
    made = written(crm, ACCOUNTS, named(1), named(2))
    assert errors_of(made) == {1: None, 2: None}
    site.update("Accounts", made[1]["crm_id"], {"name": "Renamed"})
    ends.set()
    assert sorted(record["name"] for record in site.records("Accounts")) == ["Lab 2", "Renamed"]


def test_record_is_known_again_where_nothing_is_known_of_it_any_more(site: SugarSite, crm: Crm, connect: Connect) -> None:
    """After a lost database."""
    made = written(crm, ACCOUNTS, named(7))[7]["crm_id"]
    again = written(connect(), ACCOUNTS, named(7, description="new"))[7]
    assert (again["crm_id"], again["error_type"]) == (made, None)
    assert not again["created"]
    assert [record["description"] for record in site.records("Accounts")] == ["new"]


def test_prefix_keeps_the_records_of_two_integrations_apart(site: SugarSite, connect: Connect) -> None:
    ids = {prefix: written(connect(external_key_prefix=prefix), ACCOUNTS, named(7))[7]["crm_id"] for prefix in ("a-", "b-")}
    assert sorted(ids.values()) == sorted(record["id"] for record in site.records("Accounts"))
    found = connect(external_key_prefix="b-").resolve_intents(ACCOUNTS, intents_of((7, {"name": "Lab 7"})))
    assert found["crm_id"].tolist() == [ids["b-"]]


def test_record_has_one_id_with_a_field_for_the_key_or_without(bench: Bench, crm: Crm, connect: Connect) -> None:
    made = written(crm, ACCOUNTS, named(7))[7]["crm_id"]
    keyed = written(connect(external_key=bench.key), ACCOUNTS, Put(7, {"name": "Lab 7"}, key="7"))[7]
    assert (keyed["crm_id"], keyed["error_type"]) == (made, None)


# What it does without a word


def test_account_that_is_gone_is_not_made_anew_nor_erased_for_a_contact(site: SugarSite, crm: Crm) -> None:
    deleted = site.add("Accounts", {"name": "Gone"})
    site.delete("Accounts", deleted)
    strays = [Put(place, person(place).values, parent=one) for place, one in enumerate([deleted, "missing"])]
    results = written(crm, CONTACTS, *strays, person(2))
    assert errors_of(results) == {0: "ParentNotFoundException", 1: "ParentNotFoundException", 2: None}
    assert results[0]["error_ids"] == deleted
    assert (site.records("Accounts"), site.record("Accounts", deleted)["name"]) == ([], "Gone")
    assert len(site.records("Contacts")) == 1


@pytest.mark.parametrize("wanted", ["new@labs.example", "ANA@labs.example", ""])
def test_email_that_changes_is_changed_and_what_others_have_stays(site: SugarSite, crm: Crm, wanted: str) -> None:
    ids = [site.add("Contacts", {"last_name": "Lee", "email1": EMAIL}) for _ in range(2)]
    result = written(crm, CONTACTS, Put(1, {"email1": wanted or None, "first_name": "Ana"}, crm_id=ids[0]))[1]
    assert (result["error_type"], result["kept"]) == (None, None)
    shown = [site.record("Contacts", one)["email1"] for one in ids]
    assert shown == [EMAIL if wanted.lower() == EMAIL else wanted, EMAIL]
    assert site.addresses("Contacts", ids[0]) == ([(shown[0], True)] if wanted else [])


def test_email_with_an_apostrophe_which_the_site_shows_as_a_code_is_given_and_taken(site: SugarSite, crm: Crm) -> None:
    there = site.add("Contacts", {"last_name": "O'Brien", "email1": "o'brien@labs.example"})
    assert crm.find(CONTACTS, "email1", ["O'Brien@labs.example"])["crm_id"].tolist() == [there]
    for wanted in ("d'arc@labs.example", EMAIL):
        assert written(crm, CONTACTS, Put(1, {"email1": wanted}, crm_id=there))[1]["kept"] is None
        assert site.addresses("Contacts", there) == [(wanted, True)]


def test_contact_that_cannot_be_given_an_email_keeps_its_own(bench: Bench, site: SugarSite, crm: Crm) -> None:
    """Where the site takes an address and does not show it."""
    there = site.add("Contacts", {"last_name": "Lee", "email1": EMAIL})

    def without_new(answer: Any) -> Any:
        shown = [entry for entry in answer["entry_list"] if "new@" not in str(entry["name_value_list"])]
        return {**answer, "entry_list": shown, "result_count": len(shown)}

    bench.faults.add(Fault(path="#get_entry_list$", holding="NEW@", kind="bend", bend=without_new, times=None))
    result = written(crm, CONTACTS, Put(1, {"email1": "new@labs.example"}, crm_id=there))[1]
    assert (result["error_type"], result["kept"]) == (None, {"email1": EMAIL})
    assert site.addresses("Contacts", there) == [(EMAIL, True)]


def test_email_of_two_contacts_in_letters_of_any_size_is_one_address(site: SugarSite, crm: Crm) -> None:
    ids = [site.add("Contacts", {"last_name": "Lee", "email1": f"old{number}@labs.example"}) for number in range(2)]
    written(crm, CONTACTS, *(Put(number, {"email1": wanted}, crm_id=ids[number]) for number, wanted in enumerate((EMAIL, EMAIL.upper()))))
    [one, other] = [site.addresses("Contacts", crm_id) for crm_id in ids]
    assert one == other
    assert len([record for record in site.records("EmailAddresses") if record["email_address"].lower() == EMAIL]) == 1


def test_emails_of_a_batch_are_changed_together(site: SugarSite, crm: Crm) -> None:
    ids = [site.add("Contacts", {"last_name": "Lee", "email1": f"old{number}@labs.example"}) for number in range(50)]
    rows = [Put(number, {"email1": f"new{number}@labs.example"}, crm_id=one) for number, one in enumerate(ids)]
    assert set(errors_of(written(crm, CONTACTS, *rows)).values()) == {None}
    assert [site.record("Contacts", one)["email1"] for one in ids] == [f"new{number}@labs.example" for number in range(50)]
    assert crm.calls.snapshot() == {"sign_in": 1, "describe": 1, "write": 1, "associate": 3, "read": 4}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("x" * 101, "x" * 100), ("Ada 🧪", "Ada ????"), ("<script>x</script>Ada", "Ada"), (" Ada ", None), ('O\'B "q" <3 &amp', None)],
)
def test_value_that_lies_there_otherwise_is_named(crm: Crm, sent: str, kept: str | None) -> None:
    result = written(crm, CONTACTS, person(1, first_name=sent))[1]
    assert (result["error_type"], result["kept"]) == (None, None if kept is None else {"first_name": kept})


@pytest.mark.parametrize("sent", ["A & B", "per%cent&amp=1+1", 'O\'B "q" & <b>x</b>', "a&b&c"])
def test_ampersand_in_a_custom_field_is_one_again_and_found(site: SugarSite, bench: Bench, connect: Connect, sent: str) -> None:
    """There it is stored as a code of HTML."""
    crm = connect(external_key=bench.key)
    made = written(crm, ACCOUNTS, Put(7, {"name": "Lab", bench.key: sent}))[7]
    assert (made["error_type"], made["kept"]) == (None, None)
    assert "&amp;" in site.record("Accounts", made["crm_id"])[bench.key]
    assert crm.read(ACCOUNTS, [made["crm_id"]], [bench.key])[bench.key].tolist() == [sent]
    assert crm.find(ACCOUNTS, bench.key, [sent])["crm_id"].tolist() == [made["crm_id"]]


@pytest.mark.parametrize("sent", [12.5, 1000, "0012.50", -0.1, 0])
def test_number_to_which_the_site_adds_decimals_lies_there_as_it_was_sent(site: SugarSite, connect: Connect, sent: object) -> None:
    site.add_field("Accounts", Field(name="revenue_c", type="currency", length="26,6", source="custom"))
    crm = connect()
    made = written(crm, ACCOUNTS, named(1, revenue_c=sent))[1]
    assert (made["error_type"], made["kept"]) == (None, None)
    assert site.record("Accounts", made["crm_id"])["revenue_c"] == f"{float(sent):.6f}"  # type: ignore[arg-type]
    assert float(crm.read(ACCOUNTS, [made["crm_id"]], ["revenue_c"])["revenue_c"][0]) == float(sent)  # type: ignore[arg-type]


def test_row_that_the_user_may_not_save_is_named_and_the_others_are_theirs(site: SugarSite, crm: Crm) -> None:
    """The answer leaves it out, so that the ids behind it are shifted."""
    there = site.add("Accounts", {"name": "old"})
    in_the_way(site, "Lab 2", code=ACCESS)
    results = written(crm, ACCOUNTS, named(1), named(2), named(3))
    assert errors_of(results) == {1: None, 2: "NoAccessToRecordException", 3: None}
    shown = {number: site.record("Accounts", results[number]["crm_id"])["name"] for number in (1, 3)}
    assert shown == {1: "Lab 1", 3: "Lab 3"}
    assert errors_of(written(crm, ACCOUNTS, Put(4, {"name": "Lab 2"}, crm_id=there), named(5))) == {4: "NoAccessToRecordException", 5: None}


def test_row_on_which_it_fails_in_the_middle_costs_no_other_and_makes_none_twice(site: SugarSite, crm: Crm) -> None:
    in_the_way(site, "Lab 2", code="500")
    results = written(crm, ACCOUNTS, *(named(number) for number in range(6)))
    assert errors_of(results) == {**dict.fromkeys(range(6)), 2: "CrmFailsOnRecordException"}
    assert sorted(record["name"] for record in site.records("Accounts")) == [f"Lab {number}" for number in (0, 1, 3, 4, 5)]


def test_update_of_what_was_pruned_or_never_there_is_one_of_a_deleted_record(site: SugarSite, crm: Crm) -> None:
    pruned = site.add("Accounts", {"name": "Lab"})
    site.delete("Accounts", pruned)
    site.prune("Accounts", pruned)
    rows = [Put(place, {"name": "x"}, crm_id=one) for place, one in enumerate([pruned, "never-there"])]
    assert set(errors_of(written(crm, ACCOUNTS, *rows)).values()) == {"DeletedInCrmException"}
    assert site.records("Accounts") == []


def test_update_sends_what_changed_and_nothing_else(site: SugarSite, crm: Crm) -> None:
    """The site writes every column of a record all the same: what people save in these milliseconds is lost."""
    there = site.add("Accounts", {"name": "Lab", "industry": "Education"})
    written(crm, ACCOUNTS, Put(1, {"website": "https://lab.example"}, crm_id=there))
    record = site.record("Accounts", there)
    assert (record["name"], record["industry"], record["website"]) == ("Lab", "Education", "https://lab.example")


def test_lead_that_was_converted_since_it_was_made_is_known_again_and_not_written_to(site: SugarSite, connect: Connect) -> None:
    """The site would take it: where nothing is known of the lead any more, its id tells."""
    made = written(connect(), LEADS, person(7, account_name="Lab"))[7]["crm_id"]
    site.convert_lead(made)
    again = written(connect(), LEADS, person(7, account_name="Lab", last_name="Other"), person(8, account_name="Lab"))
    assert errors_of(again) == {7: None, 8: None}
    assert (again[7]["crm_id"], again[7]["kept"]) == (made, {"last_name": "Lee"})
    assert site.record("Leads", made)["last_name"] == "Lee"
    assert len(site.records("Leads")) == 2


def test_lead_that_people_convert_after_the_plan_is_not_written_to(site: SugarSite, crm: Crm) -> None:
    """The site would take it."""
    converted, is_open = (site.add("Leads", {"last_name": "Lee", "account_name": "Lab"}) for _ in range(2))
    site.convert_lead(converted)
    rows = [Put(number, {"last_name": "Other"}, crm_id=one) for number, one in enumerate((converted, is_open))]
    assert errors_of(written(crm, LEADS, *rows)) == {0: "ConvertedLeadException", 1: None}
    assert errors_of(written(crm, LEADS, rows[0])) == {0: "ConvertedLeadException"}
    assert [site.record("Leads", one)["last_name"] for one in (converted, is_open)] == ["Lee", "Other"]
    assert crm.calls.snapshot()["write"] == 1


# Calls


def test_creates_cost_three_calls_for_fifty_at_most(site: SugarSite, crm: Crm) -> None:
    account = site.add("Accounts", {"name": "Lab"})
    rows = [Put(number, person(number).values, parent=account) for number in range(200)]
    assert set(errors_of(written(crm, CONTACTS, *rows)).values()) == {None}
    made = crm.calls.snapshot()
    assert made.pop("sign_in") + made.pop("describe") == 2
    assert made == {"write": 4, "read": 8}


def test_batch_size_is_the_settings(connect: Connect) -> None:
    crm = connect(batch_size=7)
    assert (crm.capabilities.batch_size, crm.capabilities.association_batch_size) == (7, 7)
