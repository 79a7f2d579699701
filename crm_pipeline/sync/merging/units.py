"""The units that come back, record by record: from links, records and readings to a decision, and from that to what is stored; pure.

Frames of units have a row per record and a column per unit (mapping.inverse). Both ways decide by the same steps: ``compared`` makes
the rows, ``Compared.decided`` decides them, and Decided says what is stored with that; ``merging.bases`` says what is stored right before
and after a write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.mapping.digests import NO_DIGEST, contents, digest_frame, digests
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.mapping.inverse import Wanted, WayBack
from crm_pipeline.mapping.targets import Route
from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.sync.merging.bases import keeping
from crm_pipeline.sync.merging.deciding import decide
from crm_pipeline.sync.merging.fields import FIELDS, Evidence, Situation, Verdict
from crm_pipeline.sync.merging.times import NEVER, by_our_clock, moments, times

_NO = int(digests(pd.DataFrame({"": ["false"]}, dtype="str")).iloc[0, 0])
"""What a field of yes or no shows that says no."""

PAIRS = FrameSchema(
    "pairs",
    (
        Column("qbench_id", "Int64", "QBench id; null of a record that is not in QBench yet"),
        Column("crm_id", "str", "id of the CRM record; null of one that is about to be made there"),
        Column("situation", "str", "merging.fields.Situation"),
        Column("digests", "object", "dict of CRM field to digest last sent, as the link has it (schemas.LINKS); null without one"),
        Column("bases", "object", "dict of unit to its two bases (schemas.BASES); null where none is kept"),
        Column("sending", "object", "dict of unit to the digest that is about to be sent (schemas.BASES); null where nothing is"),
        Column("open_until", "datetime64[us, UTC]", "until when that may still arrive; null where nothing may"),
        Column("touched_at", "datetime64[us, UTC]", "readings that began then or before say nothing; null: any one counts"),
        Column("read_at", "datetime64[us, UTC]", "when the reading of the CRM record began, by our clock; null: there is none"),
        Column(
            "since", "object", "dict of QBench field to since when a person's value stands there, and its grain (schemas.HELD); or null"
        ),
    ),
)
"""A record of QBench and one of the CRM, with what is kept of the two; one row each."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the CRM shows of records, in the order of their pairs.

    ``values``: a column per CRM field that comes back. ``fits``: bool, a column per unit, whether QBench can hold it
    (mapping.inverse.Inverse.fits).
    """

    values: pd.DataFrame
    fits: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Compared:
    """Pairs and the two sides of their units. ``fields``: merging.fields.FIELDS, unit by unit of one pair after the other."""

    way: WayBack
    pairs: pd.DataFrame
    fields: pd.DataFrame

    @property
    def units(self) -> list[str]:
        """The names of the units, in the order of their rows."""
        return list(self.way.units)

    @cached_property
    def changed_in_qbench(self) -> pd.DataFrame:
        """Per unit, whether QBench's value is not the one that it last wanted in the CRM (bool): what a load must look at.

        Of a unit whose value is never sent, nothing must be looked at.
        """
        differs = self.fields["wanted"].ne(self.fields["sent"]) & self.fields["direction"].ne(Direction.FROM_CRM)
        return self.wide(differs)

    def decided(self) -> Decided:
        """What is to be done about each unit; ``with_edits`` first tells the times that the rule ``later`` needs."""
        return Decided(self, self._decisions)

    @cached_property
    def _decisions(self) -> pd.DataFrame:
        return decide(self.fields)

    @cached_property
    def asks_when(self) -> pd.DataFrame:
        """Per unit, whether the time of the CRM's edit decides about it (bool)."""
        by_time = self._decisions["case"].eq(5).fillna(value=False).astype(bool)
        if by_time.any():
            by_time &= self.fields["direction"].eq(Direction.BOTH) & self.fields["rule"].eq(Rule.LATER)
        return self.wide(by_time)

    def with_edits(self, edits: pd.DataFrame, *, clock_ahead: timedelta) -> Compared:
        """The same with the times of the CRM's edits (schemas.EDITS, by the CRM's clock, which is so far ahead of ours).

        A unit was edited when the last of its fields was. A field of which nothing is told, which is so where we wrote to the record
        last, was edited before its reading began.
        """
        told = {(crm_id, name): position for position, (crm_id, name) in enumerate(zip(edits["crm_id"], edits["crm_field"], strict=True))}
        edited, words = by_our_clock(edits["edited_at"], ahead=clock_ahead).tolist(), edits["evidence"].tolist()
        asked = self.asks_when.to_numpy().ravel()
        since, evidence = self.fields["shown_since"].tolist(), self.fields["shown_evidence"].astype(object).tolist()
        for row in np.flatnonzero(asked).tolist():
            pair, unit = divmod(row, len(self.units))
            crm_id, members = self.pairs["crm_id"].iloc[pair], self.way.units[self.units[unit]]
            found = [position for route in members if (position := told.get((crm_id, route.target.crm_field))) is not None]
            latest = max(found, key=lambda position: edited[position], default=None)
            since[row] = self.pairs["read_at"].iloc[pair] if latest is None else edited[latest]
            evidence[row] = str(Evidence.READING) if latest is None else words[latest]
        fields = self.fields.assign(
            shown_since=pd.Series(pd.to_datetime(since, utc=True), index=self.fields.index),
            shown_evidence=pd.Series(evidence, index=self.fields.index, dtype="str"),
        )
        return Compared(self.way, self.pairs, FIELDS.build(fields))

    def wide(self, rows: pd.Series) -> pd.DataFrame:
        """A column of ``fields``, or of what was decided about them, as one per unit, a row per pair."""
        return pd.DataFrame(rows.to_numpy().reshape(len(self.pairs), len(self.units)), index=self.pairs.index, columns=self.units)


