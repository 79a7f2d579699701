"""What the documents say is what the package does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from crm_pipeline.cli import main
from crm_pipeline.sandbox.hubspot.settings import SCOPES
from crm_pipeline_tests.pictures import PICTURES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RULES = [int(number) for number in re.findall(r"^### (\d+)\. ", (ROOT / "docs/rules.md").read_text(), re.MULTILINE)]
"""The numbers of the rules, as their headings have them."""
SOURCES = [
    file
    for folder in ("crm_pipeline", "crm_pipeline_tests", "benchmarks")
    for kind in ("py", "yaml")
    for file in (ROOT / folder).rglob(f"*.{kind}")
]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "crm_pipeline").rglob("*.md")]
CITATION = re.compile(r"\bdocs/rules\.md, (\d+)(?: to (\d+)|((?:, \d+)*(?: and \d+)?))")
"""One rule, a row of them, or several: ``docs/rules.md, 18``, ``docs/rules.md, 18 to 20``, ``docs/rules.md, 4, 8 and 12``."""
OURS = re.compile(r"(?<![\w./:])((?:sync|store|crms|mapping|orchestration|configuration)(?:\.[a-z_]+)+(?:\.[A-Z]\w+)?)\b(?!\.yaml)")
"""A dotted name of a module, and maybe of a class in it, as docstrings give it."""
LINK = re.compile(r"\[(?:rules? )?(\d+)\]\([^)]*#(\d+)-[^)]*\)")
"""A link to a rule: its number as it is read, and the one that it leads to."""


def commands(group: click.Group, *path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*path, name))


def test_the_readme_shows_the_complete_defs_yaml() -> None:
    assert (Path(__file__).parent / "complete_defs.yaml").read_text().strip() in README


@pytest.mark.parametrize("command", list(commands(main)))
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"`crm-pipeline {command}`" in README


def test_every_picture_is_shown_and_taken_by_the_chore() -> None:
    pictures = {file.stem for file in (ROOT / "docs").glob("*.png")}
    assert pictures == set(PICTURES) == set(re.findall(r"!\[[^]]+\]\(docs/([\w-]+)\.png\)", README))


def test_the_readme_names_every_scope_that_hubspot_asks_for() -> None:
    making_properties = {"crm.schemas.companies.write", "crm.schemas.contacts.write"}
    assert [scope for scope in sorted(SCOPES - making_properties) if f"`{scope}`" not in README] == []


def test_the_demo_runs_on_the_same_dagster_instance_settings() -> None:
    assert (ROOT / "crm_pipeline/sandbox/dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


def test_the_documents_name_the_version_of_dagster_that_is_pinned() -> None:
    pinned = re.search(r"^dagster==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    operations = (ROOT / "docs/operations.md").read_text()
    named = re.findall(r"create-dagster(\S*)", README) + re.findall(r"dagster/dagster --version (\S+)", operations)
    assert pinned is not None
    assert named == [f"@{pinned[1]}", pinned[1]]


def test_the_pinned_versions_name_no_registry() -> None:
    pinned = (ROOT / "constraints.txt").read_text()
    assert "://" not in pinned
    assert "--" not in pinned


def cited(text: str) -> Iterator[int]:
    """The rules that a text cites."""
    for first, last, further in CITATION.findall(text):
        yield from range(int(first), int(last or first) + 1)
        yield from map(int, re.findall(r"\d+", further))
    yield from map(int, re.findall(r"def test_rule_(\d+)_", text))


def test_the_rules_are_numbered_in_order_from_one() -> None:
    assert list(range(1, len(RULES) + 1)) == RULES


def test_every_rule_that_the_code_cites_is_there() -> None:
    citations = {str(file.relative_to(ROOT)): set(cited(file.read_text())) for file in (*SOURCES, *DOCUMENTS)}
    assert sum(map(len, citations.values())) > len(RULES), "the code cites its rules: are they looked for in the right form?"
    assert {file: unknown for file, numbers in citations.items() if (unknown := numbers.difference(RULES))} == {}


def test_the_code_cites_rules_in_one_form() -> None:
    others = {
        f"{file.relative_to(ROOT)}:{number}": line.strip()
        for file in SOURCES
        if file != Path(__file__)
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if re.search(r"rules\.md|(?<!owner )\brules? \d", LINK.sub("", CITATION.sub("", line)), re.IGNORECASE)
    }
    assert others == {}


def test_links_to_rules_lead_to_the_number_that_they_name() -> None:
    links = [link for document in DOCUMENTS for link in LINK.findall(document.read_text())]
    assert links
    assert [link for link in links if link[0] != link[1]] == []


def named_in_docstrings() -> Iterator[tuple[str, str]]:
    """Each file of the package, and each dotted name of ours that one of its docstrings gives."""
    for file in (ROOT / "crm_pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                yield from ((file.name, name) for name in OURS.findall(node.value.value))


def is_there(name: str) -> bool:
    """Whether it is a module, or a word of one."""
    *parts, last = name.split(".")
    module = ROOT.joinpath("crm_pipeline", *parts)
    files = [path for path in (module.with_suffix(".py"), module / "__init__.py") if path.exists()]
    return any(re.search(rf"\b{last}\b", file.read_text()) for file in files) or any(
        (module / end).exists() for end in (last, f"{last}.py")
    )


def test_modules_and_classes_that_docstrings_name_are_there() -> None:
    lost = sorted({f"{file}: {name}" for file, name in named_in_docstrings() if not is_there(name)})
    assert lost == []
