"""Dagster's way in for the demo: its one integration, on the sandbox's services."""

from __future__ import annotations

from functools import cache

import dagster as dg
from dagster.components.core.load_defs import load_defs

from crm_pipeline.definitions import PACKAGE
from crm_pipeline.sandbox import defs as demo_defs


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """The demo's integration, run as any other."""
    integrations = load_defs(demo_defs, project_root=PACKAGE.parent)
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), integrations)
