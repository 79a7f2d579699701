"""What a CRM refused for good is not sent again by itself, while nothing about it changes (docs/rules.md, 8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from crm_pipeline.errors import SameRefusalError, ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, EVERYTHING, LEAN_ACCOUNT_MAP, OBJECTS, Bench, contact, customer

EMAIL = "person7@labs.example.org"
ELSEWHERE = Window(since=900_000, until=900_001)
"""A window in which no record lies: what is loaded all the same was waited for."""

keys = pytest.mark.parametrize("external_keys", [True, False], ids=["with a key", "without a key"])


def writes(bench: Bench, spec: IntegrationSpec, record_type: RecordType, *, window: Window = EVERYTHING) -> int:
    """How many calls a load makes that write."""
    bench.load(spec, record_type, window=window)
    return bench.calls.get("write", 0) + bench.calls.get("associate", 0)


def contact_that_is_there(bench: Bench, *, external_keys: bool = True) -> tuple[IntegrationSpec, str]:
    """A load of a contact whose email another record of HubSpot holds, with no match key that would link the two; that record's id."""
    person = bench.sandbox.portal.add("contacts", {"email": EMAIL})
    spec = bench.spec(external_keys=external_keys)
    bench.given(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1))
    assert writes(bench, spec, CONTACT) == 1
    assert bench.outcomes(CONTACT) == {7: ("skipped", "ExistingRecordException")}
    return spec, person


def account_that_breaks_a_rule(bench: Bench, *, linked: bool = False) -> IntegrationSpec:
    """A load of an account without a description, which a rule asks for."""
    spec = bench.spec()
    if linked:
        bench.given(spec, ACCOUNT, customer(1))
    bench.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: not row.get("Description"), "Describe it."))
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    assert writes(bench, spec, ACCOUNT) == 1
    assert bench.outcomes() == {1: ("failed", "InvalidValueException")}
    return spec


@keys
def test_a_create_refused_for_a_record_that_is_there_is_not_sent_again(hubspot: Bench, *, external_keys: bool) -> None:
    spec, person = contact_that_is_there(hubspot, external_keys=external_keys)
    said = "SELECT outcome, error_type, reason, waits_on, waits_for FROM crm_pipeline.outcome WHERE record_type = 'contact'"
    before = hubspot.rows(said)
    hubspot.normalize(spec, CONTACT, window=EVERYTHING)
    assert [writes(hubspot, spec, CONTACT) for _ in range(2)] == [0, 0]
    assert hubspot.rows(said) == before == [("skipped", "ExistingRecordException", before[0][2], "holder", person)]
    assert hubspot.rows("SELECT 1 FROM crm_pipeline.intent") == []


@pytest.mark.parametrize("linked", [False, True], ids=["create", "update"])
def test_a_write_that_a_rule_refuses_is_not_sent_again(salesforce: Bench, *, linked: bool) -> None:
    spec = account_that_breaks_a_rule(salesforce, linked=linked)
    report = salesforce.load(spec, ACCOUNT)
    assert salesforce.calls.get("write") is None
    assert (report.refused_before, dict(report.errors)) == (1, {"InvalidValueException": 1})
    assert salesforce.outcomes() == {1: ("failed", "InvalidValueException")}


def test_the_overlap_of_the_next_hour_sends_no_refused_write_again(salesforce: Bench) -> None:
    spec = account_that_breaks_a_rule(salesforce)
    salesforce.stage(spec, ACCOUNT, customer(2, 210, comments="sound"))
    overlap = Window(since=190, until=400)
    salesforce.normalize(spec, ACCOUNT, window=overlap)
    assert [writes(salesforce, spec, ACCOUNT, window=overlap) for _ in range(2)] == [1, 0]
    assert salesforce.names() == ["Lab 2"]


def edited(bench: Bench, spec: IntegrationSpec) -> IntegrationSpec:
    bench.stage(spec, ACCOUNT, customer(1, 300, customer_name="Renamed"))
    return spec


