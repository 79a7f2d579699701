"""Says in QBench which records a CRM has deleted, where the integration asks for it: in a field, and never by a deletion.

The field is filled while the record of one CRM at least is deleted, and emptied once none is, whenever that is. Only what was filled here
is emptied: that it is about to be is stored before the call, so that a crash forgets none. What QBench does not take is not written again
until the CRM's record is another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import UnaccountedException, record_errors
from crm_pipeline.mapping.deletion_keys import Flag
from crm_pipeline.model import Outcome
from crm_pipeline.schemas import CHANGE_OUTCOMES, RAW, SOURCE_CHANGES
from crm_pipeline.source import WritableSource
from crm_pipeline.store.change_outcomes import change_outcomes, save_change_outcomes
from crm_pipeline.store.database import Store
from crm_pipeline.store.flags import count_linked, flagged
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.order import LoadOrder

FOR_GOOD = [name for name, error in record_errors().items() if not error.retryable]
"""Why a field is not written again."""

logger = logging.getLogger(__name__)


class Flagging:
    """One run over the records of one type. What it did, its attributes say, also after ``run`` raised.

    ``order``: a load's into any CRM; of it only what it says of the integration counts. ``set`` and ``cleared``: QBench ids of the
    records whose field was filled, and emptied. ``refused``: of those where QBench did not take it. ``too_many``: of all that were to
    be filled, if they are more than the policy lets be gone at once; then nothing is filled.
    """

    def __init__(
        self, order: LoadOrder, flag: Flag, *, policy: LinkPolicy, store: Store, source: WritableSource, back: ComingBack = NOTHING
    ) -> None:
        self.set: list[int] = []
        self.cleared: list[int] = []
        self.refused: list[int] = []
        self.too_many: list[int] = []
        self._order = order
        self._flag = flag
        self._policy = policy
        self._store = store
        self._source = source
        self._back = back

    def run(self) -> None:
        """Write what differs. Raises the ServiceError or ConfigurationError that stopped it; what is written stays."""
        todo = self._to_write()
        if todo.empty:
            return
        size = self._source.longest_batch
        with reading(self._source, integration=self._order.integration, store=self._store):
            try:
                for start in range(0, len(todo), size):
                    self._write(todo.iloc[start : start + size].reset_index(drop=True))
            finally:
                written = [*self.set, *self.cleared]
                normalize_named(self._store, self._order.integration, self._order.record, ids=written, reading=self._order.reading)

    def _to_write(self) -> pd.DataFrame:
        """The records (store.flags.FLAGGED) of which the field says otherwise than it is."""
        order, flag = self._order, self._flag
        with self._store.transaction() as connection:
            found = flagged(connection, order.integration, order.state.record_type, field=flag.field, reasons=self._reasons)
            limit = self._policy.limit(count_linked(connection, order.integration, order.state.record_type)) if len(found) else 0
        says = pd.Series([_same(shown, flag.value) for shown in found["shown"]], index=found.index, dtype="bool")
        todo = self._not_refused(found[found["gone"].ne(says)])
        fresh = todo["gone"]
        if fresh.sum() > limit:
            self.too_many = todo.loc[fresh, "qbench_id"].tolist()
            todo = todo[~fresh]
        return todo.reset_index(drop=True)

    def _not_refused(self, rows: pd.DataFrame) -> pd.DataFrame:
        left = pd.Series(False, index=rows.index)
        for crm, of_crm in rows.groupby("crm"):
            with self._store.transaction() as connection:
                latest = change_outcomes(connection, replace(self._order.state, crm=str(crm)), crm_ids=of_crm["crm_id"].tolist())
            refused = latest[latest["reason"].isin(self._reasons) & latest["error_type"].isin(FOR_GOOD)]
            left |= rows["crm"].eq(crm) & rows["crm_id"].isin(refused["crm_id"])
        return rows[~left]

    @property
    def _reasons(self) -> tuple[str, str]:
        """Of outcomes that tell of a field that was filled, and of one that was emptied."""
        return f"flag: {self._flag.field}", f"flag cleared: {self._flag.field}"

    def _write(self, rows: pd.DataFrame) -> None:
        order, record_type = self._order, self._order.state.record_type
        values = pd.Series([{self._flag.field: self._flag.value if gone else None} for gone in rows["gone"]], dtype=object)
        with self._store.transaction() as connection:
            self._save(connection, rows, rows.assign(error_type=UnaccountedException.__name__))
        answer = self._source.change(record_type, SOURCE_CHANGES.build({"qbench_id": rows["qbench_id"], "values": values}))
        results = answer.set_index("qbench_id").reindex(rows["qbench_id"]).reset_index()
        taken = results["error_type"].isna()
        there = results[results["content"].notna() & results["version"].notna()].reset_index(drop=True)
        with self._store.transaction() as connection:
            frame = RAW.build(there[[name for name in RAW.names if name in there]])
            stage(connection, order.integration, record_type, frame=frame, source=self._source, back=self._back, late=True)
            self._save(connection, rows, results)
        self.set += rows.loc[taken & rows["gone"], "qbench_id"].tolist()
        self.cleared += rows.loc[taken & ~rows["gone"], "qbench_id"].tolist()
        self.refused += rows.loc[~taken, "qbench_id"].tolist()
        logger.info(
            "%s %ss: said in QBench of %d records whether a CRM deleted them; it did not take %d",
            order.integration,
            record_type,
            int(taken.sum()),
            int((~taken).sum()),
        )

    def _save(self, connection: Connection, rows: pd.DataFrame, results: pd.DataFrame) -> None:
        """Store what became of the records by their errors (schemas.SOURCE_RESULTS), by CRM."""
        for crm, outcomes in self._outcomes(rows, results):
            save_change_outcomes(connection, replace(self._order.state, crm=crm), outcomes=outcomes, attempt=self._order.attempt)

    def _outcomes(self, rows: pd.DataFrame, results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """What became of the records (schemas.CHANGE_OUTCOMES), by CRM."""
        errors = [None if pd.isna(name) else record_errors()[name] for name in results["error_type"]]
        told = pd.DataFrame(
            {
                "crm": rows["crm"],
                "crm_id": rows["crm_id"],
                "qbench_id": rows["qbench_id"],
                "outcome": [str(Outcome.UPDATED if error is None else error.outcome) for error in errors],
                "error_type": results["error_type"],
                "reason": [self._reasons[not gone] for gone in rows["gone"]],
                "waits_on": [None if error is None else str(error.waits_on) for error in errors],
                "retryable": False,
            }
        )
        for crm, of_crm in told.groupby("crm"):
            yield str(crm), CHANGE_OUTCOMES.build(of_crm.drop(columns="crm").reset_index(drop=True))


def _same(shown: object, value: object) -> bool:
    """Whether a field holds the flag's value; QBench may write it in another case, or as text."""
    return shown is not None and str(shown).strip().casefold() == str(value).strip().casefold()
