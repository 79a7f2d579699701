"""What the package offers by its own name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import crm_pipeline
from crm_pipeline.crms import own_kinds

INVENTED_CRM = Path(__file__).parent / "rolodex"
OF_A_CRM = ("__init__.py", "client.py", "transport.py")
"""What such a package installs with; the rest tries it."""


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import of a file from this package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "crm_pipeline":
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("name", sorted(crm_pipeline.__all__))
def test_every_name_that_is_offered_is_there(name: str) -> None:
    assert getattr(crm_pipeline, name) is not None


@pytest.mark.parametrize("file", OF_A_CRM)
def test_a_crm_of_another_package_needs_nothing_that_lies_deeper(file: str) -> None:
    found = set(imported(INVENTED_CRM / file))
    assert found
    assert {module for module, _ in found} == {"crm_pipeline"}
    assert {name for _, name in found} <= set(crm_pipeline.__all__)


def test_every_frame_that_the_protocol_of_a_crm_speaks_of_is_offered() -> None:
    text = (Path(crm_pipeline.__file__).parent / "crms" / "base.py").read_text(encoding="utf-8")
    frames = set(re.findall(r"schemas\.([A-Z_]+)", text))
    assert frames
    assert frames <= set(crm_pipeline.__all__)


def test_every_error_that_a_client_may_end_with_is_offered() -> None:
    """With the exception of what concerns alerts; the protocol says that every method may raise a ServiceError."""
    text = "".join((Path(crm_pipeline.__file__).parent / path).read_text(encoding="utf-8") for path in ("errors/stopping.py", "halving.py"))
    errors = {"ServiceError"}
    for name, base in re.findall(r"^class (\w+)\((\w+)\)", text, re.MULTILINE):
        errors |= {name} if base in errors else set()
    assert len(errors) > 5
    assert errors <= set(crm_pipeline.__all__)


def test_the_chapter_that_is_named_is_there() -> None:
    (chapter,) = re.findall(r'CONTRIBUTING.md, "(.+?)"', crm_pipeline.__doc__ or "")
    assert f"## {chapter}\n" in (Path(crm_pipeline.__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_crm_of_ours_is_kept_from_the_others() -> None:
    settings = tomllib.loads((Path(crm_pipeline.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["name"] == "CRMs do not know each other")
    assert set(contract["modules"]) == {f"crm_pipeline.crms.{name}" for name in own_kinds()}
