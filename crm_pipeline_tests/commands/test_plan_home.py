"""``crm-pipeline plan --from``: what would come home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.commands.conftest import _desk
from crm_pipeline_tests.sync.conftest import ACCOUNT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.sync.returning.home import BOTH, Home, home
from crm_pipeline_tests.tenants import attributes


@pytest.fixture
def house(sandbox: Sandbox, store: Store, database_in_environment: str) -> Home:
    """Two customers whose descriptions people changed in the CRM, and one that stayed; nothing came home yet."""
    found = home(Bench(sandbox, store, "salesforce"))
    for number in (1, 2, 3):
        found.tenant.add_customer(id=number, customer_name=f"Lab {number}", comments="old", at=1_000)
    ids = found.linked()
    found.describe(ids[1], "SECRET")
    found.describe(ids[2], "x" * 2_001)
    found.read()
    return found


def test_every_patch_is_shown_with_its_ids_and_fields_and_qbench_is_not_asked(house: Home, tmp_path: Path) -> None:
    accounts = {"map": {**LEAN_ACCOUNT_MAP, "description": {"from": "comments", **BOTH}}}
    bench = house.bench
    qbench = attributes(bench.sandbox)["qbench"]
    bench.sandbox.journal.clear()
    with _desk(bench, tmp_path, accounts=accounts, qbench={**qbench, "writes": True}) as desk:
        [told] = desk.json("plan", "--from", "salesforce", "--record-type", "account")
        shown = desk.type("plan", "--from", "salesforce").output
        refused = desk.type("plan", "--from", "salesforce", "--crm", "hubspot")
    [patch] = told["patches"]

    assert (patch["qbench_id"], patch["fields"], patch["conflicts"]) == (1, ["comments"], [])
    assert (told["rows"], told["limit"], told["fields"]) == (3, 5, {"comments": 1})
    assert "1 customer would change, of 5" in shown
    assert "SECRET" not in shown
    assert refused.exit_code == 2
    assert bench.sandbox.journal.calls("qbench") == []
    assert bench.rows("SELECT * FROM crm_pipeline.change_outcome") == []
    assert house.comments() == "old"


def test_records_that_would_be_made_linked_or_left_are_shown_and_qbench_is_not_asked(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    salesforce = Bench(sandbox, store, "salesforce")
    keys: dict[str, Any] = {"sync_on": [{"name": {"salesforce": "Name"}}], "from_crm": {"create": {}}}
    accounts: dict[str, Any] = {"map": {**LEAN_ACCOUNT_MAP, "name": {"from": "customer_name", "direction": "both"}}, **keys}
    qbench = attributes(salesforce.sandbox)["qbench"] | {"writes": True}
    there = Home(salesforce, salesforce.spec(accounts=accounts, contacts=None, qbench=qbench))
    for number, name in enumerate(("Match", "Twice", "Twice"), start=1):
        there.tenant.add_customer(id=number, customer_name=name, at=1_000)
    new, match, _ = (there.add(ACCOUNT, {"Name": name}) for name in ("New", "Match", "Twice"))
    there.read()
    with _desk(salesforce, tmp_path, accounts=accounts, qbench=qbench) as desk:
        [early] = desk.json("plan", "--from", "salesforce", "--record-type", "account")
        there.extract()
        salesforce.sandbox.journal.clear()
        [told] = desk.json("plan", "--from", "salesforce", "--record-type", "account")
        shown = desk.type("plan", "--from", "salesforce").output

    assert (early["waiting"], early["creates"]) == (3, [])
    assert (told["creates"], told["matches"], told["left"]) == ([new], {match: 1}, {"AmbiguousMatchException": 1})
    assert f"1 customer would be made, of CRM ids {new}." in shown
    assert salesforce.sandbox.journal.calls("qbench") == []
    assert salesforce.rows("SELECT * FROM crm_pipeline.change_outcome") + salesforce.rows("SELECT * FROM crm_pipeline.link") == []
