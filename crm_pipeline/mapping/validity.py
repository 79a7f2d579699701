"""Whether the CRM would take a value, and a mapping, by its own description of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Literal

import pandas as pd

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.mapping.conversions import convert
from crm_pipeline.mapping.lengths import crm_lengths, cut, may_exceed
from crm_pipeline.mapping.spec import RecordSpec
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
    values: pd.DataFrame,
    targets: Sequence[Target],
    crm_fields: pd.DataFrame | None,
    *,
    known: pd.DataFrame | None = None,
    zone: tzinfo = UTC,
) -> Checked:
    """Values in their final form against the CRM's fields (schemas.CRM_FIELDS): type, options, length (docs/rules.md, 16).

    A value the CRM would refuse follows its target's ``on_invalid``; truncating something that is not too long text means
    omitting it. Omitting takes the whole group along. Name, email and last name fail instead. ``known``: problems that the
    values have already. ``zone``: that of dates without one. Without ``crm_fields`` nothing more is checked.
    """
    columns: dict[str, pd.Series] = {}
    problems: list[pd.DataFrame] = [] if known is None else [known]
    described = _described(crm_fields, targets)
    for target in targets:
        column = values[target.crm_field]
        if target.crm_field in described:
            column, found = _check_column(column, target, described[target.crm_field], zone)
            problems += found
        columns[target.crm_field] = column
    checked = pd.DataFrame(columns, index=values.index)
    together = gather(problems)
    return Checked(_without_split_groups(checked, targets, together), together)


def required_problems(values: pd.DataFrame, targets: Sequence[Target], crm_fields: pd.DataFrame | None) -> pd.DataFrame:
    """Creates that the CRM would refuse for a blank in a field it requires (PROBLEMS); ``values`` as a create sends them."""
    if crm_fields is None:
        return PROBLEMS.empty()
    required = set(crm_fields.loc[crm_fields["required"], "name"])
    return gather(
        problem(values[target.crm_field].isna(), target.crm_field, error="RequiredFieldException", action="failed")
        for target in targets
        if target.crm_field in required
    )


def mapping_problems(
    targets: Sequence[Target], crm_fields: pd.DataFrame | None, *, spec: RecordSpec, crm: str, external_key: str | None
) -> list[str]:
    """Everything about a mapping that can never work in this CRM, in words that name field and remedy; empty when all is well.

    ``targets``: what the ``spec`` maps there, whichever way it goes. Without ``crm_fields`` nothing is known and nothing is wrong.
    """
    if crm_fields is None:
        return []
    described = crm_fields.set_index("name")
    place = f"{crm} {spec.record_type}"
    problems = [problem for target in targets for problem in _target_problems(target, described, place)]
    problems += _match_key_problems(spec, crm, described, place)
    if external_key is not None:
        problems += _key_problems(external_key, targets, described, place)
    return problems


def problem(where: pd.Series, crm_field: str, *, error: str, action: Action) -> pd.DataFrame:
    """The PROBLEMS rows of one field: one per True of ``where``, which has the frame's RangeIndex."""
    here = where.to_numpy(dtype=bool)
    if not here.any():
        return PROBLEMS.empty()
    return PROBLEMS.build({"position": where.index[here], "crm_field": crm_field, "error_type": error, "action": action})


def gather(problems: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several PROBLEMS frames as one, each row once, in the order of rows."""
    filled = [frame for frame in problems if len(frame)]
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
    values, found = converted.values, []
    if invalid.any():
        values = values if fails else values.where(~invalid, None)
        found.append(problem(invalid, target.crm_field, error=converted.error, action="failed" if fails else "omitted"))
    length = field.length or 0
    if values.dtype != "str" or length <= 0 or not may_exceed(values, length):
        return values, found
    too_long = crm_lengths(values).fillna(0) > length
    if not too_long.any():
        return values, found
    action: Action = "failed" if fails else "truncated" if target.on_invalid == "truncate" and field.is_text else "omitted"
    found.append(problem(too_long, target.crm_field, error="ValueTooLongException", action=action))
    if action == "truncated":
        values = values.where(~too_long, over_uniques(values.where(too_long, None), lambda text: cut(text, length) or None))
    elif action == "omitted":
        values = values.where(~too_long, None)
    return values, found


def _without_split_groups(values: pd.DataFrame, targets: Sequence[Target], problems: pd.DataFrame) -> pd.DataFrame:
    omitted = problems[problems["action"] == "omitted"]
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


def _target_problems(target: Target, described: pd.DataFrame, place: str) -> Iterator[str]:
    name = target.crm_field
    if name not in described.index:
        yield f"{name} (mapped from {target.source}) {_is_missing(name, described, place)}"
        return
    field = described.loc[name]
    if field["type"] == "reference" and not target.constant:
        yield f"{name} (mapped from {target.source}) refers to another record of {place}: only a constant id can be mapped to it"
    way = target.direction
    if way.goes_out and (not field["creatable"] or (target.editable and not field["updatable"])):
        other = "let it come back only, with `direction: from_crm`," if way.comes_back else "take it out of the mapping"
        yield f"{name} (mapped from {target.source}) cannot be written on {place}; {other} or give access to it"
    if not way.goes_out and field["required"]:
        yield f"{name} (mapped from {target.source}) is required on {place}, so that it must be sent: write `direction: both`"
    if way.comes_back and field["type"] == "other":
        yield f"{name} (mapped from {target.source}) of {place} shows no plain value that could come back: write `direction: to_crm`"
    if target.clear and field["required"]:
        yield f"{name} (mapped from {target.source}) is required on {place} and cannot be emptied: take out clear"


def _match_key_problems(spec: RecordSpec, crm: str, described: pd.DataFrame, place: str) -> Iterator[str]:
    # A CRM may answer for an unknown field as if it were blank everywhere: nothing would be found, and all be created again.
    for match_key in spec.sync_on:
        name = match_key.targets.get(crm)
        if name is not None and name not in described.index:
            yield f"{name} (match key for {match_key.source}) {_is_missing(name, described, place)}"


def _key_problems(external_key: str, targets: Sequence[Target], described: pd.DataFrame, place: str) -> Iterator[str]:
    if any(target.crm_field == external_key for target in targets):
        yield f"{external_key} is the external key of {place}, which the sync itself writes: take it out of the mapping"
    if external_key not in described.index:
        yield f"the external key {external_key} {_is_missing(external_key, described, place)}"
        return
    field: Any = described.loc[external_key]
    if not field["external_key"]:
        why = "" if field["unique"] else ": it is not unique"
        yield f"{external_key} on {place} cannot serve as an external key{why}"
    elif field["type"] != "text":
        # The keys are texts: a number would be taken from us, but not found by.
        yield f"the external key {external_key} on {place} must be a text field"
    if not (field["creatable"] and field["updatable"]):
        yield f"the external key {external_key} on {place} cannot be written by the integration's user"


def _is_missing(name: str, described: pd.DataFrame, place: str) -> str:
    close = next((known for known in described.index if known.lower() == name.lower()), None)
    hint = f"; its name is {close}" if close else ""
    return f"does not exist on {place} or is not visible to the integration's user{hint}"
