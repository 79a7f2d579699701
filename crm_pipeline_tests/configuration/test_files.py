"""Files, lines, and what YAML reads other than it looks."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from crm_pipeline.configuration.files import YamlDocument, checked_files, read_documents, refusal
from crm_pipeline.configuration.problems import Problem, dotted
from crm_pipeline.errors import ConfigurationError


def document(folder: Path, text: str) -> YamlDocument:
    file = folder / "defs.yaml"
    file.write_text(textwrap.dedent(text))
    return read_documents(file)[0]


@pytest.mark.parametrize(
    ("path", "line"),
    [((), 1), (("a",), 1), (("a", "b"), 2), (("a", "b", 1), 4), (("a", "b", 1, "c"), 4), (("a", "missing", "x"), 1), (("d",), 5)],
)
def test_line_of_a_key_or_of_the_nearest_above_it(tmp_path: Path, path: tuple[str | int, ...], line: int) -> None:
    text = """\
        a:
          b:
            - 1
            - c: 2
        d: 3
    """
    assert document(tmp_path, text).line(path) == line


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("a: NO", "a", "as true or false"),
        ("a: [SE, NO]", "a[1]", "as true or false"),
        ("a: yes", "a", "as true or false"),
        ("{NO: x}", "NO", "as true or false"),
        ("a: 01234", "a", "another number"),
        ("a: 12:30", "a", "another number"),
        ("a: 1_000", "a", "another number"),
        ("a: 0x10", "a", "another number"),
        ("a: .inf", "a", "another number"),
        ("a:", "a", "no value"),
        ("a: ~", "a", "no value"),
        ("{a: 1, b: 2, a: 3}", "a", "twice"),
    ],
)
def test_what_yaml_reads_other_than_it_looks_is_told(tmp_path: Path, written: str, path: str, message: str) -> None:
    (trap,) = document(
        tmp_path, f"attributes: {{ {written} }}" if ":" in written and written[0] != "{" else f"attributes: {written}"
    ).traps("attributes")
    assert dotted(trap.path) == path
    assert message in trap.message


@pytest.mark.parametrize("written", ["true", "False", "0", "-12", "1.5", "1e3", '"NO"', '"01234"', "'12:30'", "2026-11-01T00:00Z", "text"])
def test_what_looks_as_yaml_reads_it_is_no_trap(tmp_path: Path, written: str) -> None:
    assert document(tmp_path, f"attributes:\n  a: {written}\n").traps("attributes") == []


def test_a_table_used_twice_by_alias_is_read_once(tmp_path: Path) -> None:
    assert len(document(tmp_path, "attributes: {a: &same {b: NO}, c: *same}").traps("attributes")) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("attributes:\n\tactive: true\n", ":2: this is no YAML"),
        ("type: x\nattributes: {a: [1\n", "this is no YAML"),
        ("", ":1: the file is empty"),
        ("- Zq81\n", ":1: a component's file holds `type:` and `attributes:`"),
        ("type: x\nqbench:\n  url: Zq81\n", ":2: qbench: unknown key at the top; indent it"),
        ("type: x\natributes:\n  url: Zq81\n", "did you mean `attributes`?"),
        ("type: x\nattributes: Zq81\n", ":2: attributes: must be a table"),
        ("attributes: {a: Zq81}\n", ":1: the key `type` is missing"),
        ("type: pytest.X\nattributes: {a: *Zq81 }\n", ":2: this is no YAML; put a value that begins with * or & in quotes"),
        ("type: pytest.X\nattributes: {a: !Zq81 }\n", ":2: attributes.a: YAML reads a word that begins with ! as a tag"),
        ("type: pytest.X\nattributes: {a: !Zq81!x }\n", ":2: this is no YAML (found undefined tag handle)"),
        ("type: [Zq81]\n", ":1: type: must be a text"),
        ("type: crm_pipeline.CrmIntegration\nattributes: {a: 'Zq81\n", "this is no YAML"),
    ],
)
@pytest.mark.parametrize("name", ["defs.yaml", "defs.yml", "component.yaml"])
def test_file_that_dagster_would_refuse_with_its_values_is_refused_without_them(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        checked_files(tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "Zq81" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("type: pytest.X\nattributes: {}\nattributes: {}\n", "defs.yaml:2: attributes: this key stands here twice"),
        ("attributes: {}\ntype: pytest.X\ntype: pytest.Y\n", "defs.yaml:2: type: this key stands here twice"),
    ],
)
def test_key_that_stands_twice_at_the_top_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "defs.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        checked_files(tmp_path)


@pytest.mark.parametrize("kind", ["crm_pipeline.CrmIntegraton", "crm_pipelin.CrmIntegration", "CrmIntegration", "''"])
def test_misspelt_type_is_refused_with_its_line_and_the_right_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "defs.yaml").write_text(f"attributes: {{}}\ntype: {kind}\n")
    with pytest.raises(ConfigurationError, match=r"defs\.yaml:2: type: there is no such type; .*`?crm_pipeline\.CrmIntegration"):
        checked_files(tmp_path)


@pytest.mark.parametrize("kind", ["crm_pipeline.CrmIntegration", "crm_pipeline.component.CrmIntegration", "dagster.X", ".Own"])
def test_types_of_others_are_left_to_dagster(tmp_path: Path, kind: str) -> None:
    (tmp_path / "component.yaml").write_text(f"type: {kind}\nattributes: {{}}\n")
    assert checked_files(tmp_path) == [tmp_path / "component.yaml"]


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "defs.yaml").write_bytes("type: Käse".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="save it as UTF-8"):
        checked_files(tmp_path)


def test_refusal_lists_the_first_problem_of_each_key_in_the_order_of_the_file(tmp_path: Path) -> None:
    read = document(tmp_path, "a: 1\nb: 2\n")
    error = refusal(subject="it", document=read, problems=[Problem(("b",), "odd"), Problem(("a",), "even"), Problem(("b",), "odder")])
    assert str(error).splitlines() == ["it cannot be used:", f"{read.file}:1: a: even", f"{read.file}:2: b: odd"]


def test_refusal_without_a_file_names_the_keys(tmp_path: Path) -> None:
    assert str(refusal(subject="it", document=None, problems=[Problem(("a", "b"), "odd")])) == "it cannot be used:\na.b: odd"
