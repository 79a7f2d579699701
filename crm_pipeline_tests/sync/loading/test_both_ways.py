"""Fields that go both ways, on their way to the CRM: what is sent of them, and what is stored about them (docs/rules.md, 46 to 50).

Most rules are told of one story for each CRM, in which each customer is a case; a load of one customer costs what one of twenty does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

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
from crm_pipeline_tests.explaining import explaining
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, CRM_FIELDS, EVERYTHING, OBJECTS, Bench, Stories, contact, customer
from crm_pipeline_tests.sync.loading.test_refused_values import TESTING
from crm_pipeline_tests.tenants import both_ways

each_crm = pytest.mark.parametrize("bench", ["salesforce", "hubspot"], indirect=True)
in_hubspot = pytest.mark.parametrize("bench", ["hubspot"], indirect=True)
"""What is decided without asking the CRM what only it can tell is tried with one of them."""

MINUTE, HOUR = 60, 3_600
FOREVER = Window(since=None, until=2**40)
BOTH = {"direction": "both"}
PREFER = {crm: {"rule": {"prefer": crm}} for crm in ("salesforce", "hubspot")}
WRITES = {"salesforce": ("PATCH", "composite/sobjects"), "hubspot": ("POST", "batch/(upsert|update)")}
COMMENTS = {"description": {"from": "comments", **BOTH}}
SHOWN = {
    "salesforce": {**CRM_FIELDS["salesforce", ACCOUNT], "website": "Website", "code": "AccountNumber"},
    "hubspot": {**CRM_FIELDS["hubspot", ACCOUNT], "website": "website"},
}

Contents = Mapping[int, Mapping[str, Any]]
"""What customers have in QBench beside their name, by QBench id."""


def two_way(bench: Bench, accounts: Mapping[str, Any] = MappingProxyType(COMMENTS), **overrides: Any) -> IntegrationSpec:
    return both_ways(bench.spec(contacts=None, **overrides), accounts=accounts)


def edit(bench: Bench, crm_id: str, *, at: datetime | None = None, **values: Any) -> None:
    """Somebody edits an account in the CRM; values by the names of the lean maps."""
    named = {SHOWN[bench.crm].get(name, name): value for name, value in values.items()}
    if bench.crm == "salesforce":
        bench.sandbox.org.update(OBJECTS[bench.crm, ACCOUNT], crm_id, named, at=at)
    else:
        bench.sandbox.portal.update(OBJECTS[bench.crm, ACCOUNT], crm_id, named, at=None if at is None else at.timestamp())


def accounts_of(bench: Bench) -> dict[str, dict[str, Any]]:
    """The CRM's accounts by their ids there; values by the CRM's names."""
    if bench.crm == "salesforce":
        return {record["Id"]: record for record in bench.sandbox.org.records("Account")}
    return {record["id"]: record["properties"] for record in bench.sandbox.portal.records("companies")}


def crm_ids(bench: Bench) -> dict[int, str]:
    """The ids in the CRM by QBench id."""
    return dict(bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link"))


def shown(bench: Bench) -> list[str]:
    """The descriptions in the CRM, blank where there is none."""
    return [record.get(SHOWN[bench.crm]["description"]) or "" for record in accounts_of(bench).values()]


def one_customer(bench: Bench, spec: IntegrationSpec, **content: Any) -> str:
    """Customer 1, loaded, so that both sides agreed; its id in the CRM."""
    bench.stage(spec, ACCOUNT, customer(1, **content))
    bench.load(spec, ACCOUNT)
    return crm_ids(bench)[1]


def edited(
    bench: Bench, spec: IntegrationSpec, version: int = 200, *, since: datetime | None = None, number: int = 1, **content: Any
) -> None:
    """Somebody edits a customer in QBench, and it is read."""
    bench.stage(spec, ACCOUNT, customer(number, version, **content))
    if since is not None:
        times = ", ".join(f'"{name}": ["{since.isoformat()}", 1]' for name in content)
        with bench.store.transaction() as connection:
            connection.exec_driver_sql(f"UPDATE crm_pipeline.raw_record SET since = '{{{times}}}' WHERE qbench_id = {number}")


def bases(bench: Bench, spec: IntegrationSpec, numbers: list[int]) -> dict[int, dict[str, list[int]]]:
    """What both sides had last, by QBench id and unit."""
    with bench.store.transaction() as connection:
        found = bases_of(connection, bench.order(spec, ACCOUNT).state, ids=numbers)
    return dict(zip(found["qbench_id"].tolist(), found["bases"], strict=True))


def pending(bench: Bench, spec: IntegrationSpec) -> list[str]:
    with bench.store.transaction() as connection:
        return pending_crm_ids(connection, bench.order(spec, ACCOUNT).state)


def planned(bench: Bench, spec: IntegrationSpec) -> tuple[dict[str, int], dict[str, int]]:
    """How many records a plan shows by operation, and of how many the description would get a new value."""
    accounts = PlannedAccounts(bench.order(spec, ACCOUNT).state)
    with closing(bench.connect(spec)) as crm:
        forecast = Preview(store=bench.store, crm=crm, accounts=accounts).forecast(bench.order(spec, ACCOUNT), EVERYTHING)
    operations = {operation: tally.count for (operation, _), tally in forecast.planned.items()}
    return operations, dict(forecast.fields.get(SHOWN[bench.crm]["description"], {}))


def conflicts(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT field, qbench_value, crm_value, winner, evidence FROM crm_pipeline.conflict ORDER BY id")


def reasons(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.rows("SELECT outcome, reason FROM crm_pipeline.outcome")


@dataclass(frozen=True)
class Seen:
    """What a load left, by QBench id; ``calls``: what it cost. ``shown``: the CRM's values by the names of the lean maps, "" for blanks."""

    calls: Counter[str]
    outcomes: dict[int, tuple[str, str | None]]
    reasons: dict[int, str | None]
    shown: dict[int, dict[str, str]]
    pending: set[int]
    conflicts: dict[int, list[tuple[Any, ...]]]
    bases: dict[int, dict[str, list[int]]]


