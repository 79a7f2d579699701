"""What Dagster's UI asks for its main pages, cut down to what costs, and what an answer takes of all that takes part in it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from benchmarks.deployment import Deployment
from benchmarks.workbench import BenchmarkError

STARTING_SECONDS = 120
ANSWERING = ("webserver", "code server", "PostgreSQL")

_LIVE = """
assetNodes(assetKeys: $assets, loadMaterializations: true) {
  assetMaterializations(limit: 1) { timestamp runId }
  assetObservations(limit: 1) { timestamp }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { id status timestamp } } } }
  partitionStats { numMaterialized numMaterializing numPartitions numFailed }
  staleStatus staleCauses { reason }
}
assetsLatestInfo(assetKeys: $assets) { unstartedRunIds inProgressRunIds latestRun { id status startTime endTime } }
"""
_ASSETS = f"""
query ($assets: [AssetKeyInput!]!) {{
  assetRecordsOrError(limit: 1000) {{ ... on AssetRecordConnection {{ assets {{ id }} }} }}
  {_LIVE}
}}
"""
_PARTITIONS = f"""
query ($asset: AssetKeyInput!, $assets: [AssetKeyInput!]!) {{
  assetNodeOrError(assetKey: $asset) {{ ... on AssetNode {{
    partitionKeysByDimension {{ partitionKeys }}
    assetPartitionStatuses {{ ... on TimePartitionStatuses {{ ranges {{ status startKey endKey }} }} }}
  }} }}
  {_LIVE}
}}
"""
_EVENTS = """
query ($asset: AssetKeyInput!) {
  assetOrError(assetKey: $asset) { ... on Asset {
    assetMaterializations(limit: 100) { runId timestamp partition metadataEntries { label } }
  } }
}
"""
_CHECK = """
query ($asset: AssetKeyInput!, $check: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 31) { status timestamp run { status } evaluation { description } }
}
"""
_RUNS = """
query {
  runsFeedOrError(limit: 30, filter: {}, view: ROOTS) { ... on RunsFeedConnection {
    hasMore results { id runStatus creationTime startTime endTime jobName tags { key value } }
  } }
  queued: runsFeedCountOrError(filter: {statuses: [QUEUED]}, view: RUNS) { ... on RunsFeedCount { count } }
  running: runsFeedCountOrError(filter: {statuses: [STARTED, STARTING, CANCELING]}, view: RUNS) { ... on RunsFeedCount { count } }
}
"""
_RUN = """
query ($run: ID!) {
  pipelineRunOrError(runId: $run) { ... on Run {
    status tags { key value } runConfigYaml assetSelection { path } executionPlan { steps { key } } startTime endTime
    stepStats { stepKey status startTime endTime }
  } }
  logsForRun(runId: $run, limit: 1000) { ... on EventConnection { events { __typename ... on MessageEvent { message timestamp } } } }
}
"""
_TICKS = """
query ($sensor: InstigationSelector!, $after: Float!) {
  instigationStateOrError(instigationSelector: $sensor) { ... on InstigationState {
    latest: ticks(limit: 26) { tickId status timestamp skipReason }
    shown: ticks(limit: 1000, afterTimestamp: $after) { tickId status timestamp }
  } }
}
"""
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "bench"}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of all that answers, and how long it took."""

    cpu_seconds: float
    seconds: float


def pages(integration: str, *, run: str, beside: int) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """The question of each page and its variables; the catalog shows the assets of so many integrations beside this one."""
    asset = {"path": [integration, "hubspot", "contacts"]}
    shown = [f"{integration}{number or ''}" for number in range(beside + 1)]
    ends = (("qbench", "customers"), ("normalized", "contacts"), ("hubspot", "companies"), ("hubspot", "contacts"))
    loads = [{"path": [name, *end]} for name in shown for end in ends]
    of_asset = {"asset": asset, "assets": [asset]}
    return MappingProxyType(
        {
            "asset catalog": (_ASSETS, {"assets": loads}),
            "an asset's partitions": (_PARTITIONS, of_asset),
            "an asset's events": (_EVENTS, {"asset": asset}),
            "an asset's check": (_CHECK, {"asset": asset, "check": "counts_add_up"}),
            "runs": (_RUNS, {}),
            "a run": (_RUN, {"run": run}),
            "a sensor's ticks": (
                _TICKS,
                {"sensor": {**_REPOSITORY, "name": f"{integration}__retries"}, "after": time.time() - 24 * 3600},
            ),
        }
    )


def asked(deployment: Deployment, question: str, variables: Mapping[str, Any]) -> Cost:
    """Ask once. Raises BenchmarkError where the answer tells errors."""
    before, began = deployment.cost(), time.monotonic()
    answer = httpx.post(f"{deployment.url}/graphql", json={"query": question, "variables": dict(variables)}, timeout=600, trust_env=False)
    seconds, after = time.monotonic() - began, deployment.cost()
    found = answer.json()
    if "errors" in found or not found.get("data"):
        raise BenchmarkError(f"the webserver answered {str(found)[:1000]}")
    return Cost(sum(after[part] - before[part] for part in ANSWERING), seconds)


def wait_until_up(deployment: Deployment) -> None:
    """Return once the webserver has loaded the code location. Raises BenchmarkError when it does not in time."""
    question = "query { workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
    for _ in range(STARTING_SECONDS):
        try:
            told = httpx.post(f"{deployment.url}/graphql", json={"query": question}, timeout=60, trust_env=False).json()
        except httpx.TransportError:
            told = {}
        [entry] = (told.get("data") or {}).get("workspaceOrError", {}).get("locationEntries") or [{}]
        if (entry.get("locationOrLoadError") or {}).get("__typename") == "RepositoryLocation":
            return
        time.sleep(1)
    raise BenchmarkError("the webserver does not find the code location")
