"""Brings home into QBench what people changed in one CRM, of one record type.

Looking decides about staged readings, Storing keeps what is decided and what became of it, Writing writes into QBench. All that needs
no write is stored first; then it is known how many records would change, and whether that is too many. Creating makes records of those
that have no link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import NotTakenByQBenchException, RefusedByQBenchException, TooManyChangesError
from crm_pipeline.model import MODELS
from crm_pipeline.source import WritableSource
from crm_pipeline.store.change_outcomes import change_outcomes
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.store.ways_back import follow_way_back
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.creating import Creating
from crm_pipeline.sync.returning.looking import Looking, Seen
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.report import ReturnReport
from crm_pipeline.sync.returning.selection import Chosen, Selection, asked_for, chosen
from crm_pipeline.sync.returning.storing import Storing
from crm_pipeline.sync.returning.writing import Writing
from crm_pipeline.sync.writing_turns import run_of

REFUSALS = [error.__name__ for error in (NotTakenByQBenchException, RefusedByQBenchException)]
"""Why a write is not made again until the CRM's record changes, or a person asks for it."""


def refused_before(readings: pd.DataFrame, order: LoadOrder, *, asked: Sequence[str], store: Store) -> pd.DataFrame:
    """The latest outcomes (schemas.CHANGE_OUTCOMES) of those of the readings (schemas.CRM_RECORDS) that QBench refused as they still are.

    One that is ``asked`` for is none of them: it is tried again.
    """
    with store.transaction() as connection:
        latest = change_outcomes(connection, order.state, crm_ids=readings["crm_id"].tolist())
    refused = latest["error_type"].isin(REFUSALS) & ~latest["crm_id"].isin(asked)
    shown = set(zip(readings["crm_id"], readings["stamp"], strict=True))
    same = [pair in shown for pair in zip(latest["crm_id"], latest["stamp"], strict=True)]
    return latest[refused & pd.Series(same, index=latest.index, dtype=bool)].reset_index(drop=True)


class Return:
    """One run. ``run`` does it; ``report`` says what was done, also after ``run`` raised.

    ``policy``: how many records one run may change. ``back``: what of QBench's records comes back to them from all CRMs, so that the
    times are kept since which their values stand.
    """

    def __init__(
        self,
        order: LoadOrder,
        *,
        store: Store,
        source: WritableSource,
        crm: Crm,
        policy: ReturnPolicy,
        back: ComingBack = NOTHING,
        frame_rows: int = FRAME_ROWS,
    ) -> None:
        self.order = order
        self.report = ReturnReport()
        self._store = store
        self._source = source
        self._crm = crm
        self._unlinked: list[str] = []
        self._asked: set[str] = set()
        self._policy = policy
        self._back = back
        self._frame_rows = frame_rows
        self._looking = Looking(order, store=store, crm=crm)
        self._storing = Storing(order, store=store, report=self.report)

    def run(self, selection: Selection) -> ReturnReport:
        """Bring home what the readings show, and store what became of each.

        Raises TooManyChangesError before anything is written into QBench, and the ServiceError or ConfigurationError that stopped it,
        after storing what was done.
        """
        order = self.order
        with run_of(self._store, order.integration, order.crm) as lock, self._creating(lock) as creating:
            with self._store.transaction() as connection:
                follow_way_back(connection, order.state, units=order.units_back)
            creating.settle()
            unfinished, asked = creating.unfinished, asked_for(order, store=self._store)
            parts = chosen(order, selection, asked=asked, store=self._store, frame_rows=self._frame_rows)
            crm_ids: list[str] = []
            decided: Seen | None = None
            for seen in filter(None, (self._to_write(part.without(unfinished), asked=asked) for part in parts)):
                decided = None if crm_ids else seen
                crm_ids += seen.linked.links["crm_id"].tolist()
            new = creating.planned(self._unlinked)
            self._require_few(len(crm_ids) + len(new))
            if crm_ids:
                writing = Writing(
                    order,
                    store=self._store,
                    source=self._source,
                    back=self._back,
                    looking=self._looking,
                    storing=self._storing,
                    report=self.report,
                    lock=lock,
                )
                writing.run(crm_ids, decided=decided)
            creating.make(new, asked=self._asked)
            creating.give_keys()
        return self.report

    @contextmanager
    def _creating(self, lock: Lock) -> Iterator[Creating]:
        """The creates of the run, whose outcomes are counted also where it breaks off."""
        creating = Creating(
            self.order, store=self._store, source=self._source, crm=self._crm, looking=self._looking, back=self._back, lock=lock
        )
        try:
            yield creating
        finally:
            for told in creating.told:
                self.report.add(told)

    def _to_write(self, part: Chosen, *, asked: list[str]) -> Seen | None:
        """Store what of a part needs no write; what is decided about all others, None where there are none."""
        self.report.take(len(part.frame), others=part.others)
        with self.report.timed("decide"):
            looked = self._looking.at(part.frame)
        self._storing.found(looked)
        self._unlinked += looked.unlinked
        self._asked |= set(looked.unlinked) if part.others else set()
        if looked.seen is None:
            return None
        seen = looked.seen
        self._storing.unwritten(seen.take(~seen.brings))
        readings = seen.linked.readings[seen.brings]
        refused = refused_before(readings, self.order, asked=asked, store=self._store)
        self.report.add(refused)
        to_write = seen.brings & ~seen.linked.readings["crm_id"].isin(refused["crm_id"])
        return seen.take(to_write) if to_write.any() else None

    def _require_few(self, planned: int) -> None:
        """Raises TooManyChangesError where more records of QBench would change than may."""
        order = self.order
        with self._store.transaction() as connection:
            limit = self._policy.limit(count_links(connection, order.state))
        self.report.to_change, self.report.limit = planned, limit
        if planned > limit:
            records = MODELS[order.record.record_type].qbench_object
            raise TooManyChangesError(integration=order.integration, service=order.crm, records=records, planned=planned, limit=limit)
