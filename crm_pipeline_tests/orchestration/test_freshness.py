"""How old a load may be before Dagster calls it stale."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.freshness import longest_interval
from crm_pipeline_tests.orchestration.conftest import LOADS
from crm_pipeline_tests.orchestration.test_assets import SPEC


def scheduled(schedule: str) -> IntegrationSpec:
    return SPEC.model_copy(update={"schedule": schedule})


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("@hourly", 1),
        ("@daily", 24),
        ("5 * * * *", 1),
        ("*/10 * * * *", 1),
        ("30 */4 * * *", 4),
        ("0 6 * * *", 24),
        ("*/5 8-18 * * 1-5", 62),
        ("0 6 * * 1", 168),
    ],
)
def test_interval_is_the_longest_between_two_ticks_and_an_hour_at_least(schedule: str, hours: int) -> None:
    assert longest_interval(SPEC.start, schedule) == timedelta(hours=hours)


def test_hourly_loads_are_late_after_ninety_minutes_and_stale_after_three_hours() -> None:
    policies = {"/".join(spec.key.path[1:]): spec.freshness_policy for spec in build_integration(SPEC).resolve_all_asset_specs()}
    assert {name for name, policy in policies.items() if policy is not None} == set(LOADS)
    expected = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(minutes=90))
    assert {policies[load] for load in LOADS} == {expected}


def test_paused_integration_is_never_stale() -> None:
    paused = build_integration(SPEC.model_copy(update={"active": False}))
    assert {spec.freshness_policy for spec in paused.resolve_all_asset_specs()} == {None}
