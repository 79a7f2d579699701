"""The CRMs that records can be loaded into: one folder each, found by being there."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crm_pipeline.crms.base import CrmKind


@cache
def crm_kinds() -> Mapping[str, CrmKind]:
    """Every CRM of this package by its name, in alphabetical order. Cheap: a CRM's client library is loaded at first use."""
    folders = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    return MappingProxyType({name: import_module(f"{__name__}.{name}").KIND for name in folders})