def mapped_otherwise(bench: Bench, spec: IntegrationSpec) -> IntegrationSpec:
    other = bench.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, "description": "customer_name"}})
    bench.normalize(other, ACCOUNT, window=EVERYTHING)
    return other


@pytest.mark.parametrize("change", [edited, mapped_otherwise])
def test_it_is_sent_again_when_the_record_or_its_mapping_changes(
    salesforce: Bench, change: Callable[[Bench, IntegrationSpec], IntegrationSpec]
) -> None:
    spec = change(salesforce, account_that_breaks_a_rule(salesforce))
    assert writes(salesforce, spec, ACCOUNT) == 1


def test_it_is_sent_again_on_demand(salesforce: Bench) -> None:
    spec = account_that_breaks_a_rule(salesforce)
    salesforce.sandbox.org.validation_rules.clear()
    assert writes(salesforce, spec, ACCOUNT) == 0
    salesforce.load(spec, ACCOUNT, refused="again")
    assert salesforce.outcomes() == {1: ("created", None)}


def test_it_is_sent_again_when_the_record_in_the_way_is_linked(hubspot: Bench) -> None:
    spec, person = contact_that_is_there(hubspot)
    hubspot.given(spec, CONTACT, contact(8, of=1))
    with hubspot.store.transaction() as connection:
        links = hubspot.order(spec, CONTACT).state.links(connection, ids=[8])
        hubspot.order(spec, CONTACT).state.save_links(connection, org_id=hubspot.org_id, links=links.assign(crm_id=person))
    assert writes(hubspot, spec, CONTACT) > 0
    assert writes(hubspot, spec, CONTACT) == 0


@pytest.mark.parametrize("linked", [False, True], ids=["create", "update"])
def test_what_a_duplicate_rule_refused_is_taken_up_when_duplicates_are_allowed(salesforce: Bench, *, linked: bool) -> None:
    salesforce.sandbox.org.add("Account", {"Name": "The same"})
    spec = salesforce.spec()
    if linked:
        salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.sandbox.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="The same"))
    assert [writes(salesforce, spec, ACCOUNT) for _ in range(2)] == [1, 0]
    allowing = salesforce.spec(settings={"allow_duplicates": "all"})
    assert writes(salesforce, allowing, ACCOUNT, window=ELSEWHERE) == 1
    assert salesforce.outcomes() == {1: ("updated" if linked else "created", None)}


def with_country(bench: Bench, **settings: Any) -> IntegrationSpec:
    """The integration that sends customers' countries; a record fails where the CRM would refuse its country."""
    country = {"from": "country_name", "on_invalid": "fail"}
    return bench.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, "address": {"country": country}}}, settings=settings)


@pytest.mark.parametrize("told_by", ["the plan", "the CRM"])
def test_what_failed_for_its_country_is_taken_up_when_countries_are_written_in_another_form(salesforce: Bench, told_by: str) -> None:
    org, spec = salesforce.sandbox.org, with_country(salesforce)
    if told_by == "the plan":
        org.change_field("Account", "BillingCountry", length=2)
    else:
        org.add_validation_rule(ValidationRule("Account", lambda row: row.get("BillingCountry") == "Germany"))
    org.add_validation_rule(ValidationRule("Account", lambda row: row["Name"] == "Lab 2"))
    salesforce.stage(spec, ACCOUNT, customer(1, country_name="Germany"), customer(2))
    salesforce.load(spec, ACCOUNT)
    assert {outcome for outcome, _ in salesforce.outcomes().values()} == {"failed"}
    assert writes(salesforce, spec, ACCOUNT, window=ELSEWHERE) == 0
    coded = with_country(salesforce, country_format="code")
    report = salesforce.load(coded, ACCOUNT, window=ELSEWHERE)
    assert [record["BillingCountry"] for record in org.records("Account")] == ["DE"]
    assert (salesforce.calls["write"], report.sent.total(), report.refused_before) == (1, 1, 1), "the other one is refused as before"
    assert salesforce.load(coded, ACCOUNT, window=ELSEWHERE).accounted == 0, "it is asked once"


