"""docs/mappings.md names every key, and its annotated YAML is one that loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_pipeline.code_location import integrations
from crm_pipeline.model import MODELS
from crm_pipeline.yaml_reference import DOCUMENT, with_key_reference
from crm_pipeline_tests.integration_projects import Project

TEXT = DOCUMENT.read_text(encoding="utf-8")
ANNOTATED = TEXT.split("```yaml\n")[1].split("```")[0]


def test_the_table_of_keys_is_what_make_docs_would_write() -> None:
    assert with_key_reference(TEXT) == TEXT, "the models of the YAML changed: run `make docs`"


def test_the_annotated_yaml_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Project.create(tmp_path, "annotated_yaml").write("acme", ANNOTATED)
    monkeypatch.syspath_prepend(tmp_path)
    [spec] = integrations("annotated_yaml.defs").values()
    assert list(spec.crms.configured) == ["hubspot", "salesforce"]


@pytest.mark.parametrize("record_type", list(MODELS))
def test_the_annotated_yaml_maps_every_normalized_field(record_type: str) -> None:
    fields = [field.name for field in MODELS[record_type].fields if not (field.group or "").endswith("_address")]  # type: ignore[index]
    assert [name for name in fields if f"{name}:" not in ANNOTATED] == []
