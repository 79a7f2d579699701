"""What anybody who may open the UI gets to read: no page and no GraphQL answer holds a secret."""

from __future__ import annotations

import gzip

import dagster as dg
import pytest

from crm_pipeline_tests.live.conftest import INTEGRATION, LiveDagster
from crm_pipeline_tests.orchestration.test_secrets import secrets_of

pytestmark = pytest.mark.timeout(1800)

METADATA = "metadataEntries { label description ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } }"
LOCATION = f"""
{{
  instance {{ info }}
  workspaceOrError {{ ... on Workspace {{ locationEntries {{ name displayMetadata {{ key value }} }} }} }}
  repositoriesOrError {{ ... on RepositoryConnection {{ nodes {{
    displayMetadata {{ key value }}
    assetNodes {{ assetKey {{ path }} description opNames {METADATA} assetMaterializations(limit: 9) {{ message {METADATA} }} }}
    allTopLevelResourceDetails {{ name description resourceType configuredValues {{ key value type }} }}
    jobs {{ name description presets {{ runConfigYaml }} }}
    schedules {{ name cronSchedule description }}
    sensors {{ name description }}
  }} }} }}
}}
"""
RUN = """
query Run($run: ID!) {
  runOrError(runId: $run) { ... on Run { runConfigYaml tags { key value } jobName status } }
  logsForRun(runId: $run) { ... on EventConnection { events {
    ... on MessageEvent { message level }
    ... on MaterializationEvent { metadataEntries { label description ... on TextMetadataEntry { text } } }
    ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
  } } }
}
"""


def test_no_secret_is_in_a_page_or_a_graphql_answer(live: LiveDagster) -> None:
    run_id = next((run.run_id for run in live.instance.get_runs() if not run.is_failure), None)
    if run_id is None:
        run_id = live.launch(live.hour(20), assets=["qbench/customers"])
    assert live.await_end(run_id) is dg.DagsterRunStatus.SUCCESS
    told = {
        "the code location": str(live.graphql(LOCATION)),
        "the run": str(live.graphql(RUN, run=run_id)),
        "the run's debug file": gzip.decompress(live.client.get(f"/download_debug/{run_id}").read()).decode(),
        "the process's output": live.log(),
        **{page: live.client.get(page).text for page in ("/", f"/runs/{run_id}", f"/assets/{INTEGRATION}/qbench/customers", "/config")},
    }
    assert "ASSET_MATERIALIZATION" in told["the run's debug file"]
    assert "hubspot" in told["the code location"]
    secrets = secrets_of(live.sandbox)
    assert [(where, secret[:3]) for where, text in told.items() for secret in secrets if secret in text] == []
