"""What a normalized record looks like in one CRM: the value of every mapped CRM field, in the form that is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np
import pandas as pd

from crm_pipeline.frames import blank
from crm_pipeline.mapping.normalize import DEFAULT_PREFIX, UNUSABLE, is_unusable, with_create_defaults
from crm_pipeline.mapping.targets import Route, Target
from crm_pipeline.mapping.validity import Action, Checked, check_values, gather, problems, required_problems


@dataclass(frozen=True, slots=True)
class Payload:
    """What the records of one normalized frame look like in one CRM. Every frame has the normalized frame's RangeIndex.

    ``values``: a column per target in its final form, null where blank or left out. ``create_defaults``: the columns that
    look different in a create, filled only there; ``create_values`` puts them in place. ``clears``: bool, the columns of
    ``values``: True where QBench's blank is to empty the CRM field (a null elsewhere is never sent). ``problems``:
    validity.PROBLEMS; a record with a *failed* one is not to be written. ``create_problems``: those that only a create has
    (a blank in a field that the CRM requires, a default that the CRM would refuse).
    """

    values: pd.DataFrame
    targets: tuple[Target, ...]
    create_defaults: pd.DataFrame
    clears: pd.DataFrame
    problems: pd.DataFrame
    create_problems: pd.DataFrame

    def create_values(self) -> pd.DataFrame:
        """The values as a create sends them."""
        different = {name: default.fillna(self.values[name]) for name, default in self.create_defaults.items()}
        return self.values.assign(**different)


def build_payload(normalized: pd.DataFrame, mapping: Sequence[Route], *, crm_fields: pd.DataFrame | None, zone: tzinfo = UTC) -> Payload:
    """The payload of a normalized frame (schemas.normalized_schema) in one CRM, of the mapped fields that are sent.

    ``mapping``: all that the integration maps there. ``zone``: the time zone of QBench's dates that carry none.

    Defaults for new records only stand in the frame's ``default.<field>`` columns: the same mapping is applied to the frame
    with them filled in, and what comes out different is ``create_defaults``.
    """
    normalized = normalized.reset_index(drop=True)
    ways = [route for route in mapping if route.target.direction.goes_out]
    targets = tuple(route.target for route in ways)
    mapped = _mapped(normalized, ways)
    has_defaults = any(name.startswith(DEFAULT_PREFIX) for name in normalized.columns)
    created = with_create_defaults(normalized) if has_defaults else normalized
    mapped_in_create = _mapped(created, ways) if has_defaults else mapped
    left_out = _left_out(created, mapped_in_create, ways)
    checked = check_values(mapped, targets, crm_fields, index=normalized.index, known=left_out, zone=zone)
    create, create_defaults = checked, pd.DataFrame(index=normalized.index)
    if has_defaults:
        create = check_values(mapped_in_create, targets, crm_fields, index=normalized.index, known=left_out, zone=zone)
        create_defaults = _differing(create.values, checked.values)
    return Payload(
        values=checked.values,
        targets=targets,
        create_defaults=create_defaults,
        clears=_clears(normalized, mapped, targets),
        problems=checked.problems,
        create_problems=gather([*_only_in_create(create, checked), required_problems(create.values, targets, crm_fields)]),
    )


def wanted_values(normalized: pd.DataFrame, ways: Sequence[Route], *, crm_fields: pd.DataFrame | None, zone: tzinfo = UTC) -> Checked:
    """What these fields of the CRM would hold of normalized records, whether or not it is sent there, and what is left of it."""
    targets = [route.target for route in ways]
    mapped = _mapped(normalized, ways)
    left_out = _left_out(normalized, mapped, ways)
    return check_values(mapped, targets, crm_fields, index=normalized.index, known=left_out, zone=zone)


def _mapped(normalized: pd.DataFrame, ways: Sequence[Route]) -> dict[str, pd.Series]:
    return {route.target.crm_field: route.pick(normalized) for route in ways}


def _differing(create: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """The columns of a create that hold something else than ``values``, null where they do not."""
    columns = {}
    for name in values.columns:
        differs = create[name].notna() & (create[name].astype(object) != values[name].astype(object)).fillna(value=True)
        if differs.any():
            columns[name] = create[name].where(differs, None)
    return pd.DataFrame(columns, index=values.index)


def _only_in_create(create: Checked, checked: Checked) -> list[pd.DataFrame]:
    if create is checked:
        return []
    merged = create.problems.merge(checked.problems, how="left", indicator=True)
    return [create.problems[(merged["_merge"] == "left_only").to_numpy()]]


def _left_out(normalized: pd.DataFrame, mapped: Mapping[str, pd.Series], ways: Sequence[Route]) -> pd.DataFrame:
    """What QBench holds and never reaches the CRM (PROBLEMS): it has no form in this CRM, or was not understood at all.

    ``mapped``: what of the normalized records the ways pick.
    """
    found: list[pd.DataFrame] = []
    some_unusable = UNUSABLE in normalized
    for route in ways:
        target = route.target
        action: Action = "failed" if target.must_be_valid else "omitted"
        if route.given is not None:
            dropped = ~blank(route.given(normalized)) & blank(mapped[target.crm_field])
            found += problems(dropped, target.crm_field, error="InvalidOptionException", action=action)
        if some_unusable:
            unusable = is_unusable(normalized, target.source).to_numpy()
            found += problems(unusable, target.crm_field, error="InvalidValueException", action=action)
    return gather(found)


def _clears(normalized: pd.DataFrame, mapped: Mapping[str, pd.Series], targets: Sequence[Target]) -> pd.DataFrame:
    clears = np.zeros((len(normalized), len(targets)), dtype=bool)
    for position, target in enumerate(targets):
        if target.clear:
            clears[:, position] = mapped[target.crm_field].isna() & ~is_unusable(normalized, target.source)
    return pd.DataFrame(clears, index=normalized.index, columns=[target.crm_field for target in targets])
