"""What Dagster's records say of failed runs, and of what is well again, where the integration's own runs do not show it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from crm_pipeline.orchestration.failing import Watched, failed_runs, is_well

BEGINNING = {"runs": 0}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings={"run_retries": {"enabled": True, "max_retries": 1}}) as instance:
        yield instance


@dg.asset(key=["acme", "salesforce", "links"])
def links(context: dg.AssetExecutionContext) -> None:
    """An asset without partitions."""
    if "fails" in context.run.tags:
        raise dg.Failure(description="as the test wants it")


WATCHED = Watched.of("acme", dg.Definitions(assets=[links]))


def run(instance: dg.DagsterInstance, *, fails: bool) -> dg.ExecuteInProcessResult:
    # Without retries of the run, which a daemon would have to make.
    tags = {"dagster/max_retries": "0", **({"fails": "yes"} if fails else {})}
    return dg.materialize([links], instance=instance, tags=tags, raise_on_error=False)


def links_well(instance: dg.DagsterInstance) -> bool:
    return is_well(instance, WATCHED, "acme/salesforce/links", now=datetime.now(UTC))


def found(instance: dg.DagsterInstance, *, at: datetime, after: dict[str, int] = BEGINNING) -> tuple[list[str], int]:
    look = failed_runs(instance, WATCHED, after=after, now=at)
    return [failure.subject.name for failure in look.failures], look.position["runs"]


def test_asset_without_partitions_is_well_again_once_it_was_materialized(instance: dg.DagsterInstance) -> None:
    run(instance, fails=False)
    run(instance, fails=True)
    assert found(instance, at=datetime.now(UTC))[0] == ["acme/salesforce/links"]
    assert not links_well(instance)
    run(instance, fails=False)
    assert links_well(instance)


def test_asset_without_partitions_is_not_well_while_it_is_made_again(instance: dg.DagsterInstance) -> None:
    run(instance, fails=True)
    job = dg.Definitions(assets=[links]).resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert not links_well(instance)


def test_asset_that_is_no_more_is_well(instance: dg.DagsterInstance) -> None:
    assert is_well(instance, WATCHED, "acme/gone", now=datetime.now(UTC))


def test_run_of_which_dagster_has_not_said_whether_it_retries_is_left_for_the_next_look(instance: dg.DagsterInstance) -> None:
    begun = create_run_for_test(instance, asset_selection=frozenset({links.key}), status=dg.DagsterRunStatus.STARTED)
    now = datetime.now(UTC)
    failed = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, begun.job_name, message="failed")
    # Dagster stores the event first, and then the run's status and tags.
    entry: dg.EventLogEntry = dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None, level=40, user_message="", run_id=begun.run_id, timestamp=now.timestamp(), dagster_event=failed
    )
    instance.event_log_storage.store_event(entry)
    assert found(instance, at=now) == ([], 0)
    assert found(instance, at=now + timedelta(minutes=2))[0] == ["acme"]


HOURS = dg.HourlyPartitionsDefinition(start_date=datetime(2026, 11, 1, tzinfo=UTC), timezone="UTC")
TOGETHER = [dg.AssetKey(["acme", "salesforce", f"{one}_changes"]) for one in ("account", "contact")]


@dg.multi_asset(specs=[dg.AssetSpec(key, skippable=True) for key in TOGETHER], name="together", can_subset=True, partitions_def=HOURS)
def changes(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Several assets of one step."""
    if "fails" in context.run.tags:
        raise dg.Failure(description="as the test wants it")
    yield from (dg.MaterializeResult(asset_key=key) for key in context.selected_asset_keys)


def test_step_of_several_assets_is_told_once_and_well_once_all_of_them_are(instance: dg.DagsterInstance) -> None:
    watched = Watched.of("acme", dg.Definitions(assets=[changes]))
    tags, hour = {"dagster/max_retries": "0"}, HOURS.get_first_partition_key()
    dg.materialize([changes], instance=instance, partition_key=hour, tags={**tags, "fails": "yes"}, raise_on_error=False)
    look = failed_runs(instance, watched, after=BEGINNING, now=datetime.now(UTC))
    [name] = [failure.subject.name for failure in look.failures]
    assert name == "acme/salesforce/account_changes"
    for key, well in zip(TOGETHER, (False, True), strict=True):
        dg.materialize([changes], instance=instance, partition_key=hour, tags=tags, selection=[key])
        assert is_well(instance, watched, name, now=datetime.now(UTC)) is well


def test_position_beyond_the_last_run_starts_at_the_last_run(instance: dg.DagsterInstance) -> None:
    run(instance, fails=True)
    _, last = found(instance, at=datetime.now(UTC))
    assert found(instance, at=datetime.now(UTC), after={"runs": last + 1_000}) == ([], last)
