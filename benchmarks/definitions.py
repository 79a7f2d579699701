"""Dagster's way in for a benchmark's worker: the one integration that the environment describes."""

import os
from dataclasses import replace
from importlib import import_module

import dagster as dg

from benchmarks.variables import COPIES_VARIABLE, EMPTY_VARIABLE, PARTS_VARIABLE, SPEC_VARIABLE
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration


@dg.definitions
def defs() -> dg.Definitions:
    """The integration whose name and attributes stand, as JSON, in BENCHMARK_INTEGRATION; copies of it; or assets like its hourly ones."""
    spec = IntegrationSpec.model_validate_json(os.environ[SPEC_VARIABLE])
    if (parts := os.environ.get(PARTS_VARIABLE)) is not None:
        _divide_batches(int(parts))
    if (copies := os.environ.get(COPIES_VARIABLE)) is not None:
        made = [build_integration(spec.model_copy(update={"name": f"{spec.name}{number or ''}"})) for number in range(int(copies))]
        return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), *made)
    definitions = build_integration(spec)
    kind = os.environ.get(EMPTY_VARIABLE)
    return definitions if kind is None else _empty(definitions, with_checks=kind == "checks")


def _divide_batches(parts: int) -> None:
    for crm in ("hubspot", "salesforce"):
        kind, client = import_module(f"crm_pipeline.crms.{crm}").KIND, import_module(f"crm_pipeline.crms.{crm}.client")
        client.__dict__["KIND"] = replace(kind, capabilities=replace(kind.capabilities, batch_size=kind.capabilities.batch_size // parts))


def _empty(definitions: dg.Definitions, *, with_checks: bool) -> dg.Definitions:
    specs = [spec for spec in definitions.resolve_all_asset_specs() if spec.partitions_def is not None]
    checks = definitions.resolve_asset_graph().asset_check_keys if with_checks else set()
    assets = [_nothing(spec, sorted(key.name for key in checks if key.asset_key == spec.key)) for spec in specs]
    job = dg.define_asset_job(
        "bench__sync", selection=dg.AssetSelection.assets(*(spec.key for spec in specs)), executor_def=dg.in_process_executor
    )
    return dg.Definitions(assets=assets, jobs=[job])


def _nothing(spec: dg.AssetSpec, checks: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key,
        deps=[dep.asset_key for dep in spec.deps],
        partitions_def=spec.partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec(name, asset=spec.key) for name in checks],
    )
    def nothing() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name=name) for name in checks])

    return nothing
