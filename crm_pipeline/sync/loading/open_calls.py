"""Which writes may still be carried out unseen? Notes each call of a load in the state before it is sent (docs/rules.md, 42)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ServiceError
from crm_pipeline.frames import blank, one_of, plain
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.open_calls import begin_calls, end_calls, forget_calls
from crm_pipeline.sync.loading.results import MAY_BE_STORED


@dataclass(frozen=True, slots=True)
class Sent:
    """Calls that are about to be sent at the same time: when, by our clock, and per row the number of its call (Int64).

    The number is null where nothing is stored of the call: what becomes of its rows their intents tell. ``job``: the CRM's id of
    the one that carries them.
    """

    began: datetime
    numbers: pd.Series
    job: str | None = None

    def of(self, rows: pd.Series) -> Sent:
        """The calls of some of the rows (bool, per row)."""
        return self if rows.all() else replace(self, numbers=self.numbers[rows].reset_index(drop=True))


@dataclass(frozen=True, slots=True)
class Answered:
    """Calls that are over, and what became of each of their rows (schemas.WRITE_RESULTS, in the rows' order).

    ``lost``: per row, whether an attempt of its call got no answer, so that the CRM may carry it out yet. ``error``: what the call,
    which is a single one, failed with; then nobody knows what it made. ``stops``: whether the load ends for that.
    """

    sent: Sent
    results: pd.DataFrame
    lost: pd.Series
    error: ServiceError | None = None
    stops: bool = False

    def of(self, rows: pd.Series) -> Answered:
        """The calls as far as some of the rows (bool, per row) are concerned."""
        results, lost = (part[rows].reset_index(drop=True) for part in (self.results, self.lost))
        return replace(self, sent=self.sent.of(rows), results=results, lost=lost)


class Watch:
    """The calls of one load. A call whose answer came is forgotten with its results; what is left is store.open_calls' matter."""

    def __init__(self, state: CrmState, crm: Crm) -> None:
        self._state = state
        self._crm = crm

    @property
    def may_last(self) -> timedelta:
        """For how long after a call began the CRM may carry it out."""
        return self._crm.call_lasts + self._crm.late_after

    @property
    def job_may_last(self) -> timedelta:
        """The same of a job."""
        return self._crm.job_lasts if isinstance(self._crm, JobsCrm) else self.may_last

    def begin(self, connection: Connection, rows: pd.DataFrame, *, calls: pd.Series, watched: pd.Series, lasts: timedelta) -> Sent:
        """Store that rows (plan.PLAN) are about to be sent, by calls that last so long at most.

        Per row: which of the ``calls`` carries it, and whether it is ``watched``.
        """
        began, stored = datetime.now(UTC), np.flatnonzero(watched)
        numbers = begin_calls(
            connection,
            self._state,
            calls=calls.iloc[stored].tolist(),
            ids=rows["qbench_id"].iloc[stored].tolist(),
            contents=rows["content"].iloc[stored].tolist(),
            parents=plain(rows["parent_crm_id"].iloc[stored]),
            lasts=lasts,
        )
        return Sent(began, pd.Series(numbers, index=rows.index[stored], dtype="Int64").reindex(rows.index))

    def end(self, connection: Connection, call: Answered) -> None:
        """Store that calls came back, with an answer or with an error.

        Rows of which nobody knows whether they were stored stay in doubt. Where an attempt got no answer, all rows of its call are
        watched until it must be over.
        """
        numbers, ids, lost = call.sent.numbers, call.results["qbench_id"], call.lost.to_numpy(dtype=bool)
        stored = ~blank(numbers)
        unsure = one_of(call.results["error_type"], MAY_BE_STORED) & (call.error is None or call.error.executed)
        for own, doubtful, over_after in ((lost, lost, self._crm.late_after), (~lost, unsure, timedelta(0))):
            if not own.any():
                continue
            calls = numbers[own & stored].unique().tolist()
            end_calls(connection, self._state, calls=calls, doubtful=ids[own & stored & doubtful].tolist(), over_after=over_after)

    def looked_at(self, connection: Connection, rows: pd.DataFrame) -> None:
        """Forget earlier calls that are over, of records (plan.PLAN) that were read since, and of which nothing is left to send."""
        read = rows.loc[rows["settled"].notna(), "qbench_id"].tolist()
        if read:
            forget_calls(connection, self._state, ids=read, with_accounts=False)

    def made_up_for(self, connection: Connection, answer: pd.DataFrame) -> None:
        """Forget earlier calls that are over, of records that were written since."""
        if written := answer["qbench_id"][blank(answer["error_type"])].tolist():
            forget_calls(connection, self._state, ids=written, with_accounts=True)
