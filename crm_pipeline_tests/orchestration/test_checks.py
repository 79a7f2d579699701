"""What the asset checks promise, on real runs: yellow for records, red for broken promises, also where a load fails."""

from __future__ import annotations

import time
from typing import get_args

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.orchestration.checks import NOTHING_WRONG, links_consistent, no_failed_records, window_complete
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.ledger import LinkFault
from crm_pipeline_tests.orchestration.conftest import READS, Dagster, numbers, verdicts_of
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, SECOND, add_laboratories, customized, integration

SALESFORCE_ACCOUNTS = ("qbench/customers", "normalized/accounts", "salesforce/accounts")


def change_state(statement: str) -> None:
    with STORE.transaction() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("error", NOTHING_WRONG, ids=lambda error: error.__name__)
def test_records_that_are_left_out_on_purpose_are_no_warning(error: type) -> None:
    assert no_failed_records({error.__name__: 3}).passed


def test_lost_outcome_of_a_done_hour_is_an_error_and_a_lost_link_a_warning(sandbox: Sandbox, dagster: Dagster) -> None:
    lost, unlinked = add_laboratories(sandbox.tenant, 2)
    spec = customized(sandbox)
    assert dagster.run(spec, FIRST, assets=SALESFORCE_ACCOUNTS).success
    change_state(f"DELETE FROM crm_pipeline.outcome WHERE qbench_id = {lost}")
    change_state(f"DELETE FROM crm_pipeline.link WHERE qbench_id = {unlinked}")
    found = verdicts_of(dagster, dagster.run(spec, SECOND, assets=SALESFORCE_ACCOUNTS[-1:]))
    counts, links = (found["salesforce/accounts", name] for name in ("counts_add_up", "links_consistent"))
    assert (counts.passed, counts.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (links.passed, links.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (numbers(counts)["lost_records"], numbers(counts)["hours_with_lost_records"]) == (1, [FIRST])
    assert numbers(links)["synced_without_link"] == 1
    assert dagster.run(spec, FIRST, assets=SALESFORCE_ACCOUNTS[-1:]).success
    healed = verdicts_of(dagster, dagster.run(spec, SECOND, assets=SALESFORCE_ACCOUNTS[-1:]))
    assert healed["salesforce/accounts", "counts_add_up"].passed


def test_load_that_fails_still_tells_its_checks_and_what_is_open_is_not_lost(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, 3)
    sandbox.faults.add(Fault(service="hubspot", times=None, status=503))
    assets = ("qbench/customers", "normalized/accounts", "hubspot/companies")
    result = dagster.run(customized(sandbox, hubspot={"attempts": 1}), FIRST, assets=assets)
    assert not result.success
    verdict = verdicts_of(dagster, result)["hubspot/companies", "counts_add_up"]
    assert verdict.passed
    assert numbers(verdict)["open_records"] == 3


def test_read_that_stops_early_is_an_error(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, 1)
    sandbox.faults.add(Fault(service="qbench", path="/customers", times=None, status=503))
    stopped = verdicts_of(dagster, dagster.run(customized(sandbox, qbench={"attempts": 1}), FIRST, assets=("qbench/customers",)))
    verdict = stopped["qbench/customers", "window_complete"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)


def test_record_dated_in_the_future_is_a_warning(sandbox: Sandbox, dagster: Dagster) -> None:
    sandbox.tenant.add_customer(customer_name="From tomorrow", at=int(time.time()) + 86_400)
    verdict = verdicts_of(dagster, dagster.run(customized(sandbox), FIRST, assets=("qbench/customers",)))[
        "qbench/customers", "window_complete"
    ]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert int(str(numbers(verdict)["seconds_ahead"])) > 80_000


@pytest.mark.parametrize("fault", ["shared_crm_records", "links_of_no_organization", "intents_older_than_a_day"])
def test_link_that_breaks_a_promise_is_an_error(fault: LinkFault) -> None:
    none: dict[LinkFault, int] = dict.fromkeys(get_args(LinkFault), 0)
    verdict = links_consistent({**none, fault: 1})
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert links_consistent(none).passed


def test_unread_seconds_outweigh_a_future_record() -> None:
    assert window_complete(seconds_missing=1, seconds_ahead=1).severity is dg.AssetCheckSeverity.ERROR


def test_rows_of_another_mapping_are_a_warning_until_they_are_normalized_again(sandbox: Sandbox, dagster: Dagster) -> None:
    (customer,) = add_laboratories(sandbox.tenant, 1)
    sandbox.tenant.add_contact(
        customer_ids=[customer], email_address="pat@example.org", first_name="Pat", last_name="Lee", phone="512 555 0102", at=BEFORE_START
    )
    normalized = ("normalized/accounts", "normalized/contacts")
    assert dagster.run(integration(sandbox), FIRST, assets=READS).success
    changed = integration(sandbox, accounts={"map": {"name": "customer_name"}}, default_region="GB")
    found = verdicts_of(dagster, dagster.run(changed, SECOND, assets=normalized))
    contacts = found["normalized/contacts", "mapping_current"]
    assert (contacts.passed, contacts.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert numbers(contacts)["records_out_of_date"] == 1
    assert found["normalized/accounts", "mapping_current"].passed, "customers are normalized anew by themselves"
    assert verdicts_of(dagster, dagster.run(changed, FIRST, assets=normalized[1:]))["normalized/contacts", "mapping_current"].passed