def seen(bench: Bench, spec: IntegrationSpec, *, window: Window = EVERYTHING) -> Seen:
    """Load, and look at what came of it."""
    bench.load(spec, ACCOUNT, window=window)
    ids, records = crm_ids(bench), accounts_of(bench)
    told: dict[int, list[tuple[Any, ...]]] = {number: [] for number in ids}
    for number, *conflict in bench.rows(
        "SELECT qbench_id, qbench_value, crm_value, winner, evidence FROM crm_pipeline.conflict ORDER BY id"
    ):
        told[number].append(tuple(conflict))
    waiting = pending(bench, spec)
    return Seen(
        calls=Counter(bench.calls),
        outcomes=bench.outcomes(),
        reasons=dict(bench.rows("SELECT qbench_id, reason FROM crm_pipeline.outcome")),
        shown={
            number: {name: records[crm_id].get(named) or "" for name, named in SHOWN[bench.crm].items()}
            for number, crm_id in ids.items()
            if crm_id in records
        },
        pending={number for number, crm_id in ids.items() if crm_id in waiting},
        conflicts=told,
        bases=bases(bench, spec, list(ids)),
    )


# --- edits here, there, and on both sides

OURS, LONG, OTHER_FIELD, THEIRS_LATER, OURS_LATER, OTHER_FORM, BLANKED, REFUSED, AHEAD, GONE, SWITCHED, FIRST_LINK = range(1, 13)
LONG_CODE, LONGER_CODE = "long " * 20, "longer " * 20
AT_FIRST: Contents = {
    OURS: {"comments": "old"},
    LONG: {"code": LONG_CODE},
    OTHER_FIELD: {"comments": "old", "website": "https://old.example"},
    THEIRS_LATER: {"comments": "old"},
    OURS_LATER: {"comments": "old"},
    OTHER_FORM: {"comments": "a\nb"},
    BLANKED: {"comments": "old", "website": "https://old.example"},
    REFUSED: {"comments": "old"},
    AHEAD: {"comments": "old"},
    GONE: {"comments": "old"},
    SWITCHED: {"comments": "ours"},
    FIRST_LINK: {"comments": "ours"},
}
FORMS = {"salesforce": "a\r\nb", "hubspot": " a\nb "}
"""What a CRM may make of a text of several lines."""


