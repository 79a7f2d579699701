"""Who owns what a load creates (docs/rules.md, 34)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    CONTACT,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    OBJECTS,
    Bench,
    contact,
    customer,
    own_bench,
)

OWNER = {"salesforce": "OwnerId", "hubspot": "hubspot_owner_id"}


def add_owner(bench: Bench, name: str, *, active: bool = True) -> str:
    """A user of the CRM; its id as an owner."""
    if bench.crm == "salesforce":
        return bench.sandbox.org.add_user(username=name, last_name="Ruiz", active=active)
    return bench.sandbox.portal.add_owner(name, archived=not active)


def owners(bench: Bench, record_type: RecordType = ACCOUNT) -> list[str | None]:
    """The owners of the CRM's records, in the order of their creation."""
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        return [record["OwnerId"] for record in bench.sandbox.org.records(name)]
    return [record["properties"].get("hubspot_owner_id") for record in bench.sandbox.portal.records(name)]


def accounts_owned(bench: Bench, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "map": LEAN_ACCOUNT_MAP,
        "owner": [{**{k: v for k, v in rule.items() if k == "only"}, bench.crm: rule["user"]} for rule in rules],
    }


@dataclass(frozen=True)
class Created:
    """What a load left that created customers 1, 2 …: whose they are, in that order, and what was said of it."""

    users: dict[str, str]
    owners: list[str | None]
    report: LoadReport
    reasons: dict[int, str | None]
    field: str


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def created(request: pytest.FixtureRequest, postgres: str) -> Iterator[Created]:
    """By four rules, of which one names a user by id, one by address, one a user who left and the last one nobody."""
    with own_bench(postgres, request.param) as bench:
        users = {name: add_owner(bench, f"{name}@acme.example", active=name != "left") for name in ("ana", "bob", "left")}
        named = {"VIP": users["ana"], "KEY": "bob@acme.example", "OLD": "left@acme.example"}
        rules = [{"only": {"field": "status", "is": status}, "user": user} for status, user in named.items()]
        spec = bench.spec(accounts=accounts_owned(bench, *rules, {"user": "nobody@acme.example"}))
        bench.stage(
            spec, ACCOUNT, customer(1, status="vip"), customer(2, status="KEY"), customer(3, status="OLD"), customer(4), customer(5)
        )
        report = bench.load(spec, ACCOUNT)
        reasons = dict(bench.rows("SELECT qbench_id, reason FROM crm_pipeline.outcome"))
        yield Created(users, owners(bench), report, reasons, OWNER[bench.crm])


def test_the_first_rule_that_a_new_record_meets_gives_its_owner(created: Created) -> None:
    assert created.owners[:2] == [created.users["ana"], created.users["bob"]]
    assert (created.reasons[1], created.reasons[2]) == (None, None)


def test_an_owner_that_cannot_be_is_left_out_with_a_warning(created: Created) -> None:
    assert dict(created.report.outcomes) == {"created": 5}
    assert dict(created.report.notes) == {
        "owner rule 3: the user is inactive, the owner is left out": 1,
        "owner rule 4: the user is unknown, the owner is left out": 2,
    }
    assert {created.reasons[number] for number in (3, 4, 5)} == {f"omitted: {created.field}"}
    assert set(created.users.values()).isdisjoint(created.owners[2:])


@dataclass(frozen=True)
class Updated:
    """What a load left that created nothing: the owners before and after it, its outcomes and its calls."""

    crm: str
    before: list[str | None]
    after: list[str | None]
    outcomes: dict[str, int]
    calls: dict[str, int]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def updated(request: pytest.FixtureRequest, postgres: str) -> Iterator[Updated]:
    """With a rule that gives all to Bob, of whose customers one is renamed."""
    with own_bench(postgres, request.param) as bench:
        bob = add_owner(bench, "bob@acme.example")
        bench.given(bench.spec(), ACCOUNT, customer(1), customer(2))
        before = owners(bench)
        assert bob not in before
        spec = bench.spec(accounts=accounts_owned(bench, {"user": bob}))
        bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
        report = bench.load(spec, ACCOUNT)
        yield Updated(bench.crm, before, owners(bench), dict(report.outcomes), bench.calls)


def test_an_owner_is_never_changed_after_the_creation(updated: Updated) -> None:
    assert updated.outcomes == {"updated": 1, "unchanged": 1}
    assert updated.after == updated.before


def test_owners_cost_nothing_where_nothing_is_created(updated: Updated) -> None:
    assert updated.calls == {"sign_in": 1, "describe": 1, "write": 1}


def test_a_contact_may_take_the_owner_of_its_account(bench: Bench) -> None:
    ana = add_owner(bench, "ana@acme.example")
    rules = {"map": LEAN_CONTACT_MAP, "owner": [{"same_as_account": True}]}
    spec = bench.spec(accounts=accounts_owned(bench, {"user": ana}), contacts=rules)
    account = bench.given(spec, ACCOUNT, customer(1))[1]
    crm = bench.sandbox.org if bench.crm == "salesforce" else bench.sandbox.portal
    crm.update(OBJECTS[bench.crm, ACCOUNT], account, {OWNER[bench.crm]: ana})
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=1))
    assert dict(bench.load(spec, CONTACT).outcomes) == {"created": 2}
    assert owners(bench, CONTACT) == [ana, ana]


def test_only_new_records_of_an_owner_whom_the_crm_fails_to_tell_wait_for_it(bench: Bench) -> None:
    ana, bob = add_owner(bench, "ana@acme.example"), add_owner(bench, "bob@acme.example")
    linked = bench.spec()
    bench.given(linked, ACCOUNT, customer(1, status="KEY"))
    rules: list[dict[str, Any]] = [{"only": {"field": "status", "is": "KEY"}, "user": "bob@acme.example"}, {"user": "ana@acme.example"}]
    spec = bench.spec(accounts=accounts_owned(bench, *rules))
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed", status="KEY"), customer(2, status="KEY"), customer(3))
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, returning="bob@acme.example", times=None))
    report = bench.load(spec, ACCOUNT)
    assert dict(report.outcomes) == {"updated": 1, "failed": 1, "created": 1}
    assert bench.outcomes()[2] == ("failed", "OwnerUnreadException")
    assert dict(report.notes) == {"owner rule 1: the CRM fails to tell who the user is, the records wait for that": 1}
    assert ana in owners(bench)
    bench.sandbox.faults.clear()
    assert dict(bench.load(spec, ACCOUNT).outcomes)["created"] == 1
    assert bob in owners(bench)


def test_contact_waits_where_the_crm_fails_to_show_the_account_whose_owner_it_takes(bench: Bench) -> None:
    rules = {"map": LEAN_CONTACT_MAP, "owner": [{"same_as_account": True}]}
    spec = bench.spec(contacts=rules)
    accounts = bench.given(spec, ACCOUNT, customer(1), customer(2))
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=2))
    path = "batch/read" if bench.crm == "hubspot" else "composite/sobjects/Account"
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, path=path, holding=f'"{accounts[1]}"', times=None))
    assert dict(bench.load(spec, CONTACT).outcomes) == {"failed": 1, "created": 1}
    assert bench.outcomes(CONTACT)[7] == ("failed", "OwnerUnreadException")
    bench.sandbox.faults.clear()
    assert dict(bench.load(spec, CONTACT).outcomes)["created"] == 1
