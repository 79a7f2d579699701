"""How many steps of a run go at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.executor.init import InitExecutorContext
from dagster._core.executor.multiprocess import MultiprocessExecutor
from dagster._core.system_config.objects import ResolvedRunConfig

from crm_pipeline.orchestration.executor import EXECUTOR, steps_at_once


@dg.job(executor_def=EXECUTOR)
def steps() -> None:
    pass


def executor_of(run_config: dict[str, Any] | None, home: Path) -> dg.Executor:
    """What carries out a run of this config."""
    config = ResolvedRunConfig.build(steps, run_config).execution.execution_engine_config
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        made = InitExecutorContext(job=dg.reconstructable(steps), executor_def=EXECUTOR, executor_config=config, instance=instance)
        assert EXECUTOR.executor_creation_fn is not None
        return EXECUTOR.executor_creation_fn(made)


@pytest.mark.parametrize(("run_config", "takes_several"), [(None, False), (steps_at_once(1), False), (steps_at_once(3), True)])
def test_steps_share_a_process_unless_several_are_to_go_at_the_same_time(
    run_config: dict[str, Any] | None, tmp_path: Path, *, takes_several: bool
) -> None:
    made = executor_of(run_config, tmp_path)
    assert isinstance(made, MultiprocessExecutor) is takes_several
    assert not takes_several or made._max_concurrent == 3  # type: ignore[attr-defined]
