"""Fields that go both ways, on their way to the CRM: what is sent of them, and what is stored about them (docs/rules.md, 46 to 50)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd
import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce.core import ValidationRule
from crm_pipeline.store.bases import bases_of
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.loading.preview import Preview
from crm_pipeline.sync.planning.planned_accounts import PlannedAccounts
from crm_pipeline.sync.resending import Resend
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, CRM_FIELDS, EVERYTHING, OBJECTS, Bench, contact, customer
from crm_pipeline_tests.sync.loading.test_refused_values import TESTING
from crm_pipeline_tests.tenants import both_ways

each_crm = pytest.mark.parametrize("bench", ["salesforce", "hubspot"], indirect=True)
in_salesforce = pytest.mark.parametrize("bench", ["salesforce"], indirect=True)
in_hubspot = pytest.mark.parametrize("bench", ["hubspot"], indirect=True)
"""What is decided without asking the CRM what only it can tell is tried with one of them."""

MINUTE, HOUR = 60, 3_600
FOREVER = Window(since=None, until=2**40)
BOTH = {"direction": "both"}
PREFER = {crm: {"rule": {"prefer": crm}} for crm in ("salesforce", "hubspot")}
WRITES = {"salesforce": ("PATCH", "composite/sobjects"), "hubspot": ("POST", "batch/(upsert|update)")}
COMMENTS = {"description": {"from": "comments", **BOTH}}


def two_way(bench: Bench, accounts: Mapping[str, Any] = MappingProxyType(COMMENTS), **overrides: Any) -> IntegrationSpec:
    return both_ways(bench.spec(contacts=None, **overrides), accounts=accounts)


def edit(bench: Bench, crm_id: str, *, at: datetime | None = None, **values: Any) -> None:
    """Somebody edits an account in the CRM; values by the names of the lean maps."""
    named = {CRM_FIELDS[bench.crm, ACCOUNT].get(name, name): value for name, value in values.items()}
    if bench.crm == "salesforce":
        bench.sandbox.org.update(OBJECTS[bench.crm, ACCOUNT], crm_id, named, at=at)
    else:
        bench.sandbox.portal.update(OBJECTS[bench.crm, ACCOUNT], crm_id, named, at=None if at is None else at.timestamp())


def shown(bench: Bench) -> list[str]:
    """The descriptions in the CRM, blank where there is none."""
    name = CRM_FIELDS[bench.crm, ACCOUNT]["description"]
    if bench.crm == "salesforce":
        return [record.get(name) or "" for record in bench.sandbox.org.records("Account")]
    return [record["properties"].get(name) or "" for record in bench.sandbox.portal.records("companies")]


def one_customer(bench: Bench, spec: IntegrationSpec, **content: Any) -> str:
    """Customer 1, loaded, so that both sides agreed; its id in the CRM."""
    bench.stage(spec, ACCOUNT, customer(1, **content))
    bench.load(spec, ACCOUNT)
    [(crm_id,)] = bench.rows("SELECT crm_id FROM crm_pipeline.link")
    return str(crm_id)


def edited(bench: Bench, spec: IntegrationSpec, version: int = 200, *, since: datetime | None = None, **content: Any) -> None:
    """Somebody edits customer 1 in QBench, and it is read."""
    bench.stage(spec, ACCOUNT, customer(1, version, **content))
    if since is not None:
        times = ", ".join(f'"{name}": ["{since.isoformat()}", 1]' for name in content)
        with bench.store.transaction() as connection:
            connection.exec_driver_sql(f"UPDATE crm_pipeline.raw_record SET since = '{{{times}}}' WHERE qbench_id = 1")


def kept(bench: Bench, spec: IntegrationSpec) -> dict[str, Any]:
    with bench.store.transaction() as connection:
        [row] = bases_of(connection, bench.order(spec, ACCOUNT).state, ids=[1]).to_dict("records")
    return {str(name): value for name, value in row.items()}


def pending(bench: Bench, spec: IntegrationSpec) -> list[str]:
    with bench.store.transaction() as connection:
        return pending_crm_ids(connection, bench.order(spec, ACCOUNT).state)


def conflicts(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT field, qbench_value, crm_value, winner, evidence FROM crm_pipeline.conflict ORDER BY id")


def reasons(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT outcome, reason FROM crm_pipeline.outcome")


@each_crm
def test_an_edit_in_qbench_undoes_no_edit_of_another_field_in_the_crm(bench: Bench) -> None:
    spec = two_way(bench, {**COMMENTS, "phone_number": {"from": "phone", **BOTH}, "website": {"from": "website", **BOTH}})
    crm_id = one_customer(bench, spec, comments="old", website="https://old.example")
    edit(bench, crm_id, description="theirs")
    edited(bench, spec, comments="old", website="https://new.example")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["theirs"]
    assert bench.values(ACCOUNT, {"salesforce": "Website", "hubspot": "website"}[bench.crm]) == ["https://new.example"]
    assert pending(bench, spec) == [crm_id]
    assert conflicts(bench) == []


@each_crm
def test_the_read_before_the_write_is_the_only_call_more_and_an_idle_load_makes_none(bench: Bench) -> None:
    spec = two_way(bench)
    one_customer(bench, spec, comments="old")
    bench.load(spec, ACCOUNT)
    idle = bench.calls
    edited(bench, spec, comments="new")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["new"]
    assert Counter(bench.calls) - Counter(idle) == Counter(read=1, write=1)
    assert "write" not in idle


@each_crm
def test_a_later_edit_in_the_crm_stands_against_an_earlier_one_in_qbench_and_the_loser_is_kept(bench: Bench) -> None:
    spec = two_way(bench)
    crm_id = one_customer(bench, spec, comments="old")
    at = datetime.now(UTC)
    edit(bench, crm_id, description="theirs")
    edited(bench, spec, comments="ours", since=at - timedelta(minutes=3))
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["theirs"]
    assert bench.calls.get("write", 0) == 0
    [(field, ours, theirs, winner, _)] = conflicts(bench)
    assert (ours, theirs, winner) == ({"comments": "ours"}, {CRM_FIELDS[bench.crm, ACCOUNT]["description"]: "theirs"}, "crm")
    assert reasons(bench) == [("unchanged", f"to_qbench: {field}; conflict: {field}")]
    assert pending(bench, spec) == [crm_id]


@in_hubspot
def test_a_later_edit_in_qbench_stands_against_an_earlier_one_in_the_crm(bench: Bench) -> None:
    spec = two_way(bench)
    crm_id = one_customer(bench, spec, comments="old")
    edit(bench, crm_id, description="theirs")
    edited(bench, spec, comments="ours", since=datetime.now(UTC) + timedelta(minutes=3))
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["ours"]
    assert [winner for *_, winner, _ in conflicts(bench)] == ["qbench"]
    assert pending(bench, spec) == []


def test_a_text_that_the_crm_holds_a_part_of_is_sent_once_and_is_no_edit_of_the_crms(salesforce: Bench) -> None:
    spec = two_way(salesforce, {"salesforce.AccountNumber": {"from": "code", **BOTH, "on_invalid": "truncate"}})
    one_customer(salesforce, spec, code="long " * 20)
    for version in (200, 201):
        edited(salesforce, spec, version, code="long " * 20)
        salesforce.load(spec, ACCOUNT)
        assert "write" not in salesforce.calls
    edited(salesforce, spec, 300, code="longer " * 20)
    salesforce.load(spec, ACCOUNT)

    assert salesforce.values(ACCOUNT, "AccountNumber") == [("longer " * 20)[:40].strip()]
    assert pending(salesforce, spec) == []
    assert conflicts(salesforce) == []


@pytest.mark.parametrize(("bench", "held", "there"), [("salesforce", "a\nb", "a\r\nb"), ("hubspot", "a", " a ")], indirect=["bench"])
def test_another_form_of_the_same_value_is_no_edit(bench: Bench, held: str, there: str) -> None:
    spec = two_way(bench)
    crm_id = one_customer(bench, spec, comments=held, phone="1")
    edit(bench, crm_id, description=there)
    edited(bench, spec, comments=f"{held} ", phone="2")
    bench.load(spec, ACCOUNT)

    assert pending(bench, spec) == []
    assert conflicts(bench) == []


@pytest.mark.parametrize(("bench", "clear"), [("salesforce", False), ("hubspot", True)], indirect=["bench"])
def test_a_blank_overwrites_only_where_the_mapping_clears(bench: Bench, *, clear: bool) -> None:
    spec = two_way(bench, {"description": {"from": "comments", **BOTH, "clear": clear}})
    one_customer(bench, spec, comments="old")
    edited(bench, spec, comments=None)
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ([""] if clear else ["old"])
    bench.load(spec, ACCOUNT)
    assert "write" not in bench.calls


@in_salesforce
def test_a_direction_that_is_switched_on_over_differing_values_writes_nothing_and_sends_the_next_edit(bench: Bench) -> None:
    one_way = bench.spec(contacts=None)
    [crm_id] = bench.given(one_way, ACCOUNT, customer(1, comments="ours")).values()
    edit(bench, crm_id, description="theirs")
    spec = two_way(bench)
    bench.load(spec, ACCOUNT)
    assert bench.calls.get("write", 0) == 0
    edited(bench, spec, comments="newer")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["newer"]


@in_hubspot
def test_two_records_that_are_linked_fill_each_others_blanks_and_qbench_wins_where_both_are_filled(bench: Bench) -> None:
    spec = two_way(bench, {**COMMENTS, "phone_number": {"from": "phone", "policy": "always"}, "website": {"from": "website", **BOTH}})
    match = {"name": {"salesforce": "Name", "hubspot": "name"}}
    accounts = spec.records[ACCOUNT].model_dump(by_alias=True, exclude_unset=True)
    spec = spec.model_copy(update={"accounts": type(spec.records[ACCOUNT]).model_validate({**accounts, "sync_on": [match]})})
    website = {"salesforce": "Website", "hubspot": "website"}[bench.crm]
    crm_id = bench.add(ACCOUNT, {CRM_FIELDS[bench.crm, ACCOUNT]["name"]: "Lab 1", website: "https://theirs.example"})
    edit(bench, crm_id, description="theirs")
    bench.stage(spec, ACCOUNT, customer(1, comments="ours"))
    bench.load(spec, ACCOUNT)

    assert bench.outcomes() == {1: ("linked", None)}
    assert shown(bench) == ["ours"]
    assert bench.values(ACCOUNT, website) == ["https://theirs.example"]
    assert [evidence for *_, evidence in conflicts(bench)] == ["first link"]
    assert pending(bench, spec) == [crm_id]
    bench.load(spec, ACCOUNT)
    assert bench.calls.get("write", 0) == 0


@in_salesforce
def test_a_record_that_is_created_is_agreed_on(bench: Bench) -> None:
    spec = two_way(bench)
    one_customer(bench, spec, comments="ours")
    row = kept(bench, spec)

    assert [len(set(both)) for both in row["bases"].values()] == [1]
    assert (row["sending"], pd.isna(row["open_until"]), pd.isna(row["touched_at"])) == (None, True, False)


@in_hubspot
def test_a_value_that_only_comes_back_is_never_sent(bench: Bench) -> None:
    spec = two_way(bench, {"description": {"from": "comments", "direction": "from_crm"}})
    crm_id = one_customer(bench, spec, comments="ours")
    edit(bench, crm_id, description="theirs")
    edited(bench, spec, comments="ours too", customer_name="Lab One")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["theirs"]
    assert bench.outcomes() == {1: ("updated", None)}


@pytest.mark.parametrize(
    ("bench", "breaks_off", "then"),
    [("salesforce", "drop_before", "second"), ("hubspot", "drop_after", "second"), ("salesforce", "drop_after", "old")],
    indirect=["bench"],
)
def test_a_load_that_breaks_off_around_its_call_is_followed_by_one_that_takes_its_own_write_for_no_edit(
    bench: Bench, breaks_off: Literal["drop_before", "drop_after"], then: str
) -> None:
    spec = two_way(bench)
    one_customer(bench, spec, comments="old")
    edited(bench, spec, comments="first")
    lost(bench, spec, breaks_off)
    edited(bench, spec, 300, comments=then)
    bench.load(spec, ACCOUNT)

    assert shown(bench) == [then]
    assert conflicts(bench) == []
    assert pending(bench, spec) == []


@in_salesforce
def test_an_edit_that_a_person_made_after_a_lost_write_is_one(bench: Bench) -> None:
    spec = two_way(bench, {"description": {"from": "comments", **BOTH, **PREFER[bench.crm]}})
    crm_id = one_customer(bench, spec, comments="old")
    edited(bench, spec, comments="first")
    lost(bench, spec, "drop_after")
    edit(bench, crm_id, description="theirs")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["theirs"]
    assert [(ours, winner) for _, ours, _, winner, _ in conflicts(bench)] == [({"comments": "first"}, "crm")]
    assert pending(bench, spec) == [crm_id]


def test_a_value_that_the_crm_refuses_is_not_agreed_on_and_the_next_edit_goes(salesforce: Bench) -> None:
    salesforce.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: row.get("Description") == "bad"))
    spec = two_way(salesforce)
    one_customer(salesforce, spec, comments="old")
    edited(salesforce, spec, comments="bad")
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[1][0] == "failed"
    edited(salesforce, spec, 300, comments="good")
    salesforce.load(spec, ACCOUNT)

    assert shown(salesforce) == ["good"]
    assert conflicts(salesforce) == []


def lost(bench: Bench, spec: IntegrationSpec, kind: Literal["drop_before", "drop_after"]) -> None:
    """A load whose write gets no answer."""
    method, path = WRITES[bench.crm]
    bench.sandbox.faults.add(Fault(service=bench.crm, method=method, path=path, kind=kind))
    with suppress(ServiceError):
        bench.load(spec, ACCOUNT)
    assert bench.outcomes()[1][0] == "failed"


def test_what_the_crm_refuses_to_hold_whole_is_agreed_on_as_it_is_there(salesforce: Bench) -> None:
    spec = two_way(salesforce, {"description": {"from": "comments", **BOTH, "on_invalid": "truncate", **PREFER["salesforce"]}})
    one_customer(salesforce, spec, comments="old")
    salesforce.sandbox.org.change_field("Account", "Description", length=30)
    crm = salesforce.connect(spec)
    crm.fields(salesforce.object(ACCOUNT))
    salesforce.sandbox.org.change_field("Account", "Description", length=20)
    edited(salesforce, spec, comments=TESTING * 15)
    salesforce.load(spec, ACCOUNT, connect=lambda _: crm)
    assert reasons(salesforce) == [("updated", "truncated: Description")]
    salesforce.sandbox.org.change_field("Account", "Description", length=30)
    edited(salesforce, spec, 300, comments="newer")
    salesforce.load(spec, ACCOUNT)

    assert shown(salesforce) == ["newer"]
    assert pending(salesforce, spec) == []


@pytest.mark.parametrize(("bench", "alone"), [("hubspot", False), ("salesforce", False), ("salesforce", True)], indirect=["bench"])
def test_the_edit_of_another_field_dates_none(bench: Bench, *, alone: bool) -> None:
    """At 3:37 a person edits the comments in QBench, at 3:40 one the description in the CRM; at 3:45 the website follows in QBench."""
    website = {"salesforce": "Website", "hubspot": "website"}[bench.crm]
    spec = two_way(bench, {**COMMENTS, "website": {"from": "website", **BOTH}})
    three = (int(datetime.now(UTC).timestamp()) // HOUR + 2) * HOUR
    tenant = bench.sandbox.tenant
    tenant.add_customer(id=1, customer_name="Eco Labs", comments="old", website="https://old.example", at=three - HOUR)
    read(bench, spec, None, three)
    bench.load(spec, ACCOUNT, window=FOREVER)
    [(crm_id,)] = bench.rows("SELECT crm_id FROM crm_pipeline.link")
    edit(bench, crm_id, at=datetime.fromtimestamp(three + 40 * MINUTE, UTC), description="theirs at 3:40")
    if alone:
        tenant.edit_customer(1, comments="ours at 3:45", at=three + 45 * MINUTE)
    else:
        tenant.edit_customer(1, comments="ours at 3:37", at=three + 37 * MINUTE)
        tenant.edit_customer(1, website="https://at.3.45.example", at=three + 45 * MINUTE)
    read(bench, spec, three, three + HOUR)
    bench.load(spec, ACCOUNT, window=FOREVER)

    assert shown(bench) == (["ours at 3:45"] if alone else ["theirs at 3:40"])
    assert bench.values(ACCOUNT, website) == ["https://old.example" if alone else "https://at.3.45.example"]
    assert [winner for *_, winner, _ in conflicts(bench)] == ["qbench" if alone else "crm"]


def read(bench: Bench, spec: IntegrationSpec, since: int | None, until: int) -> None:
    """Read an hour of QBench, as a run does before it loads."""
    window = Window(since=since, until=until)
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        Extract(spec.name, ACCOUNT, store=bench.store, source=source, back=spec.coming_back).run(window)
    bench.normalize(spec, ACCOUNT, window=window)


@pytest.mark.parametrize(("bench", "again"), [("hubspot", Resend()), ("salesforce", Resend(("phone_number",)))], indirect=["bench"])
def test_a_person_may_have_qbenchs_value_sent_over_what_the_crm_has_and_the_other_is_kept(bench: Bench, again: Resend) -> None:
    name = "phone_number" if again.create_only else "description"
    spec = two_way(bench, {**COMMENTS, "phone_number": {"from": "phone", **BOTH}})
    crm_id = one_customer(bench, spec, comments="ours", phone="+1 512 555 0100")
    theirs: dict[str, Any] = {name: "+1 512 555 0199"}
    edit(bench, crm_id, **theirs)
    with closing(bench.connect(spec)) as crm:
        Load(replace(bench.order(spec, ACCOUNT), resend=again), store=bench.store, crm=crm).run(EVERYTHING)

    assert bench.values(ACCOUNT, CRM_FIELDS[bench.crm, ACCOUNT][name]) != ["+1 512 555 0199"]
    assert [winner for *_, winner, _ in conflicts(bench)] == ["qbench"]
    assert pending(bench, spec) == []


@in_hubspot
def test_a_default_of_new_records_is_no_edit_of_the_crms(bench: Bench) -> None:
    spec = two_way(bench, {"description": {"from": "comments", **BOTH, "default": "A new laboratory", **PREFER[bench.crm]}})
    one_customer(bench, spec)
    assert shown(bench) == ["A new laboratory"]
    edited(bench, spec, comments="ours")
    bench.load(spec, ACCOUNT)

    assert shown(bench) == ["ours"]
    assert pending(bench, spec) == []


@in_salesforce
def test_a_doubt_about_a_lost_write_ends_with_a_reading_that_leaves_nothing_to_send(bench: Bench) -> None:
    spec = two_way(bench, {"name": {"from": "customer_name", **BOTH}, "phone_number": {"from": "phone", "policy": "never"}, **COMMENTS})
    one_customer(bench, spec, comments="old")
    edited(bench, spec, comments="new")
    lost(bench, spec, "drop_after")
    bench.load(spec, ACCOUNT)
    assert "write" not in bench.calls
    assert bench.rows("SELECT id FROM crm_pipeline.open_call") == []
    bench.load(spec, ACCOUNT)

    assert bench.calls.get("read", 0) == (bench.crm == "salesforce")
    assert conflicts(bench) == []
    assert [set(both) for both in kept(bench, spec)["bases"].values()] == [{both[0]} for both in kept(bench, spec)["bases"].values()]


@in_hubspot
def test_a_plan_shows_what_the_load_does(bench: Bench) -> None:
    spec = two_way(bench, {"description": {"from": "comments", **BOTH, **PREFER[bench.crm]}})
    crm_id = one_customer(bench, spec, comments="old")
    edited(bench, spec, comments="ours")

    def planned() -> dict[Any, int]:
        accounts = PlannedAccounts(bench.order(spec, ACCOUNT).state)
        with closing(bench.connect(spec)) as crm:
            forecast = Preview(store=bench.store, crm=crm, accounts=accounts).forecast(bench.order(spec, ACCOUNT), EVERYTHING)
        return {operation: tally.count for (operation, _), tally in forecast.planned.items()}

    assert planned() == {"update": 1}
    edit(bench, crm_id, description="theirs")
    assert planned() == {"unchanged": 1}
    assert (conflicts(bench), pending(bench, spec)) == ([], [])


@each_crm
def test_a_contact_goes_both_ways_as_its_account_does_and_a_case_correction_travels(bench: Bench) -> None:
    mapped = {
        name: {"from": field, **BOTH} for name, field in {"last_name": "last_name", "phone": "phone", "email": "email_address"}.items()
    }
    spec = both_ways(bench.spec(), contacts=mapped)
    bench.given(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(2, of=1, last_name="mcdonald"))
    bench.load(spec, CONTACT)
    [(crm_id,)] = bench.rows("SELECT crm_id FROM crm_pipeline.link WHERE record_type = 'contact'")
    assert bench.outcomes(CONTACT) == {2: ("created", None)}
    names = CRM_FIELDS[bench.crm, CONTACT]
    theirs = {names["phone"]: "+1 (512) 555-0102", names["email"]: "Person2@Labs.Example.org"}
    if bench.crm == "salesforce":
        bench.sandbox.org.update("Contact", crm_id, theirs)
    else:
        bench.sandbox.portal.update("contacts", crm_id, theirs)
    bench.stage(spec, CONTACT, contact(2, 200, of=1, last_name="McDonald"))
    bench.load(spec, CONTACT)

    assert bench.values(CONTACT, names["last_name"]) == ["McDonald"]
    assert bench.values(CONTACT, names["phone"]) == ["+1 (512) 555-0102"]
    assert conflicts(bench) == []
    assert bench.rows("SELECT crm_id FROM crm_pipeline.crm_record WHERE pending") == []


@in_salesforce
def test_a_record_that_is_gone_from_the_crm_is_told_by_the_write(bench: Bench) -> None:
    spec = two_way(bench)
    crm_id = one_customer(bench, spec, comments="old")
    edited(bench, spec, comments="new")
    if bench.crm == "salesforce":
        bench.sandbox.org.delete("Account", crm_id)
    else:
        bench.sandbox.portal.archive("companies", crm_id)
    bench.load(spec, ACCOUNT)

    assert bench.outcomes() == {1: ("skipped", "DeletedInCrmException")}


def test_a_write_of_a_host_whose_clock_is_ahead_makes_no_fresh_reading_say_nothing(salesforce: Bench) -> None:
    spec = two_way(salesforce)
    one_customer(salesforce, spec, comments="old")
    with salesforce.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE crm_pipeline.link SET touched_at = now() + interval '1 hour'")
    edited(salesforce, spec, comments="new")
    salesforce.load(spec, ACCOUNT)

    assert shown(salesforce) == ["new"]


@in_hubspot
@pytest.mark.parametrize("there", [{"description": "warm"}, {"city": "Bergen"}], ids=["of-its-own", "of-a-group"])
def test_what_the_crm_keeps_otherwise_than_it_was_sent_is_no_edit_but_what_follows_is(bench: Bench, there: dict[str, str]) -> None:
    bench.sandbox.portal.kept_form = lambda _, value: value.replace("°", "????")
    address = {"street_1": "street", "city": "town", "address_type": {"constant": "BILLING"}, **BOTH}
    spec = two_way(bench, {**COMMENTS, "address": address})
    place: dict[str, Any] = {"street": "1 °Way", "town": "Oslo"}
    crm_id = one_customer(bench, spec, comments="20 °C", **place)
    edited(bench, spec, 200, comments="21 °C", **place)
    bench.load(spec, ACCOUNT)
    assert (pending(bench, spec), shown(bench)) == ([], ["21 ????C"])

    changed: dict[str, Any] = there
    edit(bench, crm_id, **changed)
    edited(bench, spec, 300, comments="21 °C" if "description" in there else "22 °C", phone="3", **place)
    bench.load(spec, ACCOUNT)
    assert pending(bench, spec) == ([crm_id] if "city" in there else [])
