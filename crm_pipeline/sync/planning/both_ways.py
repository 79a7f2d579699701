"""Fields that come back from the CRM: what of them a load sends, and what it stores about them. Reads the state and the CRM only.

They are looked at where QBench changed one, where records are linked, and where the answer to an earlier write was lost. Nothing is
sent of them but what QBench changed, by a reading of the CRM's record that was made right before (docs/rules.md, 46).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crm_pipeline.crms.abilities import EditsCrm, clock_ahead_of
from crm_pipeline.crms.base import Crm
from crm_pipeline.frames import aligned, no_text, one_text, plain, text_column
from crm_pipeline.mapping.canonical import canonical
from crm_pipeline.mapping.digests import NO_DIGEST, digest_dicts, digests
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.mapping.inverse import Wanted, WayBack
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.model import Operation, Outcome
from crm_pipeline.schemas import EDITS
from crm_pipeline.store.bases import bases_of
from crm_pipeline.store.database import Store
from crm_pipeline.store.raw_records import held_fields
from crm_pipeline.sync.merging.fields import Situation, Verdict
from crm_pipeline.sync.merging.times import NEVER, moments, times
from crm_pipeline.sync.merging.units import PAIRS, Compared, Decided, Shown, compared
from crm_pipeline.sync.order import LoadOrder, objects_of
from crm_pipeline.sync.planning.plan import PLAN, Plan
from crm_pipeline.sync.planning.reasons import joined, names

_SITUATIONS = {Operation.CREATE: Situation.NEW_IN_CRM, Operation.LINK: Situation.FIRST_LINK, Operation.UPDATE: Situation.LINKED}


class Kept(NamedTuple):
    """What the link of one record keeps: a row of schemas.BASES."""

    qbench_id: int
    bases: Mapping[str, list[int]] | None
    sending: Mapping[str, int] | None
    open_until: datetime | None
    touched_at: datetime | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be stored about the fields of one record that come back, with the decision and before the write.

    ``crm_id``: the CRM record that it is about; None of one that is about to be made. ``kept``: what its link keeps. ``agreed``: by
    unit, the two bases that it has once the write was answered. ``conflicts``: rows of schemas.CONFLICTS; ``replaced``: the same of all
    that is written over in the CRM. ``comes_home``: something is to be taken into QBench. ``shown``: by unit, the digests of what the
    CRM shows of the record at a ``place`` where some of its fields hold these values: one for all that was decided together.
    """

    crm_id: str | None
    kept: Kept
    agreed: Mapping[str, list[int]]
    conflicts: tuple[Mapping[str, Any], ...]
    replaced: tuple[Mapping[str, Any], ...]
    comes_home: bool
    place: int
    shown: Callable[[int, Mapping[str, Any]], Mapping[str, int]]

    def keeping(self, values: Mapping[str, Any]) -> Settled:
        """The same where the CRM holds these values, by field, and not those that were sent: they are no edit of a person."""
        there = self.shown(self.place, values)
        return replace(self, agreed={unit: [wanted, there.get(unit, seen)] for unit, (wanted, seen) in self.agreed.items()})

    def mended(self, unit: str, *, instead: str | None) -> Settled:
        """The same where the CRM refused the value of a unit, and another text goes ``instead``, or none: then it shows what it did."""
        if unit not in self.agreed:
            return self
        wanted, _ = self.agreed[unit]
        before = (self.kept.bases or {}).get(unit, [NO_DIGEST, NO_DIGEST])[1]
        there = before if instead is None else int(digests(canonical(pd.Series([instead]), "text").to_frame()).iloc[0, 0])
        return replace(self, agreed={**self.agreed, unit: [wanted, there]})


