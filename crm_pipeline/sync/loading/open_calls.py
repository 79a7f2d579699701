"""Which writes may still be carried out unseen? Notes each call of a load in the state before it is sent (docs/rules.md, 42)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ServiceError
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.open_calls import begin_call, end_call, forget_calls
from crm_pipeline.store.rows import column
from crm_pipeline.sync.loading.results import MAY_BE_STORED


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that is about to be sent: its number, null where nothing was stored of it, and when it begins, by our clock."""

    number: int | None
    began: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that is over, and what became of each of its rows (schemas.WRITE_RESULTS, in the rows' order).

    ``lost``: whether one of its attempts got no answer, so that the CRM may carry it out yet. ``error``: what it failed with; then
    nobody knows what it made. ``stops``: whether the load ends for that.
    """

    sent: Sent
    results: pd.DataFrame
    lost: bool = False
    error: ServiceError | None = None
    stops: bool = False


class Watch:
    """The calls of one load. A call whose answer came is forgotten with its results; what is left is store.open_calls' matter."""

    def __init__(self, state: CrmState, crm: Crm) -> None:
        self._state = state
        self._crm = crm

    @property
    def may_last(self) -> timedelta:
        """For how long after a call began the CRM may carry it out."""
        return self._crm.call_lasts + self._crm.late_after

    def begin(self, connection: Connection, rows: pd.DataFrame, *, began: datetime) -> Sent:
        """Store that these rows (plan.PLAN) are about to be sent; nothing where there are none."""
        if rows.empty:
            return Sent(None, began)
        lasts = self.may_last
        ids, contents = rows["qbench_id"].tolist(), rows["content"].tolist()
        number = begin_call(connection, self._state, ids=ids, contents=contents, parents=column(rows["parent_crm_id"]), lasts=lasts)
        return Sent(number, began)

    def end(self, connection: Connection, call: Answered) -> None:
        """Store that a call came back, with an answer or with an error.

        Rows of which nobody knows whether they were stored stay in doubt. Where an attempt got no answer, all of them are
        watched until it must be over.
        """
        number, ids = call.sent.number, call.results["qbench_id"]
        if number is None:
            return
        if call.lost:
            end_call(connection, call=number, doubtful=ids.tolist(), over_after=self._crm.late_after)
        else:
            doubtful = call.results["error_type"].isin(MAY_BE_STORED) & (call.error is None or call.error.executed)
            end_call(connection, call=number, doubtful=ids[doubtful].tolist(), over_after=timedelta(0))

    def looked_at(self, connection: Connection, rows: pd.DataFrame) -> None:
        """Forget earlier calls that are over, of records (plan.PLAN) that were read since, and of which nothing is left to send."""
        read = rows.loc[rows["settled"].notna(), "qbench_id"].tolist()
        if read:
            forget_calls(connection, self._state, ids=read)

    def made_up_for(self, connection: Connection, answer: pd.DataFrame) -> None:
        """Forget earlier calls that are over, of records that were written since."""
        forget_calls(connection, self._state, ids=answer.loc[answer["error_type"].isna(), "qbench_id"].tolist())
