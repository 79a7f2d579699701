"""What no stamp tells of linked records, the nightly check does: it reads the fields that come back, at no further call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.spec import AccountSpec
from crm_pipeline.store.conflicts import save_conflicts
from crm_pipeline.store.crm_records import looked_at, pending_crm_ids, staged_readings
from crm_pipeline.sync.links.check import Scope
from crm_pipeline_tests.store.test_conflicts import conflict
from crm_pipeline_tests.sync.conftest import ACCOUNT, CRM_FIELDS, OBJECTS, Bench, customer
from crm_pipeline_tests.sync.links.test_check import check

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def coming_back(bench: Bench, *, direction: str = "both") -> tuple[IntegrationSpec, list[str]]:
    """Customers 1 to 3 in the CRM, of an integration whose descriptions go this way; and their ids there."""
    spec = bench.spec(contacts=None)
    accounts = AccountSpec.model_validate({"map": {"name": "customer_name", "description": {"from": "comments", "direction": direction}}})
    spec = spec.model_copy(update={"accounts": accounts})
    made = bench.given(spec, ACCOUNT, *(customer(number) for number in range(1, 4)))
    return spec, sorted(made.values())


def pending(bench: Bench, spec: IntegrationSpec) -> list[str]:
    with bench.store.transaction() as connection:
        return pending_crm_ids(connection, bench.order(spec, ACCOUNT).state)


def look(bench: Bench, spec: IntegrationSpec) -> None:
    """Look at what is pending, as a run does that brings changes home."""
    with bench.store.transaction() as connection:
        looked_at(connection, bench.order(spec, ACCOUNT).state, crm_ids=pending_crm_ids(connection, bench.order(spec, ACCOUNT).state))


def describe(bench: Bench, crm_id: str, text: str) -> None:
    """Somebody describes an account, in a transaction that ends after its stamp was read."""
    values: dict[str, Any] = {CRM_FIELDS[bench.crm, ACCOUNT]["description"]: text}
    if bench.crm == "salesforce":
        bench.sandbox.org.update(OBJECTS[bench.crm, ACCOUNT], crm_id, values, at=LONG_AGO)
    else:
        bench.sandbox.portal.update(OBJECTS[bench.crm, ACCOUNT], crm_id, values, at=LONG_AGO.timestamp())


def staged(bench: Bench, spec: IntegrationSpec, crm_id: str) -> dict[str, Any]:
    with bench.store.transaction() as connection:
        [row] = staged_readings(connection, bench.order(spec, ACCOUNT).state, crm_ids=[crm_id]).itertuples()
    fields: dict[str, Any] = row.fields
    return fields


def test_a_value_that_came_to_light_late_is_looked_at_by_the_next_run(bench: Bench) -> None:
    spec, crm_ids = coming_back(bench)
    check(bench, spec)
    assert pending(bench, spec) == crm_ids
    look(bench, spec)
    describe(bench, crm_ids[1], "late")
    check(bench, spec)
    assert pending(bench, spec) == [crm_ids[1]]
    assert staged(bench, spec, crm_ids[1]) == {CRM_FIELDS[bench.crm, ACCOUNT]["description"]: "late"}


def test_records_that_show_what_is_staged_are_left_alone(bench: Bench) -> None:
    spec, _ = coming_back(bench)
    check(bench, spec)
    look(bench, spec)
    check(bench, spec)
    assert pending(bench, spec) == []


@pytest.mark.parametrize(("scope", "kept"), [("recent", 2), ("full", 1)])
def test_the_nightly_check_forgets_conflicts_that_were_kept_long_enough(salesforce: Bench, scope: Scope, kept: int) -> None:
    spec, _ = coming_back(salesforce)
    with salesforce.store.transaction() as connection:
        save_conflicts(connection, salesforce.order(spec, ACCOUNT).state, conflicts=conflict(), run_id="run")
        save_conflicts(connection, salesforce.order(spec, ACCOUNT).state, conflicts=conflict(field="Phone"), run_id="run")
        connection.execute(text("UPDATE crm_pipeline.conflict SET at = now() - interval '31 days' WHERE field = 'Phone'"))
    check(salesforce, spec, scope=scope)
    assert salesforce.rows("SELECT count(*) FROM crm_pipeline.conflict") == [(kept,)]


def test_a_recent_check_reads_no_fields(bench: Bench) -> None:
    spec, _ = coming_back(bench)
    check(bench, spec, scope="recent")
    assert pending(bench, spec) == []


def test_it_costs_the_calls_of_a_check_in_which_nothing_comes_back(bench: Bench) -> None:
    spec, _ = coming_back(bench, direction="to_crm")
    check(bench, spec)
    plain = dict(bench.calls)
    assert pending(bench, spec) == []
    accounts = spec.accounts.model_copy(
        update={
            "map": spec.accounts.map.model_validate({"name": "customer_name", "description": {"from": "comments", "direction": "both"}})
        }
    )
    check(bench, spec.model_copy(update={"accounts": accounts}))
    # The fields are described, once.
    assert {label: count for label, count in bench.calls.items() if label != "describe"} == plain
    assert len(pending(bench, spec)) == 3
