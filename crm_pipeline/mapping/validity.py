"""Whether the CRM would take a value, by its own description of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

import numpy as np
import pandas as pd

from crm_pipeline.frames import Column, Flags, FrameSchema, blank
from crm_pipeline.mapping.conversions import convert
from crm_pipeline.mapping.lengths import crm_lengths, cut, may_exceed
from crm_pipeline.mapping.targets import Target
from crm_pipeline.mapping.values import over_uniques

Action = Literal["omitted", "truncated", "failed"]

PROBLEMS = FrameSchema(
    "problems",
    (
        Column("position", "int64", "row of the frame"),
        Column("crm_field", "str", "CRM field whose value the CRM would refuse"),
        Column("error_type", "str", "name of the record error"),
        Column("action", "str", "omitted, truncated or failed"),
    ),
)
"""Values that the CRM would refuse and what is done about each."""


@dataclass(frozen=True, slots=True)
class Checked:
    """``values`` as they may be sent; ``problems``: the PROBLEMS frame. A failed value is left as it was, where its type allows."""

    values: pd.DataFrame
    problems: pd.DataFrame


def check_values(
    values: Mapping[str, pd.Series],
    targets: Sequence[Target],
    crm_fields: pd.DataFrame | None,
    *,
    index: pd.Index,
    known: pd.DataFrame | None = None,
    zone: tzinfo = UTC,
) -> Checked:
    """Values by CRM field, all of this index, in their final form against the CRM's fields: type, options, length (docs/rules.md, 16).

    A value the CRM would refuse follows its target's ``on_invalid``; truncating something that is not too long text means
    omitting it. Omitting takes the whole group along. Name, email and last name fail instead. ``known``: problems that the
    values have already. ``zone``: that of dates without one. Without ``crm_fields`` nothing more is checked.
    """
    columns: dict[str, pd.Series] = {}
    found: list[pd.DataFrame] = [] if known is None else [known]
    described = _described(crm_fields, targets)
    for target in targets:
        column = values[target.crm_field]
        if target.crm_field in described:
            column, wrong = _check_column(column, target, described[target.crm_field], zone)
            found += wrong
        columns[target.crm_field] = column
    checked = pd.DataFrame(columns, index=index)
    together = gather(found)
    return Checked(_without_split_groups(checked, targets, together), together)


def required_problems(values: pd.DataFrame, targets: Sequence[Target], crm_fields: pd.DataFrame | None) -> pd.DataFrame:
    """Creates that the CRM would refuse for a blank in a field it requires (PROBLEMS); ``values`` as a create sends them."""
    if crm_fields is None:
        return PROBLEMS.empty()
    required = set(crm_fields["name"].array[crm_fields["required"].to_numpy()])
    return gather(
        found
        for target in targets
        if target.crm_field in required
        for found in problems(blank(values[target.crm_field]), target.crm_field, error="RequiredFieldException", action="failed")
    )


def problems(where: Flags, crm_field: str, *, error: str, action: Action) -> Iterator[pd.DataFrame]:
    """The PROBLEMS rows of one field, if there are any: one per True of ``where``, row by row of a frame with a RangeIndex."""
    if where.any():
        yield PROBLEMS.build({"position": np.flatnonzero(where), "crm_field": crm_field, "error_type": error, "action": action})


def gather(found: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several PROBLEMS frames as one, each row once, in the order of rows."""
    filled = [frame for frame in found if len(frame)]
    if not filled:
        return PROBLEMS.empty()
    return pd.concat(filled).drop_duplicates().sort_values("position", kind="stable", ignore_index=True)


@dataclass(frozen=True, slots=True)
class _Described:
    """What of a CRM's field (schemas.CRM_FIELDS) says which values it takes."""

    type: str
    options: list[tuple[str, str]]
    restricted: bool
    length: int | None

    @property
    def is_text(self) -> bool:
        return self.type in ("text", "other")


def _described(crm_fields: pd.DataFrame | None, targets: Sequence[Target]) -> dict[str, _Described]:
    """Of each target that the CRM knows, by name."""
    if crm_fields is None:
        return {}
    wanted = {target.crm_field for target in targets}
    columns = (crm_fields[name].tolist() for name in ("name", "type", "options", "restricted", "length"))
    return {
        name: _Described(type_, list(options), bool(restricted), None if length is pd.NA else int(length))
        for name, type_, options, restricted, length in zip(*columns, strict=True)
        if name in wanted
    }


def _check_column(column: pd.Series, target: Target, field: _Described, zone: tzinfo) -> tuple[pd.Series, list[pd.DataFrame]]:
    converted = convert(column, type_=field.type, options=field.options, restricted=field.restricted, zone=zone)
    fails = target.must_be_valid
    invalid = converted.invalid
    values = converted.values
    found = [*problems(invalid, target.crm_field, error=converted.error, action="failed" if fails else "omitted")]
    if found and not fails:
        values = values.where(~invalid, None)
    length = field.length or 0
    if values.dtype != "str" or length <= 0 or not may_exceed(values, length):
        return values, found
    too_long = (crm_lengths(values).fillna(0) > length).to_numpy(bool)
    if not too_long.any():
        return values, found
    action: Action = "failed" if fails else "truncated" if target.on_invalid == "truncate" and field.is_text else "omitted"
    found += problems(too_long, target.crm_field, error="ValueTooLongException", action=action)
    if action == "truncated":
        values = values.where(~too_long, over_uniques(values.where(too_long, None), lambda text: cut(text, length) or None))
    elif action == "omitted":
        values = values.where(~too_long, None)
    return values, found


def _without_split_groups(values: pd.DataFrame, targets: Sequence[Target], problems: pd.DataFrame) -> pd.DataFrame:
    omitted = problems if problems.empty else problems[problems["action"] == "omitted"]
    if omitted.empty:
        return values
    groups = {target.group for target in targets if target.group is not None}
    blanked: dict[str, pd.Series] = {}
    for group in groups:
        members = [target for target in targets if target.group == group]
        splitting = {target.crm_field for target in members if not target.droppable}
        rows = omitted.loc[omitted["crm_field"].isin(splitting), "position"]
        if len(rows):
            keep = ~values.index.isin(rows)
            blanked |= {target.crm_field: values[target.crm_field].where(keep, None) for target in members}
    return values.assign(**blanked)
