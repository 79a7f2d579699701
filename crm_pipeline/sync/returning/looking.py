"""Looks at readings of CRM records: what of each would change in QBench, and what keeps the others from it. Stores nothing.

Asks the CRM for what only it can tell: records whose staged reading says nothing any more, and when persons edited them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.abilities import EditsCrm, clock_ahead_of
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import CrmFailsOnRecordException, DeletedInCrmException, NotInListException
from crm_pipeline.frames import no_text
from crm_pipeline.mapping.inverse import Inverse, WayBack
from crm_pipeline.model import MODELS
from crm_pipeline.schemas import BASES, CHANGED, EDITS, RAW
from crm_pipeline.store.bases import SENT_HOURS, bases_of
from crm_pipeline.store.change_outcomes import often_sent
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import staged_errors
from crm_pipeline.store.open_calls import untold_accounts
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.raw_records import held
from crm_pipeline.sync.links.usable import account_crm_ids
from crm_pipeline.sync.merging.fields import Situation, Verdict
from crm_pipeline.sync.merging.units import PAIRS, Decided, Shown, compared
from crm_pipeline.sync.order import LoadOrder, objects_of, read
from crm_pipeline.sync.planning.inclusion import listed_back
from crm_pipeline.sync.returning import gates
from crm_pipeline.sync.returning.reasons import PING_PONG, fields_written

A_MINUTE = timedelta(minutes=1)

TOO_OFTEN, HOURS = 3, SENT_HOURS
"""A field that was written so many times in both directions, within so many hours, is held."""

Which = np.ndarray | slice
"""Rows by a truth each, or those of a part, from its start to its stop."""

Times = Mapping[str, pd.Timestamp]
"""By unit, when a person gave its value in the CRM, by our clock."""


@dataclass(frozen=True, eq=False)
class Linked:
    """Readings (schemas.CRM_RECORDS) whose CRM records are linked, each with its link (schemas.LINKS, and behind it ``account``, the CRM
    id of the account that a contact was last given), what that keeps as it is stored (schemas.BASES), and the record of QBench
    (schemas.RAW, and ``since`` behind it); a RangeIndex each, in one order.
    """

    readings: pd.DataFrame
    links: pd.DataFrame
    kept: pd.DataFrame
    raw: pd.DataFrame

    def __len__(self) -> int:
        return len(self.readings)

    @property
    def moved(self) -> pd.Series:
        """Which of them (bool) are contacts that people of the CRM gave another account than their customer's, or none."""
        given, now = self.links["account"], self.readings["parent_crm_id"]
        return given.notna() & ~given.eq(now).fillna(value=False)

    def take(self, rows: pd.Series) -> Linked:
        """Those of them (bool)."""
        return self if rows.all() else self.at(rows.to_numpy(dtype=bool))

    def at(self, which: Which) -> Linked:
        """Those of them, by place."""
        return Linked(*(_rows(frame, which) for frame in (self.readings, self.links, self.kept, self.raw)))


