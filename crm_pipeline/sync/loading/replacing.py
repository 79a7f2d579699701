"""What did the writes of a load replace in fields that come back? The CRM's history tells it afterwards (docs/rules.md, 50).

Between our last look at a record and the write there are seconds, and no CRM offers to write only if nothing changed. Each such write
is stored before its call, and forgotten with what the history told of it: whatever breaks off in between, a later load asks.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.abilities import VersionsCrm, clock_ahead_of
from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.frames import Flags, blank
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.schemas import REPLACING, VERSIONS
from crm_pipeline.store.conflicts import save_conflicts
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.raw_records import held
from crm_pipeline.store.replacing import forget_replacing, not_replaced, over_by_now, replaced, save_replacing, tell
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.results import MAY_BE_STORED
from crm_pipeline.sync.merging.overtaken import MOMENT, overtaken
from crm_pipeline.sync.order import objects_of

AT_ONCE = 1_000
"""Writes whose history is asked for together."""

OVERTAKEN = "overtaken: "
"""Begins what an outcome says of a field in which an edit was written over that nobody had seen."""


class Replacing:
    """The writes of one load, of a CRM that tells what fields held before; of another one, none is stored."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._state = job.order.state
        self._tells = isinstance(job.crm, VersionsCrm)

    def begin(self, connection: Connection, batch: WriteBatch, *, began: datetime, open_until: datetime) -> None:
        """Store what a call is about to replace (its rows are plan.PLAN)."""
        if not self._tells or not (there := _may_hold_something(batch.rows)).any():
            return
        settled = batch.take(there)
        rows = zip(settled.rows["object"], settled.rows["crm_id"], settled.rows["settled"], settled.payloads(), strict=True)
        found = [
            {
                **write,
                "object": name,
                "shown": write["crm_value"],
                "sent": {field: payload[field] for field in write["crm_value"] if field in payload},
                "read_at": one.kept.touched_at,
                "began_at": began,
            }
            for name, crm_id, one, payload in rows
            if one.crm_id == crm_id
            for write in one.replaced
        ]
        if found:
            writes = REPLACING.of_rows(REPLACING.names, [[row.get(name) for name in REPLACING.names] for row in found])
            save_replacing(connection, self._state, writes=writes, open_until=open_until)

    def answered(self, connection: Connection, rows: pd.DataFrame, answer: pd.DataFrame, *, began: datetime) -> None:
        """Store what became of the rows of the call which ``began`` then, by their results (schemas.WRITE_RESULTS)."""
        if self._tells and (there := _may_hold_something(rows)).any():
            answered(connection, self._state, rows.loc[there, "crm_id"], answer[there], began=began)

    def ask(self) -> None:
        """Ask what the writes replaced that are over, and store which edits they overtook. Raises the CRM's ServiceError."""
        if not self._tells or not self._job.order.units_back:
            return
        while True:
            with self._job.store.transaction() as connection:
                writes = over_by_now(connection, self._state, most=AT_ONCE)
            if writes.empty:
                return
            self._tell(writes)

    def _tell(self, writes: pd.DataFrame) -> None:
        job, state = self._job, self._state
        way = job.order.way_back(job.description.fields)
        known = writes[writes["field"].isin(list(way.units))].reset_index(drop=True)
        ahead = clock_ahead_of(job.crm)
        with job.report.timed("look back"):
            versions = self._versions(way, known, since=known["read_at"].min() - MOMENT + ahead) if len(known) else VERSIONS.empty()
        with job.report.timed("store"), job.store.transaction() as connection:
            raw = held(connection, state.integration, state.record_type, ids=known["qbench_id"].unique().tolist())
            lost = overtaken(way, known, versions, raw=raw, clock_ahead=ahead)
            save_conflicts(connection, state, conflicts=lost.reset_index(drop=True), run_id=job.order.run_id)
            named = lost.groupby("qbench_id")["field"].agg(lambda units: ", ".join(dict.fromkeys(units)))
            of = known.loc[lost.drop_duplicates("qbench_id").index]
            tell(connection, state, writes=of, notes=[OVERTAKEN + named[number] for number in of["qbench_id"]])
            forget_replacing(connection, writes)
        if len(named):
            job.report.notes["edited in the CRM just before our write; the values are conflicts"] += len(named)

    def _versions(self, way: WayBack, writes: pd.DataFrame, *, since: datetime) -> pd.DataFrame:
        """What the fields of these writes were given (schemas.VERSIONS)."""
        crm = self._job.crm
        if not isinstance(crm, VersionsCrm):
            return VERSIONS.empty()
        self._job.org_id  # noqa: B018 - proves that the links belong to the organization that is asked
        fields = [route.target.crm_field for unit in writes["field"].unique() for route in way.units[unit]]
        parts = [
            crm.versions(crm_object, writes.loc[rows, "crm_id"].unique().tolist(), fields, since=since)
            for crm_object, rows in objects_of(self._state, writes["object"])
        ]
        return pd.concat(parts, ignore_index=True)


def _may_hold_something(rows: pd.DataFrame) -> Flags:
    """Of which rows (plan.PLAN) a write may replace something, in fields that come back: what a create makes holds nothing yet."""
    return ~blank(rows["settled"]) & ~blank(rows["crm_id"])


def answered(connection: Connection, state: CrmState, crm_ids: pd.Series, answer: pd.DataFrame, *, began: datetime) -> None:
    """Store what became of these records by the call which ``began`` then, by their results (schemas.WRITE_RESULTS)."""
    refused = answer["error_type"].notna()
    replaced(connection, state, began=began, crm_ids=crm_ids[~refused], kept=answer.loc[~refused, "kept"])
    certain = refused & ~answer["error_type"].isin(MAY_BE_STORED)
    not_replaced(connection, state, began=began, crm_ids=crm_ids[certain].dropna().tolist())