@dataclass(frozen=True, eq=False)
class Decided:
    """What is done about the units of pairs. ``rows``: merging.fields.DECISIONS, in the order of ``compared.fields``."""

    compared: Compared
    rows: pd.DataFrame

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Per unit the verdict (merging.fields.Verdict)."""
        return self.compared.wide(self.rows["verdict"].astype(object))

    def are(self, *verdicts: Verdict) -> pd.DataFrame:
        """Per unit, whether this is its verdict, or one of these (bool)."""
        return self.compared.wide(self.rows["verdict"].isin(verdicts))

    @property
    def unread(self) -> pd.Series:
        """The pairs whose CRM record is to be read again by its id, before anything is decided (bool)."""
        return self.are(Verdict.UNREAD).any(axis=1)

    @cached_property
    def kept(self) -> pd.DataFrame:
        """What the links keep from now on (schemas.BASES), to be stored with the decision, before anything is written."""
        pairs, rows = self.compared.pairs, self.rows
        sent, seen = rows["sent"].tolist(), rows["seen"].tolist()
        bases = [None if other is pd.NA else [one, other] for one, other in zip(sent, seen, strict=True)]
        sending = self._dicts([None if one is pd.NA else one for one in rows["sending"].tolist()])
        touched = np.fmax.reduce(moments(rows["touched_at"]).reshape(len(pairs), len(self.compared.units)), axis=1, initial=NEVER)
        return keeping(
            pairs["qbench_id"].fillna(0).astype("int64"),
            bases=self._dicts(bases),
            sending=sending,
            open_until=pairs["open_until"],
            touched_at=times(np.where(np.isnat(touched), moments(pairs["touched_at"]), touched)),
        )

    def agreed(self, verdict: Verdict) -> pd.Series:
        """Per pair the bases by unit once what has this verdict was written (dict as in schemas.BASES, null without one)."""
        chosen = self.rows["verdict"].eq(str(verdict)).tolist()
        pairs = zip(self.rows["agreed"].tolist(), chosen, strict=True)
        bases = [[one, one] if which and one is not pd.NA else None for one, which in pairs]
        return _objects(self._dicts(bases), self.compared.pairs.index)

    def conflicts(self, shown: Shown, raw: pd.DataFrame) -> pd.DataFrame:
        """The values that are lost (schemas.CONFLICTS), to be stored with the decision; ``raw``: schemas.RAW of the pairs, in order."""
        return self._both_values(self.rows["conflict"], shown, raw)

    def replaced(self, shown: Shown, raw: pd.DataFrame) -> pd.DataFrame:
        """Both values where QBench's replaces the CRM's (schemas.CONFLICTS; who wins, where one is lost), as ``conflicts`` does."""
        there = self.compared.pairs["situation"].ne(str(Situation.NEW_IN_CRM))
        if not there.any():
            return CONFLICTS.empty()
        return self._both_values(self.rows["verdict"].eq(str(Verdict.TO_CRM)) & _each(there, self.compared.units), shown, raw)

    def _both_values(self, which: pd.Series, shown: Shown, raw: pd.DataFrame) -> pd.DataFrame:
        positions = np.flatnonzero(which.to_numpy())
        if not len(positions):
            return CONFLICTS.empty()
        compared = self.compared
        fields, rows = compared.fields.iloc[positions], self.rows.iloc[positions]
        at = [divmod(position, len(compared.units)) for position in positions.tolist()]
        members = [compared.way.units[compared.units[unit]] for _, unit in at]
        sources = [compared.way.sources[compared.units[unit]] for _, unit in at]
        pairs = compared.pairs.iloc[[pair for pair, _ in at]]
        records = raw["content"].tolist()
        held = [{name: records[pair].get(name) for name in names} for (pair, _), names in zip(at, sources, strict=True)]
        there = [
            {name: _plain(shown.values[name].iloc[pair]) for name in _crm_fields(routes)}
            for (pair, _), routes in zip(at, members, strict=True)
        ]
        columns = {
            "qbench_id": pairs["qbench_id"].fillna(0).astype("int64"),
            "crm_id": pairs["crm_id"],
            "field": fields["field"],
            "qbench_value": _objects(held, fields.index),
            "crm_value": _objects(there, fields.index),
            "qbench_digest": fields["wanted"],
            "crm_digest": fields["shown"],
            "qbench_since": fields["wanted_since"],
            "crm_since": fields["shown_since"],
            "winner": rows["winner"],
            "evidence": rows["evidence"],
        }
        return CONFLICTS.build({name: column.reset_index(drop=True) for name, column in columns.items()})

    def _dicts(self, values: Sequence[Any]) -> list[dict[str, Any] | None]:
        """The values by unit, a dict per pair, None where it has none; what is None has no entry."""
        units = self.compared.units
        rows = (values[start : start + len(units)] for start in range(0, len(values), len(units)))
        return [{unit: value for unit, value in zip(units, row, strict=True) if value is not None} or None for row in rows]


def compared(way: WayBack, pairs: pd.DataFrame, *, wanted: Wanted, raw: pd.DataFrame, shown: Shown | None = None) -> Compared:
    """The two sides of each pair's units (PAIRS, a RangeIndex).

    ``wanted`` and ``raw`` (schemas.RAW): of the pairs' QBench records, in order. ``shown``: None where the CRM was not asked, and each
    unit is unread.
    """
    pairs = PAIRS.check(pairs)
    units = list(way.units)
    size = len(pairs) * len(units)
    forms = _digested(wanted.forms)
    nothing = shown is None or shown.values.isna().all(axis=None)
    there = np.zeros_like(forms) if shown is None or nothing else _digested(way.forms(shown.values, raw))
    taken = _taken_over(way, pairs, wanted, forms)
    bases = [[_entry(row, unit) for unit in units] for row in pairs["bases"]]
    flat = [one for row in bases for one in row]
    sent = np.array([base if one is None else one[0] for one, base in zip(flat, taken.ravel().tolist(), strict=True)], dtype="int64")
    seen = pd.Series([None if one is None else one[1] for one in flat], dtype="Int64")
    if way.never_blank_there:
        there, sent, seen = _no_for_blank(way, forms, there, sent=sent, seen=seen)
    directions, rules = _ways(way, pairs["situation"])
    since, grain = _standing(way, pairs["since"])
    values = {
        "qbench_id": _each(pairs["qbench_id"], units),
        "field": pd.Series(np.tile(np.array(units, dtype=object), len(pairs)), dtype="str"),
        "direction": directions,
        "rule": rules,
        "clear": pd.Series(np.tile(np.array(list(way.clears.values()), dtype=bool), len(pairs))),
        "clears_crm": pd.Series(np.tile(np.array(list(way.clears_crm.values()), dtype=bool), len(pairs))),
        "situation": _each(pairs["situation"], units),
        "wanted": pd.Series(forms.ravel()),
        "whole": pd.Series(wanted.whole.to_numpy(dtype=bool).ravel()),
        "shown": pd.Series(there.ravel()),
        "fits": pd.Series(np.ones(size, dtype=bool) if shown is None else shown.fits.to_numpy(dtype=bool).ravel()),
        "sent": pd.Series(sent),
        "seen": seen,
        "sending": pd.Series([_entry(row, unit) for row in pairs["sending"] for unit in units], dtype="Int64"),
        "open_until": _each(pairs["open_until"], units),
        "read_at": _each(pairs["read_at"], units) if shown is not None else None,
        "touched_at": _each(pairs["touched_at"], units),
        "wanted_since": since,
        "wanted_grain": grain,
        "shown_grain": pd.Series(np.zeros(size, dtype="int64")),
    }
    return Compared(way, pairs, FIELDS.build({name: column for name, column in values.items() if column is not None}))


def _taken_over(way: WayBack, pairs: pd.DataFrame, wanted: Wanted, forms: np.ndarray) -> np.ndarray:
    """What QBench last wanted of each unit by the link's digests (int64), which are of values as they are sent.

    That is what it wants now, where none of them changed, else something else.
    """
    if pairs["digests"].isna().all():
        return np.full_like(forms, NO_DIGEST)
    columns = []
    for position, members in enumerate(way.units.values()):
        names = _crm_fields(members)
        stored = digest_frame(pairs["digests"], names)
        same = stored.eq(digests(wanted.values[names])).all(axis=1).to_numpy()
        none = stored.eq(NO_DIGEST).all(axis=1).to_numpy()
        before = (
            contents(stored, pd.Series(pd.NA, index=stored.index, dtype="Int64")).to_numpy() if len(names) > 1 else stored.to_numpy()[:, 0]
        )
        columns.append(np.where(same, forms[:, position], np.where(none, NO_DIGEST, before)))
    return np.column_stack(columns).astype("int64")


def _no_for_blank(
    way: WayBack, wanted: np.ndarray, shown: np.ndarray, *, sent: np.ndarray, seen: pd.Series
) -> tuple[np.ndarray, np.ndarray, pd.Series]:
    """What is shown, and the bases, where a field that is never blank in the CRM says no: that is a blank of QBench's, and nobody's edit.

    ``wanted`` and ``shown``: a row per pair and a column per unit; the bases: unit by unit of one pair after the other.
    """
    never_blank = np.array([unit in way.never_blank_there for unit in way.units])
    says_no, is_blank = never_blank & (shown == _NO), wanted == NO_DIGEST
    stays = (says_no & ~is_blank).ravel() & seen.eq(NO_DIGEST).fillna(value=False).to_numpy(dtype=bool)
    bases = np.where(stays & (sent == NO_DIGEST), _NO, sent), seen.mask(stays, _NO)
    return np.where(says_no & is_blank, NO_DIGEST, shown), *bases


def _ways(way: WayBack, situations: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The direction and the rule of each unit of each pair.

    What only a create may send comes back alone from then on; it may fill a blank when the records are linked, where the mapping says so.
    """
    targets = [members[0].target for members in way.units.values()]
    shape = len(situations), len(targets)
    directions, rules = (np.broadcast_to(np.array(words, dtype=object), shape).copy() for words in _words(targets))
    created, linked_first = (situations.eq(str(which)).to_numpy() for which in (Situation.NEW_IN_CRM, Situation.FIRST_LINK))
    for position, target in enumerate(targets):
        if not target.editable:
            may_fill = linked_first & (target.policy == "if_blank")
            directions[~created & ~may_fill, position] = str(Direction.FROM_CRM)
            rules[may_fill, position] = str(Rule.PREFER_CRM)
    return pd.Series(directions.ravel(), dtype="str"), pd.Series(rules.ravel(), dtype="str")


