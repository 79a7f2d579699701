"""An edit that a person makes in the CRM between our last look at a record and our write is written over, but not without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digests
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import BASES
from crm_pipeline.store.bases import save_bases
from crm_pipeline.store.conflicts import Sought, conflicts_told
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.raw_records import raw_by_id
from crm_pipeline.store.replacing import over_by_now
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.resending import Resend
from crm_pipeline.sync.returning.putting_back import PuttingBack
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, EVERYTHING, OBJECTS, Bench, Staged, Stories, contact, customer
from crm_pipeline_tests.tenants import both_ways

each_crm = pytest.mark.parametrize("bench", ["salesforce", "hubspot"], indirect=True)
BOTH = {"direction": "both"}
NAMES: Mapping[str, Mapping[str, str]] = {
    "salesforce": {"name": "Name", "about": "Description", "street": "BillingStreet", "city": "BillingCity", "phone": "Phone"},
    "hubspot": {"name": "name", "about": "description", "street": "address", "city": "city", "phone": "phone"},
}
CALLS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "salesforce": {
        "read": {"method": "POST", "path": "/composite/sobjects/(Account|Contact)$"},
        "write": {"method": "PATCH", "path": "/composite/sobjects$"},
        "history": {"method": "GET", "path": "/query", "holding": "AccountHistory"},
    },
    "hubspot": {
        "read": {"method": "POST", "path": "/batch/read$"},
        "write": {"method": "POST", "path": "/batch/update$"},
        "history": {"method": "POST", "path": "/batch/read$"},
    },
}
OURS, THEIRS = "Our Name", "Their Name"
PLACE: dict[str, Any] = {"street": "1 Old Street", "town": "Oslo"}


def mapped(bench: Bench) -> IntegrationSpec:
    """Names, addresses and phones go both ways, and Salesforce tracks them."""
    for fields in (("Account", "Name", "BillingStreet", "BillingCity"), ("Contact", "Phone")):
        bench.sandbox.org.track(*fields)
    address = {"street_1": "street", "city": "town", "address_type": {"constant": "BILLING"}, **BOTH}
    accounts = {"name": {"from": "customer_name", **BOTH}, "address": address}
    return both_ways(bench.spec(), accounts=accounts, contacts={"phone": {"from": "phone", **BOTH}})


def agreed(bench: Bench, spec: IntegrationSpec, record_type: RecordType, *records: Staged) -> dict[int, str]:
    """Records as an earlier load left them, with what both sides agreed on then; an address was not sent."""
    ids = bench.given(spec, record_type, *records)
    order = bench.order(spec, record_type)
    with bench.store.transaction() as connection:
        raw = raw_by_id(connection, "acme", record_type, ids=list(ids))
        forms = digests(order.way_back(None).wanted(raw).forms.drop(columns="group:billing_address", errors="ignore"))
        rows = [{unit: [digest, digest] for unit, digest in row.items()} for row in forms.to_dict("records")]
        bases = BASES.build({"qbench_id": raw["qbench_id"], "bases": pd.Series(rows, dtype=object)})
        save_bases(connection, order.state, bases=bases, crm_ids=raw["qbench_id"].map(ids))
    return ids


def edit(bench: Bench, crm_id: str, *, of: RecordType = ACCOUNT, **values: str) -> None:
    """Somebody edits a record in the CRM."""
    named = {NAMES[bench.crm][name]: value for name, value in values.items()}
    (bench.sandbox.org.update if bench.crm == "salesforce" else bench.sandbox.portal.update)(OBJECTS[bench.crm, of], crm_id, named)


def remove(bench: Bench, crm_id: str) -> None:
    """Somebody deletes an account in the CRM."""
    (bench.sandbox.org.delete if bench.crm == "salesforce" else bench.sandbox.portal.archive)(OBJECTS[bench.crm, ACCOUNT], crm_id)


def during(bench: Bench, call: str, happens: Callable[[], None]) -> None:
    """Let something happen once the CRM has carried out the next such call, and before its answer arrives."""

    def bend(answer: Any) -> Any:
        happens()
        return answer

    bench.sandbox.faults.add(Fault(service=bench.crm, kind="bend", bend=bend, **CALLS[bench.crm][call]))


def shown(bench: Bench, name: str, record_type: RecordType = ACCOUNT) -> dict[int, str]:
    """What the CRM holds, by QBench id."""
    field, of = NAMES[bench.crm][name], OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        records = {record["Id"]: record for record in bench.sandbox.org.records(of)}
    else:
        records = {record["id"]: record["properties"] for record in bench.sandbox.portal.records(of)}
    links = bench.rows(f"SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = '{record_type}'")
    return {number: records[crm_id].get(field) or "" for number, crm_id in links if crm_id in records}


def conflicts(bench: Bench) -> dict[int, list[tuple[Any, ...]]]:
    """QBench's value, the CRM's, the winner and the evidence, by QBench id."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    columns = "qbench_id, qbench_value, crm_value, winner, evidence"
    for number, *row in bench.rows(f"SELECT {columns} FROM crm_pipeline.conflict ORDER BY id"):
        found.setdefault(number, []).append(tuple(row))
    return found


