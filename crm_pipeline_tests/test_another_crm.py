"""A CRM of another package, installed beside ours: found, tried by the conformance suite, and fed by a whole integration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.rolodex.server import TOKEN

ROLODEX = Path(__file__).with_name("rolodex")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds Rolodex's."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROLODEX, folder / "crm_rolodex", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / "crm_rolodex-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: crm-rolodex\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[crm_pipeline.crms]\nrolodex = crm_rolodex:KIND\n")
    return folder


def run(site: Path, *command: str, **environment: str) -> str:
    """What the command prints; its failure is ours."""
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", *command],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-6_000:]
    return ran.stdout


def test_it_passes_the_conformance_suite(site: Path) -> None:
    told = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "crm_rolodex/conformance.py")
    assert "passed" in told
    assert "skipped" not in told


@pytest.fixture(scope="module")
def told(site: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a whole integration with Rolodex told of itself (rolodex.whole_integration)."""
    credentials = {**SANDBOX_CREDENTIALS, "ROLODEX_TOKEN": TOKEN}
    with own_database(postgres) as url:
        printed = run(
            site, "-m", "crm_rolodex.whole_integration", str(tmp_path_factory.mktemp("project")), **credentials, **{URL_VARIABLE: url}
        )
    return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]


def test_yaml_schema_and_scaffold_know_it(told: dict[str, Any]) -> None:
    assert "rolodex" in told["schema"]
    attributes = told["scaffolded"]["attributes"]
    assert list(attributes["crms"]) == ["rolodex"]
    assert attributes["accounts"]["sync_on"] == [{"name": {"rolodex": "name"}}]


def test_it_has_the_assets_and_checks_of_every_crm(told: dict[str, Any]) -> None:
    ours = {key for key in told["assets"] if key.startswith("acme/rolodex/")}
    assert ours == {f"acme/rolodex/{name}" for name in ("firms", "people", "links", "resync")}
    assert {name for name in told["checks"] if name.startswith("rolodex/firms")} == {
        f"rolodex/firms {check}" for check in ("no_failed_records", "no_open_records", "counts_add_up", "links_consistent")
    }
    assert all(told["checks"].values())


def test_its_plan_tells_what_the_load_does(told: dict[str, Any]) -> None:
    accounts, contacts = told["plan"]
    assert {row["operation"]: row["count"] for row in accounts["plan"]} == {"create": 2, "link": 1}
    assert {row["operation"]: row["count"] for row in contacts["plan"]} == {"create": 3}
    assert told["written_by_the_plan"] == 0


def test_records_arrive_once_with_their_keys_and_accounts(told: dict[str, Any]) -> None:
    assert (told["names"], told["keyed"]) == (["Lab 1", "Lab 2", "Lab 3"], True), "LAB 2 was there and is linked"
    assert told["firms_of_people"] == told["names"]
    assert told["written_again"] == 0


def test_record_that_is_gone_is_found_though_the_crm_tells_no_merges(told: dict[str, Any]) -> None:
    assert (told["links"]["deleted"], told["links"]["scope"]) == (1, "full")


def test_owner_rule_for_a_crm_without_owners_is_refused(told: dict[str, Any]) -> None:
    assert "Rolodex takes no owners; leave rolodex out of the rule" in told["owner_refused"]
