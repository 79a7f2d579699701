"""Which runs have lost their worker: asks the code server that executes a run whether it still does.

dagster.yaml names this launcher. With Dagster's own, whose code servers are asked nothing, a run whose host died stays
"started" for ever, and its integration's schedule waits for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Self

import dagster as dg
from dagster._config.config_schema import UserConfigSchema
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

PATIENCE_SECONDS = 20
"""How long a code server may be out of reach before its runs count as dead."""

SILENT_SECONDS = 900
"""How long a run may log nothing once its code server does not know it. A run that waits for a pool logs every 300 seconds."""

ASK_SECONDS = 30
"""How long an answer may take. Longer than gRPC tries to connect, so that a host that is gone is not taken for a slow one."""


class _Answer(Enum):
    EXECUTING = auto()
    UNKNOWN = auto()
    GONE = auto()


class WatchfulRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, and the run monitoring learns from it which workers are gone.

    | the run's code server | verdict |
    | --- | --- |
    | executes the run | alive |
    | is out of reach | dead, once it stays so for ``patience_seconds`` |
    | does not know the run, fails to answer or is slow | dead, once the run has logged nothing for ``silent_seconds`` |

    A server that was reloaded does not know the runs that its predecessor still executes, hence the last line. A run that no
    code server executes (``dagster job execute``, a notebook) is never called dead.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        patience_seconds: int = PATIENCE_SECONDS,
        silent_seconds: int = SILENT_SECONDS,
    ) -> None:
        super().__init__(inst_data)
        self._patience_seconds = patience_seconds
        self._silent_seconds = silent_seconds
        self._gone_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """The keys below ``config`` in dagster.yaml."""
        return {
            "patience_seconds": dg.Field(int, default_value=PATIENCE_SECONDS, is_required=False),
            "silent_seconds": dg.Field(int, default_value=SILENT_SECONDS, is_required=False),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The launcher that dagster.yaml describes."""
        return cls(inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the run monitoring asks about every started run."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's worker is alive, as far as its code server knows. Calls nothing dead at the first asking."""
        if GRPC_INFO_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no code server executes this run")
        answer = _ask(run)
        if answer is _Answer.GONE:
            return self._gone(run.run_id)
        self._gone_since.pop(run.run_id, None)
        if answer is _Answer.EXECUTING:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._unknown(run.run_id)

    def _gone(self, run_id: str) -> CheckRunHealthResult:
        is_first_time = run_id not in self._gone_since
        since = self._gone_since.setdefault(run_id, time.monotonic())
        if is_first_time or time.monotonic() - since < self._patience_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server of this run is out of reach; asking again")
        del self._gone_since[run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that executed this run is gone")

    def _unknown(self, run_id: str) -> CheckRunHealthResult:
        newest = self._instance.get_records_for_run(run_id, limit=1, ascending=False).records
        silent = time.time() - newest[0].timestamp if newest else 0.0
        if silent < self._silent_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server does not know this run, which logged something of late")
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"the code server does not know this run, which has logged nothing for {silent:.0f} s"
        )


def _ask(run: dg.DagsterRun) -> _Answer:
    import grpc

    server = json.loads(run.tags[GRPC_INFO_TAG])
    client = DagsterGrpcClient(
        host=server["host"], port=server.get("port"), socket=server.get("socket"), use_ssl=bool(server.get("use_ssl"))
    )
    try:
        answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=ASK_SECONDS)
    except DagsterUserCodeUnreachableError as error:
        cause = error.__cause__
        is_gone = isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNAVAILABLE
        return _Answer.GONE if is_gone else _Answer.UNKNOWN
    return _Answer.EXECUTING if deserialize_value(answer, CanCancelExecutionResult).can_cancel else _Answer.UNKNOWN
