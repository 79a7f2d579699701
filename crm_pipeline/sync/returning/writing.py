"""Writes what was decided into QBench: each record is read freshly before, and what was edited there meanwhile is decided anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import ChangedMeanwhileException, DeletedInQBenchException, QBenchFailsOnRecordException
from crm_pipeline.field_names import names_in
from crm_pipeline.frames import text_where
from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.payload import build_payload
from crm_pipeline.schemas import RAW, SOURCE_CHANGES
from crm_pipeline.source import WritableSource
from crm_pipeline.store.bases import save_digests
from crm_pipeline.store.crm_records import staged_readings
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.staging import held, normalized_by_id
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import ComingBack, stage
from crm_pipeline.sync.merging.fields import Verdict
from crm_pipeline.sync.merging.standing import brought
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.progress import progress
from crm_pipeline.sync.returning.looking import Looking, Seen
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

    def take(self, rows: pd.Series) -> _Writes:
        """Those of them (bool)."""
        marks = rows.tolist()
        return self if all(marks) else _Writes(self.seen.take(rows), [*compress(self.bringing, marks)], [*compress(self.agreed, marks)])

    def batches(self, size: int) -> Iterator[_Writes]:
        """All of them in their order, at most so many at once."""
        for start, seen in zip(range(0, len(self.bringing), size), self.seen.batches(size), strict=True):
            yield _Writes(seen, self.bringing[start : start + size], self.agreed[start : start + size])


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
            for start in range(0, len(crm_ids), AT_ONCE):
                at_once = list(crm_ids[start : start + AT_ONCE])
                waiting = self._round(at_once, last=False) if decided is None else self._write_all(decided, last=False)
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
        """Write what is decided; CRM ids of records that are to be decided anew, none in the ``last`` round."""
        edited: list[Seen] = []
        written: list[tuple[Seen, pd.Series]] = []
        try:
            for batch in self._writes(decided).batches(self._source.longest_batch):
                found = self._read_freshly(batch.seen)
                edited += [batch.take(found.eq(EDITED)).seen] if found.eq(EDITED).any() else []
                self._leave(batch.seen, found, last=last)
                if found.eq(SAME).any():
                    written.append(self._write(batch.take(found.eq(SAME))))
        finally:
            self._normalize([part for part, _ in written] + edited)
            self._keep_digests(written)
        return [] if last else [crm_id for part in edited for crm_id in part.linked.links["crm_id"]]

    def _writes(self, seen: Seen) -> _Writes:
        return _Writes(seen, self._bringing(seen).tolist(), seen.decided.agreed(Verdict.TO_QBENCH).tolist())

    def _read_freshly(self, batch: Seen) -> pd.Series:
        """What became of each record in QBench since it was staged: same, edited (which is staged then), gone or unread."""
        record_type, raw = self._order.record.record_type, batch.linked.raw
        ids = raw["qbench_id"].tolist()
        answer = self._source.read_again(record_type, raw)
        found = pd.Series(GONE, index=raw.index, dtype="str").mask(raw["qbench_id"].isin(answer.failed), UNREAD)
        there = raw["qbench_id"].isin(answer.frame["qbench_id"])
        differs = there & ~_same(raw, answer.frame)
        if differs.any():
            news = answer.frame[answer.frame["qbench_id"].isin(raw.loc[differs, "qbench_id"])].reset_index(drop=True)
            with self._store.transaction() as connection:
                self._stage(connection, news)
                now = held(connection, self._order.integration, record_type, ids=ids)
            # The database may write a value in another way than QBench does.
            differs = there & ~_same(raw, now)
        return found.mask(there, SAME).mask(differs, EDITED)

    def _leave(self, batch: Seen, found: pd.Series, *, last: bool) -> None:
        """Store why records are not written."""
        why = {GONE: DeletedInQBenchException, UNREAD: QBenchFailsOnRecordException}
        if last:
            why[EDITED] = ChangedMeanwhileException
        for word, error in why.items():
            rows = found.eq(word)
            if rows.any():
                linked = batch.linked.take(rows)
                self._storing.stopped(linked, text_where(pd.Series(True, index=linked.links.index), error.__name__))

    def _write(self, writes: _Writes) -> tuple[Seen, pd.Series]:
        """Write one batch: it, and per row the digests by unit of what QBench took (dict, null for nothing)."""
        order, report, batch = self._order, self._report, writes.seen
        self._storing.about_to_write(batch, pd.Series(writes.bringing, dtype=object))
        self._lock.require()
        changes = SOURCE_CHANGES.build({"qbench_id": batch.linked.links["qbench_id"], "values": pd.Series(batch.values, dtype=object)})
        with report.timed("write"):
            answer = self._source.change(order.record.record_type, changes)
        results = _in_order(answer, changes["qbench_id"])
        agreed = self._taken(writes, results)
        there = results[results["content"].notna() & results["version"].notna()].reset_index(drop=True)
        self._storing.written(batch, results, agreed=agreed, stage=lambda connection: self._stage(connection, there))
        for values, units in zip(batch.values, agreed, strict=True):
            taken = [name for name in values if self._looking.unit_of(name) in (units or {})]
            report.changed += bool(taken)
            report.fields.update(taken)
        logger.info(
            "%s %s %ss: wrote %d into QBench, %d of them refused; %s",
            order.integration,
            order.crm,
            order.record.record_type,
            len(changes),
            int(results["error_type"].notna().sum()),
            progress(report.changed, report.to_change, seconds=report.seconds),
        )
        return batch, agreed

    def _bringing(self, seen: Seen) -> pd.Series:
        """Per record what is about to be written (schemas.HELD, ``bringing``)."""
        unit_of = self._looking.unit_of
        units = zip(seen.values, self._looking.edited(seen), strict=True)
        times = [{name: when[unit] for name in values if (unit := unit_of(name)) in when} for values, when in units]
        return brought(seen.values, times)

    def _taken(self, writes: _Writes, results: pd.DataFrame) -> pd.Series:
        """Per row the digests by unit of what QBench took: of a unit of which it lost a field, nothing."""
        found: list[dict[str, int] | None] = []
        for units, error, fields in zip(writes.agreed, results["error_type"], results["error_fields"], strict=True):
            if pd.notna(error) and pd.isna(fields):
                found.append(None)
                continue
            lost = {self._looking.unit_of(name) for name in names_in(str(fields))} if pd.notna(fields) else set()
            found.append({unit: digest for unit, digest in (units or {}).items() if unit not in lost} or None)
        return pd.Series(found, dtype=object)

    def _stage(self, connection: Connection, frame: pd.DataFrame) -> None:
        """Stage records as QBench has them now; no window need hold them, so that every CRM takes them up all the same."""
        order = self._order
        rows = RAW.build(frame[[name for name in RAW.names if name in frame]])
        stage(connection, order.integration, order.record.record_type, frame=rows, source=self._source, back=self._back, late=True)

    def _normalize(self, parts: Sequence[Seen]) -> None:
        order = self._order
        ids = [number for part in parts for number in part.linked.links["qbench_id"].tolist()]
        normalize_named(self._store, order.integration, order.record, ids=ids, reading=order.reading)

    def _keep_digests(self, written: Sequence[tuple[Seen, pd.Series]]) -> None:
        """Keep as sent what the CRM shows already: a load has nothing to look at then."""
        if not written:
            return
        order, way = self._order, self._looking.way
        links = pd.concat([part.linked.links for part, _ in written], ignore_index=True)
        agreed = pd.concat([units for _, units in written], ignore_index=True)
        with self._store.transaction() as connection:
            rows = normalized_by_id(connection, order.integration, order.record.record_type, ids=links["qbench_id"].tolist())
        country_format, zone = order.settings.country_format, order.reading.zone
        payload = build_payload(rows, crm=order.crm, spec=order.record, crm_fields=way.crm_fields, country_format=country_format, zone=zone)
        now = digests(payload.values).set_axis(rows["qbench_id"]).reindex(links["qbench_id"], fill_value=NO_DIGEST).to_dict("records")
        fields = {unit: [route.target.crm_field for route in members] for unit, members in way.units.items()}
        kept = []
        for row, before, units in zip(now, links["digests"], agreed, strict=True):
            new = {name: row[name] for unit in units or () for name in fields[unit] if name in row}
            kept.append({name: digest for name, digest in {**before, **new}.items() if digest != NO_DIGEST})
        with self._store.transaction() as connection:
            save_digests(connection, order.state, links=links.assign(digests=pd.Series(kept, index=links.index, dtype=object)))


def _in_order(answer: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """The answered rows (schemas.SOURCE_RESULTS) in the order of these QBench ids."""
    if answer["qbench_id"].tolist() == ids.tolist():
        return answer
    return answer.set_index("qbench_id", drop=False).reindex(ids).reset_index(drop=True)


def _same(raw: pd.DataFrame, found: pd.DataFrame) -> pd.Series:
    """Which of the records (schemas.RAW) are found just so (bool)."""
    now = dict(zip(found["qbench_id"], zip(found["version"], found["content"], strict=True), strict=True))
    rows = zip(raw["qbench_id"], raw["version"], raw["content"], strict=True)
    return pd.Series([now.get(number) == (version, content) for number, version, content in rows], index=raw.index, dtype=bool)
