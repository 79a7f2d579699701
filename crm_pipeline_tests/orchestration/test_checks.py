"""What the asset checks promise, on real runs: yellow for records, red for broken promises, also where a load fails."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import get_args

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.errors import wanted_errors
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.spec import AccountSpec
from crm_pipeline.orchestration.checks import links_consistent, no_failed_records, no_open_records, window_complete
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.ledger import LinkFault, OpenRecords
from crm_pipeline_tests.orchestration.conftest import READS, Verdicts, World, failures, numbers, verdicts_of
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, SECOND, add_laboratories, customized

SALESFORCE_ACCOUNTS = ("salesforce/accounts",)


def change_state(statement: str) -> None:
    with STORE.transaction() as connection:
        connection.execute(text(statement))


def test_records_that_only_wait_to_be_put_into_a_list_are_nothing_to_warn_of() -> None:
    waiting = OpenRecords({"NotInListException": 2}, most_attempts=3, next_attempt_at=None)
    assert no_open_records(waiting).passed
    assert not no_open_records(replace(waiting, errors={"NotInListException": 2, "RecordLockedException": 1})).passed


def test_records_that_are_left_out_on_purpose_are_no_warning() -> None:
    assert {"FilteredOutException", "DeletedInQBenchException", "SyncsAsLeadException"} < wanted_errors()
    assert no_failed_records(dict.fromkeys(wanted_errors(), 3)).passed


def test_the_records_with_something_wrong_are_the_sum_of_their_errors() -> None:
    verdict = no_failed_records({"InvalidEmailException": 100, "FilteredOutException": 40, "ValueTooLongException": 18})
    assert verdict.metadata == {
        "records": dg.IntMetadataValue(118),
        "InvalidEmailException": dg.IntMetadataValue(100),
        "ValueTooLongException": dg.IntMetadataValue(18),
        "not_counted": dg.TextMetadataValue("40 FilteredOutException"),
    }


@dataclass(frozen=True)
class Checked:
    """The checks of runs over the first two hours, one after the other.

    ``first``: two laboratories, a person of one of them and a customer from tomorrow, HubSpot down. ``second``: the next hour, after the
    outcome of one laboratory and the link of the other were lost. ``healed``: that hour again, after the first one had run again.
    ``stopped``: the read of an hour that QBench broke off. ``changed``: the second hour under another mapping. ``renewed``: the first
    hour's contacts under that mapping. ``misspelt``: its customers under one that names a field which QBench has not.
    """

    failed: dict[str, str]
    first: Verdicts
    second: Verdicts
    healed: Verdicts
    stopped: Verdicts
    changed: Verdicts
    renewed: Verdicts
    misspelt: tuple[dg.ExecuteInProcessResult, Verdicts]


@pytest.fixture(scope="module")
def checked(world: World) -> Checked:
    sandbox, dagster = world.sandbox, world.dagster
    spec, hasty = customized(sandbox), customized(sandbox, hubspot={"attempts": 1}, qbench={"attempts": 1})
    mapped_anew = spec.model_copy(update={"default_region": "GB"})

    def run(spec: IntegrationSpec, hour: str, *assets: str) -> tuple[dg.ExecuteInProcessResult, Verdicts]:
        result = dagster.run(spec, hour, assets=assets)
        return result, verdicts_of(dagster, result)

    lost, unlinked = add_laboratories(sandbox.tenant, 2)
    sandbox.tenant.add_contact(
        customer_ids=[lost], email_address="pat@example.org", first_name="Pat", last_name="Lee", phone="512 555 0102", at=BEFORE_START
    )
    sandbox.tenant.add_customer(customer_name="From tomorrow", at=int(time.time()) + 86_400)
    sandbox.faults.add(Fault(service="hubspot", times=None, status=503))
    failed, first = run(hasty, FIRST, *READS, *SALESFORCE_ACCOUNTS, "hubspot/companies")
    sandbox.faults.clear()
    change_state(f"DELETE FROM crm_pipeline.outcome WHERE crm = 'salesforce' AND qbench_id = {lost}")
    change_state(f"DELETE FROM crm_pipeline.link WHERE qbench_id = {unlinked}")
    _, second = run(spec, SECOND, *SALESFORCE_ACCOUNTS)
    assert dagster.run(spec, FIRST, assets=SALESFORCE_ACCOUNTS).success
    _, healed = run(spec, SECOND, *SALESFORCE_ACCOUNTS)
    sandbox.faults.add(Fault(service="qbench", path="/customers", times=None, status=503))
    _, stopped = run(hasty, SECOND, "qbench/customers")
    sandbox.faults.clear()
    _, changed = run(mapped_anew, SECOND, *READS[2:])
    _, renewed = run(mapped_anew, FIRST, *READS[3:])
    described = AccountSpec.model_validate({"map": {"name": "customer_name", "description": "comentts"}})
    misspelt = spec.model_copy(update={"accounts": described})
    return Checked(failures(failed), first, second, healed, stopped, changed, renewed, run(misspelt, FIRST, READS[2]))


def test_lost_outcome_of_a_done_hour_is_an_error_and_a_lost_link_a_warning(checked: Checked) -> None:
    counts, links = (checked.second["salesforce/accounts", name] for name in ("counts_add_up", "links_consistent"))
    assert (counts.passed, counts.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (links.passed, links.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (numbers(counts)["lost_records"], numbers(counts)["hours_with_lost_records"]) == (1, [FIRST])
    assert numbers(links)["synced_without_link"] == 1
    assert checked.healed["salesforce/accounts", "counts_add_up"].passed


def test_load_that_fails_still_tells_its_checks_and_what_is_open_is_not_lost(checked: Checked) -> None:
    assert list(checked.failed) == ["hubspot/companies"]
    verdict = checked.first["hubspot/companies", "counts_add_up"]
    assert verdict.passed
    assert numbers(verdict)["open_records"] == 2


def test_read_that_stops_early_is_an_error(checked: Checked) -> None:
    verdict = checked.stopped["qbench/customers", "window_complete"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)


def test_record_dated_in_the_future_is_a_warning(checked: Checked) -> None:
    verdict = checked.first["qbench/customers", "window_complete"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert int(str(numbers(verdict)["seconds_ahead"])) > 80_000


@pytest.mark.parametrize("fault", ["links_of_no_organization", "intents_older_than_a_day"])
def test_link_that_breaks_a_promise_is_an_error(fault: LinkFault) -> None:
    none: dict[LinkFault, int] = dict.fromkeys(get_args(LinkFault), 0)
    verdict = links_consistent({**none, fault: 1})
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert links_consistent(none).passed


def test_unread_seconds_outweigh_a_future_record() -> None:
    assert window_complete(seconds_missing=1, seconds_ahead=1).severity is dg.AssetCheckSeverity.ERROR


def test_rows_of_another_mapping_are_a_warning_until_they_are_normalized_again(checked: Checked) -> None:
    contacts = checked.changed["normalized/contacts", "mapping_current"]
    assert (contacts.passed, contacts.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert numbers(contacts)["records_out_of_date"] == 1
    assert checked.changed["normalized/accounts", "mapping_current"].passed, "customers are normalized anew by themselves"
    assert checked.renewed["normalized/contacts", "mapping_current"].passed


def test_qbench_field_that_no_record_has_is_named_in_check_and_metadata(checked: Checked) -> None:
    result, verdicts = checked.misspelt
    verdict = verdicts["normalized/accounts", "mapping_current"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "comentts" in str(verdict.description)
    (made,) = result.asset_materializations_for_node(result.get_step_success_events()[0].step_key or "")
    assert made.metadata["unknown_fields"].value == "comentts"
    assert checked.first["normalized/accounts", "mapping_current"].passed
