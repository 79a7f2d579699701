"""What the documents say is what the package does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from crm_pipeline.cli import main
from crm_pipeline.sandbox.hubspot.portal import SCOPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def commands(group: click.Group, *path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name))


def test_the_readme_shows_the_complete_defs_yaml() -> None:
    assert (Path(__file__).parent / "complete_defs.yaml").read_text().strip() in README


@pytest.mark.parametrize("command", list(commands(main)))
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"`crm-pipeline {command}`" in README


def test_the_readme_names_every_scope_that_hubspot_asks_for() -> None:
    making_properties = {"crm.schemas.companies.write", "crm.schemas.contacts.write"}
    assert [scope for scope in sorted(SCOPES - making_properties) if f"`{scope}`" not in README] == []


def test_the_demo_runs_on_the_same_dagster_instance_settings() -> None:
    assert (ROOT / "crm_pipeline/sandbox/dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


def test_the_pinned_versions_name_no_registry() -> None:
    pinned = (ROOT / "constraints.txt").read_text()
    assert "://" not in pinned
    assert "--" not in pinned
