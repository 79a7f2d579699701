"""Loads that a person starts: of one record type into one CRM, told in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from crm_pipeline.commands.options import connected
from crm_pipeline.commands.output import Tell
from crm_pipeline.counting import counted
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import staged_ids
from crm_pipeline.store.standing import Condition
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Selection


def load_by_hand(spec: IntegrationSpec, order: LoadOrder, selection: Selection, *, store: Store, tell: Tell) -> int:
    """Load these records, those too that the CRM refused for good before, and tell what became of them, also where it breaks off.

    Nothing goes to a CRM to which the YAML lets nothing be sent. The number of records that are not there as they are to be: those left
    out on purpose do not count.
    """
    if not order.settings.send:
        tell(f"{which(order)}: nothing is sent while `send: false` stands in the YAML", loaded(order, {}))
        return 0
    missing = 0
    with connected(spec, order.crm, store=store) as client:
        load = Load(replace(order, refused="again"), store=store, crm=client)
        nothing = "nothing was done"
        try:
            load.run(selection)
            nothing = "no such records"
        finally:
            counts = {str(outcome): count for outcome, count in sorted(load.report.outcomes.items())}
            said = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
            tell(f"{which(order)}: {said or nothing}", loaded(order, counts))
            missing = load.report.conditions[Condition.FAILED] + load.report.conditions[Condition.WAITING]
    return missing


def unknown_records(
    specs: Sequence[IntegrationSpec], record_type: RecordType | None, ids: Sequence[int] | None, *, store: Store
) -> list[str]:
    """Sentences that name those of the ids whose records no integration of these has staged; none where no ids were asked for."""
    if record_type is None or ids is None:
        return []
    with store.transaction() as connection:
        known = {number for spec in specs for number in staged_ids(connection, spec.name, record_type, ids=ids)}
    unknown = [str(number) for number in ids if number not in known]
    return [f"there is no staged {record_type} {', '.join(unknown)}; `crm-pipeline send` reads records from QBench now"] if unknown else []


def require_none_missing(missing: int, unknown: Sequence[str] = ()) -> None:
    """Raises ClickException where records failed, were skipped or wait, or are unknown: who asked for them learns it from the exit code.

    ``unknown``: sentences that name those which are not there at all.
    """
    told = list(unknown)
    if missing:
        told.append(f"{counted(missing, 'record', form=',')} failed, skipped or waiting; `crm-pipeline errors` tells why")
    if told:
        raise click.ClickException("\n".join(told))


def which(order: LoadOrder) -> str:
    """The load in words."""
    return f"{order.state.integration} → {order.crm} {order.record.record_type}s"


def loaded(order: LoadOrder, outcomes: Mapping[str, int]) -> dict[str, Any]:
    """The load and its counts in plain values."""
    state = order.state
    return {"integration": state.integration, "crm": state.crm, "record_type": str(state.record_type), "outcomes": dict(outcomes)}


def tell_looked_at(state: CrmState, records: int, *, tell: Tell, said: str | None = None) -> None:
    """Tell how many records the next run that brings changes home looks at; ``said``: in these words, where there are none."""
    many = f"{counted(records, 'record is', 'records are', form=',')} looked at by the next run"
    sentence = said or f"{state.integration} ← {state.crm} {state.record_type}s: {many}"
    tell(sentence, {"integration": state.integration, "from": state.crm, "record_type": str(state.record_type), "looked_at": records})
