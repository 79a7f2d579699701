"""Dagster's way in for a benchmark's worker: the one integration that the environment describes."""

from __future__ import annotations

import os

import dagster as dg

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration

SPEC_VARIABLE = "BENCHMARK_INTEGRATION"


@dg.definitions
def defs() -> dg.Definitions:
    """The integration whose name and attributes stand, as JSON, in BENCHMARK_INTEGRATION."""
    return build_integration(IntegrationSpec.model_validate_json(os.environ[SPEC_VARIABLE]))
