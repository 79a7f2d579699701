"""What `dg scaffold defs` writes loads as it stands, for every choice of CRMs, and so does each setting that it shows left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, combinations
from pathlib import Path

import click
import pytest
import yaml
from dagster.components.component_scaffolding import scaffold_object
from pydantic import ValidationError

from crm_pipeline.component import CrmIntegration
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import WrittenAttributes
from crm_pipeline.scaffolding import new_integration
from crm_pipeline_tests.integration_projects import Project

TYPE = "crm_pipeline.CrmIntegration"
NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
CHOICES = list(chain.from_iterable(combinations(crm_kinds(), size) for size in range(1, len(crm_kinds()) + 1)))


def written(text: str) -> WrittenAttributes:
    return WrittenAttributes.model_validate(yaml.safe_load(text)["attributes"])


def scaffold(folder: Path, crms: list[str], **more: str) -> None:
    """As `dg scaffold defs` does it."""
    scaffold_object(folder, TYPE, json.dumps({"crm": crms}) if crms else None, more.get("scaffold_format", "yaml"), None)


@pytest.mark.parametrize("crms", CHOICES, ids=lambda crms: "+".join(crms))
def test_what_is_written_feeds_the_chosen_crms_and_maps_both_record_types(crms: tuple[str, ...]) -> None:
    made = written(new_integration(crms, type_name=TYPE, now=NOW))
    assert set(made.crms.configured) == set(crms)
    assert made.start == datetime(2026, 11, 28, 11, tzinfo=UTC)
    assert {record: set(spec.sync_on[0].targets) for record, spec in made.records.items()} == {record: set(crms) for record in made.records}
    assert len(made.records) == 2


def test_every_key_of_the_yaml_is_shown_with_what_it_is_for() -> None:
    lines = new_integration(list(crm_kinds()), type_name=TYPE, now=NOW).splitlines()
    shown = [number for number, line in enumerate(lines) if re.match(r" +#?\w+:", line)]
    bare = [
        lines[number]
        for number in shown
        if "# " not in lines[number - 1] and lines[number].strip() not in {f"{crm}:" for crm in crm_kinds()}
    ]
    assert bare == []
    assert {key for key in WrittenAttributes.model_fields if f"{key}:" not in "\n".join(lines)} == set()


def left_out(text: str) -> Iterator[str]:
    """The text once for each setting that it leaves out, with that setting in it."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r" +#\w+:", line):
            yield "\n".join([*lines[:number], line.replace("#", "", 1), *lines[number + 1 :]])


@pytest.mark.parametrize("crms", CHOICES, ids=lambda crms: "+".join(crms))
def test_each_setting_that_is_left_out_can_be_put_in(crms: tuple[str, ...]) -> None:
    refused = []
    for text in left_out(new_integration(crms, type_name=TYPE, now=NOW)):
        try:
            written(text)
        except ValidationError as error:
            refused.append(str(error.errors(include_url=False)[0]["msg"]))
    # Salesforce has an address or a domain; two keys must agree before QBench is written, or a contact goes as a lead.
    expected = ("give either", "`qbench.writes: true` must allow", "no CRM takes contacts as leads")
    assert [said for said in refused if not any(words in said for words in expected)] == []


def test_the_scaffolder_writes_a_file_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    project = Project.create(tmp_path, "scaffolded_project")
    scaffold(tmp_path / "scaffolded_project" / "defs" / "acme", ["hubspot"])
    tree = project.load().component_tree
    assert tree is not None
    assert list(tree.load_component("acme", CrmIntegration).crms.configured) == ["hubspot"]


def test_without_a_choice_all_crms_are_written(tmp_path: Path) -> None:
    scaffold(tmp_path / "acme", [])
    assert set(written((tmp_path / "acme/defs.yaml").read_text()).crms.configured) == set(crm_kinds())


def test_a_crm_that_is_not_there_is_refused_with_the_nearest_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"there is no CRM hubpsot; did you mean `hubspot`\?"):
        scaffold(tmp_path / "acme", ["salesforce", "hubpsot"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "form", "message"), [("Acme-Labs", "yaml", "cannot be an integration's name"), ("acme", "python", "--format")]
)
def test_what_cannot_be_an_integration_is_refused_and_leaves_nothing(tmp_path: Path, name: str, form: str, message: str) -> None:
    with pytest.raises(click.ClickException, match=message):
        scaffold(tmp_path / name, [], scaffold_format=form)
    assert not (tmp_path / name).exists()


def test_it_shows_how_a_field_comes_back() -> None:
    shown = new_integration(["hubspot"], type_name=TYPE, now=NOW).replace("#", "")
    assert "{from: <field>, direction: both}" in " ".join(shown.split())
