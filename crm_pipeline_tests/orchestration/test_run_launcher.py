"""Which runs count as dead, by what their code server answers; asked over gRPC, of servers that speak Dagster's own protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import grpc
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.__generated__ import dagster_api_pb2
from dagster._grpc.__generated__.dagster_api_pb2_grpc import DagsterApiServicer, add_DagsterApiServicer_to_server
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

from crm_pipeline.orchestration import run_launcher
from crm_pipeline.orchestration.run_launcher import WatchfulRunLauncher

REPOSITORY = Path(run_launcher.__file__).parents[2]
ALIVE = WorkerStatus.RUNNING


class CodeServer(DagsterApiServicer):
    """Answers whether it executes a run, with what ``executes`` says of the run's id."""

    def __init__(self, executes: Callable[[str], bool]) -> None:
        self._executes = executes

    def CanCancelExecution(  # noqa: N802 - Dagster's name
        self, request: dagster_api_pb2.CanCancelExecutionRequest, _context: grpc.ServicerContext
    ) -> dagster_api_pb2.CanCancelExecutionReply:
        asked = dg.deserialize_value(request.serialized_can_cancel_execution_request, CanCancelExecutionRequest)
        result = dg.serialize_value(CanCancelExecutionResult(can_cancel=self._executes(asked.run_id)))
        return dagster_api_pb2.CanCancelExecutionReply(serialized_can_cancel_execution_result=result)


@contextmanager
def code_server(port: int, executes: Callable[[str], bool]) -> Iterator[None]:
    """A code server at this port until the block ends."""
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    add_DagsterApiServicer_to_server(CodeServer(executes), server)  # type: ignore[no-untyped-call]  # generated code has no types
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(grace=None).wait()


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def run(instance: dg.DagsterInstance, port: int) -> dg.DagsterRun:
    """A started run whose code server is at the port, and that has logged something just now."""
    server = json.dumps({"host": "127.0.0.1", "port": port})
    run: dg.DagsterRun = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags={GRPC_INFO_TAG: server})
    instance.report_engine_event("working", run)
    return run


def launcher(instance: dg.DagsterInstance, *, patience_seconds: int = 0, silent_seconds: int = 900) -> WatchfulRunLauncher:
    made = WatchfulRunLauncher(patience_seconds=patience_seconds, silent_seconds=silent_seconds)
    made.register_instance(instance)
    return made


def test_run_that_its_code_server_executes_is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun, port: int) -> None:
    with code_server(port, lambda run_id: run_id == run.run_id):
        assert launcher(instance, silent_seconds=0).check_run_worker_health(run).status is ALIVE


def test_run_whose_code_server_is_gone_is_dead_at_the_second_asking(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    asked = launcher(instance)
    assert [asked.check_run_worker_health(run).status for _ in range(2)] == [ALIVE, WorkerStatus.FAILED]


def test_run_whose_code_server_is_gone_is_alive_until_patience_ends(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    asked = launcher(instance, patience_seconds=3600)
    assert {asked.check_run_worker_health(run).status for _ in range(5)} == {ALIVE}


def test_code_server_that_comes_back_is_given_patience_anew(instance: dg.DagsterInstance, run: dg.DagsterRun, port: int) -> None:
    asked = launcher(instance)
    assert asked.check_run_worker_health(run).status is ALIVE
    with code_server(port, lambda _: True):
        assert asked.check_run_worker_health(run).status is ALIVE
    assert asked.check_run_worker_health(run).status is ALIVE


def test_run_that_its_code_server_does_not_know_is_dead_once_it_is_silent(
    instance: dg.DagsterInstance, run: dg.DagsterRun, port: int
) -> None:
    with code_server(port, lambda _: False):
        assert launcher(instance, silent_seconds=900).check_run_worker_health(run).status is ALIVE
        assert launcher(instance, silent_seconds=0).check_run_worker_health(run).status is WorkerStatus.NOT_FOUND


def fail(_run_id: str) -> bool:
    raise RuntimeError("the code of this location does not load")


def test_run_whose_code_server_fails_to_answer_is_alive_while_it_logs(instance: dg.DagsterInstance, run: dg.DagsterRun, port: int) -> None:
    asked = launcher(instance)
    with code_server(port, fail):
        assert {asked.check_run_worker_health(run).status for _ in range(3)} == {ALIVE}


def test_run_whose_code_server_is_slow_is_alive_while_it_logs(
    instance: dg.DagsterInstance, run: dg.DagsterRun, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "ASK_SECONDS", 0.2)
    asked = launcher(instance)
    with socket.create_server(("127.0.0.1", port)):  # accepts connections and says nothing
        assert {asked.check_run_worker_health(run).status for _ in range(3)} == {ALIVE}


def test_run_that_no_code_server_executes_is_left_alone(instance: dg.DagsterInstance) -> None:
    by_hand = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    asked = launcher(instance, silent_seconds=0)
    assert {asked.check_run_worker_health(by_hand).status for _ in range(3)} == {ALIVE}


def test_instance_of_the_repository_uses_it(database_in_environment: str) -> None:
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        assert isinstance(instance.run_launcher, WatchfulRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_launcher.inst_data is not None
        assert instance.run_launcher.inst_data.config_dict == {"patience_seconds": 20, "silent_seconds": 900}
