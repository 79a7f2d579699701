"""docs/mappings.md names every key, and its annotated YAML is one that loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from crm_pipeline.commands.integrations import integrations
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec, WrittenAttributes
from crm_pipeline.model import MODELS
from crm_pipeline.reference.yaml import DOCUMENT, keys, places, with_key_reference
from crm_pipeline_tests.integration_projects import Project

TEXT = DOCUMENT.read_text(encoding="utf-8")
ANNOTATED = TEXT.split("```yaml\n")[1].split("```")[0]


def test_the_table_of_keys_is_what_make_docs_would_write() -> None:
    assert with_key_reference(TEXT) == TEXT, "the models of the YAML changed: run `make docs`"


def refusals(model: type[BaseModel], key: str, example: Any) -> list[str]:
    """What the model says against this value of this key, whatever else it lacks."""
    try:
        model.model_validate({key: example})
    except ValidationError as refused:
        return [error["msg"] for error in refused.errors() if error["loc"][:1] == (key,)]
    return []


def test_every_example_of_every_key_is_taken_by_the_key() -> None:
    refused = {
        f"{paths[0]}.{key}: {example}": says
        for model, paths in places().items()
        for key, field in keys(model)
        for example in field.examples or []
        if (says := refusals(model, key, example))
    }
    assert refused == {}


@pytest.mark.parametrize("name", list(crm_kinds()))
def test_the_example_of_an_external_key_is_the_annotated_yamls_for_that_crm(name: str, annotated: IntegrationSpec) -> None:
    assert crm_kinds()[name].settings.model_fields["external_key"].examples == [annotated.crms.configured[name].external_key]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IntegrationSpec]:
    """The annotated YAML as a code location loads it."""
    folder = tmp_path_factory.mktemp("annotated")
    Project.create(folder, "annotated_yaml").write("acme", ANNOTATED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        [spec] = integrations("annotated_yaml.defs").values()
        yield spec


def test_the_annotated_yaml_loads(annotated: IntegrationSpec) -> None:
    assert list(annotated.crms.configured) == ["hubspot", "salesforce", "sugarcrm"]


def used(value: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """Each model of the YAML with each field of it that was written, at any depth."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set & set(type(value).model_fields):
            yield type(value), name
            yield from used(getattr(value, name))
        yield from used(list((value.model_extra or {}).values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from used(item)


def test_the_annotated_yaml_uses_every_key() -> None:
    written = set(used(WrittenAttributes.model_validate(yaml.safe_load(ANNOTATED)["attributes"])))
    # Of two keys that exclude each other, or one that only a stand-in needs, a comment speaks.
    told = set(re.findall(r"# .*`(\w+):`", ANNOTATED))
    missing = [
        f"{where[0]}.{field.alias or name}"
        for model, where in places().items()
        for name, field in model.model_fields.items()
        if not any(issubclass(used_model, model) and name == used_name for used_model, used_name in written) and name not in told
    ]
    assert missing == []


@pytest.mark.parametrize("record_type", list(MODELS))
def test_the_annotated_yaml_maps_every_normalized_field(record_type: str) -> None:
    fields = [field.name for field in MODELS[record_type].fields if not (field.group or "").endswith("_address")]  # type: ignore[index]
    assert [name for name in fields if f"{name}:" not in ANNOTATED] == []
