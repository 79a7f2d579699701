"""What stayed open on its way into QBench is requested by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG
from dagster._core.test_utils import create_run_for_test

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.names import from_crms_retry_sensor_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import DUE, ROWS_TAG
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline_tests.conftest import empty
from crm_pipeline_tests.orchestration.test_changes import TWO_WAY, Ticks, receiving
from crm_pipeline_tests.orchestration.test_first_load import THIRD
from crm_pipeline_tests.orchestration.test_retries import hours
from crm_pipeline_tests.tenants import FIRST, SECOND


@pytest.fixture
def open_contact(state_database: str) -> Iterator[None]:
    """A HubSpot contact at which another look is wanted, in a state that is empty else."""
    with STORE.transaction() as connection:
        pend(connection, CrmState("acme", "hubspot", RecordType.CONTACT), crm_ids=["7001"])
    yield
    empty(STORE)


@pytest.fixture
def done() -> Iterator[Ticks]:
    """The way back, three hours of which are done."""
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance, TWO_WAY)
        ticks.done(FIRST, SECOND, THIRD)
        yield ticks


def requested(ticks: Ticks, spec: IntegrationSpec = TWO_WAY) -> tuple[Sequence[dg.RunRequest], str | None]:
    definitions = build_integration(spec)
    with dg.build_sensor_context(instance=ticks.instance, definitions=definitions) as context:
        found = definitions.resolve_sensor_def(from_crms_retry_sensor_name("acme")).evaluate_tick(context)
    return found.run_requests or [], found.skip_message


def run_of(ticks: Ticks, *, job: str, tags: Mapping[str, str], status: dg.DagsterRunStatus) -> None:
    create_run_for_test(ticks.instance, status=status, job_name=job, tags=dict(tags))


def test_nothing_is_requested_where_nothing_is_open(done: Ticks, state_database: str) -> None:
    assert requested(done) == ([], "integration acme: nothing is due")


def test_open_change_is_looked_at_with_the_newest_hour_that_is_done(done: Ticks, open_contact: None) -> None:
    [request] = requested(done)[0]
    assert hours([request]) == [(THIRD, THIRD, {"qbench/contacts_from_hubspot"})]
    assert request.tags[ROWS_TAG] == DUE


def test_hour_that_is_not_done_is_never_made_green_by_it(open_contact: None) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert requested(Ticks(instance, TWO_WAY))[0] == []


def test_open_change_is_requested_once_an_hour(done: Ticks, open_contact: None) -> None:
    [request] = requested(done)[0]
    run_of(done, job="acme__from_crms", tags={RUN_KEY_TAG: str(request.run_key)}, status=dg.DagsterRunStatus.FAILURE)
    assert requested(done)[0] == []


def test_run_of_the_way_back_is_waited_for(done: Ticks, open_contact: None) -> None:
    run_of(done, job="acme__from_crms", tags={}, status=dg.DagsterRunStatus.STARTED)
    assert requested(done) == ([], "integration acme: a run is queued or running; it is waited for")


def test_nothing_is_requested_of_a_crm_from_which_nothing_is_received(done: Ticks, open_contact: None) -> None:
    requests, skipped = requested(done, receiving(TWO_WAY, hubspot=False))
    assert requests == []
    assert "nothing comes back from HubSpot" in str(skipped)
