"""Since when do the values that QBench's records have now stand? Of the fields that come back from a CRM; pure (docs/rules.md, 49)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.values import texts
from crm_pipeline.sync.merging.times import STANDING, by_our_clock, standing_since

Standing = tuple[str, int]
"""Since when a value stands, by our clock (ISO 8601, UTC), and to how many seconds that is known (0: to the millisecond)."""

MINUTE = 60


def dated(
    found: pd.DataFrame, held: pd.DataFrame, *, fields: Sequence[str], kept: Collection[str], since: int | None, ahead: timedelta
) -> pd.Series:
    """Since when each of the ``fields`` stands, per record that was read now (schemas.RAW): dict of field to Standing, or null.

    ``held``: what is staged of them (schemas.HELD). ``kept``: fields that QBench writes itself, which tell of no person. ``since``: QBench
    was read up to then before (Unix seconds, by its clock); None: what is staged says when. ``ahead``: how far its clock is ahead.
    """
    if held.empty and since is None:
        # Of what was never read before nothing tells since when it stands.
        return pd.Series([None] * len(found), index=found.index, dtype=object)
    names = list(fields)
    before = held.set_index("qbench_id").reindex(found["qbench_id"])
    contents, staged = _dicts(found["content"]), _dicts(before["content"])
    bringing, times = _dicts(before["bringing"]), _dicts(before["since"])
    both = digest_of([content.get(name) for record in (staged, contents) for content in record for name in names])
    then, now = both[: len(both) // 2], both[len(both) // 2 :].reset_index(drop=True)
    values = STANDING.build(
        {
            "held": then,
            "since": _moments([row.get(name, (None, 0))[0] for row in times for name in names]),
            "found": now,
            "changed_at": by_our_clock(_seconds(found["version"], each=len(names)), ahead=ahead),
            "alone": _each(pd.Series(_alone(contents, staged, bringing, kept=kept)), len(names)),
            "unchanged_at": by_our_clock(_seconds(_unchanged_at(found["version"], before["version"], since), each=len(names)), ahead=ahead),
            "sending": pd.Series([row.get(name, (None, None))[0] for row in bringing for name in names], dtype="Int64"),
            "sending_since": _moments([row.get(name, (None, None))[1] for row in bringing for name in names]),
        }
    )
    stands, grains = standing_since(values), _grains(values, times, names, stamps=found["version"])
    told = [None if pd.isna(moment) else (_written(moment), grain) for moment, grain in zip(stands, grains, strict=True)]
    rows = (told[start : start + len(names)] for start in range(0, len(told), len(names)))
    return pd.Series(
        [{name: one for name, one in zip(names, row, strict=True) if one is not None} or None for row in rows],
        index=found.index,
        dtype=object,
    )


def digest_of(values: Sequence[Any]) -> pd.Series:
    """The digest of each value of a QBench field (int64), by its text."""
    return digests(pd.DataFrame({"value": texts(values).values}))["value"]


def brought(values: Sequence[Mapping[str, Any]], edited_at: Sequence[Mapping[str, pd.Timestamp]]) -> pd.Series:
    """What is stored of values before they are written into QBench (schemas.HELD, ``bringing``), per record.

    ``values`` and ``edited_at``, when a person gave each in the CRM: by QBench field; of a field without a time none is known.
    """
    found = iter(digest_of([value for row in values for value in row.values()]).tolist())
    rows = [
        {name: (next(found), None if pd.isna(when := times.get(name, pd.NaT)) else _written(when)) for name in row}
        for row, times in zip(values, edited_at, strict=True)
    ]
    return pd.Series(rows, dtype=object)


def standing_of(edited_at: pd.Timestamp | None) -> Standing | None:
    """Since when a value stands that was brought from a CRM; null where that is not known."""
    return None if edited_at is None or pd.isna(edited_at) else (_written(edited_at), 0)


def _alone(
    contents: Sequence[dict[str, Any]], staged: Sequence[dict[str, Any]], bringing: Sequence[dict[str, Any]], *, kept: Collection[str]
) -> list[bool]:
    """Whether persons changed one field only of each record; of one that was not staged, several."""
    changed = [
        [name for name in content if name not in kept and content[name] != before.get(name)] if before else []
        for content, before in zip(contents, staged, strict=True)
    ]
    awaited = [(row, name) for row, names in enumerate(changed) for name in names if name in bringing[row]]
    found = digest_of([contents[row][name] for row, name in awaited]).tolist() if awaited else []
    ours = {(row, name) for (row, name), digest in zip(awaited, found, strict=True) if digest == bringing[row][name][0]}
    return [sum((row, name) not in ours for name in names) == 1 for row, names in enumerate(changed)]


def _unchanged_at(versions: pd.Series, before: pd.Series, since: int | None) -> pd.Series:
    """When each record was read before and had not changed yet (Unix seconds, Int64): null where nothing tells."""
    read = pd.Series(before.to_numpy(), dtype="Int64")
    if since is not None:
        read = read.mask(read.isna() | read.lt(since).fillna(value=False), since)
    return read.mask(read.gt(versions.reset_index(drop=True)).fillna(value=False), versions.reset_index(drop=True))


def _grains(values: pd.DataFrame, times: Sequence[dict[str, Any]], names: Sequence[str], *, stamps: pd.Series) -> list[int]:
    """To how many seconds each time is known. A date of QBench's in a whole minute may be one of whole minutes."""
    same = values["found"].eq(values["held"]).tolist()
    ours = values["found"].eq(values["sending"]).fillna(value=False).tolist()
    kept = [int(row.get(name, (None, 0))[1]) for row in times for name in names]
    dated_to = [MINUTE if stamp % MINUTE == 0 else 1 for stamp in stamps.tolist() for _ in names]
    return [old if stays else 0 if is_ours else grain for stays, is_ours, old, grain in zip(same, ours, kept, dated_to, strict=True)]


def _dicts(column: pd.Series) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {} for one in column]


def _seconds(moments: pd.Series, *, each: int) -> pd.Series:
    return _each(pd.to_datetime(moments, unit="s", utc=True).astype("datetime64[us, UTC]"), each)


def _each(column: pd.Series, times: int) -> pd.Series:
    return pd.Series(column.array.repeat(times))


def _moments(written: Sequence[str | None]) -> pd.Series:
    if not any(written):
        return pd.Series(pd.DatetimeIndex(["NaT"]).repeat(len(written)).as_unit("us").tz_localize("UTC"))
    return pd.Series(pd.to_datetime(pd.Series(written, dtype=object), utc=True, format="ISO8601")).astype("datetime64[us, UTC]")


def _written(moment: pd.Timestamp) -> str:
    return str(moment.isoformat())
