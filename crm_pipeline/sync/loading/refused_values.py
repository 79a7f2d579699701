"""What of a refused row can be sent? The values that the CRM refused follow their mapping's ``on_invalid`` (docs/rules.md, 16); no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from crm_pipeline.errors import ValueTooLongException
from crm_pipeline.mapping.lengths import cut, strictest_length
from crm_pipeline.mapping.targets import Target
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline.sync.planning.reasons import joined


def mend(batch: Plan, answer: pd.DataFrame, targets: Sequence[Target], crm_fields: pd.DataFrame) -> tuple[Plan, pd.Series]:
    """The batch without the values that the CRM refused, and which of its rows (bool) can go again so.

    ``answer``: schemas.WRITE_RESULTS, a row per row of the batch. ``crm_fields``: schemas.CRM_FIELDS. A value that is too long
    is cut where its mapping says truncate, to what fits by the strictest way of counting; every other one is left out, an
    address whole. A row stays refused where a field of it must be valid, or is none that was sent.
    """
    mended = pd.Series(False, index=answer.index)
    positions = answer.index[answer["value_refused"] & answer["error_fields"].notna()]
    if positions.empty:
        return batch, mended
    lengths = crm_fields.set_index("name")["length"].dropna().to_dict()
    rows, values, sent = batch.rows.copy(), batch.values.copy(), batch.sent.copy()
    for position in positions:
        refused = [target for target in _named(targets, answer.at[position, "error_fields"]) if sent.at[position, target.crm_field]]
        if not refused or any(target.must_be_valid for target in refused):
            continue
        too_long = answer.at[position, "error_type"] == ValueTooLongException.__name__
        notes = []
        for target in refused:
            value = values.at[position, target.crm_field]
            shorter = _shorter(value, lengths.get(target.crm_field)) if too_long and target.on_invalid == "truncate" else None
            if shorter is not None:
                values.at[position, target.crm_field] = shorter
            else:
                sent.loc[position, list(_goes_with(target, targets))] = False
            if rows.at[position, "settled"] is not None:
                rows.at[position, "settled"] = rows.at[position, "settled"].mended(target.unit, instead=shorter)
            notes.append(f"{'omitted' if shorter is None else 'truncated'}: {target.crm_field}")
        rows["reason"] = joined(rows["reason"], pd.Series({position: "; ".join(notes)}, dtype="str").reindex(rows.index))
        mended[position] = True
    return Plan(rows, values, sent), mended


def _named(targets: Sequence[Target], fields: str) -> list[Target]:
    """The targets that the CRM names, or the empty list where it names a field besides."""
    names = {name.casefold() for name in fields.split(", ")}
    found = [target for target in targets if names & _names_of(target)]
    known = set().union(*map(_names_of, found))
    return found if names <= known else []


def _names_of(target: Target) -> set[str]:
    return {name.casefold() for name in (target.crm_field, target.stands_for) if name}


def _shorter(value: Any, length: int | None) -> str | None:
    """The text cut to the length; null where that changes nothing, so that it must be something else."""
    if not isinstance(value, str) or length is None or strictest_length(value) <= length:
        return None
    return cut(value, length, count=strictest_length) or None


def _goes_with(target: Target, targets: Sequence[Target]) -> Iterator[str]:
    for other in targets:
        if other is target or (target.group is not None and other.group == target.group and not target.droppable):
            yield other.crm_field
