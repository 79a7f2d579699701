"""``crm-pipeline plan --from``: what would come home."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.commands.conftest import _desk
from crm_pipeline_tests.sync.conftest import LEAN_ACCOUNT_MAP, Bench
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
    assert "1 customers would change, of 5" in shown
    assert "SECRET" not in shown
    assert refused.exit_code == 1
    assert bench.sandbox.journal.calls("qbench") == []
    assert bench.rows("SELECT * FROM crm_pipeline.change_outcome") == []
    assert house.comments() == "old"
