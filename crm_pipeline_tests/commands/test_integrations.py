"""The integrations of a code location, found without a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_pipeline.cli import main
from crm_pipeline.commands.integrations import DEFS_MODULE, chosen, integrations, own_module
from crm_pipeline.errors import ConfigurationError
from crm_pipeline_tests.integration_projects import Project, complete_with


def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> Project:
    """A project that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return Project.create(tmp_path, package)


def test_the_integrations_of_a_project_are_found_by_the_names_of_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch, "code_location_found").write("eu/acme", complete_with())
    assert {name: spec.name for name, spec in integrations("code_location_found.defs").items()} == {"acme": "acme"}


def test_a_wrong_yaml_is_refused_with_our_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch, "code_location_wrong").write("acme", complete_with(("default_region: US", "default_region: XX")))
    with pytest.raises(ConfigurationError, match="default_region"):
        integrations("code_location_wrong.defs")


def test_a_module_without_integrations_is_refused_with_what_to_do() -> None:
    for name in (None, "acme"):
        with pytest.raises(ConfigurationError, match=r"change to the folder of your project.* or name another module with -m"):
            chosen("crm_pipeline.defs", name)
    with pytest.raises(ConfigurationError, match="there is no module"):
        integrations("no_such_project.defs")


def test_the_module_is_that_of_the_project_in_the_current_folder_or_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.delenv("CRM_PIPELINE_DEFS_MODULE", raising=False)
    Project.create(tmp_path, "code_location_here").write("acme", complete_with())
    below = tmp_path / "code_location_here" / "defs"
    for folder in (tmp_path, below):
        monkeypatch.chdir(folder)
        assert own_module() == "code_location_here.defs"
    told = CliRunner().invoke(main, ["link", "show", "--integration", "acne", "--crm", "hubspot", "--record-type", "account", "--id", "1"])
    assert "there is no integration acne in code_location_here.defs; did you mean `acme`?" in told.output


def test_outside_of_a_project_the_module_is_that_of_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert own_module() == DEFS_MODULE


def test_a_project_file_that_cannot_be_read_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.dg")
    with pytest.raises(ConfigurationError, match="name the module with -m"):
        own_module()
