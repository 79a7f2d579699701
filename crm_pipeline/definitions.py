"""Dagster's way in: the integrations under ``defs/``, one folder with a ``defs.yaml`` each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg

from crm_pipeline.configuration.files import checked_files
from crm_pipeline.orchestration.executor import EXECUTOR

PACKAGE = Path(__file__).parent


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """All integrations of this code location, built once per process; reloading the location starts a new one."""
    if not checked_files(PACKAGE / "defs"):
        dg.get_dagster_logger("crm_pipeline").warning(
            "no integration yet: add crm_pipeline/defs/<name>/defs.yaml (see the README there) and reload"
        )
    integrations = dg.load_from_defs_folder(path_within_project=PACKAGE)
    return dg.Definitions.merge(dg.Definitions(executor=EXECUTOR), integrations)
