"""Dagster's way in for the demo: its one integration, on the sandbox's services."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

import dagster as dg
from dagster.components.core.load_defs import load_defs

from crm_pipeline.definitions import PACKAGE
from crm_pipeline.orchestration.executor import EXECUTOR
from crm_pipeline.sandbox import defs as usual
from crm_pipeline.sandbox import defs_sugarcrm as with_sugarcrm


def folder() -> ModuleType:
    """Where the integration stands."""
    return with_sugarcrm if "SANDBOX_SUGARCRM_URL" in os.environ else usual


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """The demo's integration, run as any other; with SugarCRM where one of its sites is named."""
    integrations = load_defs(folder(), project_root=PACKAGE.parent)
    return dg.Definitions.merge(dg.Definitions(executor=EXECUTOR), integrations)
