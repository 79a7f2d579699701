"""What the demo says of its runs: tables for people, and the same in plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from sqlalchemy import Row, text

from crm_pipeline.crms import crm_kinds
from crm_pipeline.model import Outcome, RecordType

if TYPE_CHECKING:
    from crm_pipeline.sandbox.demo import Demo


def tell_run(demo: Demo, partition: str) -> dict[str, Any]:
    """Print what became of the records of a run that sends, and give the same in plain values."""
    statement = text(
        "SELECT crm, record_type, outcome, error_type, count(*) AS records "
        "FROM crm_pipeline.outcome JOIN crm_pipeline.attempt ON attempt.id = outcome.run_id "
        "WHERE attempt.partition_key = :partition GROUP BY crm, record_type, outcome, error_type ORDER BY crm, record_type"
    )
    with demo.store.transaction() as connection:
        rows = connection.execute(statement, {"partition": partition}).all()
    _print_outcomes(demo, rows)
    _print_exceptions(demo, rows)
    return {"partition": partition, "outcomes": [dict(row._mapping) for row in rows], "calls": _tell_calls(demo)}


def tell_run_back(demo: Demo, partition: str) -> dict[str, Any]:
    """Print what a run that brings changes home wrote, and which values lost, and give the same in plain values."""
    with demo.store.transaction() as connection:
        changes = connection.execute(
            text("SELECT crm, qbench_id, outcome, reason FROM crm_pipeline.change_outcome WHERE outcome <> 'unchanged' ORDER BY 1, 2")
        ).all()
        conflicts = connection.execute(text("SELECT crm, qbench_id, field, winner, evidence FROM crm_pipeline.conflict ORDER BY id")).all()
    table = _table("Into QBench", "from", "QBench id", "outcome", "reason")
    for row in changes:
        table.add_row(row.crm, str(row.qbench_id), row.outcome, row.reason or "")
    demo.console.print(table)
    table = _table("Conflicts", "with", "QBench id", "field", "stands", "decided by")
    for row in conflicts:
        table.add_row(row.crm, str(row.qbench_id), row.field, row.winner, row.evidence)
    demo.console.print(table)
    told = {"changes": [dict(row._mapping) for row in changes], "conflicts": [dict(row._mapping) for row in conflicts]}
    return {"partition": partition, **told, "calls": _tell_calls(demo)}


def _tell_calls(demo: Demo) -> dict[str, int]:
    calls = {service: len(demo.sandbox.journal.calls(service)) for service in ("qbench", *demo.fed)}
    demo.console.print("API calls: " + ", ".join(f"{service} {count}" for service, count in calls.items()))
    return calls


def _print_outcomes(demo: Demo, rows: Sequence[Row[Any]]) -> None:
    table = _table("Outcomes", "load", *(str(outcome) for outcome in Outcome))
    for load in sorted({_load(row) for row in rows}):
        counts = Counter({Outcome(row.outcome): 0 for row in rows})
        for row in rows:
            if _load(row) == load:
                counts[Outcome(row.outcome)] += row.records
        table.add_row(load, *(str(counts[outcome] or "·") for outcome in Outcome))
    demo.console.print(table)


def _print_exceptions(demo: Demo, rows: Sequence[Row[Any]]) -> None:
    table = _table("Exceptions", "load", "outcome", "reason", "records")
    for row in rows:
        if row.error_type:
            table.add_row(_load(row), row.outcome, row.error_type, str(row.records))
    if table.rows:
        demo.console.print(table)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in {*Outcome, "records", "QBench id"} - {"outcome"} else "left", no_wrap=True)
    return table


def _load(row: Row[Any]) -> str:
    kind = crm_kinds()[row.crm]
    return f"{kind.name}/{kind.usual(RecordType(row.record_type)).asset}"
