"""How records are looked up, scanned and read, also where the CRM fails on some of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import FOUND
from crm_pipeline.testing.batches import associations_of, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import (
    ACCOUNT,
    ALONE,
    CONTACT,
    added,
    both_types,
    fail_on,
    fail_on_record,
    has_keys,
    key_of,
    plain,
)

READS_FAIL: list[dict[str, Any]] = [
    {"status": 500},
    {"kind": "drop_after"},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 403},
]
CALLS = 5
"""The number of batches of values that are looked up."""


def looked_up_by(bench: Bench, record_type: RecordType) -> str:
    """The field by which records are looked up: the external key's or, where there is none, that of the name or email."""
    return bench.key if has_keys(bench) else bench.fields[record_type].match


@both_types
def test_find_by_key_finds_what_is_there(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    """In a CRM that keeps no field unique: by name or email."""
    field, key = looked_up_by(bench, record_type), key_of(bench, "7")
    value = key or valid(bench, record_type)[field]
    crm_id = added(bench, record_type, key="7")
    added(bench, record_type, 2)
    found = FOUND.check(crm.find(bench.object(record_type), field, [value, "8"])).astype("object")
    found = found.where(found.notna(), None)
    assert found[["value", "crm_id", "key"]].to_dict("records") == [{"value": value, "crm_id": crm_id, "key": key}]


def test_find_by_email_ignores_case_and_answers_as_asked(bench: Bench, crm: Crm) -> None:
    email = bench.fields[CONTACT].match
    account = added(bench, ACCOUNT)
    crm_id = added(bench, CONTACT, **{email: "ada@example.com"})
    crm.associate(associations_of((7, crm_id, account)))
    found = FOUND.check(crm.find(bench.object(CONTACT), email, ["Ada@Example.com", "nobody@example.com"]))
    assert found[["value", "crm_id"]].to_dict("records") == [{"value": "Ada@Example.com", "crm_id": crm_id}]
    assert found["key"].isna().all()


@pytest.mark.parametrize("value", ["o'brien", 'back\\slash"quote', "per%cent&amp=1+1", "Łódź 试"])
def test_find_takes_any_character_literally(bench: Bench, crm: Crm, value: str) -> None:
    field = looked_up_by(bench, ACCOUNT)
    crm_id = added(bench, ACCOUNT, **{field: value})
    assert crm.find(bench.object(ACCOUNT), field, [value])["crm_id"].tolist() == [crm_id]


def test_find_of_nothing_makes_no_call(bench: Bench, crm: Crm) -> None:
    assert FOUND.check(crm.find(bench.object(ACCOUNT), looked_up_by(bench, ACCOUNT), [])).empty
    assert bench.journal.calls() == []


def test_find_of_many_values_finds_all_in_few_calls(bench: Bench, crm: Crm) -> None:
    """No more calls than it takes to write them, twice."""
    field, many = looked_up_by(bench, ACCOUNT), CALLS * crm.capabilities.batch_size
    values = [f"{number:010}" for number in range(many)]
    ids = {value: added(bench, ACCOUNT, number, **{field: value}) for number, value in enumerate(values)}
    found = crm.find(bench.object(ACCOUNT), field, values)
    assert dict(zip(found["value"], found["crm_id"], strict=True)) == ids
    assert len(found) == len(values)
    assert crm.calls.snapshot()["read"] <= 2 * CALLS


@pytest.mark.parametrize("failure", READS_FAIL, ids=lambda failure: "-".join(map(str, failure.values())))
def test_value_on_which_the_crm_fails_is_told_and_keeps_no_other_from_being_found(bench: Bench, crm: Crm, failure: dict[str, Any]) -> None:
    email = bench.fields[CONTACT].match
    ids = {f"person{number}@example.com": added(bench, CONTACT, number) for number in range(30)}
    fail_on(bench, "person7@", **failure)
    found = FOUND.check(crm.find(bench.object(CONTACT), email, list(ids)))
    failed, told = found[found["error_type"].notna()], found[found["error_type"].isna()]
    assert failed[["value", "error_type"]].to_numpy().tolist() == [["person7@example.com", ALONE]]
    assert dict(zip(told["value"], told["crm_id"], strict=True)) == {value: one for value, one in ids.items() if "person7@" not in value}


@both_types
def test_record_that_the_crm_fails_to_read_is_told_and_keeps_no_other_from_being_read(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    ids = [added(bench, record_type, number) for number in range(9)]
    fail_on_record(bench, ids[4])
    read = crm.read(bench.object(record_type), ids, [bench.fields[record_type].match]).set_index("crm_id")["error_type"]
    assert {crm_id: error for crm_id, error in read.items() if pd.notna(error)} == {ids[4]: ALONE}
    assert set(read.index) == set(ids)


@both_types
def test_scan_gives_every_record_with_a_value(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    match, numbers = bench.fields[record_type].match, range(120)
    ids = {added(bench, record_type, number, key=str(number)) for number in numbers}
    found = pd.concat([FOUND.check(frame) for frame in crm.scan(bench.object(record_type), match)])
    assert set(found["crm_id"]) == ids
    values = {plain(bench, valid(bench, record_type, number)[match]) for number in numbers}
    assert {plain(bench, value) for value in found["value"]} == values
    assert set(found["key"].dropna()) == ({str(number) for number in numbers} if has_keys(bench) else set())


@both_types
def test_scan_leaves_out_records_without_a_value(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    added(bench, record_type, 1)
    crm_id = added(bench, record_type, 2, **{names.choice: names.option})
    frames = list(crm.scan(bench.object(record_type), names.choice))
    assert [found for frame in frames for found in frame["crm_id"]] == [crm_id]


@both_types
def test_read_gives_current_values_and_no_row_for_what_is_gone(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    kept = added(bench, record_type, 1, **{names.text: "here"})
    gone = added(bench, record_type, 2)
    bench.delete(record_type, gone)
    found = crm.read(bench.object(record_type), [kept, gone], [names.text, names.choice])
    assert list(found.columns) == ["crm_id", "parent_crm_id", names.text, names.choice, "error_type"]
    assert found["crm_id"].tolist() == [kept]
    assert [plain(bench, text) for text in found[names.text]] == [plain(bench, "here")]
    assert found[[names.choice, "parent_crm_id", "error_type"]].isna().all().all()


def test_read_gives_a_contacts_account(bench: Bench, crm: Crm) -> None:
    account, contact = added(bench, ACCOUNT), added(bench, CONTACT)
    crm.associate(associations_of((7, contact, account)))
    assert crm.read(bench.object(CONTACT), [contact], [])["parent_crm_id"].tolist() == [account]


@both_types
def test_keyed_records_are_noticed(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    added(bench, record_type, 1)
    assert not crm.has_keyed_records(bench.object(record_type))
    added(bench, record_type, 2, key="2")
    assert crm.has_keyed_records(bench.object(record_type)) == has_keys(bench)


@both_types
def test_whether_any_record_has_a_value_costs_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    field = bench.fields[record_type].match
    assert not crm.has_values(bench.object(record_type), field)
    added(bench, record_type)
    assert crm.has_values(bench.object(record_type), field)
    assert crm.calls.snapshot()["read"] == 2