def reasons(bench: Bench, table: str = "outcome") -> dict[int, str | None]:
    return dict(bench.rows(f"SELECT qbench_id, reason FROM crm_pipeline.{table} WHERE record_type = 'account' ORDER BY at"))


def unasked(bench: Bench) -> set[str]:
    """The CRM records of which it is not known yet what a write replaced."""
    return {crm_id for (crm_id,) in bench.rows("SELECT crm_id FROM crm_pipeline.replacing")}


# --- a load in which people edit, and one that sends addresses

LOST, TWICE, KEPT, EQUAL, BACK, AFTER, OTHER, NOBODY, BEFORE, GONE, PART, SAME_PART = range(1, 13)
EDITED = {number: "Our 20 °C" if number == KEPT else f"{OURS} {number}" for number in range(1, PART)}


@dataclass(frozen=True)
class Edited:
    """What was there after the loads; ``restored``: what the CRM held once the first value was put back, and who is looked at then."""

    crm: str
    conflicts: dict[int, list[tuple[Any, ...]]]
    reasons: dict[int, str | None]
    history: dict[int, str | None]
    names: dict[int, str]
    about: dict[int, str]
    notes: Mapping[str, int]
    unasked: set[str]
    restored: tuple[str, list[int]]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def story(request: pytest.FixtureRequest, stories: Stories) -> Iterator[Edited]:
    with stories(request.param) as bench:
        yield edited_meanwhile(bench)


def edited_meanwhile(bench: Bench) -> Edited:
    spec = mapped(bench)
    bench.sandbox.portal.kept_form = lambda _, value: value.replace("°", "????")
    ids = agreed(bench, spec, ACCOUNT, *(customer(number, **PLACE) for number in range(1, 13)))

    def meanwhile() -> None:
        for number in (LOST, KEPT, BACK):
            edit(bench, ids[number], name=THEIRS)
        edit(bench, ids[BACK], name=f"Lab {BACK}")
        edit(bench, ids[TWICE], name="First")
        edit(bench, ids[TWICE], name=THEIRS)
        edit(bench, ids[EQUAL], name=f" {EDITED[EQUAL]}")
        edit(bench, ids[OTHER], about="theirs")
        remove(bench, ids[GONE])

    edit(bench, ids[BEFORE], name=THEIRS)
    during(bench, "read", meanwhile)
    during(bench, "write", lambda: edit(bench, ids[AFTER], name=THEIRS))
    bench.stage(spec, ACCOUNT, *(customer(number, 200, **{**PLACE, "customer_name": name}) for number, name in EDITED.items()))
    report = bench.load(spec, ACCOUNT)
    told, history = reasons(bench), reasons(bench, "every_outcome")
    names, about, left = shown(bench, "name"), shown(bench, "about"), unasked(bench)
    # Each is tried with one of them: a load costs what all others do.
    if bench.crm == "salesforce":
        send_addresses(bench, spec, ids)
    left |= unasked(bench)
    restored = put_back_first(bench, spec, ids) if bench.crm == "hubspot" else ("", [])
    return Edited(bench.crm, conflicts(bench), told, history, names, about, report.notes, left, restored)


def send_addresses(bench: Bench, spec: IntegrationSpec, ids: Mapping[int, str]) -> None:
    """People had given two customers another street, and a person of QBench has its own sent; just then people edit once more."""
    for number in (PART, SAME_PART):
        edit(bench, ids[number], street="2 New Street", city=PLACE["town"])

    def meanwhile() -> None:
        edit(bench, ids[PART], city="Bergen")
        edit(bench, ids[SAME_PART], street=PLACE["street"])

    during(bench, "read", meanwhile)
    with closing(bench.connect(spec)) as crm:
        Load(replace(bench.order(spec, ACCOUNT), resend=Resend(("address",))), store=bench.store, crm=crm).run(EVERYTHING)


def put_back_first(bench: Bench, spec: IntegrationSpec, ids: Mapping[int, str]) -> tuple[str, list[int]]:
    bench.sandbox.tenant.add_customer(id=LOST, customer_name=EDITED[LOST])
    with bench.store.transaction() as connection:
        [conflict] = conflicts_told(connection, Sought(["acme"], qbench_ids=[LOST]), most=1)
    order = bench.order(spec, ACCOUNT)
    with closing(bench.connect(spec)) as crm, closing(QBench(spec.qbench, integration="acme")) as source:
        PuttingBack(order, store=bench.store, crm=crm, source=source, back=spec.coming_back).run(conflict)
    with bench.store.transaction() as connection:
        waiting = pending_crm_ids(connection, order.state)
    return shown(bench, "name")[LOST], [number for number in (LOST, TWICE) if ids[number] in waiting]


