"""Answers that are none: whatever comes, a call ends in an error, or each of its rows in one, and the same again makes everything right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import ACCOUNTS, CONTACTS
from crm_pipeline.errors import ServiceError, UnexpectedAnswerError
from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.batches import Put
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import errors_of, written

Connect = Callable[..., Crm]
Tree = Any


def cut_short(answer: Tree) -> Tree:
    return {name: one[:-1] if isinstance(one, list) else one for name, one in answer.items()} if isinstance(answer, dict) else answer


def with_other_ids(answer: Tree) -> Tree:
    entries = answer.get("entry_list", []) if isinstance(answer, dict) else []
    return {**answer, "entry_list": [{**entry, "id": f"other-{place}"} for place, entry in enumerate(entries)]} if entries else None


def with_a_record_twice(answer: Tree) -> Tree:
    entries = answer["entry_list"] * 2
    return {**answer, "entry_list": entries, "result_count": len(entries)} if entries else answer


def without_deleted(answer: Tree) -> Tree:
    entries = [{**one, "name_value_list": {"id": one["name_value_list"]["id"]}} for one in answer["entry_list"]]
    return {**answer, "entry_list": entries}


def without_values(answer: Tree) -> Tree:
    return {**answer, "entry_list": [{**one, "name_value_list": {"name": {}}} for one in answer.get("entry_list", [])]} if answer else None


SECRETS = [value for name, value in SUGARCRM_CREDENTIALS.items() if "PASSWORD" in name]
SPEAKS = " ".join([*SECRETS, "Lab 1", "new@labs.example"])
NO_ANSWER = (
    Fault(kind="html", body=f"<html>{SPEAKS}"),
    Fault(status=200, body='{"entry_list": [{"id": "' + SPEAKS),
    Fault(status=200, body=""),
    Fault(status=200, body="[" * 100_000),
    Fault(status=200, body={"name": SPEAKS, "number": 4711, "description": SPEAKS}),
    Fault(status=200, body={"error": SPEAKS, "number": None}),
    Fault(kind="bend", bend=lambda _: None),
    Fault(kind="bend", bend=lambda answer: [answer]),
    Fault(kind="bend", bend=lambda _: 7),
)
HOSTILE: Mapping[str, Fault] = {
    "an error": Fault(status=200, body={"name": SPEAKS, "number": 40, "description": SPEAKS}),
    "fewer records": Fault(kind="bend", bend=cut_short),
    "other records": Fault(kind="bend", bend=with_other_ids),
    "nothing afterwards": Fault(kind="drop_after"),
}


@pytest.mark.parametrize("method", ["login", "get_module_fields", "get_entry_list"])
def test_answer_that_is_none_is_an_error_that_repeats_nothing_of_it(bench: Bench, site: SugarSite, connect: Connect, method: str) -> None:
    site.add("Accounts", {"name": "Lab 1"})
    for fault in NO_ANSWER:
        bench.faults.clear()
        bench.faults.add(replace(fault, path=f"#{method}$", times=None))
        with pytest.raises(ServiceError) as raised:
            list(connect(attempts=1).scan(ACCOUNTS, "name"))
        assert [one for one in (*SECRETS, "Lab 1", "labs.example") if one in f"{raised.value!s} {vars(raised.value)!r}"] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_answered_once_no_record_is_lost_doubled_or_told_wrongly(
    bench: Bench, site: SugarSite, connect: Connect, name: str
) -> None:
    """At each call of a batch in turn."""
    account, deleted = (site.add("Accounts", {"name": one}) for one in ("Lab", "Gone"))
    there = site.add("Contacts", {"last_name": "Lee", "email1": "old@labs.example"})
    site.delete("Accounts", deleted)
    rows = [
        Put(1, {"last_name": "Lab 1", "email1": "one@labs.example"}, parent=account),
        Put(2, {"email1": "new@labs.example", "first_name": "Ada"}, crm_id=there),
        Put(3, {"last_name": "Three"}, parent=deleted),
    ]
    crm, place, is_over = connect(attempts=1), 0, False
    crm.fields(CONTACTS)
    while not is_over:
        bench.faults.add(replace(HOSTILE[name], skip=place))
        told: Mapping[int, str | None] = {}
        try:
            told = errors_of(written(crm, CONTACTS, *rows))
        except ServiceError as error:
            said = f"{error!s} {vars(error)!r}"
            assert [one for one in (*SECRETS, *site.sessions, "Lab 1", "labs.example") if one in said] == []
        is_over = bool(bench.faults.open())
        bench.faults.clear()
        assert told.get(3, "ParentNotFoundException") in {"ParentNotFoundException", "CrmFailsOnRecordException"}
        assert errors_of(written(crm, CONTACTS, *rows)) == {1: None, 2: None, 3: "ParentNotFoundException"}
        shown = {(record["last_name"], record["first_name"], record["email1"]) for record in site.records("Contacts")}
        assert shown == {("Lab 1", "", "one@labs.example"), ("Lee", "Ada", "new@labs.example")}
        assert [record["name"] for record in site.records("Accounts")] == ["Lab"]
        assert site.addresses("Contacts", there) == [("new@labs.example", True)]
        site.update("Contacts", there, {"email1": "old@labs.example", "first_name": ""})
        place += 1
    assert place > 3


# Readings


def test_module_that_the_user_may_not_see_is_no_fault_of_its_records(bench: Bench, site: SugarSite, connect: Connect) -> None:
    ids = [site.add("Accounts", {"name": f"Lab {number}"}) for number in range(3)]
    refused = {"name": "Access Denied", "number": 40, "description": ""}
    bench.faults.add(Fault(path="#get_entry_list$", status=200, body=refused, times=None))
    for asked in (ids, ids[:1]):
        with pytest.raises(ServiceError, match="SUGARCRM_USER_NAME"):
            connect().read(ACCOUNTS, asked, ["name"])
    with pytest.raises(ServiceError, match="SUGARCRM_USER_NAME"):
        list(connect().scan(ACCOUNTS, "name"))


def test_page_that_leads_to_itself_is_an_error_and_no_endless_round(bench: Bench, site: SugarSite, connect: Connect) -> None:
    first = site.add("Accounts", {"name": "Lab"})
    entry = {"name_value_list": {"name": {"name": "name", "value": "Lab"}}}
    page = {"result_count": 1000, "entry_list": [{"id": f"0-{place}" if place < 999 else first, **entry} for place in range(1000)]}
    bench.faults.add(Fault(path="#get_entry_list$", status=200, body=page, times=None))
    with pytest.raises(UnexpectedAnswerError, match="leads to itself"):
        list(connect().scan(ACCOUNTS, "name"))
    assert connect().find(ACCOUNTS, "name", ["Lab"])["error_type"].tolist() == ["CrmFailsOnRecordException"]


@pytest.mark.parametrize("bend", [without_values, cut_short, with_a_record_twice], ids=lambda bend: bend.__name__)
def test_answer_that_is_none_makes_no_record_a_deleted_one(
    bench: Bench, site: SugarSite, connect: Connect, bend: Callable[[Tree], Tree]
) -> None:
    there = site.add("Accounts", {"name": "Lab"})
    bench.faults.add(Fault(path="#get_entry_list$", kind="bend", bend=bend, times=None))
    read = connect().read(ACCOUNTS, [there], ["name"])
    assert read[["crm_id", "error_type"]].to_numpy().tolist() == [[there, "CrmFailsOnRecordException"]]


def test_answer_with_records_that_were_not_asked_for_is_an_error(bench: Bench, site: SugarSite, connect: Connect) -> None:
    there = site.add("Accounts", {"name": "Lab"})
    bench.faults.add(Fault(path="#get_entry_list$", kind="bend", bend=with_other_ids, times=None))
    with pytest.raises(UnexpectedAnswerError, match="not asked for"):
        connect().read(ACCOUNTS, [there], ["name"])


def test_answer_that_does_not_say_whether_a_record_is_deleted_takes_no_write_for_good(
    bench: Bench, site: SugarSite, connect: Connect
) -> None:
    """A deleted record would count as written."""
    there = site.add("Accounts", {"name": "Lab"})
    site.delete("Accounts", there)
    bench.faults.add(Fault(path="#get_entry_list$", kind="bend", bend=without_deleted, times=None))
    assert errors_of(written(connect(), ACCOUNTS, Put(1, {"name": "x"}, crm_id=there))) == {1: "CrmFailsOnRecordException"}


def test_id_of_any_form_is_read(site: SugarSite, connect: Connect) -> None:
    """An import may have given it."""
    ids = [site.add("Accounts", {"name": "Lab"}, record_id=one) for one in ("ACC:1001", "{7} of O'Brien\\", "seed jim")]
    assert sorted(connect().read(ACCOUNTS, ids, ["name"])["crm_id"]) == sorted(ids)


# Addresses


def test_address_on_which_it_fails_costs_no_other_contact_its_own(bench: Bench, site: SugarSite, connect: Connect) -> None:
    ids = [site.add("Contacts", {"last_name": "Lee", "email1": f"old{number}@labs.example"}) for number in range(6)]
    bench.faults.add(Fault(path="#get_entry_list$", holding="NEW2@", status=500, times=None))
    rows = [Put(number, {"email1": f"new{number}@labs.example"}, crm_id=one) for number, one in enumerate(ids)]
    assert errors_of(written(connect(), CONTACTS, *rows)) == {**dict.fromkeys(range(6)), 2: "CrmFailsOnRecordException"}
    shown = [site.record("Contacts", one)["email1"] for one in ids]
    assert shown == [f"{'old' if number == 2 else 'new'}{number}@labs.example" for number in range(6)]
