"""``crm-pipeline plan``: what a load would do, as tables or JSON; nothing is written (docs/rules.md, 36)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click
from rich.console import Console
from rich.table import Table

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.loads import require_none_missing, unknown_records
from crm_pipeline.commands.next_steps import next_steps
from crm_pipeline.commands.options import (
    connected,
    crm_names,
    crm_option,
    integration_option,
    module_option,
    moment,
    opened_store,
    order_of,
    qbench_ids,
    record_type_option,
    selected,
)
from crm_pipeline.commands.output import echo_json, examples, json_option
from crm_pipeline.commands.plan_home import plan_home
from crm_pipeline.counting import counted
from crm_pipeline.errors import ConfigurationError, ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.sync.loading.preview import Forecast, SharedAddresses
from crm_pipeline.sync.loading.preview import forecasts as made_of
from crm_pipeline.sync.planning.selection import Selection

OPERATIONS = ("create", "update", "link")


@click.command(
    epilog=examples(
        "crm-pipeline plan --integration acme",
        "crm-pipeline plan --integration acme --crm hubspot --partition 2026-11-01-00:00",
        "crm-pipeline plan --integration acme --record-type contact --ids 12,13 --json",
        "crm-pipeline plan --integration acme --from salesforce",
    )
)
@integration_option(required=False)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--partition", metavar="KEY", help="Only this partition, as 2026-11-01-00:00.")
@click.option("--since", type=moment, help="Only records changed at or after this time.")
@click.option("--until", type=moment, help="Only records changed before this time.")
@click.option("--ids", type=qbench_ids, help="Only these QBench ids, as 12,13; needs --record-type.")
@click.option("--from", "source", metavar="CRM", help="What this CRM's staged changes would write into QBench; times are the CRM's.")
@json_option
@module_option
def plan(
    *,
    integration: str | None,
    crm: str | None,
    record_type: str | None,
    partition: str | None,
    since: int | None,
    until: int | None,
    ids: tuple[int, ...] | None,
    source: str | None,
    as_json: bool,
    module: str,
) -> None:
    """Show what a load would do with the staged records: counts, changes per field, calls. Writes nothing.

    Before a first load, materialize the integration's qbench and normalized assets, then look at this. A CRM that cannot be
    planned hides no other one; the command then ends with code 1.
    """
    if source is not None:
        if crm is not None or ids is not None:
            raise click.UsageError("--crm and --ids say what goes to a CRM, --from what comes from one: give no --crm or --ids with it")
        plan_home(module, integration, source, record_type=record_type, partition=partition, since=since, until=until, as_json=as_json)
        return
    if ids is not None and record_type is None:
        raise click.UsageError("--ids needs --record-type: customers and contacts have ids of their own")
    told: list[Forecast | NoForecast] = []
    with opened_store() as store:
        shared = SharedAddresses(store)
        specs = chosen(module, integration)
        coming = list(next_steps(specs, store))
        wanted = RecordType(record_type) if record_type else None
        for spec in specs:
            selection = selected(spec, partition=partition, since=since, until=until, ids=ids)
            for name in crm_names(spec, crm, taking=wanted):
                types = [wanted] if wanted else list(spec.records_in(name))
                told += _told(spec, name, selection, store=store, wanted=types, shared=shared)
        unknown = unknown_records(specs, wanted, ids, store=store)
    failed = [str(each) for each in told if isinstance(each, NoForecast)]
    if as_json:
        echo_json([each.as_json() for each in told])
    else:
        _show([each for each in told if isinstance(each, Forecast)])
        click.echo("\n".join(coming), nl=bool(coming))
    require_none_missing(0, [*unknown, *(["not everything could be planned", *failed] if failed else [])])


@dataclass(frozen=True)
class NoForecast:
    """Why one CRM of an integration, or the rest of it, cannot be planned."""

    integration: str
    crm: str
    error: str

    def __str__(self) -> str:
        return f"{self.integration} → {self.crm}: {self.error}"

    def as_json(self) -> dict[str, str]:
        """The same in plain values."""
        return asdict(self)


def _told(
    spec: IntegrationSpec, crm: str, selection: Selection, *, store: Store, wanted: list[RecordType], shared: SharedAddresses
) -> Iterator[Forecast | NoForecast]:
    """The forecasts of one CRM; where one cannot be made, why."""
    try:
        yield from forecasts(spec, crm, selection, store=store, wanted=wanted, shared=shared)
    except (ConfigurationError, ServiceError) as error:
        yield NoForecast(spec.name, crm, str(error))


def forecasts(
    spec: IntegrationSpec,
    crm: str,
    selection: Selection,
    *,
    store: Store,
    wanted: list[RecordType],
    keeps_values: bool = False,
    shared: SharedAddresses | None = None,
) -> Iterator[Forecast]:
    """What loads of these record types into one CRM would do; ``keeps_values``: with the values that would go. ``shared``: what the
    forecasts of other CRMs look at too.

    Raises what stops a load before its first write.
    """
    with connected(spec, crm, store=store) as client:
        yield from made_of(
            lambda record_type: order_of(spec, crm, record_type, run_id="plan"),
            dict.fromkeys(wanted, selection),
            store=store,
            crm=client,
            keeps_values=keeps_values,
            shared=shared,
        )


def _show(forecasts: list[Forecast]) -> None:
    console = Console(highlight=False)
    for forecast in forecasts:
        replanned = f", {forecast.replanned:,} of other windows" if forecast.replanned else ""
        records = f"{counted(forecast.rows, 'record', form=',')}{replanned}"
        console.print(f"\n[bold]{forecast.integration} → {forecast.crm} {forecast.record_type}s[/]: {records}")
        console.print(_operations(forecast))
        if forecast.fields:
            console.print(_fields(forecast))
        console.print(f"Calls: {_listed(forecast.writes)} to write; {_listed(forecast.reads)} to look things up, made now and by the load.")
        for note in forecast.notes:
            console.print(f"Note: {note}.")
    console.print("\nNothing was written.")


def _operations(forecast: Forecast) -> Table:
    table = Table("planned", "reason", "records", "for example, QBench ids", box=None, pad_edge=False)
    for (operation, reason), tally in forecast.planned.items():
        table.add_row(operation, reason or "", f"{tally.count:,}", ", ".join(map(str, tally.sample_ids)))
    return table


def _fields(forecast: Forecast) -> Table:
    table = Table("new values in field", *OPERATIONS, box=None, pad_edge=False)
    for name, counts in forecast.fields.items():
        table.add_row(name, *(f"{counts[operation]:,}" if counts[operation] else "·" for operation in OPERATIONS))
    return table


def _listed(calls: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {label}" for label, count in calls.items()) or "none"
