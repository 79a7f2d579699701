"""Dagster projects in a temporary folder, as a user of this package has them: their own package and one folder per integration."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from crm_pipeline.errors import ConfigurationError

COMPLETE = Path(__file__).with_name("complete_defs.yaml")
COMPLETE_ASSETS = [
    "database",
    "hubspot/companies",
    "hubspot/contacts",
    "hubspot/links",
    "hubspot/resync",
    "normalized/accounts",
    "normalized/contacts",
    "qbench/contacts",
    "qbench/customers",
    "qbench/deletions",
    "qbench/waiting_contacts",
    "records",
    "salesforce/accounts",
    "salesforce/contacts",
    "salesforce/links",
    "salesforce/resync",
]


@dataclass(frozen=True)
class Project:
    """A project whose package is importable as ``package``."""

    folder: Path
    package: str

    @classmethod
    def create(cls, folder: Path, package: str) -> Project:
        project = cls(folder, package)
        (folder / package / "defs").mkdir(parents=True)
        (folder / package / "__init__.py").touch()
        (folder / package / "defs" / "__init__.py").touch()
        (folder / package / "definitions.py").write_text(
            textwrap.dedent("""\
                from pathlib import Path

                import dagster as dg


                @dg.definitions
                def defs():
                    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
            """)
        )
        (folder / "pyproject.toml").write_text(
            textwrap.dedent(f"""\
                [tool.dg]
                directory_type = "project"

                [tool.dg.project]
                root_module = "{package}"
            """)
        )
        return project

    def write(self, name: str, text: str) -> Path:
        """An integration's defs.yaml; the name may be a path of several folders."""
        file = self.folder / self.package / "defs" / name / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        return file

    def load(self) -> dg.Definitions:
        return dg.load_from_defs_folder(path_within_project=self.folder / self.package)

    def refusal(self) -> str:
        """The text of the ConfigurationError that loading ends in."""
        with pytest.raises(ComponentTreeException) as caught:
            self.load()
        cause = caught.value.__cause__
        assert isinstance(cause, ConfigurationError), f"refused, but not by us: {cause!r}"
        return str(cause)


def complete_with(*changes: tuple[str, str]) -> str:
    """The complete YAML with pieces of text replaced; each must be there exactly once."""
    text = COMPLETE.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the complete YAML"
        text = text.replace(old, new)
    return text


def line_of(file: Path, fragment: str) -> int:
    """The number of the only line with this text."""
    lines = [number for number, line in enumerate(file.read_text().splitlines(), start=1) if fragment in line]
    assert len(lines) == 1, f"{fragment!r} stands in lines {lines}"
    return lines[0]
