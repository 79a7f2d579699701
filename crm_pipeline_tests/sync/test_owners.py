"""Who owns what a load creates (rules.md, 34)."""

from __future__ import annotations

from typing import Any

from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.tenants import ACCOUNT_MAP, CONTACT_MAP

OBJECTS = {"salesforce": ("Account", "Contact"), "hubspot": ("companies", "contacts")}


def add_owner(bench: Bench, name: str, *, active: bool = True) -> str:
    """A user of the CRM; its id as an owner."""
    if bench.crm == "salesforce":
        return bench.sandbox.org.add_user(username=name, last_name="Ruiz", active=active)
    return bench.sandbox.portal.add_owner(name, archived=not active)


def owners(bench: Bench, record_type: int = 0) -> list[str | None]:
    """The owners of the CRM's accounts (0) or contacts (1), in the order of their creation."""
    name = OBJECTS[bench.crm][record_type]
    if bench.crm == "salesforce":
        return [record["OwnerId"] for record in bench.sandbox.org.records(name)]
    return [record["properties"].get("hubspot_owner_id") for record in bench.sandbox.portal.records(name)]


def accounts_owned(bench: Bench, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"map": ACCOUNT_MAP, "owner": [{**{k: v for k, v in rule.items() if k == "only"}, bench.crm: rule["user"]} for rule in rules]}


def test_the_first_rule_that_a_new_record_meets_gives_its_owner(bench: Bench) -> None:
    ana, bob = add_owner(bench, "ana@acme.example"), add_owner(bench, "bob@acme.example")
    spec = bench.spec(accounts=accounts_owned(bench, {"only": {"field": "status", "is": "VIP"}, "user": ana}, {"user": "bob@acme.example"}))
    bench.stage(spec, ACCOUNT, customer(1, status="vip"), customer(2))
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {"created": 2}
    assert owners(bench) == [ana, bob]


def test_an_owner_is_never_changed_after_the_creation(bench: Bench) -> None:
    add_owner(bench, "ana@acme.example")
    bob = add_owner(bench, "bob@acme.example")
    bench.stage(bench.spec(), ACCOUNT, customer(1))
    spec = bench.spec(accounts=accounts_owned(bench, {"user": "ana@acme.example"}))
    bench.load(spec, ACCOUNT)
    changed = bench.spec(accounts=accounts_owned(bench, {"user": bob}))
    bench.stage(changed, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    assert dict(bench.load(changed, ACCOUNT).outcomes) == {"updated": 1}
    assert bob not in owners(bench)


def test_an_owner_that_cannot_be_is_left_out_with_a_warning(bench: Bench) -> None:
    add_owner(bench, "left@acme.example", active=False)
    before = add_owner(bench, "ana@acme.example")
    rules = accounts_owned(bench, {"only": {"field": "status", "is": "VIP"}, "user": "left@acme.example"}, {"user": "nobody@acme.example"})
    spec = bench.spec(accounts=rules)
    bench.stage(spec, ACCOUNT, customer(1, status="VIP"), customer(2), customer(3))
    report = bench.load(spec, ACCOUNT)
    assert dict(report.outcomes) == {"created": 3}
    assert dict(report.notes) == {
        "owner rule 1: the user is inactive, the owner is left out": 1,
        "owner rule 2: the user is unknown, the owner is left out": 2,
    }
    field = "OwnerId" if bench.crm == "salesforce" else "hubspot_owner_id"
    assert set(bench.rows("SELECT reason FROM crm_pipeline.outcome")) == {(f"omitted: {field}",)}
    assert before not in owners(bench)


def test_a_contact_may_take_the_owner_of_its_account(bench: Bench) -> None:
    ana = add_owner(bench, "ana@acme.example")
    rules = {"map": CONTACT_MAP, "owner": [{"same_as_account": True}]}
    spec = bench.spec(accounts=accounts_owned(bench, {"user": ana}), contacts=rules)
    bench.stage(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=1))
    bench.load(spec, ACCOUNT)
    assert dict(bench.load(spec, CONTACT).outcomes) == {"created": 2}
    assert owners(bench, 1) == [ana, ana]


def test_owners_cost_nothing_where_nothing_is_created(bench: Bench) -> None:
    spec = bench.spec(accounts=accounts_owned(bench, {"user": add_owner(bench, "ana@acme.example")}))
    bench.stage(spec, ACCOUNT, customer(1))
    bench.load(spec, ACCOUNT)
    first = dict(bench.calls)
    bench.load(spec, ACCOUNT)
    assert sum(bench.calls.values()) < sum(first.values())
    bench.sandbox.journal.clear()
    bench.load(spec, ACCOUNT)
    assert not [call for call in bench.sandbox.journal.calls() if "owners" in call.path]
