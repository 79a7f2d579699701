"""Which of two changes is the later one, and since when does a value stand? (docs/rules.md, 48 and 49)."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.sync.merging.fields import Evidence

TIE = timedelta(seconds=2)
"""Changes that lie less than this, and the coarser grain, apart are as good as at once."""

NEVER = np.datetime64("NaT", "us")
"""The time of what was not, among plain numbers (``moments``)."""

STANDING = FrameSchema(
    "standing_values",
    (
        Column("held", "int64", "digest of QBench's value as it was staged last"),
        Column("since", "datetime64[us, UTC]", "since when that stands"),
        Column("found", "int64", "digest of QBench's value as it was read now"),
        Column("changed_at", "datetime64[us, UTC]", "when QBench says that the record changed last"),
        Column("alone", "bool", "of the record, persons changed this value only since it was read before"),
        Column("unchanged_at", "datetime64[us, UTC]", "when QBench was read before, and had not changed yet"),
        Column("sending", "Int64", "digest of the value that was about to be written into QBench; null: none"),
        Column("sending_since", "datetime64[us, UTC]", "when a person gave that value in a CRM"),
    ),
)
"""One row per record and field of QBench that goes both ways."""


def by_our_clock(times: pd.Series, *, ahead: timedelta) -> pd.Series:
    """A system's times as our clock would have shown them; ``ahead``: how much its clock was before ours, by the Date of an answer."""
    return times - ahead


def moments(times: pd.Series) -> NDArray[np.datetime64]:
    """A column of times as plain numbers of UTC, NaT where there is none."""
    plain: NDArray[np.datetime64] = times.to_numpy("datetime64[us]")
    return plain


def times(moments: NDArray[np.datetime64]) -> pd.Series:
    """Such numbers as a column of times again."""
    return pd.Series(pd.DatetimeIndex(moments, tz="UTC").array)


def crm_is_later(fields: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.object_]]:
    """Where the CRM's change is the later one (bool), and what says so (Evidence), of rows of merging.fields.FIELDS.

    Changes that are too near to each other, and those of which one has no time, are QBench's.
    """
    apart = moments(fields["shown_since"]) - moments(fields["wanted_since"])
    grain = np.maximum(fields["wanted_grain"].to_numpy(), fields["shown_grain"].to_numpy())
    margin = np.timedelta64(TIE) + grain.astype("timedelta64[s]")
    told = np.select([np.isnat(apart), np.abs(apart) < margin], [Evidence.UNDATED, Evidence.TIE], fields["shown_evidence"].to_numpy(object))
    return apart >= margin, told


def standing_since(values: pd.DataFrame) -> pd.Series:
    """Since when each value of QBench's (STANDING) stands: a value that we brought since a person gave it in the CRM.

    So three parties order their changes rightly in whatever order they are read, also where the run broke off after the write. QBench
    dates the record and not its values: of several that changed, the date is that of one, and each may be as old as the reading before.
    """
    STANDING.check(values)
    same = values["found"] == values["held"]
    brought = (values["found"] == values["sending"]).fillna(value=False).to_numpy(dtype=bool)
    edited = values["changed_at"].where(values["alone"], values["unchanged_at"])
    return edited.mask(brought, values["sending_since"]).mask(same, values["since"])