@dataclass(frozen=True)
class Edited:
    """Loads, one after the other: of everything, of nothing new, of one edit in QBench, of edits on both sides, of what follows them."""

    crm: str
    first: Seen
    idle: Seen
    one: Seen
    both: Seen
    then: Seen
    idle_again: Seen


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def story(request: pytest.FixtureRequest, stories: Stories) -> Edited:
    with stories(request.param) as bench:
        return edited_on_both_sides(bench)


def edited_on_both_sides(bench: Bench) -> Edited:
    fields = {
        **COMMENTS,
        "website": {"from": "website", **BOTH, "clear": True},
        "salesforce.AccountNumber": {"from": "code", **BOTH, "on_invalid": "truncate"},
    }
    spec = both_ways(bench.spec(accounts=BY_NAME, contacts=None), accounts=fields)
    bench.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: row.get("Description") == "bad"))
    [switched] = bench.given(bench.spec(contacts=None), ACCOUNT, customer(SWITCHED, **AT_FIRST[SWITCHED])).values()
    edit(bench, switched, description="theirs")
    name = CRM_FIELDS[bench.crm, ACCOUNT]["name"]
    edit(bench, bench.add(ACCOUNT, {name: f"Lab {FIRST_LINK}"}), description="theirs", website="https://theirs.example")
    bench.stage(spec, ACCOUNT, *(customer(number, **content) for number, content in AT_FIRST.items() if number != SWITCHED))
    first, idle = seen(bench, spec), seen(bench, spec)

    edited(bench, spec, number=OURS, comments="new")
    edited(bench, spec, number=LONG, code=LONG_CODE)
    one = seen(bench, spec)

    ids, at = crm_ids(bench), datetime.now(UTC)
    for number in (OTHER_FIELD, THEIRS_LATER, OURS_LATER):
        edit(bench, ids[number], description="theirs")
    edit(bench, ids[OTHER_FORM], description=FORMS[bench.crm])
    remove = bench.sandbox.org.delete if bench.crm == "salesforce" else bench.sandbox.portal.archive
    remove(OBJECTS[bench.crm, ACCOUNT], ids[GONE])
    edited(bench, spec, 300, number=OTHER_FIELD, comments="old", website="https://new.example")
    edited(bench, spec, 300, number=THEIRS_LATER, since=at - timedelta(minutes=3), comments="ours")
    edited(bench, spec, 300, number=OURS_LATER, since=at + timedelta(minutes=3), comments="ours")
    bench.stage(
        spec,
        ACCOUNT,
        customer(LONG, 300, code=LONG_CODE),
        customer(OTHER_FORM, 300, comments="a\nb ", website="https://new.example"),
        customer(BLANKED, 300, comments=None, website=None),
        customer(REFUSED, 300, comments="bad"),
        *(customer(number, 300, comments="new") for number in (AHEAD, GONE, SWITCHED)),
    )
    with bench.store.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE crm_pipeline.link SET touched_at = now() + interval '1 hour' WHERE qbench_id = {AHEAD}")
    both = seen(bench, spec)

    bench.stage(spec, ACCOUNT, customer(REFUSED, 400, comments="good"), customer(LONG, 400, code=LONGER_CODE))
    then = seen(bench, spec)
    return Edited(bench.crm, first, idle, one, both, then, seen(bench, spec))


def test_a_record_that_is_created_is_agreed_on(story: Edited) -> None:
    assert story.first.outcomes[OURS] == ("created", None)
    assert all(sent == there for sent, there in story.first.bases[OURS].values())
    assert (story.first.conflicts[OURS], OURS in story.first.pending) == ([], False)


def test_one_read_before_the_write_and_one_behind_it_are_the_only_calls_more_and_an_idle_load_makes_none(story: Edited) -> None:
    assert story.one.shown[OURS]["description"] == "new"
    assert story.one.calls - story.idle.calls == Counter(read=2, write=1)
    assert "write" not in story.idle.calls
    assert story.idle_again.calls == story.idle.calls