@pytest.mark.parametrize(
    ("code", "fields"),
    [("INVALID_FIELD_FOR_INSERT_UPDATE", ("Description",)), ("INSUFFICIENT_ACCESS_OR_READONLY", ()), ("STRING_TOO_LONG", ("Phone",))],
)
def test_no_refusal_of_any_kind_is_sent_again(salesforce: Bench, code: str, fields: tuple[str, ...]) -> None:
    spec = salesforce.spec()
    salesforce.sandbox.org.obstacles.append(Obstacle("Account", bool, code, fields))
    salesforce.stage(spec, ACCOUNT, customer(1))
    assert writes(salesforce, spec, ACCOUNT) >= 1
    assert writes(salesforce, spec, ACCOUNT) == 0


PASSING = {"salesforce": "UNABLE_TO_LOCK_ROW", "hubspot": "INTERNAL_ERROR"}


@pytest.mark.parametrize("linked", [False, True], ids=["create", "update"])
def test_what_was_given_up_is_sent_again_by_no_overlap_but_by_a_change_and_on_demand(bench: Bench, *, linked: bool) -> None:
    spec = bench.spec(retries={"attempts": 1})
    obstacles: list[Any] = bench.sandbox.org.obstacles if bench.crm == "salesforce" else bench.sandbox.portal.obstacles
    if linked:
        bench.given(spec, ACCOUNT, customer(1))
    obstacles.append(Obstacle(OBJECTS[bench.crm, ACCOUNT], bool, PASSING[bench.crm]))
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    bench.load(spec, ACCOUNT)
    said = "SELECT outcome, error_type, reason, retryable, attempts FROM crm_pipeline.outcome"
    before = bench.rows(said)
    assert before[0][3:] == (False, 1)
    for _ in range(2):
        bench.normalize(spec, ACCOUNT, window=EVERYTHING)
        assert (writes(bench, spec, ACCOUNT), bench.rows(said)) == (0, before), "it is as stuck as before"
    obstacles.clear()
    if linked:
        bench.stage(spec, ACCOUNT, customer(1, 300, customer_name="Renamed"))
        bench.load(spec, ACCOUNT)
    else:
        bench.load(spec, ACCOUNT, refused="again")
    assert bench.names() == ["Renamed"]


def test_association_that_was_given_up_is_sent_again_by_no_overlap(hubspot: Bench) -> None:
    spec = hubspot.spec(retries={"attempts": 2})
    hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    hubspot.given(spec, CONTACT, contact(7, of=1))
    hubspot.stage(spec, CONTACT, contact(7, 200, of=2))
    hubspot.sandbox.faults.add(Fault(path="associations/.*batch/create", times=None, status=500, service="hubspot"))
    for _ in range(2):
        with suppress(ServiceError):
            hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT)[7][0] == "failed"
    assert writes(hubspot, spec, CONTACT) == 0
    hubspot.sandbox.faults.clear()
    hubspot.load(spec, CONTACT, refused="again")
    assert hubspot.outcomes(CONTACT) == {7: ("updated", None)}


def test_what_a_load_was_stopped_for_is_sent_again_by_the_next(salesforce: Bench) -> None:
    spec = salesforce.spec()
    obstacles: list[Any] = salesforce.sandbox.org.obstacles
    obstacles.append(Obstacle("Account", bool, "INVALID_TYPE_FOR_OPERATION"))
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 51)))
    with pytest.raises(SameRefusalError):
        salesforce.load(spec, ACCOUNT)
    obstacles.clear()
    assert salesforce.load(spec, ACCOUNT).outcomes == {"created": 50}
