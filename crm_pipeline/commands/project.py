"""Which Dagster project is the current folder part of, and what does its ``.env`` say?"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class OwnProject:
    """The project's folder, and the module whose folder holds its integrations."""

    folder: Path
    defs_module: str


def own_project() -> OwnProject | None:
    """The project by ``tool.dg`` of a pyproject.toml, here or above; None outside of one. Raises ConfigurationError where it is no TOML."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        told = _told(folder / "pyproject.toml")
        module = told.get("defs_module") or (f"{told['root_module']}.defs" if "root_module" in told else None)
        if module is not None:
            return OwnProject(folder, str(module))
    return None


def take_up_env_file() -> None:
    """Take the project's ``.env`` into the environment, over what stands there, as `dg` and `dagster dev` do: all work on the same."""
    project = own_project()
    if project is not None and (project.folder / ".env").is_file():
        from dotenv import dotenv_values

        os.environ.update({name: value for name, value in dotenv_values(project.folder / ".env").items() if value is not None})


def _told(file: Path) -> dict[str, Any]:
    """What a pyproject.toml says of a project of Dagster's; nothing where it is none."""
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ConfigurationError(
            f"{file}: this is no TOML, so that the project's module is not known; repair it, or name the module with -m"
        ) from None
    project: dict[str, Any] = written.get("tool", {}).get("dg", {}).get("project", {})
    return project
