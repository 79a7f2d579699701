"""The CRMs that records can be loaded into: a folder each, here or in a package that names its CRM as an entry point."""

from __future__ import annotations

import pkgutil
import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING

from crm_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crm_pipeline.crms.base import CrmKind

GROUP = "crm_pipeline.crms"
"""The group of entry points by which another package brings a CRM: the CRM's name, and where its CrmKind is."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = frozenset({"qbench", "normalized", "only", "same_as_account", "configured"})
"""Words that stand beside the CRMs' names: in the keys of assets, in owner rules, in the model of ``crms:``."""


@cache
def own_kinds() -> Mapping[str, CrmKind]:
    """The CRMs of this package by their names, in alphabetical order: those that its documents speak of."""
    folders = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    return MappingProxyType({name: import_module(f"{__name__}.{name}").KIND for name in folders})


@cache
def crm_kinds() -> Mapping[str, CrmKind]:
    """Every CRM by its name, in alphabetical order. Cheap: a CRM's client library is loaded at first use.

    Raises ConfigurationError that names the package, where an entry point cannot be loaded or its name is taken.
    """
    kinds, brought_by = dict(own_kinds()), dict.fromkeys(own_kinds(), "crm-pipeline")
    # A package is seen twice where its folder stands in the path twice.
    points = {(point.name, point.value, _package(point)): point for point in entry_points(group=GROUP)}
    for place, point in sorted(points.items()):
        if point.name in _TAKEN:
            raise ConfigurationError(
                f"the package {_package(point)} brings a CRM called {point.name}, a word that means something else here; "
                "give the CRM another name"
            )
        if point.name in brought_by:
            raise ConfigurationError(
                f"two packages bring a CRM called {point.name}: {brought_by[point.name]} and {_package(point)}; uninstall one of them"
            )
        kinds[point.name], brought_by[point.name] = _loaded(point), place[2]
    return MappingProxyType(dict(sorted(kinds.items())))


def _loaded(point: EntryPoint) -> CrmKind:
    from crm_pipeline.crms.base import CrmKind

    here = f"the package {_package(point)} brings the CRM {point.name} ({point.value}), but"
    try:
        kind = point.load()
    except Exception as error:
        raise ConfigurationError(f"{here} it cannot be loaded: {type(error).__name__}: {error}; repair or uninstall the package") from error
    if not isinstance(kind, CrmKind):
        raise ConfigurationError(f"{here} that is a {type(kind).__name__}, no CrmKind; the entry point must name the CRM's KIND")
    if kind.name != point.name:
        raise ConfigurationError(f"{here} its KIND is called {kind.name}; give both one name")
    if not _NAME.fullmatch(kind.name):
        raise ConfigurationError(f"{here} a name has lower-case letters, digits and _ only, a letter first")
    return kind


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