def test_an_edit_in_qbench_undoes_no_edit_of_another_field_in_the_crm(story: Edited) -> None:
    found = story.both.shown[OTHER_FIELD]
    assert (found["description"], found["website"]) == ("theirs", "https://new.example")
    assert (story.both.conflicts[OTHER_FIELD], OTHER_FIELD in story.both.pending) == ([], True)


def test_a_later_edit_in_the_crm_stands_against_an_earlier_one_in_qbench_and_the_loser_is_kept(story: Edited) -> None:
    field = CRM_FIELDS[story.crm, ACCOUNT]["description"]
    assert story.both.shown[THEIRS_LATER]["description"] == "theirs"
    [(ours, theirs, winner, _)] = story.both.conflicts[THEIRS_LATER]
    assert (ours, theirs, winner) == ({"comments": "ours"}, {field: "theirs"}, "crm")
    assert (story.both.outcomes[THEIRS_LATER], THEIRS_LATER in story.both.pending) == (("unchanged", None), True)
    assert story.both.reasons[THEIRS_LATER] == f"to_qbench: {field}; conflict: {field}"


def test_a_later_edit_in_qbench_stands_against_an_earlier_one_in_the_crm(story: Edited) -> None:
    assert story.both.shown[OURS_LATER]["description"] == "ours"
    assert [winner for *_, winner, _ in story.both.conflicts[OURS_LATER]] == ["qbench"]
    assert OURS_LATER not in story.both.pending


def test_another_form_of_the_same_value_is_no_edit(story: Edited) -> None:
    assert story.both.shown[OTHER_FORM]["website"] == "https://new.example"
    assert (story.both.conflicts[OTHER_FORM], OTHER_FORM in story.both.pending) == ([], False)


def test_a_blank_overwrites_only_where_the_mapping_clears(story: Edited) -> None:
    found = story.both.shown[BLANKED]
    assert (found["description"], found["website"]) == ("old", "")
    assert story.then.outcomes[BLANKED] == ("unchanged", None)


def test_a_record_that_is_gone_from_the_crm_is_told_by_the_write(story: Edited) -> None:
    assert story.both.outcomes[GONE] == ("skipped", "DeletedInCrmException")


def test_a_write_of_a_host_whose_clock_is_ahead_makes_no_fresh_reading_say_nothing(story: Edited) -> None:
    assert story.both.shown[AHEAD]["description"] == "new"


def test_a_direction_that_is_switched_on_over_differing_values_writes_nothing_and_sends_the_next_edit(story: Edited) -> None:
    assert (story.first.outcomes[SWITCHED], story.first.shown[SWITCHED]["description"]) == (("unchanged", None), "theirs")
    assert story.both.shown[SWITCHED]["description"] == "new"


def test_two_records_that_are_linked_fill_each_others_blanks_and_qbench_wins_where_both_are_filled(story: Edited) -> None:
    found = story.first.shown[FIRST_LINK]
    assert story.first.outcomes[FIRST_LINK] == ("linked", None)
    assert (found["description"], found["website"]) == ("ours", "https://theirs.example")
    assert [evidence for *_, evidence in story.first.conflicts[FIRST_LINK]] == ["first link"]
    assert FIRST_LINK in story.first.pending


@pytest.mark.parametrize("story", ["salesforce"], indirect=True)
def test_a_text_that_the_crm_holds_a_part_of_is_sent_once_and_is_no_edit_of_the_crms(story: Edited) -> None:
    assert story.one.outcomes[LONG] == story.both.outcomes[LONG] == ("unchanged", None)
    assert story.then.outcomes[LONG] == ("updated", None)
    assert story.then.shown[LONG]["code"] == LONGER_CODE[:40].strip()
    assert (story.then.conflicts[LONG], LONG in story.then.pending) == ([], False)


@pytest.mark.parametrize("story", ["salesforce"], indirect=True)
def test_a_value_that_the_crm_refuses_is_not_agreed_on_and_the_next_edit_goes(story: Edited) -> None:
    assert story.both.outcomes[REFUSED][0] == "failed"
    assert story.then.shown[REFUSED]["description"] == "good"
    assert story.then.conflicts[REFUSED] == []


