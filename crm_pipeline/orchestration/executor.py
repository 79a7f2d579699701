"""How many steps of a run go at the same time: one, or for a first load both CRMs' beside the reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

_STEPS_AT_ONCE = "steps_at_once"
_PRELOADED = ["crm_pipeline.orchestration.assets", "crm_pipeline.sync.extracting.normalizing", "crm_pipeline.sync.loading.load"]
"""What steps need most of their start for, imported once for all of a run's processes."""


def _of_dagster(config: Mapping[str, int]) -> dict[str, Any]:
    steps = config[_STEPS_AT_ONCE]
    if steps == 1:
        return {"in_process": {}}
    return {"multiprocess": {"max_concurrent": steps, "start_method": {"forkserver": {"preload_modules": _PRELOADED}}}}


EXECUTOR = dg.multi_or_in_process_executor.configured(
    _of_dagster,
    name="steps",
    config_schema={
        _STEPS_AT_ONCE: dg.Field(
            int,
            default_value=1,
            is_required=False,
            description="How many steps of this run go at the same time. Each of several takes a process of its own, of some "
            "300 MB: worth it for a first load, which reads contacts while it loads accounts, and loads all CRMs side by side.",
        )
    },
)
"""One process for all of a run's steps, so that an hourly run takes 3 seconds instead of 9 and signs in to each service once."""


GOES_FIRST = {"dagster/priority": "1"}
"""Op tags of a step that goes before others that could go too (source: Dagster's docs on step priorities)."""


def steps_at_once(steps: int) -> dict[str, Any]:
    """The run config by which so many steps of a run go at the same time."""
    return {"execution": {"config": {_STEPS_AT_ONCE: steps}}}
