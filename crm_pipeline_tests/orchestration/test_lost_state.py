"""What the runbook promises for a lost database, and for hours that were taken out of the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.schedule import unfinished
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import LOADS, READS, Dagster, in_crms, outcomes
from crm_pipeline_tests.tenants import ACCOUNT_MAP, CONTACT_MAP, FIRST, IN_SECOND, SECOND, add_laboratories, integration

MATCH_KEYS: dict[str, Any] = {
    "accounts": {"map": ACCOUNT_MAP, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]},
    "contacts": {"map": CONTACT_MAP, "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}]},
}
OURS = """
SELECT string_agg('crm_pipeline.' || tablename, ', ') FROM pg_tables WHERE schemaname = 'crm_pipeline' AND tablename <> 'alembic_version'
"""


def lose_our_tables() -> None:
    with STORE.transaction() as connection:
        connection.execute(text(f"TRUNCATE {connection.execute(text(OURS)).scalar_one()}"))


@pytest.mark.parametrize("found_by", ["key", "matched"])
def test_all_hours_in_one_run_find_every_record_again_after_a_loss(
    request: pytest.FixtureRequest, credentials: object, dagster: Dagster, found_by: str
) -> None:
    has_keys = found_by == "key"
    sandbox: Sandbox = request.getfixturevalue("sandbox" if has_keys else "keyless_sandbox")
    spec = integration(sandbox, external_keys=has_keys, **({} if has_keys else MATCH_KEYS))
    add_laboratories(sandbox.tenant, 2, contacts_each=1)
    add_laboratories(sandbox.tenant, 1, contacts_each=1, at=IN_SECOND, first_number=3)
    assert dagster.run(spec, FIRST, until=SECOND).success
    before = in_crms(sandbox)
    lose_our_tables()
    assert dagster.run(spec, FIRST, until=SECOND).success
    assert in_crms(sandbox) == before
    assert {outcome for outcome, *_ in outcomes().values()} == {"linked"}
    with STORE.transaction() as connection:
        assert connection.execute(text("SELECT DISTINCT origin FROM crm_pipeline.link")).scalars().all() == [found_by]


def test_hours_before_a_start_that_moved_can_be_forgotten(sandbox: Sandbox, dagster: Dagster) -> None:
    spec = integration(sandbox)
    runs = [dagster.run(spec, hour).dagster_run.run_id for hour in (FIRST, SECOND)]
    moved = hourly_partitions(spec.start + timedelta(hours=1))
    keys = [dg.AssetKey(["acme", *asset.split("/")]) for asset in (*READS, *LOADS)]
    dagster.instance.delete_run(runs[0])
    assert set().union(*unfinished(dagster.instance, keys, [SECOND], moved).values()) == set()
    assert moved.get_first_partition_key() == SECOND
    open_hours = unfinished(dagster.instance, keys, [FIRST, SECOND], hourly_partitions(spec.start))
    assert set().union(*open_hours.values()) == {FIRST}, "a deleted run takes its hour's green along"