# --- writes whose answers are lost

SECOND, BACK, DOUBT, PERSON, DEFAULT, COMES_BACK = range(1, 7)


@dataclass(frozen=True)
class Lost:
    """A load whose write gets no answer, though it is carried out or not, and the two that follow."""

    arrived: bool
    first: Seen
    outcomes: dict[int, tuple[str, str | None]]
    then: Seen
    idle: Seen
    open_calls: list[tuple[Any, ...]]


@pytest.fixture(scope="module", params=["salesforce-drop_before", "salesforce-drop_after", "hubspot-drop_after"])
def lost(request: pytest.FixtureRequest, stories: Stories) -> Lost:
    crm, kind = request.param.split("-")
    with stories(crm) as bench:
        return broken_off(bench, kind)


def broken_off(bench: Bench, kind: Literal["drop_before", "drop_after"]) -> Lost:
    # No field goes one way alone: it would be sent once more, whatever became of the others.
    fields = {
        "name": {"from": "customer_name", **BOTH},
        "phone_number": {"from": "phone", "policy": "never"},
        "description": {"from": "comments", **BOTH, "default": "A new laboratory", **PREFER[bench.crm]},
        "website": {"from": "website", "direction": "from_crm"},
    }
    spec = two_way(bench, fields)
    bench.stage(spec, ACCOUNT, *(customer(number, comments="old") for number in (SECOND, BACK, DOUBT, PERSON)), customer(DEFAULT))
    bench.stage(spec, ACCOUNT, customer(COMES_BACK, website="https://ours.example"))
    first = seen(bench, spec)

    bench.stage(spec, ACCOUNT, *(customer(number, 200, comments="first") for number in (SECOND, BACK, DOUBT, PERSON)))
    method, path = WRITES[bench.crm]
    bench.sandbox.faults.add(Fault(service=bench.crm, method=method, path=path, kind=kind, times=None))
    with suppress(ServiceError):
        bench.load(spec, ACCOUNT)
    bench.sandbox.faults.clear()
    outcomes = bench.outcomes()

    ids = crm_ids(bench)
    edit(bench, ids[PERSON], description="theirs")
    edit(bench, ids[COMES_BACK], website="https://theirs.example")
    bench.stage(
        spec,
        ACCOUNT,
        customer(SECOND, 300, comments="second"),
        customer(BACK, 300, comments="old"),
        customer(DEFAULT, 300, comments="ours"),
        customer(COMES_BACK, 300, website="https://our.other.example", customer_name="Lab One"),
    )
    then = seen(bench, spec)
    return Lost(kind == "drop_after", first, outcomes, then, seen(bench, spec), bench.rows("SELECT id FROM crm_pipeline.open_call"))


@in_hubspot
def test_link_of_a_new_record_is_written_once_with_what_both_sides_have(bench: Bench) -> None:
    spec = two_way(bench)
    with bench.store.transaction() as connection:
        # Else a place between links that are gone may be taken.
        connection.exec_driver_sql("TRUNCATE crm_pipeline.link")
    for number in (1, 2):
        bench.stage(spec, ACCOUNT, customer(number, comments=f"of {number}"))
        bench.load(spec, ACCOUNT)
    [(first,), (second,)] = bench.rows("SELECT (CAST(CAST(ctid AS text) AS point))[1] FROM crm_pipeline.link ORDER BY qbench_id")
    assert second == first + 1, "between them stands another version of a link"
    assert all(kept["description"][0] for kept in bases(bench, spec, [1, 2]).values())


@pytest.mark.parametrize("number", [SECOND, BACK])
def test_a_load_that_breaks_off_around_its_call_is_followed_by_one_that_takes_its_own_write_for_no_edit(lost: Lost, number: int) -> None:
    assert lost.outcomes[number][0] == "failed"
    assert lost.then.shown[number]["description"] == ("second" if number == SECOND else "old")
    assert (lost.then.conflicts[number], number in lost.then.pending) == ([], False)