@dataclass(frozen=True, eq=False)
class Seen:
    """Readings that count, and what is decided. ``reasons``: a column (str) per unit, why it is not taken (mapping.inverse.Reason).

    ``values``: per record what is to be written into QBench, by its fields. ``kept``: what the links keep from now on (schemas.BASES),
    to be stored with the decision. ``conflicts``: the values that are lost (schemas.CONFLICTS).
    """

    linked: Linked
    shown: Shown
    decided: Decided
    reasons: pd.DataFrame
    values: list[dict[str, Any]]
    kept: pd.DataFrame
    conflicts: pd.DataFrame

    @cached_property
    def brings(self) -> pd.Series:
        """Which of them change their record of QBench (bool)."""
        return self.decided.are(Verdict.TO_QBENCH).any(axis=1)

    def take(self, rows: pd.Series) -> Seen:
        """Those of them (bool)."""
        return self if rows.all() else self.at(rows.to_numpy(dtype=bool))

    def at(self, which: Which) -> Seen:
        """Those of them, by place."""
        sides, linked = self.decided.compared, self.linked.at(which)
        units = _of_each_unit(which, len(sides.units))
        taken = replace(sides, pairs=_rows(sides.pairs, which), fields=_rows(sides.fields, units))
        lost = self.conflicts
        return Seen(
            linked,
            Shown(_rows(self.shown.values, which), _rows(self.shown.fits, which)),
            Decided(taken, _rows(self.decided.rows, units)),
            _rows(self.reasons, which),
            self.values[which] if isinstance(which, slice) else list(compress(self.values, which)),
            _rows(self.kept, which),
            _rows(lost, lost["crm_id"].isin(linked.links["crm_id"]).to_numpy()) if len(lost) else lost,
        )


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found of readings. ``unlinked``: CRM ids of those that lead to no record of QBench.

    ``stopped``: those that change nothing, with the record error of each (str) and its reason (str). ``read_again``: what was read by
    ids since ``began``, by the name of the CRM's object (schemas.CHANGED, the fields behind it). ``seen``: all others, None for none.
    """

    unlinked: list[str]
    stopped: tuple[Linked, pd.Series, pd.Series]
    read_again: Mapping[str, pd.DataFrame]
    began: datetime
    seen: Seen | None


class Looking:
    """Looks at readings of one order. The CRM is asked for its fields with the first of them."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm) -> None:
        self._order = order
        self._store = store
        self._crm = crm
        # Plain rows: a run may ask about a hundred thousand records, and a frame of each would take kilobytes.
        self._edits: dict[str, list[tuple[Any, ...]]] = {}

    @cached_property
    def way(self) -> WayBack:
        """How the records come back."""
        return self._order.way_back(self._crm.fields(self._order.crm_object))

    def at(self, readings: pd.DataFrame) -> Looked:
        """What is found of staged readings (schemas.CRM_RECORDS). Raises the CRM's ServiceError."""
        linked, stopped = self._linked(readings)
        unlinked = readings.loc[~readings["crm_id"].isin(linked.readings["crm_id"]), "crm_id"].tolist()
        began = datetime.now(UTC)
        stale = stopped.isna() & self._says_nothing(linked)
        again: Mapping[str, pd.DataFrame] = self._read_again(linked.readings[stale]) if stale.any() else {}
        if again:
            linked, stopped = _with_news(linked, stopped, stale, pd.concat(again.values(), ignore_index=True), began=began)
        counts = stopped.isna()
        seen = self._decided(linked.take(counts)) if counts.any() else None
        reasons = no_text(stopped.index)
        if seen is not None and (left := self._left_lists(seen))["error_type"].notna().any():
            told = left.set_axis(stopped.index[counts]).reindex(stopped.index)
            stopped, reasons, stays = stopped.where(~counts, told["error_type"]), told["reason"], left["error_type"].isna()
            counts, seen = stopped.isna(), seen.take(stays) if stays.any() else None
        unchanged = linked.take(~counts), *(text[~counts].reset_index(drop=True) for text in (stopped, reasons))
        return Looked(unlinked, unchanged, again, began, seen)

    def edited(self, seen: Seen) -> list[Times]:
        """When persons gave the values that are brought; of each record that brings none, nothing.

        The CRM is asked where a reading cannot tell, which is so where the last edit may be our own write.
        """
        linked, sides = seen.linked, seen.decided.compared
        ahead = clock_ahead_of(self._crm)
        at = linked.readings["edited_at"] - ahead
        touched = linked.kept["touched_at"]
        late = timedelta(seconds=self._order.settings.late_seconds)
        doubtful = at.isna() | (at.ge(touched - A_MINUTE) & at.le(touched + late))
        asked = self._edits_of(linked.readings[doubtful & seen.brings])
        told = {(row.crm_id, row.crm_field): row.edited_at - ahead for row in asked.itertuples()}
        brought = seen.decided.are(Verdict.TO_QBENCH).to_numpy()
        by_rule = sides.fields["shown_since"].tolist()
        last = linked.readings["read_at"].where(doubtful, at).tolist()
        found: list[Times] = []
        for pair, crm_id in enumerate(linked.readings["crm_id"]):
            times = {}
            for position, (unit, members) in enumerate(self.way.units.items()):
                if brought[pair, position]:
                    edits = [at_ for route in members if (at_ := told.get((crm_id, route.target.crm_field))) is not None]
                    known = by_rule[pair * len(sides.units) + position]
                    times[unit] = known if pd.notna(known) else max(edits, default=last[pair])
            found.append(times)
        return found

    def unit_of(self, field: str) -> str:
        """The unit that a QBench field belongs to; a phone's type belongs to the phone."""
        unit = self._units.get(field)
        return self._phone if unit is None else unit

    @cached_property
    def _units(self) -> Mapping[str, str]:
        sources = [(route.source, unit) for unit, members in self.way.units.items() for route in members]
        return {source.from_: unit for source, unit in sources if source is not None and source.from_ is not None}

    @cached_property
    def _phone(self) -> str:
        phone = MODELS[self._order.record.record_type].phone
        return next(unit for unit, members in self.way.units.items() if members[0].target.source == phone)

    def _linked(self, readings: pd.DataFrame) -> tuple[Linked, pd.Series]:
        """The readings of records that are linked, and what stops each (str, else null)."""
        order = self._order
        record_type = order.record.record_type
        with self._store.transaction() as connection:
            links = gates.one_each(order.state.links_of(connection, crm_ids=readings["crm_id"].tolist(), left_behind=True))
            ids = links["qbench_id"].tolist()
            kept = bases_of(connection, order.state, ids=ids)
            raw = held(connection, order.integration, record_type, ids=ids)
            errors = staged_errors(connection, order.integration, record_type, ids=ids)
            accounts = self._accounts(connection, links)
        theirs = readings[readings["crm_id"].isin(links["crm_id"])].reset_index(drop=True)
        links = links.assign(account=accounts).set_index("crm_id", drop=False).loc[theirs["crm_id"]].reset_index(drop=True)
        linked = Linked(
            theirs,
            links,
            BASES.build(_of_each(links, kept)),
            RAW.build(_of_each(links, raw[["qbench_id", "version", "content", "since"]]).fillna({"version": 0})),
        )
        return linked, gates.stopped(links, staged=raw["qbench_id"], errors=errors)

    def _accounts(self, connection: Connection, links: pd.DataFrame) -> pd.Series:
        """By link (schemas.LINKS), the CRM id of the account that it was last given (str); null of accounts, and without one."""
        customers = links["parent_qbench_id"].dropna()
        if customers.empty:
            return no_text(links.index)
        customers = customers[~links.loc[customers.index, "qbench_id"].isin(untold_accounts(connection, self._order.state))]
        held = account_crm_ids(self._order.state.accounts.checked_links(connection, ids=customers.unique().tolist()))
        return customers.map(held).astype("str").reindex(links.index)

    def _left_lists(self, seen: Seen) -> pd.DataFrame:
        """Of those that change their record of QBench, ``error_type`` and ``reason`` (str) of those outside the lists that come back."""
        records = seen.linked.links[["object", "crm_id"]]
        found = listed_back(self._crm, self._order, records[seen.brings])
        errors = dict.fromkeys(found.outside, NotInListException.__name__) | dict.fromkeys(found.unread, CrmFailsOnRecordException.__name__)
        told = {name: records["crm_id"].map(texts).astype("str") for name, texts in {"error_type": errors, "reason": found.outside}.items()}
        return pd.DataFrame(told).where(seen.brings)

    def _says_nothing(self, linked: Linked) -> pd.Series:
        """Which readings (bool) must be made again: they are older than what was decided last, failed, or lack a field."""
        readings, fields = linked.readings, [route.target.crm_field for route in self.way.routes]
        lacking = pd.Series([not set(fields) <= row.keys() for row in readings["fields"]], index=readings.index, dtype=bool)
        old = readings["read_at"].isna() | readings["read_at"].le(linked.kept["touched_at"])
        return old | lacking | readings["error_type"].notna()

    def _read_again(self, rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
        """What these records show now (Looked.read_again)."""
        self._require_organization()
        fields = [route.target.crm_field for route in self.way.routes]
        found = {}
        for crm_object, of_it in objects_of(self._order.state, rows["object"]):
            frame = read(self._crm, self._order.state, rows.loc[of_it, ["object", "crm_id"]], fields)
            found[crm_object.name] = CHANGED.build(frame[["crm_id", "parent_crm_id", "error_type", *fields]])
        return found

    def _require_organization(self) -> None:
        """Raises WrongOrgError where the links belong to another organization."""
        order, org_id = self._order, self._crm.organization()
        with self._store.transaction() as connection:
            require_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)

    def _decided(self, linked: Linked) -> Seen:
        """What is decided: first as if QBench took everything, then with what of that it does not."""
        way, raw = self.way, linked.raw
        values = pd.DataFrame(
            {route.target.crm_field: [row.get(route.target.crm_field) for row in linked.readings["fields"]] for route in way.routes},
            dtype=object,
        )
        fits = pd.DataFrame(True, index=raw.index, columns=list(way.units))
        wanted = way.wanted(raw)
        sides = compared(way, _pairs(linked), wanted=wanted, raw=raw, shown=Shown(values, fits))
        asked = sides.asks_when.any(axis=1)
        if asked.any():
            edits = self._edits_of(linked.readings[asked])
            sides = sides.with_edits(edits, clock_ahead=clock_ahead_of(self._crm))
        decided = sides.decided()
        bring = decided.are(Verdict.TO_QBENCH)
        rows = bring.any(axis=1)
        reasons = pd.DataFrame({unit: no_text(raw.index) for unit in way.units}, index=raw.index)
        written: list[dict[str, Any]] = [{} for _ in range(len(raw))]
        if rows.any():
            into = way.inverse(values[rows], raw[rows], bring=bring[rows], sent=wanted.values[rows])
            places = raw.index[rows]
            reasons.loc[places] = self._held(linked.take(rows), into).set_axis(places)
            fits = reasons.isna()
            taken = into.writes & fits.loc[places, [self.unit_of(name) for name in into.writes]].to_numpy(dtype=bool)
            for place, row in zip(places, _written(into.values, taken), strict=True):
                written[place] = row
            sides = replace(sides, fields=sides.fields.assign(fits=fits.to_numpy().ravel()))
            decided = sides.decided()
        shown = Shown(values, fits)
        return Seen(linked, shown, decided, reasons, written, decided.kept, decided.conflicts(shown, raw))

    def _held(self, linked: Linked, into: Inverse) -> pd.DataFrame:
        """Why units are not taken: those too that were written to and fro too often."""
        with self._store.transaction() as connection:
            ids = linked.links["crm_id"].tolist()
            told = often_sent(connection, self._order.state, crm_ids=ids, times=TOO_OFTEN, hours=HOURS)
        reasons = into.reasons.copy()
        for crm_id, (sent, written_before) in told.items():
            row = ids.index(crm_id)
            brought = Counter(field for reason in written_before for field in fields_written(reason))
            for field in into.writes.columns[into.writes.iloc[row].to_numpy(dtype=bool)]:
                if brought[field] >= TOO_OFTEN and (unit := self.unit_of(field)) in sent:
                    reasons.loc[row, unit] = PING_PONG
        return reasons

    def _edits_of(self, readings: pd.DataFrame) -> pd.DataFrame:
        """When persons edited these records (schemas.EDITS), asked once of each; of a CRM that does not tell, nothing."""
        crm = self._crm
        new = readings[~readings["crm_id"].isin(self._edits.keys())]
        if isinstance(crm, EditsCrm) and len(new):
            fields = [route.target.crm_field for route in self.way.routes]
            for crm_object, of_it in objects_of(self._order.state, new["object"]):
                ids = new.loc[of_it, "crm_id"].tolist()
                told: dict[str, list[tuple[Any, ...]]] = {crm_id: [] for crm_id in ids}
                for row in crm.edits(crm_object, ids, fields)[EDITS.names].itertuples(index=False, name=None):
                    told[row[0]].append(row)
                self._edits |= told
        return EDITS.of_rows(EDITS.names, [row for crm_id in readings["crm_id"] for row in self._edits.get(crm_id, ())])


