"""The same results with every step in a process of its own, as in projects whose executor is Dagster's default."""

from __future__ import annotations

import json
from collections import Counter

import dagster as dg

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.running import RANGE_END_TAG, RANGE_START_TAG
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import in_crms
from crm_pipeline_tests.tenants import FIRST, IN_SECOND, SECOND, add_laboratories, attributes

# A step's process is forked from one that has imported everything; starting each anew costs seconds.
IMPORTED = [
    __name__,
    "crm_pipeline.qbench.client",
    "crm_pipeline.sync.extracting.extract",
    "crm_pipeline.sync.loading.load",
    "crm_pipeline.crms.hubspot.client",
]
FORKED = dg.multiprocess_executor.configured({"start_method": {"forkserver": {"preload_modules": IMPORTED}}})
ACCOUNTS = ("qbench/customers", "normalized/accounts", "hubspot/companies")


def accounts_job(attributes_json: str) -> dg.JobDefinition:
    """The accounts' part of the integration, in the worker of a run and in the process of each of its steps."""
    spec = IntegrationSpec.model_validate({"name": "acme", **json.loads(attributes_json)})
    keys = [dg.AssetKey(["acme", *asset.split("/")]) for asset in ACCOUNTS]
    job = dg.define_asset_job("accounts", selection=dg.AssetSelection.assets(*keys), executor_def=FORKED)
    return dg.Definitions.merge(dg.Definitions(jobs=[job]), build_integration(spec)).resolve_job_def("accounts")


def test_backfill_with_a_process_per_step_arrives_once(sandbox: Sandbox, database_in_environment: str) -> None:
    add_laboratories(sandbox.tenant, 3)
    add_laboratories(sandbox.tenant, 2, at=IN_SECOND, first_number=4)
    job = dg.build_reconstructable_job(__name__, "accounts_job", reconstructable_args=(json.dumps(attributes(sandbox)),))
    tags = {RANGE_START_TAG: FIRST, RANGE_END_TAG: SECOND}
    with dg.instance_for_test() as instance, dg.execute_job(job, instance=instance, tags=tags) as result:
        assert result.success
        processes = {entry.dagster_event.pid for entry in instance.all_logs(result.run_id) if entry.dagster_event}
    assert len(processes) > len(ACCOUNTS), "one per step and the run's own"
    once = Counter(f"Laboratory {number}" for number in range(1, 6))
    assert Counter(in_crms(sandbox)["hubspot"][0].values()) == once
