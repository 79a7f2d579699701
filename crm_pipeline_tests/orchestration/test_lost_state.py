"""What the runbook promises for a lost database, and for hours that were taken out of the way."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.schedule import unfinished
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import Sandbox, start_sandbox
from crm_pipeline_tests.orchestration.conftest import Dagster, in_crms, outcomes
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes, integration

EXTRACT = ("qbench/customers",)
OURS = """
SELECT string_agg('crm_pipeline.' || tablename, ', ') FROM pg_tables WHERE schemaname = 'crm_pipeline' AND tablename <> 'alembic_version'
"""


def by_key_in_salesforce_by_match_in_hubspot(sandbox: Sandbox) -> IntegrationSpec:
    chosen = attributes(sandbox) | FEW_FIELDS
    del chosen["crms"]["hubspot"]["external_key"]
    chosen["accounts"] = {**chosen["accounts"], "sync_on": [{"name": {"hubspot": "name"}}]}
    chosen["contacts"] = {**chosen["contacts"], "sync_on": [{"email": {"hubspot": "email"}}]}
    return IntegrationSpec.model_validate({"name": "acme", **chosen})


def lose_our_tables() -> None:
    with STORE.transaction() as connection:
        connection.execute(text(f"TRUNCATE {connection.execute(text(OURS)).scalar_one()}"))


def test_all_hours_in_one_run_find_every_record_again_after_a_loss(credentials: object, dagster: Dagster) -> None:
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=False, index_lag_seconds=0.0)
    with start_sandbox(org=org, portal=portal) as sandbox:
        spec = by_key_in_salesforce_by_match_in_hubspot(sandbox)
        add_laboratories(sandbox.tenant, 2, contacts_each=1)
        add_laboratories(sandbox.tenant, 1, contacts_each=1, at=IN_SECOND, first_number=3)
        assert dagster.run(spec, FIRST, until=SECOND).success
        before = in_crms(sandbox)
        lose_our_tables()
        assert dagster.run(spec, FIRST, until=SECOND).success
        assert in_crms(sandbox) == before
    assert {outcome for outcome, *_ in outcomes().values()} == {"linked"}
    with STORE.transaction() as connection:
        found = connection.execute(text("SELECT DISTINCT crm, origin FROM crm_pipeline.link ORDER BY crm")).tuples().all()
    assert found == [("hubspot", "matched"), ("salesforce", "key")]


def test_hours_before_a_start_that_moved_can_be_forgotten(sandbox: Sandbox, dagster: Dagster) -> None:
    spec = integration(sandbox)
    runs = [dagster.run(spec, hour, assets=EXTRACT).dagster_run.run_id for hour in (FIRST, SECOND)]
    moved = hourly_partitions(spec.start + timedelta(hours=1))
    keys = [dg.AssetKey(["acme", *asset.split("/")]) for asset in EXTRACT]
    dagster.instance.delete_run(runs[0])
    assert set().union(*unfinished(dagster.instance, keys, [SECOND], moved).values()) == set()
    assert moved.get_first_partition_key() == SECOND
    open_hours = unfinished(dagster.instance, keys, [FIRST, SECOND], hourly_partitions(spec.start))
    assert set().union(*open_hours.values()) == {FIRST}, "a deleted run takes its hour's green along"
