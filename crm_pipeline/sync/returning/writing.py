"""Writes what was decided into QBench: each record is read freshly before, and what was edited there meanwhile is decided anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import ChangedMeanwhileException, DeletedInQBenchException, QBenchFailsOnRecordException
from crm_pipeline.field_names import names_in
from crm_pipeline.frames import one_text
from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.payload import wanted_values
from crm_pipeline.schemas import RAW, SOURCE_CHANGES
from crm_pipeline.source import WritableSource
from crm_pipeline.store.bases import save_digests
from crm_pipeline.store.crm_records import staged_readings
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.normalized_records import normalized_by_id
from crm_pipeline.store.raw_records import held
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import ComingBack, stage
from crm_pipeline.sync.merging.fields import Verdict
from crm_pipeline.sync.merging.standing import brought
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.progress import progress
from crm_pipeline.sync.returning.looking import Looking, Seen, Which
from crm_pipeline.sync.returning.report import ReturnReport
from crm_pipeline.sync.returning.storing import Storing

logger = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Readings that are decided together."""
SAME, EDITED, GONE, UNREAD = "same", "edited", "gone", "unread"
ROUNDS = 3
"""How often a record is decided that is edited in QBench just when it is to be written."""


@dataclass(frozen=True, eq=False, slots=True)
class _Writes:
    """What is to be written. ``bringing``: per record what is stored of that before (schemas.HELD); ``agreed``: the bases by unit
    afterwards, None where there are none (Decided.agreed).
    """

    seen: Seen
    bringing: list[Any]
    agreed: list[Any]

    def __len__(self) -> int:
        return len(self.bringing)

    def at(self, which: Which) -> _Writes:
        """Those of them, by place."""
        bringing, agreed = (
            column[which] if isinstance(which, slice) else [*compress(column, which)] for column in (self.bringing, self.agreed)
        )
        return _Writes(self.seen.at(which), bringing, agreed)


@dataclass(eq=False, slots=True)
class _Progress:
    """How far the writes of a group are: which records were found ``edited``, which are ``written`` (bool by place); of these what QBench
    answered (schemas.SOURCE_RESULTS) and the digests by unit of what it took (dict, None for nothing), in order.
    """

    edited: np.ndarray
    written: np.ndarray
    results: list[pd.DataFrame] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)

    def add(self, results: pd.DataFrame, taken: Sequence[Any], *, places: slice, which: np.ndarray) -> None:
        """Note what became of those of a batch that were written."""
        self.written[places] = which
        self.results.append(results)
        self.taken += taken


