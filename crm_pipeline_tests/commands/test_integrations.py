"""The integrations of a code location, found without a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_pipeline.commands.integrations import chosen, integrations
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
    with pytest.raises(ConfigurationError, match="name another with -m"):
        chosen("crm_pipeline.defs", None)
    with pytest.raises(ConfigurationError, match="there is no module"):
        integrations("no_such_project.defs")