def _rows(frame: pd.DataFrame, which: Which) -> pd.DataFrame:
    rows = frame[which]
    return rows.set_axis(pd.RangeIndex(len(rows)))


def _of_each_unit(which: Which, units: int) -> Which:
    """The same records' places where each has a row per unit."""
    return slice(which.start * units, which.stop * units) if isinstance(which, slice) else np.repeat(which, units)


def _of_each(links: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The row of each link's QBench id, in the order of the links; nulls where there is none."""
    return rows.set_index("qbench_id").reindex(links["qbench_id"]).reset_index()


def _pairs(linked: Linked) -> pd.DataFrame:
    """The two records of each reading (merging.units.PAIRS)."""
    kept = {name: linked.kept[name] for name in ("bases", "sending", "open_until", "touched_at")}
    return PAIRS.build(
        {
            "qbench_id": linked.links["qbench_id"].astype("Int64"),
            "crm_id": linked.links["crm_id"],
            "situation": pd.Series(str(Situation.LINKED), index=linked.links.index, dtype="str"),
            "digests": linked.links["digests"],
            **kept,
            "read_at": linked.readings["read_at"],
            "since": linked.raw["since"],
        }
    )


def _with_news(linked: Linked, stopped: pd.Series, asked: pd.Series, news: pd.DataFrame, *, began: datetime) -> tuple[Linked, pd.Series]:
    """The readings with those that were made again, and what stops each: the CRM fails to show it, or has it no more."""
    fields = [name for name in news.columns if name not in CHANGED.names]
    values = news[fields].astype(object).where(news[fields].notna(), None).to_dict("records")
    fresh, failed, parents = (
        dict(zip(news["crm_id"], column, strict=True)) for column in (values, news["error_type"], news["parent_crm_id"])
    )
    readings, stopped = linked.readings.copy(), stopped.copy()
    for row in readings.index[asked]:
        crm_id = readings.at[row, "crm_id"]
        if crm_id not in fresh:
            stopped.at[row] = DeletedInCrmException.__name__
        elif pd.notna(failed[crm_id]):
            stopped.at[row] = failed[crm_id]
        else:
            readings.at[row, "fields"] = fresh[crm_id]
            readings.at[row, "parent_crm_id"] = parents[crm_id]
    readings["read_at"] = readings["read_at"].mask(asked, pd.Timestamp(began))
    return replace(linked, readings=readings), stopped


def _written(values: pd.DataFrame, writes: pd.DataFrame) -> list[dict[str, Any]]:
    """Per record the values to write, by QBench field."""
    names = list(writes.columns)
    rows = zip(writes.to_numpy(dtype=bool), values[names].to_numpy(dtype=object), strict=True)
    return [{name: value for name, marked, value in zip(names, marks, row, strict=True) if marked} for marks, row in rows]