@pytest.mark.parametrize("number", [LOST, TWICE, KEPT])
def test_an_edit_just_before_our_write_is_written_over_and_kept_as_a_conflict(story: Edited, number: int) -> None:
    field = NAMES[story.crm]["name"]
    assert story.names[number].replace("????", "°") == EDITED[number]
    assert story.conflicts[number] == [({"customer_name": EDITED[number]}, {field: THEIRS}, "qbench", "overtaken")]
    assert str(story.reasons[number]).endswith(f"overtaken: {field}")
    assert story.history[number] == story.reasons[number]


@pytest.mark.parametrize("story", ["hubspot"], indirect=True)
def test_it_can_be_put_back_and_then_travels(story: Edited) -> None:
    assert story.restored == (THEIRS, [LOST])


@pytest.mark.parametrize("story", ["salesforce"], indirect=True)
def test_an_edit_of_a_part_of_an_address_is_an_edit_of_all_of_it(story: Edited) -> None:
    street, city = (NAMES[story.crm][name] for name in ("street", "city"))
    [(ours, theirs, winner, evidence)] = [one for one in story.conflicts[PART] if one[-1] == "overtaken"]
    assert (ours["street"], ours["town"]) == ("1 Old Street", "Oslo")
    assert (theirs[street], theirs[city], winner, evidence) == ("2 New Street", "Bergen", "qbench", "overtaken")


@pytest.mark.parametrize("number", [EQUAL, BACK, AFTER, OTHER, NOBODY])
def test_nothing_is_told_where_nothing_was_lost(story: Edited, number: int) -> None:
    assert (story.conflicts.get(number), story.reasons[number]) == (None, None)
    assert story.names[number].strip() == (THEIRS if number == AFTER else EDITED[number])
    assert story.about[number] == ("theirs" if number == OTHER else "")


def test_an_edit_before_our_last_look_is_decided_as_ever(story: Edited) -> None:
    told = [*story.conflicts[BEFORE], *story.conflicts.get(SAME_PART, ())]
    assert [evidence for *_, evidence in told if evidence == "overtaken"] == []
    assert "overtaken" not in (story.reasons[BEFORE] or "")


def test_a_load_says_of_how_many_records_an_edit_was_written_over(story: Edited) -> None:
    assert list(story.notes.values()) == [3]


def test_no_write_is_left_to_be_asked_for_not_even_that_of_a_record_that_was_gone(story: Edited) -> None:
    assert story.unasked == set()
    assert GONE not in story.conflicts


# --- what takes a story of its own


@pytest.mark.parametrize(("bench", "lost"), [("hubspot", "history"), ("salesforce", "write")], indirect=["bench"])
def test_a_load_that_breaks_off_behind_the_write_leaves_it_to_the_next_one(bench: Bench, lost: str) -> None:
    spec = mapped(bench)
    [crm_id] = agreed(bench, spec, ACCOUNT, customer(1)).values()
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name=OURS))
    during(bench, "read", lambda: edit(bench, crm_id, name=THEIRS))
    bench.sandbox.faults.add(Fault(service=bench.crm, kind="drop_after", times=None, **CALLS[bench.crm][lost]))
    with suppress(ServiceError):
        bench.load(spec, ACCOUNT)
    bench.sandbox.faults.clear()
    assert (shown(bench, "name"), conflicts(bench), unasked(bench)) == ({1: OURS}, {}, {crm_id})
    if lost == "write":
        # Until the call must be over, it may still be carried out.
        with bench.store.transaction() as connection:
            assert over_by_now(connection, bench.order(spec, ACCOUNT).state, most=9).empty
            connection.exec_driver_sql("UPDATE crm_pipeline.replacing SET open_until = now()")
    bench.load(spec, ACCOUNT)

    field = NAMES[bench.crm]["name"]
    assert conflicts(bench) == {1: [({"customer_name": OURS}, {field: THEIRS}, "qbench", "overtaken")]}
    assert reasons(bench) == {1: f"overtaken: {field}"}
    assert unasked(bench) == set()


@each_crm
def test_a_contact_is_looked_after_as_an_account_is(bench: Bench) -> None:
    spec, phone = mapped(bench), NAMES[bench.crm]["phone"]
    bench.given(spec, ACCOUNT, customer(1))
    ids = agreed(bench, spec, CONTACT, *(contact(number, of=1, phone="+15125550102") for number in (2, 3)))

    def meanwhile() -> None:
        edit(bench, ids[2], of=CONTACT, phone="+1 (512) 555-0199")
        # In whichever form: this is no edit.
        edit(bench, ids[3], of=CONTACT, phone="+1 (512) 555-0102")

    during(bench, "read", meanwhile)
    bench.stage(spec, CONTACT, *(contact(number, 200, of=1, phone="+15125550103") for number in (2, 3)))
    bench.load(spec, CONTACT)
    [(_, theirs, winner, evidence)] = conflicts(bench).pop(2)
    assert (theirs[phone], winner, evidence) == ("+1 (512) 555-0199", "qbench", "overtaken")
    assert list(conflicts(bench)) == [2]
    assert all(held.replace("-", "").endswith("5550103") for held in shown(bench, "phone", CONTACT).values())
