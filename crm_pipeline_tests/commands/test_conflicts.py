"""``crm-pipeline conflicts``: what it lists, and what it asks for to put a value back (test_putting_back.py)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sqlalchemy import text

from crm_pipeline.mapping.digests import digests
from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.store.conflicts import KEPT_DAYS, save_conflicts
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline_tests.commands.conftest import Desk, written
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, customer
from crm_pipeline_tests.tenants import attributes

AT_3_37 = datetime(2026, 11, 1, 3, 37, tzinfo=UTC)
ACCOUNTS = CrmState("acme", "salesforce", ACCOUNT)
SECRET = "Said in confidence"


def tell(desk: Desk, *conflicts: dict[str, Any], state: CrmState = ACCOUNTS) -> None:
    """Store conflicts as a run does; the CRM's value stands where nothing else is said."""
    row = {
        "qbench_id": 12,
        "crm_id": "001A",
        "field": "Description",
        "qbench_value": {"comments": SECRET},
        "crm_value": {"Description": "By the telephone"},
        "qbench_digest": 1,
        "crm_digest": 2,
        "qbench_since": AT_3_37,
        "crm_since": AT_3_37 + timedelta(minutes=3),
        "winner": "crm",
        "evidence": "field history",
    }
    with desk.bench.store.transaction() as connection:
        for conflict in conflicts or ({},):
            frame = CONFLICTS.build(pd.DataFrame([{**row, **conflict}]))
            save_conflicts(connection, state, conflicts=frame, run_id="run-7")


def test_a_conflict_is_listed_with_record_field_both_times_and_what_decided_it(desk: Desk) -> None:
    tell(desk)
    result = desk.type("conflicts")
    for said in (
        "acme → salesforce account 12 (001A), Description: the CRM's value stands, by field history",
        "QBench's since 2026-11-01 03:37:00, the CRM's since 2026-11-01 03:40:00",
        "by run run-7",
    ):
        assert said in result.output, result.output


def test_values_are_shown_on_demand_only(desk: Desk) -> None:
    tell(desk)
    assert SECRET not in desk.type("conflicts").output + json.dumps(desk.json("conflicts"))
    assert SECRET in desk.type("conflicts", "--values").output
    [found] = desk.json("conflicts", "--values")
    assert (found["qbench_value"], found["crm_value"]) == ({"comments": SECRET}, {"Description": "By the telephone"})


def test_a_spree_is_counted_by_field_and_listed_from_the_newest(desk: Desk) -> None:
    tell(desk, *({"qbench_id": number} for number in range(1, 5)), {"field": "Phone", "winner": "qbench", "evidence": "tie"})
    result = desk.type("conflicts", "--last", "2")
    assert "5 conflicts, of which 2 are listed:" in result.output
    assert "4  acme → salesforce accounts, Description: the CRM's value stands, by field history" in result.output
    assert "1  acme → salesforce accounts, Phone: QBench's value stands, by tie" in result.output
    assert [each["qbench_id"] for each in desk.json("conflicts", "--last", "2")] == [12, 4]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), {1, 2, 3}),
        (("--integration", "acme", "--crm", "hubspot"), {3}),
        (("--record-type", "contact"), {2}),
        (("--ids", "1,3,7"), {1, 3}),
    ],
)
def test_conflicts_are_sought_by_crm_record_type_and_id(desk: Desk, words: tuple[str, ...], ids: set[int]) -> None:
    tell(desk, {"qbench_id": 1})
    tell(desk, {"qbench_id": 2}, state=CrmState("acme", "salesforce", CONTACT))
    tell(desk, {"qbench_id": 3}, state=CrmState("acme", "hubspot", ACCOUNT))
    tell(desk, {"qbench_id": 4}, state=CrmState("of another location", "hubspot", ACCOUNT))
    assert {each["qbench_id"] for each in desk.json("conflicts", *words)} == ids


def test_what_is_misspelt_is_told_and_does_not_look_like_no_conflict(desk: Desk) -> None:
    tell(desk)
    assert "did you mean `acme`" in desk.type("conflicts", "--integration", "acne").output
    assert "salesforce" in desk.type("conflicts", "--crm", "salesfroce").output
    assert desk.type("conflicts", "--ids", "99").output == "There are no conflicts.\n"


def test_what_was_told_more_than_thirty_days_ago_is_shown_no_more(desk: Desk) -> None:
    tell(desk)
    with desk.bench.store.transaction() as connection:
        age = text("UPDATE crm_pipeline.conflict SET at = now() - make_interval(days => :days, hours => 1)")
        connection.execute(age, {"days": KEPT_DAYS})
    assert desk.json("conflicts") == []


def test_a_side_without_a_time_and_a_value_that_is_blank_are_shown_as_that(desk: Desk) -> None:
    tell(desk, {"qbench_since": None, "crm_value": {"Description": None}, "evidence": "no time", "winner": "qbench"})
    shown = desk.type("conflicts", "--values").output
    assert "QBench's since an unknown time" in shown
    assert 'the CRM\'s: {"Description": null}' in shown
    [found] = desk.json("conflicts")
    assert (found["qbench_since"], found["restored_at"]) == (None, None)


def test_a_value_is_put_back_only_where_its_conflict_is_known_and_its_field_comes_back(desk: Desk) -> None:
    crm_ids = desk.bench.given(desk.spec, ACCOUNT, customer(12))
    desk.bench.sandbox.tenant.add_customer(id=12, customer_name="Lab 12")
    tell(desk, {"crm_id": crm_ids[12]})
    [found] = desk.json("conflicts")
    for number, remedy in (
        (found["id"], "Description does not come back from salesforce by today's mapping"),
        (99_999, "kept for 30 days"),
    ):
        result = desk.type("conflicts", "restore", str(number))
        assert (result.exit_code, remedy in result.output) == (1, True), result.output


def test_a_value_is_put_back_by_the_number_of_its_conflict(desk: Desk, tmp_path: Path) -> None:
    sandbox, keys = desk.bench.sandbox, attributes(desk.bench.sandbox)
    both_ways = {"map": {"name": "customer_name", "description": {"from": "comments", "direction": "both"}}}
    [file] = tmp_path.rglob("defs.yaml")
    file.write_text(yaml.safe_dump(dict(written(sandbox, accounts=both_ways, qbench={**keys["qbench"], "writes": True}))))
    sandbox.tenant.add_customer(id=12, customer_name="Lab 12", comments="Stands")
    [crm_id] = desk.bench.given(desk.bench.spec(), ACCOUNT, customer(12, comments="Stands")).values()
    stands, lost = digests(pd.DataFrame({"values": ["Stands", "Lost"]}))["values"].tolist()
    values = {"qbench_value": {"comments": "Stands"}, "crm_value": {"Description": "Lost"}}
    tell(desk, {"crm_id": crm_id, "winner": "qbench", "qbench_digest": stands, "crm_digest": lost, **values})
    [found] = desk.json("conflicts")
    first, second = (desk.type("conflicts", "restore", str(found["id"])) for _ in range(2))
    assert "is in salesforce again; the next runs take it to the other side" in first.output
    assert "stands in salesforce already; nothing was written" in second.output
    third = desk.json("conflicts", "restore", str(found["id"]))
    assert {**third, "qbench_id": 12, "field": found["field"], "restored_in": "salesforce", "written": False} == third
    assert desk.bench.values(ACCOUNT, "Description") == ["Lost"]
    assert "the other one was put back 20" in desk.type("conflicts").output
