"""Who owns what a load creates (rules.md, 34)."""

from __future__ import annotations

from typing import Any

from crm_pipeline.model import RecordType
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, OBJECTS, Bench, contact, customer

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


def test_the_first_rule_that_a_new_record_meets_gives_its_owner(bench: Bench) -> None:
    ana, bob = add_owner(bench, "ana@acme.example"), add_owner(bench, "bob@acme.example")
    spec = bench.spec(accounts=accounts_owned(bench, {"only": {"field": "status", "is": "VIP"}, "user": ana}, {"user": "bob@acme.example"}))
    bench.stage(spec, ACCOUNT, customer(1, status="vip"), customer(2))
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {"created": 2}
    assert owners(bench) == [ana, bob]


def test_an_owner_is_never_changed_after_the_creation(salesforce: Bench) -> None:
    bob = add_owner(salesforce, "bob@acme.example")
    salesforce.given(salesforce.spec(), ACCOUNT, customer(1))
    before = owners(salesforce)
    spec = salesforce.spec(accounts=accounts_owned(salesforce, {"user": bob}))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"updated": 1}
    assert owners(salesforce) == before != [bob]


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
    assert set(bench.rows("SELECT reason FROM crm_pipeline.outcome")) == {(f"omitted: {OWNER[bench.crm]}",)}
    assert before not in owners(bench)


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


def test_owners_cost_nothing_where_nothing_is_created(bench: Bench) -> None:
    owned = bench.spec(accounts=accounts_owned(bench, {"user": add_owner(bench, "ana@acme.example")}))
    bench.given(owned, ACCOUNT, customer(1))
    calls = []
    for spec in (bench.spec(), owned):
        bench.load(spec, ACCOUNT)
        calls.append(bench.calls)
    assert calls[0] == calls[1]
