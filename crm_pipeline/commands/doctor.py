"""``crm-pipeline doctor``: is everything ready? Every service of an integration is looked at; nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import click
from rich.console import Console

from crm_pipeline.calls import Waits
from crm_pipeline.commands.findings import show_findings
from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.next_steps import next_steps
from crm_pipeline.commands.options import connected, integration_option, module_option
from crm_pipeline.commands.output import echo_json, examples, json_option
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.store.database import Store
from crm_pipeline.store.diagnosis import database_findings
from crm_pipeline.sync.diagnosis import crm_findings

SHORT_WAITS = Waits(first_seconds=0.2, longest_seconds=15)
"""A service that cannot be reached is told of within seconds, other than in a run, which can wait."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at of one service: whose it is (None: everybody's), what it is called, and how findings are got."""

    integration: str | None
    area: str
    findings: Callable[[], Iterable[Finding]]

    @property
    def name(self) -> str:
        """What people read above its findings."""
        return self.area if self.integration is None else f"{self.integration}: {self.area}"


@click.command(epilog=examples("crm-pipeline doctor", "crm-pipeline doctor --integration acme --strict --json"))
@integration_option(required=False)
@click.option("--strict", is_flag=True, help="End with code 1 for warnings too.")
@json_option
@module_option
def doctor(*, integration: str | None, strict: bool, as_json: bool, module: str) -> None:
    """Look at every service of the integrations before anything is staged, and say what to do. Writes nothing.

    The database, QBench, each CRM with every mapped field, and Dagster: green is good, yellow works otherwise than one may think, red
    does not work. All findings are told, not the first alone. Ends with code 1 where anything is red.
    """
    specs, wrong = _specs(module, integration)
    found: list[tuple[Look, list[Finding]]] = [(Look(None, "yaml", tuple), wrong)] if wrong else []
    with closing(Store()) as store, Console(stderr=True).status("Looking at every service …"):
        looks = list(_looks(specs, store))
        with ThreadPoolExecutor(max_workers=len(looks)) as threads:
            found += zip(looks, threads.map(lambda look: list(look.findings()), looks), strict=True)
        levels = {one.level for _, findings in found for one in findings}
        coming = [] if "problem" in levels else list(next_steps(specs, store))
    if as_json:
        echo_json([{"integration": look.integration, **one.as_json()} for look, findings in found for one in findings])
    else:
        show_findings([(look.name, findings) for look, findings in found])
        click.echo("\n".join(coming), nl=bool(coming))
    if levels & ({"problem", "warning"} if strict else {"problem"}):
        raise click.exceptions.Exit(1)


def _specs(module: str, integration: str | None) -> tuple[list[IntegrationSpec], list[Finding]]:
    """The integrations meant, or what is wrong with their YAML."""
    try:
        return chosen(module, integration), []
    except ConfigurationError as error:
        return [], [Finding("problem", "yaml", module, str(error), "correct it; what it says of services cannot be looked at until then")]


def _looks(specs: list[IntegrationSpec], store: Store) -> Iterator[Look]:
    yield Look(None, "database", partial(database_findings, store))
    for spec in specs:
        yield Look(spec.name, "qbench", partial(_qbench, spec))
        for crm in spec.crms.configured:
            yield Look(spec.name, crm, partial(_crm, spec, crm, store))
    yield Look(None, "dagster", partial(_dagster, specs, store))


def _qbench(spec: IntegrationSpec) -> list[Finding]:
    settings = spec.qbench.model_copy(update={"waits": SHORT_WAITS})
    with closing(QBench(settings, integration=spec.name)) as source:
        return list(source.findings(spec.qbench_fields))


def _crm(spec: IntegrationSpec, crm: str, store: Store) -> list[Finding]:
    orders = [spec.order(crm, record, run_id="doctor") for record in spec.records_in(crm).values()]
    with connected(spec, crm, waits=SHORT_WAITS) as client:
        return list(crm_findings(orders, client, store=store))


def _dagster(specs: list[IntegrationSpec], store: Store) -> list[Finding]:
    from crm_pipeline.orchestration.diagnosis import dagster_findings

    return list(dagster_findings(specs, store))
