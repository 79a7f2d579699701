"""What is told of Dagster: a daemon that lives and runs everything, and each lack in turn."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._daemon.types import DaemonHeartbeat

from crm_pipeline.diagnosis import Finding
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.diagnosis import dagster_findings
from crm_pipeline.store.database import Store
from crm_pipeline_tests.integration_projects import complete_with

SHIPPED = Path(__file__).parents[2] / "dagster.yaml"
SPEC = IntegrationSpec.model_validate({"name": "acme", **yaml.safe_load(complete_with())["attributes"]})


@pytest.fixture
def home(tmp_path: Path, database_in_environment: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the dagster.yaml that ships."""
    (tmp_path / "dagster.yaml").write_text(SHIPPED.read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of that home, on which a daemon just gave a sign of life."""
    with dg.DagsterInstance.get() as opened:
        beat(opened, time.time())
        yield opened


def beat(instance: dg.DagsterInstance, at: float) -> None:
    for name in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(timestamp=at, daemon_type=name, daemon_id="1", errors=[]))


def found(store: Store, *, spec: IntegrationSpec = SPEC) -> dict[str, Finding]:
    """The findings by their subjects."""
    return {one.subject: one for one in dagster_findings([spec], store)}


def test_instance_that_runs_everything_is_green(instance: dg.DagsterInstance, store: Store) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", dg.BetaWarning)
        told = found(store)
    assert {subject for subject, one in told.items() if one.level != "ok"} == set()
    assert told["pool acme__salesforce"].text == "one step at a time"
    assert "schedules and sensors are on" in told["acme"].text


def test_dagster_that_never_ran_is_told_and_its_tables_are_not_made_by_looking(home: Path, store: Store) -> None:
    for _ in range(2):
        told = found(store)["daemon"]
        assert (told.level, told.text) == ("warning", "Dagster never ran on this database: nothing runs by itself")


def silence(instance: dg.DagsterInstance, _home: Path) -> None:
    beat(instance, time.time() - 3_600)


def switch_off(instance: dg.DagsterInstance, _home: Path) -> None:
    """As the UI does."""
    location = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name="lab")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "acme__schedule")
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, ScheduleInstigatorData("5 * * * *"))
    )


def many_at_once(instance: dg.DagsterInstance, _home: Path) -> None:
    instance.event_log_storage.set_concurrency_slots("acme__hubspot", 5)


def own_launcher(_instance: dg.DagsterInstance, home: Path) -> None:
    change(home, run_launcher=None)


def no_monitoring(_instance: dg.DagsterInstance, home: Path) -> None:
    change(home, run_monitoring={"enabled": False})


def change(home: Path, **sections: object) -> None:
    """Write other sections into the home's dagster.yaml; None takes one out."""
    written = yaml.safe_load(SHIPPED.read_text()) | sections
    (home / "dagster.yaml").write_text(yaml.safe_dump({name: section for name, section in written.items() if section is not None}))


@pytest.mark.parametrize(
    ("lack", "level", "subject", "said", "remedy"),
    [
        (silence, "problem", "daemon", "no sign of life of", "dagster-daemon run"),
        (many_at_once, "warning", "pool acme__hubspot", "5: steps", "dagster instance concurrency set acme__hubspot 1"),
        (switch_off, "warning", "acme__schedule", "switched off", "switch it on in Dagster's UI"),
        (own_launcher, "warning", "launcher", "does not notice runs whose host died", "name WatchfulRunLauncher"),
        (no_monitoring, "warning", "run monitoring", "are not failed", "set run_monitoring.enabled"),
    ],
)
def test_what_dagster_lacks_is_told_with_its_remedy(
    lack: Callable[[dg.DagsterInstance, Path], None],
    level: str,
    subject: str,
    said: str,
    remedy: str,
    instance: dg.DagsterInstance,
    home: Path,
    store: Store,
) -> None:
    lack(instance, home)
    (bad,) = [one for one in found(store).values() if one.level != "ok"]
    assert (bad.level, bad.subject) == (level, subject)
    assert said in bad.text
    assert remedy in bad.remedy


def test_paused_integration_and_missing_settings_are_told(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(store, spec=SPEC.model_copy(update={"active": False}))["acme"].level == "warning"
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    (told,) = found(store).values()
    assert (told.level, "put one there, see dagster.yaml of crm-pipeline" in told.remedy) == ("warning", True)
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))
    (told,) = found(store).values()
    assert (told.level, "in DAGSTER_HOME" in told.remedy) == ("warning", True)


def test_settings_that_dagster_refuses_are_told(home: Path, store: Store) -> None:
    change(home, run_launcher={"modul": "x"})
    told = found(store)["instance"]
    assert (told.level, "dagster instance info" in told.remedy) == ("problem", True)
