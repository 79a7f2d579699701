"""The tables of what answers must hold, member by member: every form of every service, with each of its members taken away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.contracts import ANYTHING, COUNT, FLAG, ID, TEXT, Form, May, Members, Nullable, One, Rows, fault_of, members_of
from crm_pipeline.crms.hubspot import contracts as hubspot
from crm_pipeline.crms.salesforce import contracts as salesforce
from crm_pipeline.crms.sugarcrm import contracts as sugarcrm
from crm_pipeline.qbench import contracts as qbench
from crm_pipeline.reference.answers import contracts
from crm_pipeline_tests.bending import bent

CONTRACTS = {f"{service}: {call}": form for service, table in contracts().items() for call, form in table.items()}
WRONG: tuple[Any, ...] = ("", " ", [], {}, [None], "x", 7, -1, 1.5, True)
EXAMPLES: dict[Form, Any] = {
    **{TEXT: "x", COUNT: 0, FLAG: False, ID: "1", ANYTHING: None, qbench.ID: 1},
    **{sugarcrm.PAIRS: {}, sugarcrm.TABLE: {"name": {}}, sugarcrm.NUMBER: 1},
}


def example(form: Form) -> Any:
    """The smallest answer of a form in which every member is there."""
    match form:
        case One():
            return EXAMPLES[form]
        case Nullable():
            return example(form.form)
        case Rows():
            return [example(form.of)]
    members = {name: example(member.form if isinstance(member, May) else member) for name, member in form.members.items()}
    return members if fault_of(members, form) is None else {"id": 1}


def places(answer: Any, form: Form, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Form | May]]:
    """Each member of the example with the way to it."""
    match form:
        case Nullable():
            yield from places(answer, form.form, way)
        case Rows():
            yield from places(answer[0], form.of, (*way, 0))
        case Members():
            for name, member in form.members.items():
                yield (*way, name), member
                yield from places(answer[name], member.form if isinstance(member, May) else member, (*way, name))


@pytest.mark.parametrize("call", CONTRACTS)
def test_answer_without_a_member_that_it_must_hold_is_faulty(call: str) -> None:
    form = CONTRACTS[call]
    whole = example(form)
    assert fault_of(whole, form) is None
    for way, member in places(whole, form):
        if not isinstance(member, May):
            assert fault_of(bent(whole, way), form), f"{way} may be left out"
            assert member == ANYTHING or fault_of(bent(whole, way, None), form), f"{way} may be null"
        elif member.needed is None:
            assert fault_of(bent(whole, way), form) is None, f"{way} may not be left out"
            assert fault_of(bent(whole, way, None), form) is None, f"{way} may not be null"


@pytest.mark.parametrize("call", CONTRACTS)
def test_member_of_another_type_is_faulty(call: str) -> None:
    form = CONTRACTS[call]
    whole = example(form)
    for way, member in places(whole, form):
        inner = member.form if isinstance(member, May) else member
        for wrong in WRONG:
            told = fault_of(bent(whole, way, wrong), form)
            assert told or fault_of(wrong, inner) is None, f"{way} as {wrong!r}"


@pytest.mark.parametrize("call", CONTRACTS)
@pytest.mark.parametrize("answer", [None, "x", 7, True], ids=repr)
def test_answer_of_another_type_is_faulty(call: str, answer: object) -> None:
    assert fault_of(answer, CONTRACTS[call])


@settings(max_examples=25)
@given(
    answer=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["results", "id", "records", "fields", "success"]), inner),
    )
)
def test_no_answer_whatever_makes_the_check_fail_or_repeats_a_value(answer: Any) -> None:
    for form in CONTRACTS.values():
        fault_of(answer, form)
    assert "secret" not in str(fault_of({"id": ["secret"]}, Members({"id": TEXT})))


def test_fault_names_the_place_and_the_type() -> None:
    form = Members({"rows": Rows(Members({"id": ID, "at": May(TEXT, absent="never")}))})
    faults = {
        "rows is missing": {},
        "rows is null, not a list": {"rows": None},
        "rows[1].id is an empty text, not an id": {"rows": [{"id": 1}, {"id": " "}]},
        "rows[0].at is a number, not a text that is not empty": {"rows": [{"id": 1, "at": 5}]},
        "the answer is a list, not an object": [],
    }
    assert [fault_of(answer, form) for answer in faults.values()] == list(faults)


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (hubspot.SEARCH, {"total": 3, "results": []}),
        (hubspot.BATCH_READ, {"results": [{"id": "1", "properties": {}}, {"id": "1", "properties": {"name": "x"}}]}),
        (hubspot.at_most(hubspot.BATCH_READ, 1), {"results": [{"id": "1", "properties": {}}, {"id": "2", "properties": {}}]}),
        (hubspot.PROPERTIES, {"results": [{"name": "industry", "type": "enumeration", "fieldType": "select"}]}),
        (salesforce.QUERIED, {"totalSize": 9, "done": False, "records": []}),
        (salesforce.first_page(["Id"]), {"totalSize": 9, "done": True, "records": []}),
        (salesforce.page(["Id", "Name"]), {"totalSize": 1, "done": True, "records": [{"Id": "1"}]}),
        (salesforce.retrieved(["1"], ["Id"]), []),
        (salesforce.retrieved(["1"], ["Id"]), [{"Id": "2"}]),
        (salesforce.retrieved(["1", "2"], ["Id"]), [{"Id": "1"}, {"Id": "1"}]),
        (salesforce.SAVED_ROW, {"success": True, "errors": []}),
        (salesforce.SAVED_ROW, {"success": False, "errors": []}),
        (salesforce.UPSERTED_ROW, {"success": True, "id": "1", "errors": []}),
    ],
)
def test_answer_that_contradicts_itself_or_what_was_asked_is_faulty(form: Form, answer: object) -> None:
    assert fault_of(answer, form)


def test_every_optional_member_says_what_its_absence_means() -> None:
    for call, form in CONTRACTS.items():
        for place, member in members_of(form):
            assert not isinstance(member, May) or member.absent, f"{call}: {place}"