class Writing:
    """The writes of one run, while nobody else reads or writes the tenant."""

    def __init__(
        self,
        order: LoadOrder,
        *,
        store: Store,
        source: WritableSource,
        back: ComingBack,
        looking: Looking,
        storing: Storing,
        report: ReturnReport,
        lock: Lock,
    ) -> None:
        self._order = order
        self._store = store
        self._source = source
        self._back = back
        self._looking = looking
        self._storing = storing
        self._report = report
        self._lock = lock

    def run(self, crm_ids: Sequence[str], *, decided: Seen | None) -> None:
        """Bring home what these CRM records show. Raises the ServiceError that stopped it; what is written is stored.

        ``decided``: what is decided about them, where it was kept; else it is decided now. What was edited in QBench meanwhile is seen
        when they are read freshly.
        """
        with reading(self._source, integration=self._order.integration, store=self._store):
            for places in _slices(len(crm_ids), AT_ONCE):
                at_once = list(crm_ids[places])
                waiting = self._round(at_once, last=False) if decided is None else self._write_all(decided.at(places), last=False)
                for turn in range(2, ROUNDS + 1):
                    if waiting:
                        waiting = self._round(waiting, last=turn == ROUNDS)

    def _round(self, crm_ids: list[str], *, last: bool) -> list[str]:
        """Decide about these CRM records and write; CRM ids of those that are to be decided anew, none in the ``last`` round."""
        with self._store.transaction() as connection:
            readings = staged_readings(connection, self._order.state, crm_ids=crm_ids)
        looked = self._looking.at(readings)
        self._storing.found(looked)
        if looked.seen is None:
            return []
        self._storing.unwritten(looked.seen.take(~looked.seen.brings))
        return self._write_all(looked.seen.take(looked.seen.brings), last=last)

    def _write_all(self, decided: Seen, *, last: bool) -> list[str]:
        """Write what is decided; CRM ids of records that are to be decided anew, none in the ``last`` round.

        A group of calls is stored at once, also where one of them breaks off. What each was about to write is stored before it, so that
        the writes of a group whose answers nobody stored are known again.
        """
        writes = _Writes(decided, self._bringing(decided).tolist(), decided.decided.agreed(Verdict.TO_QBENCH).tolist())
        done = _Progress(np.zeros(len(writes), dtype=bool), np.zeros(len(writes), dtype=bool))
        try:
            for places in _slices(len(writes), self._source.longest_batch):
                self._write_batch(writes, places, done, last=last)
        finally:
            self._store_all(writes, done)
        return [] if last else decided.linked.links.loc[done.edited, "crm_id"].tolist()

    def _write_batch(self, writes: _Writes, places: slice, done: _Progress, *, last: bool) -> None:
        """Read the records of one call freshly, and write those that are as they were."""
        batch = writes.at(places)
        found = self._read_freshly(batch.seen)
        done.edited[places] = found == EDITED
        self._leave(batch.seen, found, last=last)
        same = found == SAME
        if same.any():
            done.add(*self._write(batch if same.all() else batch.at(same)), places=places, which=same)

    def _store_all(self, writes: _Writes, done: _Progress) -> None:
        """Store what QBench answered, make normalized records of it, and of what was edited there.

        Raises StoreError when the lock was lost: another run may have written what is newer.
        """
        written = writes.seen.at(done.written)
        if done.results:
            self._lock.require()
            results = pd.concat(done.results, ignore_index=True)
            there = results[results["content"].notna() & results["version"].notna()].reset_index(drop=True)
            taken = pd.Series(done.taken, dtype=object)
            self._storing.written(written, results, agreed=taken, stage=lambda connection: self._stage(connection, there))
        order = self._order
        ids = writes.seen.linked.links.loc[done.written | done.edited, "qbench_id"].tolist()
        normalize_named(self._store, order.integration, order.record, ids=ids, reading=order.reading)
        if done.results:
            self._keep_digests(written.linked.links, done.taken)

    def _read_freshly(self, batch: Seen) -> np.ndarray:
        """What became of each record in QBench since it was staged: same, edited (which is staged then), gone or unread."""
        record_type, raw = self._order.record.record_type, batch.linked.raw
        answer = self._source.read_again(record_type, raw)
        now, failed = _states(answer.frame), set(answer.failed)
        staged = _states(raw)
        differs = [number for number, state in staged.items() if number in now and now[number] != state]
        if differs:
            news = answer.frame[answer.frame["qbench_id"].isin(differs)].reset_index(drop=True)
            with self._store.transaction() as connection:
                self._stage(connection, news)
                # The database may write a value in another way than QBench does.
                now |= _states(held(connection, self._order.integration, record_type, ids=differs))
        words = {
            number: (SAME if now[number] == state else EDITED) if number in now else UNREAD if number in failed else GONE
            for number, state in staged.items()
        }
        return np.array([words[number] for number in raw["qbench_id"].tolist()], dtype=object)

    def _leave(self, batch: Seen, found: np.ndarray, *, last: bool) -> None:
        """Store why records are not written."""
        why = {GONE: DeletedInQBenchException, UNREAD: QBenchFailsOnRecordException}
        if last:
            why[EDITED] = ChangedMeanwhileException
        for word, error in why.items():
            rows = found == word
            if rows.any():
                linked = batch.linked.at(rows)
                self._storing.stopped(linked, one_text(error.__name__, linked.links.index))

    def _write(self, writes: _Writes) -> tuple[pd.DataFrame, list[Any]]:
        """Write one batch: what QBench answered (schemas.SOURCE_RESULTS, in order), and per row what it took (_Progress.taken)."""
        order, report, batch = self._order, self._report, writes.seen
        self._storing.about_to_write(batch, pd.Series(writes.bringing, dtype=object))
        self._lock.require()
        changes = SOURCE_CHANGES.build({"qbench_id": batch.linked.links["qbench_id"], "values": pd.Series(batch.values, dtype=object)})
        with report.timed("write"):
            answer = self._source.change(order.record.record_type, changes)
        results = _in_order(answer, changes["qbench_id"])
        taken = self._taken(writes, results)
        for values, units in zip(batch.values, taken, strict=True):
            fields = [name for name in values if self._looking.unit_of(name) in (units or {})]
            report.changed += bool(fields)
            report.fields.update(fields)
        logger.info(
            "%s %s %ss: wrote %d into QBench, %d of them refused; %s",
            order.integration,
            order.crm,
            order.record.record_type,
            len(changes),
            int(results["error_type"].notna().sum()),
            progress(report.changed, report.to_change, seconds=report.seconds),
        )
        return results, taken

    def _bringing(self, seen: Seen) -> pd.Series:
        """Per record what is about to be written (schemas.HELD, ``bringing``)."""
        unit_of = self._looking.unit_of
        units = zip(seen.values, self._looking.edited(seen), strict=True)
        times = [{name: when[unit] for name in values if (unit := unit_of(name)) in when} for values, when in units]
        return brought(seen.values, times)

    def _taken(self, writes: _Writes, results: pd.DataFrame) -> list[dict[str, int] | None]:
        """Per row the digests by unit of what QBench took: of a unit of which it lost a field, nothing."""
        found: list[dict[str, int] | None] = []
        for units, error, fields in zip(writes.agreed, results["error_type"], results["error_fields"], strict=True):
            if pd.notna(error) and pd.isna(fields):
                found.append(None)
                continue
            lost = {self._looking.unit_of(name) for name in names_in(str(fields))} if pd.notna(fields) else set()
            found.append({unit: digest for unit, digest in (units or {}).items() if unit not in lost} or None)
        return found

    def _stage(self, connection: Connection, frame: pd.DataFrame) -> None:
        """Stage records as QBench has them now; no window need hold them, so that every CRM takes them up all the same."""
        order = self._order
        rows = RAW.build(frame[[name for name in RAW.names if name in frame]])
        stage(connection, order.integration, order.record.record_type, frame=rows, source=self._source, back=self._back, late=True)

    def _keep_digests(self, links: pd.DataFrame, taken: Sequence[Any]) -> None:
        """Keep as sent what the CRM shows already: a load has nothing to look at then."""
        order, way = self._order, self._looking.way
        with self._store.transaction() as connection:
            rows = normalized_by_id(connection, order.integration, order.record.record_type, ids=links["qbench_id"].tolist())
        sent = [route for route in way.routes if route.target.direction.goes_out]
        wanted = wanted_values(rows, sent, crm_fields=way.crm_fields, zone=order.reading.zone)
        now = digests(wanted.values).set_axis(rows["qbench_id"]).reindex(links["qbench_id"], fill_value=NO_DIGEST).to_dict("records")
        fields = {unit: [route.target.crm_field for route in members if route in sent] for unit, members in way.units.items()}
        kept = []
        for row, before, units in zip(now, links["digests"], taken, strict=True):
            new = {name: row[name] for unit in units or () for name in fields[unit]}
            kept.append({name: digest for name, digest in {**before, **new}.items() if digest != NO_DIGEST})
        with self._store.transaction() as connection:
            save_digests(connection, order.state, links=links.assign(digests=pd.Series(kept, index=links.index, dtype=object)))


def _slices(count: int, size: int) -> Iterator[slice]:
    """The places of so many rows, at most ``size`` at once."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _in_order(answer: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """The answered rows (schemas.SOURCE_RESULTS) in the order of these QBench ids."""
    if answer["qbench_id"].tolist() == ids.tolist():
        return answer
    return answer.set_index("qbench_id", drop=False).reindex(ids).reset_index(drop=True)


def _states(frame: pd.DataFrame) -> dict[int, tuple[int, Any]]:
    """Version and content of records (schemas.RAW), by QBench id."""
    return dict(zip(frame["qbench_id"].tolist(), zip(frame["version"].tolist(), frame["content"].tolist(), strict=True), strict=True))
