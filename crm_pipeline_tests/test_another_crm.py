"""A CRM of another package, installed beside ours: found, tried by the conformance suite, and fed by a whole integration."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import crm_pipeline
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.rolodex.server import TOKEN

ROLODEX = Path(__file__).with_name("rolodex")
ROOT = ROLODEX.parents[1]
PROJECT = tomllib.loads(re.findall(r"^```toml\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE)[0])
"""The pyproject.toml that CONTRIBUTING.md gives to a CRM's package."""


LIGHT = {"rolodex_light": "crm_mine.light:KIND"}
"""The entry point of the edition that can do less."""

editions = pytest.mark.parametrize("crm", ["rolodex", "rolodex_light"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds Rolodex's, made as CONTRIBUTING.md says."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROLODEX, folder / "crm_mine", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / "crm_mine-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: crm-mine\nVersion: 0.1.0\n")
    points = PROJECT["project"]["entry-points"]["crm_pipeline.crms"]
    lines = "".join(f"{name} = {at}\n" for name, at in {**points, **LIGHT}.items())
    (metadata / "entry_points.txt").write_text(f"[crm_pipeline.crms]\n{lines}")
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
    """It and its edition that keeps no field unique, takes two records at a time, checks no value and keeps no text as it was sent."""
    files = ("crm_mine/conformance.py", "crm_mine/conformance_light.py")
    told = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files)
    assert "passed" in told
    assert "skipped" not in told


@pytest.fixture(scope="module")
def told(site: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a whole integration with Rolodex told of itself (rolodex.whole_integration)."""
    credentials = {**SANDBOX_CREDENTIALS, "ROLODEX_TOKEN": TOKEN}
    with own_database(postgres) as url:
        printed = run(
            site, "-m", "crm_mine.whole_integration", str(tmp_path_factory.mktemp("project")), **credentials, **{URL_VARIABLE: url}
        )
    return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]


def test_yaml_schema_and_scaffold_know_it(told: dict[str, Any]) -> None:
    assert "rolodex" in told["schema"]
    attributes = told["scaffolded"]["attributes"]
    assert list(attributes["crms"]) == ["rolodex"]
    assert attributes["accounts"]["sync_on"] == [{"name": {"rolodex": "name"}}]


@editions
def test_it_has_the_assets_and_checks_of_every_crm(told: dict[str, Any], crm: str) -> None:
    ours = {key for key in told["assets"] if key.startswith(f"acme/{crm}/")}
    assert ours == {f"acme/{crm}/{name}" for name in ("firms", "people", "links", "resync")}
    assert {name for name in told["checks"] if name.startswith(f"{crm}/firms")} == {
        f"{crm}/firms {check}" for check in ("no_failed_records", "no_open_records", "counts_add_up", "links_consistent")
    }
    assert all(told["checks"].values())


@editions
def test_doctor_and_provision_look_at_it_though_it_tells_nothing_of_its_set_up(told: dict[str, Any], crm: str) -> None:
    assert set(told["doctor"][crm].values()) == {"ok"}
    assert {"sign-in", "links", "firms", "account: name", "people", "contact: email", "daily calls"} <= told["doctor"][crm].keys()
    assert told["provision"][crm] == {"firms": "ok", "people": "ok"}


@editions
def test_its_plan_tells_what_the_load_does(told: dict[str, Any], crm: str) -> None:
    accounts, contacts = told["plan"][crm]
    assert {row["operation"]: row["count"] for row in accounts["plan"]} == {"create": 2, "link": 1}
    assert {row["operation"]: row["count"] for row in contacts["plan"]} == {"create": 3}
    assert told["written_by_the_plan"] == 0


def test_records_arrive_once_with_their_keys_and_accounts(told: dict[str, Any]) -> None:
    held = told["held"]["rolodex"]
    assert (held["names"], len(held["keys"])) == (["Lab 1", "Lab 2", "Lab 3"], 3), "LAB 2 was there and is linked"
    assert held["firms_of_people"] == held["names"]
    assert told["written_again"] == 0


def test_records_arrive_once_where_the_crm_can_do_less(told: dict[str, Any]) -> None:
    held = told["held"]["rolodex_light"]
    assert (held["names"], held["keys"]) == (["LAB 1", "LAB 2", "LAB 3"], [])
    assert held["firms_of_people"] == held["names"]
    assert told["largest_calls"] == {"rolodex": 3, "rolodex_light": 2}
    assert told["written_again"] == 0


def test_a_record_is_written_to_and_looked_at_in_the_object_that_its_link_names(told: dict[str, Any]) -> None:
    assert told["first_names"] == {"people": ["Ana", "Ana", "Ana"], "prospects": ["Bea"]}
    assert told["links"]["rolodex"]["deleted"] == 1, "a firm; the prospect is there"


@editions
def test_record_that_is_gone_is_found_though_the_crm_tells_no_merges(told: dict[str, Any], crm: str) -> None:
    assert (told["links"][crm]["deleted"], told["links"][crm]["scope"]) == (1, "full")


def test_owner_rule_for_a_crm_without_owners_is_refused(told: dict[str, Any]) -> None:
    assert "Rolodex takes no owners; leave rolodex out of the rule" in told["owner_refused"]


def test_external_key_for_a_crm_that_keeps_no_field_unique_is_refused(told: dict[str, Any]) -> None:
    assert "Rolodex Light keeps no field unique; leave external_key away" in told["key_refused"]


def test_the_suite_is_shipped_and_our_own_tests_are_not() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    shipped = [name for name in ("crm_pipeline.testing", "crm_pipeline_tests") if any(fnmatch(name, pattern) for pattern in ours)]
    assert shipped == ["crm_pipeline.testing"]


def test_the_suite_needs_nothing_of_our_tests(tmp_path: Path) -> None:
    shutil.copytree(Path(crm_pipeline.__file__).parent, tmp_path / "crm_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    ask = "import sys, crm_pipeline.testing.suite as suite; print(suite.__file__, 'crm_pipeline_tests' in sys.modules)"
    assert run(tmp_path, "-c", ask).split() == [str(tmp_path / "crm_pipeline" / "testing" / "suite.py"), "False"]
