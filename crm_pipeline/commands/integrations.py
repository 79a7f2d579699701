"""Which integrations does a code location have? Read from its components, as Dagster loads them, without a run."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.core.defs_module import ComponentPath

from crm_pipeline.commands.project import own_project
from crm_pipeline.component import CrmIntegration
from crm_pipeline.configuration.files import checked_files
from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.errors import ConfigurationError, CrmPipelineError
from crm_pipeline.integration import IntegrationSpec

DEFS_MODULE = "crm_pipeline.defs"
"""The module whose folder holds this package's integrations."""


def own_module() -> str:
    """The module of the project that the current folder is part of, by ``tool.dg`` of its pyproject.toml; else that of this package.

    The project's folder, and its ``src``, become importable, as they are for Dagster: a project need not be installed.
    """
    project = own_project()
    if project is None:
        return DEFS_MODULE
    places = [str(project.folder), str(project.folder / "src")]
    sys.path += [place for place in places if place not in sys.path]
    return project.defs_module


def integrations(module: str = DEFS_MODULE) -> dict[str, IntegrationSpec]:
    """The integrations below the folder of this module, by name. Raises ConfigurationError with all that is wrong in a YAML."""
    try:
        defs_module = import_module(module)
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"there is no module {module}; name the one whose folder holds the integrations, as my_project.defs"
        ) from None
    folder = Path(next(iter(defs_module.__path__)))
    checked_files(folder)
    try:
        found = _components(dg.ComponentTree.from_module(defs_module=defs_module, project_root=folder))
    except ComponentTreeException as error:
        if isinstance(error.__cause__, CrmPipelineError):
            raise error.__cause__ from None
        raise
    return {name: component.spec(name) for name, component in sorted(found.items())}


def chosen(module: str, name: str | None) -> list[IntegrationSpec]:
    """The integration of this name, or all of them. Raises ConfigurationError where there is none."""
    found = integrations(module)
    if not found:
        raise ConfigurationError(
            f"there is no integration in {module}; change to the folder of your project, add <name>/defs.yaml to this module's folder"
            " (`dg scaffold defs crm_pipeline.CrmIntegration <name>`), or name another module with -m"
        )
    if name is not None and name not in found:
        raise ConfigurationError(f"there is no integration {name} in {module}; {did_you_mean(name, list(found))}")
    return [spec for spec in found.values() if name in {None, spec.name}]


def _components(tree: dg.ComponentTree) -> dict[str, CrmIntegration]:
    with warnings.catch_warnings():
        # Dagster reads YAML by a way that pydantic has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        declared = [each for each in tree.find_root_decl().iterate_all_component_decls() if issubclass(each.component_type, CrmIntegration)]
        places = [each.loc for each in declared if isinstance(each.loc, ComponentPath)]
        return {place.file_path.name: tree.load_component(place, CrmIntegration) for place in places}