def _words(targets: Sequence[Any]) -> tuple[list[str], list[str]]:
    return [str(target.direction) for target in targets], [str(target.rule) for target in targets]


def _standing(way: WayBack, since: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Since when QBench's value of each unit stands, and to how many seconds that is known: that of the field which changed last."""
    if since.isna().all():
        nothing = pd.Series(pd.NaT, index=range(len(since) * len(way.sources)), dtype="datetime64[us, UTC]")
        return nothing, pd.Series(0, index=nothing.index)
    standing: list[str | None] = []
    grains: list[int] = []
    for row in since:
        for names in way.sources.values():
            known = [tuple(one) for name in names if (one := (row or {}).get(name)) is not None]
            latest, grain = max(known, default=(None, 0))
            standing.append(latest)
            grains.append(grain)
    return pd.Series(pd.to_datetime(standing, utc=True, format="ISO8601")).astype("datetime64[us, UTC]"), pd.Series(grains, dtype="int64")


def _crm_fields(members: Sequence[Route]) -> list[str]:
    return [route.target.crm_field for route in members]


def _digested(forms: pd.DataFrame) -> np.ndarray:
    found: np.ndarray = digests(forms.astype("str")).to_numpy("int64")
    return found


def _each(column: pd.Series, units: Sequence[str]) -> pd.Series:
    """A pair's value in each row of its units."""
    return pd.Series(column.array.repeat(len(units)))


def _entry(kept: Any, unit: str) -> Any:
    return kept.get(unit) if isinstance(kept, dict) else None


def _objects(values: Sequence[Any], index: pd.Index) -> pd.Series:
    return pd.Series([*values], index=index, dtype=object)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value
