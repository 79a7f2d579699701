"""What every CRM's client does alike: the Crm protocol, tried on a stand-in of the CRM over real HTTP.

A module of tests takes all of it with ``from crm_pipeline.testing.suite import *``; a fixture ``bench`` (testing.bench.Bench) says which
CRM. One that has no owners, or does not tell merges, is asked for what holds instead.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm, MergingCrm, OwnersCrm
from crm_pipeline.crms.examining import examined, left_since
from crm_pipeline.errors import (
    AuthenticationError,
    CrmPipelineError,
    MissingCredentialError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import CRM_FIELDS, EXAMINED, FOUND, OWNERS
from crm_pipeline.testing.batches import Put, associations_of, batch_of, intents_of, results_by_id, valid
from crm_pipeline.testing.bench import Bench, Request

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
OTHER_LOGGERS = {"asyncio", "crm_pipeline"}
SECRET_WORDS = "Zaphod Beeblebrox"

both_types = pytest.mark.parametrize("record_type", [ACCOUNT, CONTACT])


@pytest.fixture
def crm(bench: Bench) -> Iterator[Crm]:
    with closing(bench.connect()) as adapter:
        yield adapter


@pytest.fixture
def keyless(bench: Bench) -> Iterator[Crm]:
    with closing(bench.connect(external_key=None)) as adapter:
        yield adapter


def break_next(bench: Bench, request: Request, **fault: object) -> None:
    bench.faults.add(Fault(method=request.method, path=request.path, service=bench.kind.name, **fault))  # type: ignore[arg-type]


def only_record(bench: Bench, record_type: RecordType) -> dict[str, object]:
    records = bench.records(record_type)
    assert len(records) == 1
    return records[0]


# --- the adapter itself


def test_every_crm_is_on_the_bench(bench: Bench) -> None:
    assert crm_kinds()[bench.kind.name] is bench.kind


def test_what_its_client_libraries_log_comes_from_the_loggers_that_it_names(
    bench: Bench, crm: Crm, caplog: pytest.LogCaptureFixture
) -> None:
    """Below warnings they write addresses, which can hold values; whoever runs the client quiets the loggers that it names."""
    caplog.set_level(logging.DEBUG)
    for name in bench.kind.client_loggers:
        caplog.set_level(logging.DEBUG, logger=name)
    crm.find(bench.object(CONTACT), bench.fields[CONTACT].match, ["ana@labs.example.org"])
    spoke = {record.name.partition(".")[0] for record in caplog.records} - OTHER_LOGGERS
    assert spoke <= set(bench.kind.client_loggers)


def test_connecting_makes_no_call(bench: Bench, crm: Crm) -> None:
    assert crm.calls.snapshot() == {}
    assert bench.journal.calls() == []


def test_every_call_is_counted_once(bench: Bench, crm: Crm) -> None:
    crm.organization()
    crm.fields(bench.object(ACCOUNT))
    made = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(Put(1, valid(bench, ACCOUNT), key="1"))))
    crm.read(bench.object(ACCOUNT), [made[1]["crm_id"]], [])
    assert sum(crm.calls.snapshot().values()) == len(bench.journal.calls(bench.kind.name))
    assert crm.calls.snapshot()["write"] == 1
    assert crm.calls.snapshot()["describe"] == 1


def test_organization_is_one_id_however_often_it_is_asked(bench: Bench, crm: Crm) -> None:
    with closing(bench.connect()) as other:
        assert crm.organization() == other.organization() != ""


@both_types
def test_record_page_names_the_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = bench.add(record_type, valid(bench, record_type))
    crm.organization()
    url = crm.record_url(bench.object(record_type), crm_id)
    assert url is not None
    assert crm_id in url


# --- metadata


@both_types
def test_fields_describe_match_key_and_choice_fields(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    fields = CRM_FIELDS.check(crm.fields(bench.object(record_type))).set_index("name")
    assert fields.loc[names.match, "type"] == ("text" if record_type is ACCOUNT else "email")
    assert fields.loc[bench.key, ["unique", "external_key", "creatable", "updatable"]].all()
    assert fields.loc[names.choice, "type"] == "choice"
    assert names.option in [value for value, _ in fields.loc[names.choice, "options"]]


def test_fields_are_asked_for_once(bench: Bench, crm: Crm) -> None:
    crm.fields(bench.object(ACCOUNT))
    crm.fields(bench.object(ACCOUNT))
    assert crm.calls.snapshot()["describe"] == 1


# --- writing


@both_types
def test_keyed_create_makes_the_record_with_its_key(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    values = valid(bench, record_type) | {names.text: "Ada"}
    result = results_by_id(crm.write(bench.object(record_type), batch_of(Put(7, values, key="uk-7"))))[7]
    record = only_record(bench, record_type)
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, True, record["id"])
    assert (record[names.text], record[names.match], record[bench.key]) == ("Ada", values[names.match], "uk-7")


@both_types
def test_keyed_create_repeated_is_the_same_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    row = Put(7, valid(bench, record_type), key="7")
    first = results_by_id(crm.write(bench.object(record_type), batch_of(row)))[7]
    second = results_by_id(crm.write(bench.object(record_type), batch_of(row)))[7]
    assert (second["crm_id"], second["created"]) == (first["crm_id"], False)
    assert len(bench.records(record_type)) == 1


@both_types
def test_keyless_create_makes_the_record(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    result = results_by_id(keyless.write(bench.object(record_type), batch_of(Put(7, valid(bench, record_type)))))[7]
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, True, only_record(bench, record_type)["id"])


@both_types
def test_update_changes_only_what_is_sent(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    crm_id = bench.add(record_type, valid(bench, record_type) | {names.text: "old", names.choice: names.option})
    result = results_by_id(crm.write(bench.object(record_type), batch_of(Put(7, {names.text: "new"}, crm_id=crm_id))))[7]
    record = only_record(bench, record_type)
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, False, crm_id)
    assert (record[names.text], record[names.choice], record.get(bench.key)) == ("new", names.option, None)


@both_types
def test_update_by_id_writes_the_key(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = bench.add(record_type, valid(bench, record_type))
    crm.write(bench.object(record_type), batch_of(Put(7, {bench.fields[record_type].text: "new"}, crm_id=crm_id, key="7")))
    assert only_record(bench, record_type)[bench.key] == "7"


@both_types
def test_sent_null_clears_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    crm_id = bench.add(record_type, valid(bench, record_type) | {names.text: "old"})
    crm.write(bench.object(record_type), batch_of(Put(7, {names.text: None}, crm_id=crm_id)))
    assert not only_record(bench, record_type).get(names.text)


@pytest.mark.parametrize("text", ["Łódź 试验室 🧪", 'O\'Brien "& Söhne" \\ <b>', "two\nlines"])
def test_text_arrives_as_it_was_sent(bench: Bench, crm: Crm, text: str) -> None:
    name = bench.fields[ACCOUNT].text
    crm.write(bench.object(ACCOUNT), batch_of(Put(7, valid(bench, ACCOUNT) | {name: text}, key="7")))
    assert only_record(bench, ACCOUNT)[name] == text


def test_whole_numbers_of_pandas_are_sent_as_numbers(bench: Bench, crm: Crm) -> None:
    name = bench.fields[ACCOUNT].number
    rows = [
        Put(number, valid(bench, ACCOUNT, number) | {str(name): value}, key=str(number))
        for number, value in enumerate([np.int64(12), 12.0])
    ]
    results = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(*rows)))
    assert [row["error_type"] for row in results.values()] == [None, None]
    assert {float(record[str(name)]) for record in bench.records(ACCOUNT)} == {12.0}


def test_contact_gets_its_account_by_write_or_association(bench: Bench, crm: Crm) -> None:
    account = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    contact = results_by_id(crm.write(bench.object(CONTACT), batch_of(Put(7, valid(bench, CONTACT), key="7", parent=account))))[7]
    if not contact["parent_sent"]:
        associated = results_by_id(crm.associate(associations_of((7, contact["crm_id"], account))))[7]
        assert (associated["error_type"], associated["parent_sent"]) == (None, True)
    assert bench.parent(contact["crm_id"]) == account


def test_association_is_made_and_may_be_repeated(bench: Bench, crm: Crm) -> None:
    account, contact = bench.add(ACCOUNT, valid(bench, ACCOUNT)), bench.add(CONTACT, valid(bench, CONTACT))
    for _ in range(2):
        assert results_by_id(crm.associate(associations_of((7, contact, account))))[7]["error_type"] is None
    assert bench.parent(contact) == account


def test_contact_that_leaves_an_account_has_the_new_one(bench: Bench, crm: Crm) -> None:
    old, new = (bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in (1, 2))
    contact = bench.add(CONTACT, valid(bench, CONTACT))
    crm.associate(associations_of((7, contact, old)))
    for _ in range(2):
        assert results_by_id(crm.associate(associations_of((7, contact, new), leaving=old)))[7]["error_type"] is None
    assert bench.parent(contact) == new


def test_row_with_nothing_to_send_costs_no_call(bench: Bench, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    result = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(Put(7, crm_id=crm_id))))[7]
    assert (result["error_type"], result["crm_id"], result["parent_sent"]) == (None, crm_id, False)
    assert bench.journal.calls() == []


@both_types
def test_rows_of_every_kind_in_one_batch_are_accounted_for(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    text = bench.fields[record_type].text
    there = bench.add(record_type, valid(bench, record_type, 1))
    idle = bench.add(record_type, valid(bench, record_type, 2))
    batch = batch_of(
        Put(1, {text: "new"}, crm_id=there),
        Put(2, crm_id=idle),
        Put(3, valid(bench, record_type, 3), key="3"),
        Put(4, valid(bench, record_type, 4)),
    )
    results = results_by_id(crm.write(bench.object(record_type), batch))
    assert {number: row["error_type"] for number, row in results.items()} == dict.fromkeys([1, 2, 3, 4])
    assert {row["crm_id"] for row in results.values()} == {record["id"] for record in bench.records(record_type)}


@both_types
def test_full_batch_costs_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    size = crm.capabilities.batch_size
    rows = [Put(number, valid(bench, record_type, number), key=str(number)) for number in range(size)]
    results = results_by_id(crm.write(bench.object(record_type), batch_of(*rows)))
    by_key = {record[bench.key]: record["id"] for record in bench.records(record_type)}
    assert {str(number): row["crm_id"] for number, row in results.items()} == by_key
    assert crm.calls.snapshot()["write"] == 1


@both_types
def test_rows_that_share_a_key_are_both_accounted_for(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    rows = [Put(number, valid(bench, record_type, number), key="7") for number in (1, 2)]
    assert set(results_by_id(crm.write(bench.object(record_type), batch_of(*rows, Put(3, valid(bench, record_type, 3), key="3"))))) == {
        1,
        2,
        3,
    }
    assert [record[bench.key] for record in bench.records(record_type)].count("7") <= 1


# --- what is wrong with one record


def with_good_neighbours(bench: Bench, record_type: RecordType, values: Mapping[str, object]) -> list[Put]:
    bad = Put(2, {**valid(bench, record_type, 2), **values}, key="2")
    return [Put(1, valid(bench, record_type, 1), key="1"), bad, Put(3, valid(bench, record_type, 3), key="3")]


@both_types
def test_wrong_value_fails_its_own_row_and_names_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    wrong = {names.choice: SECRET_WORDS}
    results = results_by_id(crm.write(bench.object(record_type), batch_of(*with_good_neighbours(bench, record_type, wrong))))
    assert {number: row["error_type"] for number, row in results.items()} == {1: None, 2: "InvalidOptionException", 3: None}
    assert names.choice in results[2]["error_fields"]
    assert len(bench.records(record_type)) == 2


@both_types
def test_over_long_value_fails_its_own_row_and_names_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    wrong = {names.short: "x" * (names.short_length + 1)}
    results = results_by_id(crm.write(bench.object(record_type), batch_of(*with_good_neighbours(bench, record_type, wrong))))
    assert {number: row["error_type"] for number, row in results.items()} == {1: None, 2: "ValueTooLongException", 3: None}
    assert names.short in results[2]["error_fields"]


def test_malformed_email_fails_its_own_row(bench: Bench, crm: Crm) -> None:
    wrong = {bench.fields[CONTACT].match: "nobody at example"}
    results = results_by_id(crm.write(bench.object(CONTACT), batch_of(*with_good_neighbours(bench, CONTACT, wrong))))
    assert {number: row["error_type"] for number, row in results.items()} == {1: None, 2: "InvalidValueException", 3: None}


def test_unknown_field_is_a_refused_mapping_that_names_it(bench: Bench, crm: Crm) -> None:
    wrong = {"no_such_field": "x"}
    results = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(*with_good_neighbours(bench, ACCOUNT, wrong))))
    assert results[2]["error_type"] == "MappingRefusedException"
    assert results[2]["error_fields"] == "no_such_field"
    assert [results[number]["error_type"] for number in (1, 3)] == [None, None]


@both_types
def test_update_of_a_deleted_record_says_so(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = bench.add(record_type, valid(bench, record_type))
    bench.delete(record_type, crm_id)
    result = results_by_id(crm.write(bench.object(record_type), batch_of(Put(7, {bench.fields[record_type].text: "x"}, crm_id=crm_id))))[7]
    assert result["error_type"] == "DeletedInCrmException"


def test_results_hold_no_field_value(bench: Bench, crm: Crm) -> None:
    names = bench.fields[CONTACT]
    wrong: list[dict[str, object]] = [
        {names.choice: SECRET_WORDS},
        {names.match: SECRET_WORDS},
        {names.short: SECRET_WORDS * (names.short_length // len(SECRET_WORDS) + 1)},
        {"no_such_field": SECRET_WORDS},
    ]
    rows = [Put(number, valid(bench, CONTACT, number) | values, key=str(number)) for number, values in enumerate(wrong)]
    results = crm.write(bench.object(CONTACT), batch_of(*rows))
    assert results["error_type"].notna().all()
    assert "Zaphod" not in results.to_csv()


# --- when the service fails


@both_types
def test_keyed_create_whose_answer_is_lost_is_never_a_second_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    break_next(bench, bench.keyed_create(record_type), kind="drop_after")
    result = results_by_id(crm.write(bench.object(record_type), batch_of(Put(7, valid(bench, record_type), key="7"))))[7]
    assert (result["error_type"], result["crm_id"]) == (None, only_record(bench, record_type)["id"])


@both_types
def test_keyless_create_whose_answer_is_lost_is_found_by_its_intent(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    values = valid(bench, record_type)
    break_next(bench, bench.plain_create(record_type), kind="drop_after")
    with suppress(ServiceUnavailableError):
        keyless.write(bench.object(record_type), batch_of(Put(7, values)))
    found = keyless.resolve_intents(bench.object(record_type), intents_of((7, values)))
    assert found.to_dict("records") == [{"qbench_id": 7, "crm_id": only_record(bench, record_type)["id"]}]


@both_types
def test_intent_of_a_create_that_never_arrived_finds_nothing(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    keyless.write(bench.object(record_type), batch_of(Put(1, valid(bench, record_type, 1))))
    found = keyless.resolve_intents(bench.object(record_type), intents_of((7, valid(bench, record_type, 7))))
    assert list(found.columns) == ["qbench_id", "crm_id"]
    assert found.empty


def test_intents_name_every_record_that_may_be_theirs(bench: Bench, keyless: Crm) -> None:
    values = valid(bench, ACCOUNT)
    keyless.write(bench.object(ACCOUNT), batch_of(Put(1, values)))
    keyless.write(bench.object(ACCOUNT), batch_of(Put(2, values)))
    found = keyless.resolve_intents(bench.object(ACCOUNT), intents_of((7, values)))
    assert sorted(found["crm_id"]) == sorted(record["id"] for record in bench.records(ACCOUNT))


def test_busy_service_is_asked_again(bench: Bench, crm: Crm) -> None:
    break_next(bench, bench.keyed_create(ACCOUNT), kind="status", status=503)
    result = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(Put(7, valid(bench, ACCOUNT), key="7"))))[7]
    assert result["error_type"] is None
    assert crm.calls.snapshot()["write"] == 2


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize("asked", ["86400", TOMORROW], ids=["seconds", "date"])
def test_service_that_says_to_come_back_tomorrow_is_left_alone_until_a_later_run(bench: Bench, crm: Crm, asked: str) -> None:
    break_next(bench, bench.keyed_create(ACCOUNT), status=503, times=None, headers={"Retry-After": asked})
    with pytest.raises(ServiceUnavailableError) as raised:
        crm.write(bench.object(ACCOUNT), batch_of(*(Put(number, valid(bench, ACCOUNT, number), key=str(number)) for number in range(9))))
    assert raised.value.wait_seconds == pytest.approx(86_400, abs=3_600)
    assert crm.calls.snapshot()["write"] == 1


def test_update_is_made_again_after_a_lost_connection(bench: Bench, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    break_next(bench, bench.update(ACCOUNT), kind="drop_before")
    result = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(Put(7, {bench.fields[ACCOUNT].text: "new"}, crm_id=crm_id))))[7]
    assert result["error_type"] is None
    assert only_record(bench, ACCOUNT)[bench.fields[ACCOUNT].text] == "new"


ALONE = "CrmFailsOnRecordException"
POISON = "Zaphod"
FAILING_INSIDE: list[dict[str, object]] = [
    {"kind": "status", "status": 500},
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 403},
    {"kind": "status", "status": 504},
]


def poisoned(bench: Bench, record_type: RecordType, *, rows: int) -> list[Put]:
    """Creates with a key of which the third is not like the others."""
    values = [valid(bench, record_type, number) for number in range(rows)]
    values[2] |= {bench.fields[record_type].text: POISON}
    return [Put(number, value, key=str(number)) for number, value in enumerate(values)]


@pytest.mark.parametrize("failure", FAILING_INSIDE, ids=lambda failure: "-".join(map(str, failure.values())))
def test_record_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm, failure: dict[str, object]) -> None:
    break_next(bench, bench.keyed_create(ACCOUNT), holding=POISON, times=None, **failure)
    results = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(*poisoned(bench, ACCOUNT, rows=20))))
    assert {number: row["error_type"] for number, row in results.items()} == {**dict.fromkeys(range(20)), 2: ALONE}
    assert {row["created"] for number, row in results.items() if number != 2} <= {True, None}
    written = crm.calls.snapshot()["write"]
    assert written <= 2 + 2 * 5


def test_update_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm) -> None:
    ids = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(5)]
    break_next(bench, bench.update(ACCOUNT), holding=POISON, times=None, status=500)
    text = bench.fields[ACCOUNT].text
    rows = [Put(number, {text: POISON if number == 2 else "new"}, crm_id=crm_id) for number, crm_id in enumerate(ids)]
    results = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(*rows)))
    assert {number: row["error_type"] for number, row in results.items()} == {**dict.fromkeys(range(5)), 2: ALONE}


def test_record_that_the_crm_fails_on_is_to_blame_when_it_is_the_only_one_too(bench: Bench, crm: Crm) -> None:
    break_next(bench, bench.keyed_create(ACCOUNT), times=None, status=500)
    result = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(Put(7, valid(bench, ACCOUNT), key="7"))))[7]
    assert result["error_type"] == ALONE
    assert result["error_code"]


def test_create_without_a_key_that_may_have_been_carried_out_is_not_sent_in_halves(bench: Bench, keyless: Crm) -> None:
    break_next(bench, bench.plain_create(ACCOUNT), kind="drop_after", times=None)
    with pytest.raises(ServiceUnavailableError):
        keyless.write(bench.object(ACCOUNT), batch_of(*(Put(number, valid(bench, ACCOUNT, number)) for number in range(4))))
    assert len(bench.records(ACCOUNT)) == 4


def test_association_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm) -> None:
    account = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    contacts = [bench.add(CONTACT, valid(bench, CONTACT, number)) for number in range(6)]
    bench.faults.add(Fault(holding=f'"{contacts[2]}"', times=None, status=500))
    results = results_by_id(crm.associate(associations_of(*((number, contact, account) for number, contact in enumerate(contacts)))))
    assert {number: row["error_type"] for number, row in results.items()} == {**dict.fromkeys(range(6)), 2: ALONE}
    assert [bench.parent(contact) for contact in contacts] == [account, account, None, account, account, account]


@pytest.mark.parametrize("rows", [1, 100])
def test_service_that_is_down_counts_as_down_after_a_few_calls(bench: Bench, crm: Crm, rows: int) -> None:
    crm.organization()
    bench.faults.add(Fault(status=503, times=None))
    before = len(bench.journal.calls())
    with pytest.raises(ServiceUnavailableError):
        crm.write(bench.object(ACCOUNT), batch_of(*(Put(number, valid(bench, ACCOUNT, number), key=str(number)) for number in range(rows))))
    attempts = 2
    assert len(bench.journal.calls()) - before - attempts <= 2 * math.log2(rows) + 2


def test_batch_that_takes_too_long_is_not_sent_again_as_it_is(bench: Bench) -> None:
    break_next(bench, bench.keyed_create(ACCOUNT), kind="delay", until=threading.Event())
    with closing(bench.connect(timeout_seconds=0.5)) as crm:
        results = results_by_id(crm.write(bench.object(ACCOUNT), batch_of(*poisoned(bench, ACCOUNT, rows=10))))
        assert {row["error_type"] for row in results.values()} == {None}
        assert [call.rows for call in bench.journal.calls(bench.kind.name) if call.rows][:2] == [5, 5]


def test_html_instead_of_json_is_an_unexpected_answer(bench: Bench) -> None:
    bench.faults.add(Fault(kind="html", times=None))
    with closing(bench.connect()) as crm, pytest.raises(UnexpectedAnswerError, match="integration demo") as raised:
        crm.write(bench.object(ACCOUNT), batch_of(Put(7, valid(bench, ACCOUNT) | {bench.fields[ACCOUNT].text: SECRET_WORDS}, key="7")))
    assert_says_nothing_secret(raised.value)


def test_cut_off_json_is_an_unexpected_answer(bench: Bench) -> None:
    bench.faults.add(Fault(kind="status", status=200, body='{"results": [', headers={"content-type": "application/json"}, times=None))
    with closing(bench.connect()) as crm, pytest.raises(UnexpectedAnswerError, match="integration demo"):
        crm.organization()


def test_wrong_credentials_are_named_and_not_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bench.secret, SECRET_WORDS.replace(" ", "-"))
    with closing(bench.connect()) as crm, pytest.raises(AuthenticationError, match=bench.secret) as raised:
        crm.organization()
    assert len(bench.journal.calls(bench.kind.name)) == 1
    assert_says_nothing_secret(raised.value)


def test_missing_credential_names_its_variable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bench.secret)
    with closing(bench.connect()) as crm, pytest.raises(MissingCredentialError, match=bench.secret):
        crm.organization()


@pytest.mark.parametrize("broken", ["\n", "\r", "\x7f", "\x85", "\u200b", "–", "ключ"])
def test_credential_with_a_character_that_no_credential_has_names_its_variable_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv(bench.secret, f"{SECRET_WORDS}{broken}x")
    with closing(bench.connect()) as crm, pytest.raises(MissingCredentialError, match=f"{bench.secret} holds a line break") as raised:
        crm.organization()
    assert_says_nothing_secret(raised.value)


def test_service_that_cannot_be_reached_is_unavailable(bench: Bench) -> None:
    nobody = "http://127.0.0.1:9"
    with closing(bench.connect(url=nobody, attempts=1)) as crm, pytest.raises(ServiceUnavailableError, match="integration demo") as raised:
        crm.write(bench.object(ACCOUNT), batch_of(Put(7, {bench.fields[ACCOUNT].match: SECRET_WORDS})))
    assert not raised.value.executed
    assert_says_nothing_secret(raised.value)


def assert_says_nothing_secret(error: CrmPipelineError) -> None:
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert "Zaphod" not in f"{error!s} {error!r} {vars(error)!r}"


# --- reading


@both_types
def test_find_by_key_finds_what_is_there(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = bench.add(record_type, valid(bench, record_type) | {bench.key: "7"})
    bench.add(record_type, valid(bench, record_type, 2))
    found = FOUND.check(crm.find(bench.object(record_type), bench.key, ["7", "8"]))
    assert found[["value", "crm_id", "key"]].to_dict("records") == [{"value": "7", "crm_id": crm_id, "key": "7"}]


def test_find_by_email_ignores_case_and_answers_as_asked(bench: Bench, crm: Crm) -> None:
    email = bench.fields[CONTACT].match
    account = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    crm_id = bench.add(CONTACT, valid(bench, CONTACT) | {email: "ada@example.com"})
    crm.associate(associations_of((7, crm_id, account)))
    found = FOUND.check(crm.find(bench.object(CONTACT), email, ["Ada@Example.com", "nobody@example.com"]))
    assert found[["value", "crm_id"]].to_dict("records") == [{"value": "Ada@Example.com", "crm_id": crm_id}]
    assert found["key"].isna().all()


@pytest.mark.parametrize("key", ["o'brien", 'back\\slash"quote', "per%cent&amp=1+1", "Łódź 试"])
def test_find_takes_any_character_literally(bench: Bench, crm: Crm, key: str) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT) | {bench.key: key})
    assert crm.find(bench.object(ACCOUNT), bench.key, [key])["crm_id"].tolist() == [crm_id]


def test_find_of_nothing_makes_no_call(bench: Bench, crm: Crm) -> None:
    assert FOUND.check(crm.find(bench.object(ACCOUNT), bench.key, [])).empty
    assert bench.journal.calls() == []


def test_find_of_many_values_finds_all_in_few_calls(bench: Bench, crm: Crm) -> None:
    keys = [f"{number:010}" for number in range(1_000)]
    ids = {key: bench.add(ACCOUNT, valid(bench, ACCOUNT, number) | {bench.key: key}) for number, key in enumerate(keys)}
    found = crm.find(bench.object(ACCOUNT), bench.key, keys)
    assert dict(zip(found["value"], found["crm_id"], strict=True)) == ids
    assert len(found) == len(keys)
    assert 1 < crm.calls.snapshot()["read"] <= 10


def fail_on(bench: Bench, text: str, **fault: object) -> None:
    bench.faults.add(Fault(service=bench.kind.name, holding=text, times=None, **({"status": 500} | fault)))  # type: ignore[arg-type]


READS_FAIL: list[dict[str, object]] = [
    {"status": 500},
    {"kind": "drop_after"},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 403},
]


@pytest.mark.parametrize("failure", READS_FAIL, ids=lambda failure: "-".join(map(str, failure.values())))
def test_value_on_which_the_crm_fails_is_told_and_keeps_no_other_from_being_found(
    bench: Bench, crm: Crm, failure: dict[str, object]
) -> None:
    email = bench.fields[CONTACT].match
    ids = {f"person{number}@example.com": bench.add(CONTACT, valid(bench, CONTACT, number)) for number in range(30)}
    fail_on(bench, "person7@", **failure)
    found = FOUND.check(crm.find(bench.object(CONTACT), email, list(ids)))
    failed, told = found[found["error_type"].notna()], found[found["error_type"].isna()]
    assert failed[["value", "error_type"]].to_numpy().tolist() == [["person7@example.com", ALONE]]
    assert dict(zip(told["value"], told["crm_id"], strict=True)) == {value: one for value, one in ids.items() if "person7@" not in value}


@both_types
def test_record_that_the_crm_fails_to_read_is_told_and_keeps_no_other_from_being_read(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    ids = [bench.add(record_type, valid(bench, record_type, number)) for number in range(9)]
    fail_on(bench, f'"{ids[4]}"')
    read = crm.read(bench.object(record_type), ids, [bench.fields[record_type].match]).set_index("crm_id")["error_type"]
    assert {crm_id: error for crm_id, error in read.items() if pd.notna(error)} == {ids[4]: ALONE}
    assert set(read.index) == set(ids)


@both_types
def test_record_that_the_crm_fails_to_read_is_not_examined_as_deleted(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [bench.add(record_type, valid(bench, record_type, number)) for number in range(9)]
    fail_on(bench, f'"{ids[4]}"')
    states = examined(crm, bench.object(record_type), ids, key=bench.key).set_index("crm_id")["state"]
    assert states.to_dict() == {crm_id: "live" for crm_id in ids if crm_id != ids[4]}


def test_intent_that_the_crm_fails_to_tell_of_keeps_no_other_from_being_told(bench: Bench, keyless: Crm) -> None:
    values = {number: valid(bench, CONTACT, number) for number in range(4)}
    made = results_by_id(keyless.write(bench.object(CONTACT), batch_of(*(Put(number, value) for number, value in values.items()))))
    fail_on(bench, "person2@")
    found = keyless.resolve_intents(bench.object(CONTACT), intents_of(*values.items())).astype("object")
    told = {int(row.qbench_id): row.crm_id for row in found.where(found.notna(), None).itertuples()}
    assert told == {**{number: made[number]["crm_id"] for number in (0, 1, 3)}, 2: None}


@both_types
def test_scan_gives_every_record_with_a_value(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    match = bench.fields[record_type].match
    ids = {bench.add(record_type, valid(bench, record_type, number) | {bench.key: str(number)}) for number in range(120)}
    found = pd.concat([FOUND.check(frame) for frame in crm.scan(bench.object(record_type), match)])
    assert set(found["crm_id"]) == ids
    assert set(found["value"]) == {valid(bench, record_type, number)[match] for number in range(120)}
    assert set(found["key"]) == {str(number) for number in range(120)}


@both_types
def test_scan_leaves_out_records_without_a_value(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    text = bench.fields[record_type].choice
    bench.add(record_type, valid(bench, record_type, 1))
    crm_id = bench.add(record_type, valid(bench, record_type, 2) | {text: bench.fields[record_type].option})
    frames = list(crm.scan(bench.object(record_type), text))
    assert [found for frame in frames for found in frame["crm_id"]] == [crm_id]


@both_types
def test_read_gives_current_values_and_no_row_for_what_is_gone(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    kept = bench.add(record_type, valid(bench, record_type, 1) | {names.text: "here"})
    gone = bench.add(record_type, valid(bench, record_type, 2))
    bench.delete(record_type, gone)
    found = crm.read(bench.object(record_type), [kept, gone], [names.text, names.choice])
    assert list(found.columns) == ["crm_id", "parent_crm_id", names.text, names.choice, "error_type"]
    assert found["crm_id"].tolist() == [kept]
    assert found[names.text].tolist() == ["here"]
    assert found[[names.choice, "parent_crm_id", "error_type"]].isna().all().all()


def test_read_gives_a_contacts_account(bench: Bench, crm: Crm) -> None:
    account, contact = bench.add(ACCOUNT, valid(bench, ACCOUNT)), bench.add(CONTACT, valid(bench, CONTACT))
    crm.associate(associations_of((7, contact, account)))
    assert crm.read(bench.object(CONTACT), [contact], [])["parent_crm_id"].tolist() == [account]


@both_types
def test_keyed_records_are_noticed(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    bench.add(record_type, valid(bench, record_type, 1))
    assert not crm.has_keyed_records(bench.object(record_type))
    bench.add(record_type, valid(bench, record_type, 2) | {bench.key: "2"})
    assert crm.has_keyed_records(bench.object(record_type))


@both_types
def test_whether_any_record_has_a_value_costs_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    field = bench.fields[record_type].match
    assert not crm.has_values(bench.object(record_type), field)
    bench.add(record_type, valid(bench, record_type))
    assert crm.has_values(bench.object(record_type), field)
    assert crm.calls.snapshot()["read"] == 2


# --- what became of linked records


GONE = ("deleted", None, None)
"""What became of a record, where the CRM tells no merges also of one that was merged."""


def states_of(bench: Bench, crm: Crm, record_type: RecordType, *crm_ids: str) -> dict[str, tuple[str, str | None, str | None]]:
    """By id asked for: state, the record it leads to, and the key there."""
    found = EXAMINED.check(examined(crm, bench.object(record_type), list(crm_ids), key=bench.key)).astype("object")
    rows = found.where(found.notna(), None).itertuples()
    return {row.crm_id: (row.state, row.leads_to, row.key) for row in rows}


@both_types
def test_examined_records_are_live_merged_or_deleted(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    kept, winner, loser, gone = (bench.add(record_type, valid(bench, record_type, number)) for number in range(4))
    keyed = bench.add(record_type, valid(bench, record_type, 5) | {bench.key: "5"})
    merged = bench.merge(record_type, winner, loser)
    bench.delete(record_type, gone)
    assert states_of(bench, crm, record_type, kept, loser, gone, keyed, merged) == {
        kept: ("live", kept, None),
        loser: ("merged", merged, None) if isinstance(crm, MergingCrm) else GONE,
        gone: GONE,
        keyed: ("live", keyed, "5"),
        merged: ("live", merged, None),
    }


@both_types
def test_examined_merges_are_followed_to_the_end(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    first, second, third = (bench.add(record_type, valid(bench, record_type, number)) for number in range(3))
    end = bench.merge(record_type, third, bench.merge(record_type, second, first))
    assert states_of(bench, crm, record_type, first)[first] == (("merged", end, None) if isinstance(crm, MergingCrm) else GONE)
    bench.delete(record_type, end)
    assert states_of(bench, crm, record_type, first)[first] == GONE


@both_types
def test_restored_record_is_examined_as_live(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = bench.add(record_type, valid(bench, record_type))
    bench.delete(record_type, crm_id)
    bench.restore(record_type, crm_id)
    assert states_of(bench, crm, record_type, crm_id) == {crm_id: ("live", crm_id, None)}


def test_examined_contact_has_its_account(bench: Bench, crm: Crm) -> None:
    account, contact = bench.add(ACCOUNT, valid(bench, ACCOUNT)), bench.add(CONTACT, valid(bench, CONTACT))
    alone = bench.add(CONTACT, valid(bench, CONTACT, 2))
    crm.associate(associations_of((7, contact, account)))
    found = examined(crm, bench.object(CONTACT), [contact, alone], key=bench.key).set_index("crm_id")["parent_crm_id"]
    assert (found[contact], bool(pd.isna(found[alone]))) == (account, True)


def test_examining_a_full_batch_of_live_records_costs_one_call(bench: Bench, crm: Crm) -> None:
    ids = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(100)]
    assert {state for state, _, _ in states_of(bench, crm, ACCOUNT, *ids, ids[0]).values()} == {"live"}
    assert crm.calls.snapshot()["read"] == 1
    assert states_of(bench, crm, ACCOUNT) == {}
    assert crm.calls.snapshot()["read"] == 1


@both_types
def test_records_merged_away_since_are_told_in_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [bench.add(record_type, valid(bench, record_type, number)) for number in range(3)]
    bench.merge(record_type, ids[0], ids[1])
    found = left_since(crm, bench.object(record_type), datetime.now(UTC) - timedelta(minutes=5))
    assert (ids[1] in found, ids[2] in found) == (isinstance(crm, MergingCrm), False)
    assert left_since(crm, bench.object(record_type), datetime.now(UTC) + timedelta(minutes=5)) == []
    assert crm.calls.snapshot().get("read", 0) == (2 if isinstance(crm, MergingCrm) else 0)


# --- owners


def test_owners_can_be_asked_for_where_there_is_a_field_for_them(bench: Bench, crm: Crm) -> None:
    """A CRM without a field for owners needs no method either: rules for it are refused in the YAML."""
    assert isinstance(crm, OwnersCrm) == (bench.kind.owner_field is not None)
    if isinstance(crm, OwnersCrm):
        asked = OWNERS.check(crm.owners(["nobody@example.com"])).astype("object")
        assert asked[["user", "problem"]].to_numpy().tolist() == [["nobody@example.com", "unknown"]]
        assert bench.kind.owner_field in set(crm.fields(bench.object(ACCOUNT))["name"])