@dataclass(frozen=True, eq=False)
class Sides:
    """What is known of normalized rows before the CRM is asked. ``known``: bool, of which of them; ``differs``: which linked ones are to be
    decided about. Of the known ones, row by row: ``raw`` (schemas.HELD), what is ``wanted``, and the ``pairs`` (merging.units.PAIRS).
    """

    known: np.ndarray
    differs: np.ndarray
    raw: pd.DataFrame
    wanted: Wanted
    pairs: pd.DataFrame

    def at(self, positions: np.ndarray) -> tuple[pd.DataFrame, Wanted, pd.DataFrame]:
        """``raw``, ``wanted`` and ``pairs`` of known ones at these positions of the normalized rows."""
        if len(positions) == len(self.raw):
            return self.raw, self.wanted, self.pairs
        places = (np.cumsum(self.known) - 1)[positions]
        raw, pairs = (frame.take(places).reset_index(drop=True) for frame in (self.raw, self.pairs))
        return raw, self.wanted.take(places), pairs


class BothWays:
    """The fields of one order that come back."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, crm_fields: pd.DataFrame) -> None:
        self._order = order
        self._store = store
        self._crm = crm
        self._way: WayBack = order.way_back(crm_fields)

    @property
    def units(self) -> Mapping[str, list[str]]:
        """The CRM fields of each unit."""
        return {unit: [route.target.crm_field for route in members] for unit, members in self._way.units.items()}

    @cached_property
    def crm_fields(self) -> list[str]:
        """The CRM fields that come back."""
        return [route.target.crm_field for route in self._way.routes]

    def sides(
        self, frame: pd.DataFrame, links: pd.DataFrame, *, of: np.ndarray, in_doubt: Collection[int], insists: Collection[str]
    ) -> Sides:
        """What is known of normalized rows; ``links``: schemas.LINKS. ``of``: bool, which rows are looked at, others are not decided about.

        ``in_doubt``: QBench ids of which an earlier write may have arrived. ``insists``: the CRM fields whose QBench value a person wants
        sent, whatever the CRM has.
        """
        order, ids = self._order, frame.loc[of, "qbench_id"].reset_index(drop=True)
        with self._store.transaction() as connection:
            raw = held_fields(connection, order.integration, order.record.record_type, ids=ids.tolist(), fields=self._way.reads)
            kept = bases_of(connection, order.state, ids=links["qbench_id"].tolist()) if len(links) else None
        raw = raw.take(pd.Series(np.arange(len(raw)), index=raw["qbench_id"]).loc[ids].to_numpy()).reset_index(drop=True)
        columns = {name: name for name in ("bases", "sending", "open_until", "touched_at")}
        given: dict[str, Any] = {"qbench_id": ids, "situation": one_text(Situation.LINKED, ids.index), "since": raw["since"]}
        given |= aligned(links, ids, columns={"crm_id": "crm_id", "digests": "digests"})
        given |= aligned(kept, ids, columns=columns) if kept is not None else {}
        pairs = PAIRS.build(given)
        sides = Sides(of, np.zeros(len(frame), dtype=bool), raw, self._way.wanted(raw), pairs)
        linked = np.flatnonzero(of)[pairs["crm_id"].notna()]
        if len(linked):
            raw, wanted, pairs = sides.at(linked)
            found = self._insisted(compared(self._way, pairs, wanted=wanted, raw=raw), insists)
            sides.differs[linked] = found.changed_in_qbench.any(axis=1) | pairs["qbench_id"].isin(in_doubt)
        return sides

    def candidates(self, planned: Plan, sides: Sides, payload: Payload) -> Plan:
        """The plan in which all is sent of these fields that may have to be; of a create, all that is mapped goes anyway."""
        rows = self._decides(planned, sides) & planned.rows["operation"].ne(Operation.CREATE)
        if not rows.any():
            return planned
        sent = planned.sent.copy()
        for fields in self.units.values():
            sendable = (payload.values.notna() | payload.clears)[[name for name in fields if name in sent.columns]]
            sent.loc[rows, sendable.columns] = sendable[rows]
        return Plan(planned.rows, planned.values, sent)

    def to_read(self, planned: Plan, sides: Sides) -> pd.Series:
        """The rows whose CRM record is to be read before anything is decided (bool)."""
        return self._decides(planned, sides) & planned.rows["crm_id"].notna()

    def decide(self, planned: Plan, sides: Sides, current: pd.DataFrame, *, read_at: datetime, insists: Collection[str]) -> Plan:
        """The plan with what was decided: what is sent, and what is to be stored about it.

        ``current``: the records that were asked for, as they were ``read_at``; of one that the CRM does not have any more, all goes as
        planned, and the write will show that.
        """
        decides = self._decides(planned, sides)
        there = planned.rows["crm_id"].isin(current.loc[current["error_type"].isna(), "crm_id"]) if len(current) else False
        positions = np.flatnonzero((decides & (planned.rows["operation"].eq(Operation.CREATE) | there)).to_numpy())
        if not len(positions):
            return planned
        part = _Part.of(planned, sides, positions, read_at=read_at)
        shown = self._shown(part, current)
        found = compared(self._way, part.pairs, wanted=part.wanted, raw=part.raw, shown=shown)
        decided = self._timed(self._insisted(found, insists), part).decided()
        return self._carried(planned, part, decided, shown)

    def _decides(self, planned: Plan, sides: Sides) -> pd.Series:
        operation = planned.rows["operation"].to_numpy(object)
        goes = (operation == Operation.CREATE) | (operation == Operation.LINK) | ((operation == Operation.UPDATE) & sides.differs)
        return pd.Series(goes & sides.known, index=planned.rows.index)

    def _insisted(self, found: Compared, insists: Collection[str]) -> Compared:
        """The same where a person wants QBench's value sent: it counts as changed, and stands."""
        units = [unit for unit, fields in self.units.items() if not set(insists).isdisjoint(fields)]
        if not units:
            return found
        fields = found.fields
        rows = fields["field"].isin(units) & fields["situation"].ne(str(Situation.NEW_IN_CRM))
        asked = {"direction": str(Direction.BOTH), "rule": str(Rule.PREFER_QBENCH), "sent": 0}
        return replace(found, fields=fields.assign(**{name: fields[name].mask(rows, value) for name, value in asked.items()}))

    def _shown(self, part: _Part, current: pd.DataFrame) -> Shown:
        """What the CRM shows of the rows, nothing of those that are about to be made there."""
        read = aligned(current, part.pairs["crm_id"], columns={name: name for name in self.crm_fields}, by="crm_id") if len(current) else {}
        blank = pd.Series([None] * len(part.pairs), dtype=object)
        values = pd.DataFrame({name: read.get(name, blank) for name in self.crm_fields})
        fits = pd.DataFrame(True, index=values.index, columns=list(self.units))
        there = ~part.creates
        if there.any():
            # Of what is about to be made nothing is taken home.
            shown, raw, sent = (frame[there].reset_index(drop=True) for frame in (values, part.raw, part.wanted.values))
            fits.loc[there] = self._way.inverse(shown, raw, sent=sent).fits.to_numpy()
        return Shown(values, fits)

    def _timed(self, found: Compared, part: _Part) -> Compared:
        """The same with the times of the CRM's edits, where they decide; the CRM is asked for these records alone."""
        asks = found.asks_when
        rows = asks.any(axis=1)
        if not rows.any():
            return found
        fields = [name for unit, of_unit in self.units.items() if asks[unit].any() for name in of_unit]
        return found.with_edits(
            self._edits(part.objects[rows], part.pairs.loc[rows, "crm_id"], fields), clock_ahead=clock_ahead_of(self._crm)
        )

    def _edits(self, objects: pd.Series, crm_ids: pd.Series, fields: list[str]) -> pd.DataFrame:
        if not isinstance(self._crm, EditsCrm):
            return EDITS.empty()
        parts = [
            self._crm.edits(crm_object, crm_ids[rows.to_numpy()].tolist(), fields)
            for crm_object, rows in objects_of(self._order.state, objects)
        ]
        return pd.concat(parts, ignore_index=True)

    def _carried(self, planned: Plan, part: _Part, decided: Decided, shown: Shown) -> Plan:
        """The plan that does what was decided: of a unit either all that can be sent goes, or nothing."""
        rows, values, sent = (frame.copy(deep=False) for frame in (planned.rows, planned.values, planned.sent))
        at, creates = part.positions, part.creates
        # Of a create goes all that is mapped, as it is.
        if not creates.all():
            goes = decided.are(Verdict.TO_CRM)
            for unit, fields in self.units.items():
                for name in [name for name in fields if name in sent.columns]:
                    may = sent[name].to_numpy().copy()
                    may[at] &= creates | goes[unit].to_numpy()
                    sent[name] = may
                    values[name] = _replaced(values[name], at[~creates], part.wanted.values.loc[~creates, name])
        settled = np.full(len(rows), None, dtype=object)
        settled[at] = list(self._settled(planned, part, decided, shown))
        rows["settled"] = settled
        rows["reason"] = joined(rows["reason"], *(told.set_axis(at).reindex(rows.index) for told in self._told(decided)))
        rows["digests"] = self._digests(rows["digests"], sent, part)
        return _without_nothing(Plan(rows, values, sent), at[~creates])

    def _digests(self, kept: pd.Series, sent: pd.DataFrame, part: _Part) -> pd.Series:
        """What links keep: of the fields that come back, the digests of those that are sent."""
        if part.creates.all():
            return kept
        names_ = [name for name in self.crm_fields if name in sent.columns]
        known, at = ~part.creates, part.positions[~part.creates]
        wanted = digests(part.wanted.values.loc[known, names_]).where(sent.iloc[at][names_].to_numpy(), NO_DIGEST)
        found = kept.copy()
        for position, row in zip(at.tolist(), digest_dicts(wanted), strict=True):
            found.iat[position] = {**(found.iat[position] or {}), **row}
        return found

    def _told(self, decided: Decided) -> Iterator[pd.Series]:
        """What is to be said of each pair, as far as it is of any: fields and words, no values."""
        lost = decided.compared.wide(decided.rows["conflict"])
        parts = [(f"{verdict}: ", decided.are(verdict)) for verdict in (Verdict.TO_QBENCH, Verdict.NOT_TAKEN)] + [("conflict: ", lost)]
        return (word + names(marks) for word, marks in parts if marks.to_numpy().any())

    def _settled(self, planned: Plan, part: _Part, decided: Decided, shown: Shown) -> Iterator[Settled]:
        kept = starmap(Kept, zip(*(plain(decided.kept[name]) for name in Kept._fields), strict=True))
        lost, replaced = (_by_record(frame) for frame in (decided.conflicts(shown, part.raw), decided.replaced(shown, part.raw)))
        agreed = decided.agreed(Verdict.TO_CRM).tolist()
        # This stays until the rows are written, unlike all else that the decision was made by.
        sent = self._sent(planned, part)
        as_kept = partial(self._as_kept, sent, self._way.read_by(part.raw))
        forms = self._as_made(sent, part, decided)
        home = decided.are(Verdict.TO_QBENCH, Verdict.NOT_TAKEN).to_numpy().any(axis=1).tolist()
        crm_ids = plain(part.pairs["crm_id"])
        for place, (crm_id, row, bases, form, is_home) in enumerate(zip(crm_ids, kept, agreed, forms, home, strict=True)):
            wanted = {**(row.bases or {}), **(bases or {})}
            made = {unit: [wanted[unit][0], there] for unit, there in form.items() if unit in wanted}
            yield Settled(
                crm_id,
                row,
                {**(bases or {}), **made},
                tuple(lost.get(row.qbench_id, ())),
                tuple(replaced.get(row.qbench_id, ())),
                is_home,
                place,
                as_kept,
            )

    def _sent(self, planned: Plan, part: _Part) -> pd.DataFrame:
        """The values of the CRM fields that come back, as they are sent: of what is about to be made, defaults of new records too."""
        values = planned.values.take(part.positions).reset_index(drop=True)
        new = pd.DataFrame({name: values[name] if name in values else no_text(values.index) for name in self.crm_fields})
        if part.creates.all():
            return new
        of = ((new, part.creates), (part.wanted.values[self.crm_fields], ~part.creates))
        return pd.concat([values[rows] for values, rows in of if rows.any()]).sort_index()

    def _as_kept(self, sent: pd.DataFrame, raw: pd.DataFrame, place: int, kept: Mapping[str, Any]) -> dict[str, int]:
        """The digests of what the CRM shows of one row's units of which it keeps these values, by field, and else what it was ``sent``.

        ``raw``: as WayBack.read_by tells it.
        """
        units = [unit for unit, fields in self.units.items() if not set(kept).isdisjoint(fields)]
        if not units:
            return {}
        there = sent.iloc[[place]].astype(object).assign(**{name: [value] for name, value in kept.items()})
        forms = self._way.forms(there[self.crm_fields].reset_index(drop=True), raw.iloc[[place]].reset_index(drop=True))
        return {unit: int(digests(forms[[unit]].astype("str")).iloc[0, 0]) for unit in units}

    def _as_made(self, sent: pd.DataFrame, part: _Part, decided: Decided) -> list[dict[str, int]]:
        """Per row that creates, the digests of what the CRM will show: defaults of new records stand in place of blanks."""
        if not part.creates.any():
            return [{}] * len(part.positions)
        if sent.equals(part.wanted.values[self.crm_fields]):
            made = decided.compared.wide(decided.compared.fields["wanted"])
        else:
            made = digests(self._way.forms(sent.astype(object), part.raw).astype("str"))
        rows = digest_dicts(made)
        return [row if new else {} for row, new in zip(rows, part.creates.tolist(), strict=True)]


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows of a plan that are decided about: their ``positions`` there, and which of them are creates; what is known of them."""

    positions: np.ndarray
    creates: np.ndarray
    objects: pd.Series
    raw: pd.DataFrame
    wanted: Wanted
    pairs: pd.DataFrame

    @staticmethod
    def of(planned: Plan, sides: Sides, positions: np.ndarray, *, read_at: datetime) -> _Part:
        rows = planned.rows.iloc[positions].reset_index(drop=True)
        raw, wanted, pairs = sides.at(positions)
        operation = rows["operation"].to_numpy(object)
        creates = operation == Operation.CREATE
        # Nobody else writes meanwhile: our last write is over, whatever the clock of the host says that made it.
        read = np.fmax(moments(pairs["touched_at"]) + np.timedelta64(1, "us"), pd.Timestamp(read_at).to_datetime64())
        when = np.where(creates, NEVER, read)
        situations = text_column([_SITUATIONS[one] for one in operation])
        pairs = pairs.assign(crm_id=rows["crm_id"], situation=situations, read_at=times(when))
        return _Part(positions, creates, rows["object"], raw, wanted, pairs)


def _without_nothing(planned: Plan, decided: np.ndarray) -> Plan:
    """The plan in which an update is none that nothing is left of; ``decided``: the positions of those that may be."""
    if not len(decided):
        return planned
    rows = planned.rows
    idle = rows.index.isin(decided) & rows["operation"].eq(Operation.UPDATE) & ~planned.sent.any(axis=1) & rows["parent_crm_id"].isna()
    if not idle.any():
        return planned
    told = {"operation": str(Operation.NONE), "outcome": str(Outcome.UNCHANGED)}
    changed = {name: rows[name].mask(idle, value) for name, value in told.items()}
    return Plan(PLAN.build(rows.assign(**changed, write_digest=rows["write_digest"].mask(idle))), planned.values, planned.sent)


def _by_record(frame: pd.DataFrame) -> dict[int, list[Mapping[str, Any]]]:
    """The rows of schemas.CONFLICTS by their QBench ids."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in frame.to_dict("records") if len(frame) else []:
        found.setdefault(row["qbench_id"], []).append(row)
    return found


def _replaced(column: pd.Series, at: np.ndarray, values: pd.Series) -> pd.Series:
    """The column with these values at these positions."""
    found = column.copy() if column.dtype == values.dtype else column.astype(object)
    found.iloc[at] = values.array if column.dtype == values.dtype else values.astype(object).array
    return found
