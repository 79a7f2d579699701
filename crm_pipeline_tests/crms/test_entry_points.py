"""CRMs that other packages bring, as Python finds them: each try in a copy of a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ASK = """
import json, os, sys
import crm_pipeline.crms.hubspot, crm_pipeline.crms.salesforce, crm_pipeline.crms.sugarcrm
from crm_pipeline.crms import crm_kinds
from crm_pipeline.errors import ConfigurationError

for folders in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        sys.path[1:1] = folders
        try:
            print(*crm_kinds(), flush=True)
        except ConfigurationError as error:
            print(json.dumps(str(error)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
"""Tries each list of folders, as packages are found in them, in a copy of a process that has imported what all need."""
KIND = (
    "from dataclasses import replace\nfrom crm_pipeline.crms.hubspot import KIND as LIKE\n"
    "KIND = replace(LIKE, name={name!r}, title='Another')\nSOMETHING = 12\n"
)


def installed(folder: Path, package: str, entry: str, modules: Mapping[str, str]) -> Path:
    """A package beside ours, as an installer leaves it."""
    metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[crm_pipeline.crms]\n{entry}\n")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    return folder


REFUSED = {
    "hubspot = another:KIND": "two packages bring a CRM called hubspot: crm-pipeline and crm-another",
    "qbench = another:KIND": "brings a CRM called qbench, a word that means something else here",
    "normalized = another:KIND": "brings a CRM called normalized, a word",
    "configured = another:KIND": "brings a CRM called configured, a word",
    "only = another:KIND": "brings a CRM called only, a word",
    "another = missing:KIND": "brings the CRM another (missing:KIND), but it cannot be loaded: ModuleNotFoundError",
    "another = another:NOTHING": "cannot be loaded: AttributeError",
    "another = broken:KIND": "cannot be loaded: ZeroDivisionError",
    "another = another:SOMETHING": "that is a int, no CrmKind",
    "other = another:KIND": "its KIND is called another; give both one name",
    "An-other = odd:KIND": "a name has lower-case letters",
}
"""Entry points that cannot serve, and what is told of them."""
FOUND, TWICE = "another = another:KIND", "two packages"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Python finds, or what is told instead, by entry point."""
    another, odd = (KIND.format(name=name) for name in ("another", "An-other"))
    modules = {"another": another, "odd": odd, "broken": "1 / 0\n"}
    tried = {
        entry: [installed(tmp_path_factory.mktemp("site"), "crm-another", entry, modules)] * (2 if entry == FOUND else 1)
        for entry in (FOUND, *REFUSED)
    }
    tried[TWICE] = [installed(tmp_path_factory.mktemp("site"), f"crm-{name}", FOUND, modules) for name in ("one", "two")]
    asked = json.dumps([[str(folder) for folder in folders] for folders in tried.values()])
    run = subprocess.run([sys.executable, "-c", ASK, asked], capture_output=True, text=True, check=True)
    return dict(zip(tried, run.stdout.splitlines(), strict=True))


def test_crm_of_another_package_is_found_among_ours(answers: dict[str, str]) -> None:
    """Also where one folder is looked into twice."""
    assert answers[FOUND] == "another hubspot salesforce sugarcrm"


@pytest.mark.parametrize(("entry", "told"), REFUSED.items())
def test_entry_point_that_cannot_serve_is_told_with_its_package(answers: dict[str, str], entry: str, told: str) -> None:
    assert told in answers[entry]
    assert "crm-another" in answers[entry]


def test_two_packages_with_one_name_are_both_named(answers: dict[str, str]) -> None:
    assert json.loads(answers[TWICE]).startswith("two packages bring a CRM called another: crm-one and crm-two")
