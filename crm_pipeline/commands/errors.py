"""``crm-pipeline errors``: how do all records stand, what is wrong with those that do not arrive, and since when are there more?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.table import Column, Table

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.options import (
    crm_names,
    crm_option,
    error_type_option,
    integration_option,
    module_option,
    opened_store,
    record_type_option,
)
from crm_pipeline.commands.output import echo_json, examples, json_option
from crm_pipeline.counting import changed, counted
from crm_pipeline.errors import record_errors, wanted_errors
from crm_pipeline.errors.wording import in_short, told
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.error_records import error_records
from crm_pipeline.store.standing import ARROWS, Condition, Standing, Total, by_condition, by_error, by_records, standings

_TIMES = ("at", "next_attempt_at")


@click.command(
    epilog=examples(
        "crm-pipeline errors --integration acme",
        "crm-pipeline errors --type NoEmailForContactException --csv",
    )
)
@integration_option(required=False)
@crm_option(required=False)
@record_type_option(required=False)
@error_type_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the records as CSV, a line for each; without --type those of all errors.")
@json_option
@module_option
def errors(
    *,
    integration: str | None,
    crm: str | None,
    record_type: str | None,
    error_type: str | None,
    as_csv: bool,
    as_json: bool,
    module: str,
) -> None:
    """Show how all records stand, and how many have which error now and more than yesterday; with --type these records themselves.

    Asks the state only, no service. An arrow shows the way: to a CRM, or home to QBench. The totals end with code 1 where records
    failed.
    """
    if as_csv and as_json:
        raise click.UsageError("give either --csv or --json")
    specs = chosen(module, integration)
    for spec in specs:
        crm_names(spec, crm)
    wanted = RecordType(record_type) if record_type else None
    with opened_store() as store:
        if error_type is None and not as_csv:
            if _totals(specs, store, crm=crm, record_type=wanted, as_json=as_json):
                sys.exit(1)
            return
        frames = _records(specs, store, crm=crm, record_type=wanted, error_type=error_type)
        if as_csv:
            for number, frame in enumerate(frames):
                frame.to_csv(sys.stdout, index=False, header=number == 0)
        elif as_json:
            rows = [row for frame in frames for row in frame.astype("object").where(frame.notna(), None).to_dict("records")]
            echo_json(rows)
        else:
            _list(str(error_type), frames)


def _totals(specs: Sequence[IntegrationSpec], store: Store, *, crm: str | None, record_type: RecordType | None, as_json: bool) -> int:
    """Show the totals. The number of records that failed."""
    for_programs: list[dict[str, Any]] = []
    failed = 0
    for spec in specs:
        with store.transaction() as connection:
            found = standings(connection, spec.name, crm=crm, record_type=record_type)
        failed += by_condition(found)[Condition.FAILED].records
        if as_json:
            for_programs += [_as_json(spec.name, each) for each in found]
            continue
        console = Console(highlight=False)
        console.print(f"\n[bold]{spec.name}[/]")
        if not found:
            console.print("No record has an outcome yet.")
            continue
        console.print(_conditions(found))
        for title, members in by_records(found).items():
            if totals := by_error(members):
                console.print("", _errors(title, totals), sep="\n")
    if as_json:
        echo_json(for_programs)
    return failed


def _as_json(integration: str, standing: Standing) -> dict[str, Any]:
    error = record_errors().get(standing.error_type or "")
    return {
        "integration": integration,
        "direction": standing.direction,
        "crm": standing.crm,
        "record_type": str(standing.record_type),
        "condition": str(standing.condition),
        "outcome": str(standing.outcome),
        "error_type": standing.error_type,
        "retried": standing.retryable,
        "records": standing.records,
        "day_before": standing.day_before,
        "meaning": None if error is None else in_short(error),
        "remedy": None if error is None else error.remedy,
    }


def _conditions(found: Sequence[Standing]) -> Table:
    numbers = (Column(str(condition), justify="right") for condition in Condition)
    table = Table("records", *numbers, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for alike, members in by_records(found).items():
        sums = by_condition(members)
        table.add_row(alike, *(str(sums[condition]) for condition in Condition))
    return table


def _errors(title: str, totals: Mapping[str, Total]) -> Table:
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("now", "in 24 h"))
    table = Table(Column(title, no_wrap=True), *numbers, "what is wrong", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, total in totals.items():
        style = "dim" if name in wanted_errors() else None
        table.add_row(name, f"{total.records:,}", changed(total.change), told(name, None), style=style)
    return table


def _records(
    specs: Sequence[IntegrationSpec], store: Store, *, crm: str | None, record_type: RecordType | None, error_type: str | None
) -> Iterator[pd.DataFrame]:
    """The records with an error, as ERROR_RECORDS has them, with their integration and a sentence; frame by frame."""
    for spec in specs:
        with store.transaction() as connection:
            for frame in error_records(connection, spec.name, crm=crm, record_type=record_type, error_type=error_type):
                reasons = frame["reason"].astype("object").where(frame["reason"].notna(), None)
                sentences = list(map(told, frame["error_type"], reasons))
                times = {name: pd.to_datetime(frame[name], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in _TIMES}
                yield frame.assign(integration=spec.name, said=sentences, **times)[["integration", *frame.columns.drop("reason"), "said"]]


def _list(error_type: str, frames: Iterator[pd.DataFrame]) -> None:
    error = record_errors()[error_type]
    click.echo(f"{error_type}: {error.meaning}\nWhat to do: {error.remedy}\n")
    records = 0
    for frame in frames:
        records += len(frame)
        for row in frame.itertuples():
            crm_id = "" if pd.isna(row.crm_id) else f" ({row.crm_id})"
            record = "none" if pd.isna(row.qbench_id) else row.qbench_id
            click.echo(f"{row.integration} {ARROWS[row.direction]} {row.crm} {row.record_type} {record}{crm_id}: {row.said}")
    click.echo(f"{counted(records, 'record has', 'records have', form=',')} {error_type}.")
