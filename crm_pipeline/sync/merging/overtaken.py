"""Which edits did our writes overtake: made in the CRM between our last look at a record and the write? By its history; pure.

A write is known by its value, as an echo is, and not by who made it: of the times at which a field was given what was sent, it is the
one nearest to when the call began. What the field was given right before was written over; where that is not what we had been shown,
nobody had seen it (docs/rules.md, 50).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import pandas as pd

from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.schemas import CONFLICTS, RAW, REPLACING, VERSIONS
from crm_pipeline.sync.merging.fields import Evidence, Side
from crm_pipeline.sync.merging.times import by_our_clock

MOMENT = timedelta(seconds=5)
"""By how much the times of a history may be wrong: clocks are known to the second, and some histories tell whole seconds."""


class _Given(NamedTuple):
    """What a field was given, and when, by our clock."""

    value: Any
    at: pd.Timestamp


def overtaken(way: WayBack, writes: pd.DataFrame, versions: pd.DataFrame, *, raw: pd.DataFrame, clock_ahead: timedelta) -> pd.DataFrame:
    """The values that writes replaced though nobody had seen them (schemas.CONFLICTS, each with the index of its write).

    ``writes``: schemas.REPLACING of units that come back. ``versions``: schemas.VERSIONS of their fields, by the CRM's clock, which is so
    far ahead of ours. ``raw``: schemas.RAW of their QBench records, as far as there are.
    """
    rows = REPLACING.check(writes).to_dict("records")
    records = RAW.build(raw.set_index("qbench_id").reindex(writes["qbench_id"]).reset_index().fillna({"version": 0}))
    before: dict[int, dict[str, _Given]] = {}
    lost: dict[int, list[_Given]] = {}
    for field, asked in _doubtful(rows, versions, ahead=clock_ahead).items():
        for place, given, forms in _formed(way, field, asked, rows, records):
            replaced = _replaced(given, forms, began=rows[place]["began_at"])
            if replaced is not None:
                before.setdefault(place, {})[field] = given[replaced]
                if forms[replaced + 2] not in forms[:2]:
                    lost.setdefault(place, []).append(given[replaced])
    if not lost:
        return CONFLICTS.empty()
    places = sorted(lost)
    values = [{**rows[place]["shown"], **{name: one.value for name, one in before[place].items()}} for place in places]
    told = writes.iloc[places]
    columns = {
        **{name: told[name] for name in ("qbench_id", "crm_id", "field", "qbench_value", "qbench_digest", "qbench_since")},
        "crm_value": pd.Series(values, index=told.index, dtype=object),
        "crm_digest": pd.Series(_digests(way, values, told["field"], records.iloc[places]), index=told.index),
        "crm_since": pd.Series([max(one.at for one in lost[place]) for place in places], index=told.index),
        "winner": pd.Series(str(Side.QBENCH), index=told.index, dtype="str"),
        "evidence": pd.Series(str(Evidence.OVERTAKEN), index=told.index, dtype="str"),
    }
    return CONFLICTS.build({name: column.reset_index(drop=True) for name, column in columns.items()}).set_axis(told.index)


def _doubtful(rows: Sequence[Mapping[str, Any]], versions: pd.DataFrame, *, ahead: timedelta) -> dict[str, list[tuple[int, list[_Given]]]]:
    """By field, the places of the writes since whose look it was given more than one value, and these."""
    history: dict[tuple[str, str], list[_Given]] = {}
    told = VERSIONS.check(versions)
    for crm_id, field, value, at in zip(
        told["crm_id"], told["crm_field"], told["value"], by_our_clock(told["edited_at"], ahead=ahead), strict=True
    ):
        history.setdefault((crm_id, field), []).append(_Given(None if pd.isna(value) else value, at))
    found: dict[str, list[tuple[int, list[_Given]]]] = {}
    for place, row in enumerate(rows):
        for field in row["shown"].keys() & row["sent"].keys():
            given = [one for one in history.get((row["crm_id"], field), ()) if one.at >= row["read_at"] - MOMENT]
            if len(given) > 1:
                found.setdefault(field, []).append((place, given))
    return found


def _formed(
    way: WayBack, field: str, asked: Sequence[tuple[int, list[_Given]]], rows: Sequence[Mapping[str, Any]], records: pd.DataFrame
) -> Iterator[tuple[int, list[_Given], list[str]]]:
    """Each place with what its field was given, and the canonical texts of what was shown, what was sent, and all of these."""
    values = [[rows[place]["shown"][field], rows[place]["sent"][field], *(one.value for one in given)] for place, given in asked]
    flat = pd.DataFrame({field: pd.Series([value for one in values for value in one], dtype=object)})
    of = [place for (place, _), one in zip(asked, values, strict=True) for _ in one]
    forms = iter(way.each_form(flat, records.iloc[of])[field].fillna("").tolist())
    for (place, given), one in zip(asked, values, strict=True):
        yield place, given, [next(forms) for _ in one]


def _replaced(given: Sequence[_Given], forms: Sequence[str], *, began: pd.Timestamp) -> int | None:
    """Which of these values our write replaced; None where it shows nowhere, or is the first of them."""
    sent = forms[1]
    may_be = [place for place, one in enumerate(given) if one.at >= began - MOMENT and forms[place + 2] == sent]
    ours = min(may_be, key=lambda place: (abs(given[place].at - began), -place), default=0)
    return ours - 1 if ours else None


def _digests(way: WayBack, values: Sequence[Mapping[str, Any]], units: pd.Series, records: pd.DataFrame) -> list[int]:
    """The digest of each unit's values in the CRM, given by field."""
    fields = [route.target.crm_field for route in way.routes]
    shown = pd.DataFrame({name: pd.Series([row.get(name) for row in values], dtype=object) for name in fields})
    found = digests(way.forms(shown, records).astype("str"))
    return [int(found[unit].iloc[place]) for place, unit in enumerate(units)]