def test_a_doubt_about_a_lost_write_ends_with_a_reading_that_leaves_nothing_to_send(lost: Lost) -> None:
    assert lost.then.shown[DOUBT]["description"] == "first"
    assert lost.then.outcomes[DOUBT] == ("unchanged" if lost.arrived else "updated", None)
    assert all(sent == there for sent, there in lost.then.bases[DOUBT].values())
    assert (lost.then.conflicts[DOUBT], lost.open_calls) == ([], [])
    assert "write" not in lost.idle.calls


def test_an_edit_that_a_person_made_after_a_lost_write_is_one(lost: Lost) -> None:
    assert lost.then.shown[PERSON]["description"] == "theirs"
    assert [(ours, winner) for ours, _, winner, _ in lost.then.conflicts[PERSON]] == [({"comments": "first"}, "crm")]
    assert PERSON in lost.then.pending


def test_a_default_of_new_records_is_no_edit_of_the_crms(lost: Lost) -> None:
    assert lost.first.shown[DEFAULT]["description"] == "A new laboratory"
    assert lost.then.shown[DEFAULT]["description"] == "ours"
    assert DEFAULT not in lost.then.pending


def test_a_value_that_only_comes_back_is_never_sent(lost: Lost) -> None:
    assert lost.then.outcomes[COMES_BACK] == ("updated", None)
    assert lost.then.shown[COMES_BACK]["website"] == "https://theirs.example"


# --- what takes a story of its own


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


@each_crm
def test_the_edit_of_another_field_dates_none(bench: Bench) -> None:
    """At 3:37 a person edits the comments in QBench, at 3:40 one the description in the CRM; at 3:45 the website follows in QBench.

    Of another customer the comments themselves are edited at 3:45.
    """
    spec = two_way(bench, {**COMMENTS, "website": {"from": "website", **BOTH}})
    three = (int(datetime.now(UTC).timestamp()) // HOUR + 2) * HOUR
    tenant = bench.sandbox.tenant
    for number in (1, 2):
        tenant.add_customer(id=number, customer_name=f"Lab {number}", comments="old", website="https://old.example", at=three - HOUR)
    read(bench, spec, None, three)
    bench.load(spec, ACCOUNT, window=FOREVER)
    ids = crm_ids(bench)
    for crm_id in ids.values():
        edit(bench, crm_id, at=datetime.fromtimestamp(three + 40 * MINUTE, UTC), description="theirs at 3:40")
    tenant.edit_customer(1, comments="ours at 3:37", at=three + 37 * MINUTE)
    tenant.edit_customer(1, website="https://at.3.45.example", at=three + 45 * MINUTE)
    tenant.edit_customer(2, comments="ours at 3:45", at=three + 45 * MINUTE)
    read(bench, spec, three, three + HOUR)
    found = seen(bench, spec, window=FOREVER)

    assert {number: (now["description"], now["website"]) for number, now in found.shown.items()} == {
        1: ("theirs at 3:40", "https://at.3.45.example"),
        2: ("ours at 3:45", "https://old.example"),
    }
    assert [[winner for *_, winner, _ in found.conflicts[number]] for number in (1, 2)] == [["crm"], ["qbench"]]


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
def test_a_plan_shows_what_the_load_does(bench: Bench) -> None:
    spec = two_way(bench, {"description": {"from": "comments", **BOTH, **PREFER[bench.crm]}})
    crm_id = one_customer(bench, spec, comments="old")
    bench.stage(spec, ACCOUNT, customer(2, 150, comments="new"), customer(3, 250, comments="new"))
    edited(bench, spec, comments="ours")

    assert planned(bench, spec) == ({"create": 2, "update": 1}, {"create": 2, "update": 1})
    edit(bench, crm_id, description="theirs")
    assert planned(bench, spec) == ({"create": 2, "unchanged": 1}, {"create": 2})
    assert (conflicts(bench), pending(bench, spec)) == ([], [])


@in_hubspot
def test_a_plan_reads_nothing_of_new_records_but_what_is_mapped(bench: Bench) -> None:
    spec = two_way(bench)
    bench.stage(spec, ACCOUNT, customer(1, comments="new"))

    with explaining() as asked:
        assert planned(bench, spec) == ({"create": 1}, {"create": 1})
    assert [statement for statement, _ in asked if "bringing" in statement] == []


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
