"""CRMs that other packages bring, as Python finds them: each try in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ASK = (
    "from crm_pipeline.crms import crm_kinds\n"
    "from crm_pipeline.errors import ConfigurationError\n"
    "try:\n    print(*crm_kinds())\n"
    "except ConfigurationError as error:\n    print(error)\n"
)
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


def answer(*folders: Path) -> str:
    path = os.pathsep.join(map(str, folders))
    run = subprocess.run([sys.executable, "-c", ASK], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_crm_of_another_package_is_found_among_ours(tmp_path: Path) -> None:
    folder = installed(tmp_path, "crm-another", "another = another:KIND", {"another": KIND.format(name="another")})
    assert answer(folder, folder) == "another hubspot salesforce sugarcrm"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("hubspot = another:KIND", "two packages bring a CRM called hubspot: crm-pipeline and crm-another"),
        ("qbench = another:KIND", "brings a CRM called qbench, a word that means something else here"),
        ("normalized = another:KIND", "brings a CRM called normalized, a word"),
        ("configured = another:KIND", "brings a CRM called configured, a word"),
        ("only = another:KIND", "brings a CRM called only, a word"),
        ("another = missing:KIND", "brings the CRM another (missing:KIND), but it cannot be loaded: ModuleNotFoundError"),
        ("another = another:NOTHING", "cannot be loaded: AttributeError"),
        ("another = broken:KIND", "cannot be loaded: ZeroDivisionError"),
        ("another = another:SOMETHING", "that is a int, no CrmKind"),
        ("other = another:KIND", "its KIND is called another; give both one name"),
        ("An-other = odd:KIND", "a name has lower-case letters"),
    ],
)
def test_entry_point_that_cannot_serve_is_told_with_its_package(tmp_path: Path, entry: str, told: str) -> None:
    modules = {"another": KIND.format(name="another"), "odd": KIND.format(name="An-other"), "broken": "1 / 0\n"}
    text = answer(installed(tmp_path, "crm-another", entry, modules))
    assert told in text
    assert "crm-another" in text


def test_two_packages_with_one_name_are_both_named(tmp_path: Path) -> None:
    one, two = (
        installed(tmp_path / name, f"crm-{name}", "another = another:KIND", {"another": KIND.format(name="another")})
        for name in ("one", "two")
    )
    assert answer(one, two).startswith("two packages bring a CRM called another: crm-one and crm-two")
