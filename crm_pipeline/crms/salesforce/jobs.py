"""Writes many rows by one ingest job of Bulk API 2.0, and accounts for each by what the job tells of it.

Source: "Bulk API 2.0 and Bulk API Developer Guide". A job takes its rows in one request, as users report; what it saved stays, however it
ends, and what it has not come to it never will. No header of it speaks of duplicate or assignment rules ("Headers"). Assumed, because the
guide does not say it: no assignment rule runs where the job names none; and the form of ``sf__Error``, ``CODE:message:fields --``, as
users report it.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import pandas as pd
from simple_salesforce.api import Salesforce
from simple_salesforce.util import call_salesforce

from crm_pipeline.contracts import ANYTHING
from crm_pipeline.counting import counted
from crm_pipeline.crms.batch import WriteBatch, WriteJob, WriteResult
from crm_pipeline.crms.salesforce.contracts import JOB, JOB_STATE
from crm_pipeline.crms.salesforce.errors import LIMIT_CODES, RowsDoubtedError, RowsRefusedError, may_be_of_the_call, read_problem
from crm_pipeline.crms.salesforce.ids import long_id
from crm_pipeline.crms.salesforce.job_rows import CREATED, ERROR, RECORD, cells_of, csv_of, fit, most_bytes, names_of, rows_in
from crm_pipeline.crms.salesforce.results import Answer, is_limited, refused
from crm_pipeline.crms.salesforce.rows import rows_of
from crm_pipeline.crms.salesforce.writing import Writer
from crm_pipeline.errors import CrmFailsOnRecordException, RecordLockedException, ServiceError, ServiceUnavailableError
from crm_pipeline.model import Verb
from crm_pipeline.schemas import WRITE_RESULTS

logger = logging.getLogger(__name__)

JOBS = "jobs/ingest"
LARGEST_BYTES = 100_000_000
"""Of a job's content; 150 MB once it is encoded in base64 ("Limits")."""
OVER = frozenset({"JobComplete", "Failed", "Aborted"})
OPERATIONS: Mapping[Verb, str] = MappingProxyType({Verb.CREATE: "insert", Verb.UPSERT: "upsert", Verb.UPDATE: "update"})
LONGEST_WAIT = 30.0
"""Seconds between two looks at a job; they grow up to that by half."""
_ERROR = re.compile(r"([A-Za-z_]+):(.*?):([\w, .]*?) ?--", re.DOTALL)
_FORGOTTEN = "NOT_FOUND"
TOLD = [RECORD, CREATED, ERROR]
"""What a job's results add to the columns that it was given."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one object. ``lasts``: seconds after which a job that is not over is aborted; ``first_wait``: before its first look."""

    writer: Writer
    lasts: float
    first_wait: float

    def fitting(self, batch: WriteBatch) -> int:
        """How many rows of a batch of one verb, from its first, are no larger than a job may be."""
        rows = len(batch)
        while rows > 1 and (parts := math.ceil(self._bytes(batch.slice(0, rows)) / LARGEST_BYTES)) > 1:
            rows = math.ceil(rows / parts)
        return rows

    def open(self, batch: WriteBatch) -> WriteJob | None:
        """Make a job without rows for a batch of one verb that fits; None where it can carry none of its rows."""
        verb = Verb(batch.rows["verb"].iat[0])
        cells = cells_of(batch, verb, key_field=self.writer.key_field)
        suitable = fit(cells, batch)
        if not suitable.any():
            return None
        key = {"externalIdFieldName": self.writer.key_field} if verb is Verb.UPSERT else {}
        asked = {"object": self.writer.sobject, "operation": OPERATIONS[verb], "contentType": "CSV", "lineEnding": "LF", **key}
        self.writer.transport.ensure_reserve()
        made = self._call("POST", JOBS, json=asked, holds=JOB)
        logger.info(
            "integration %s: job %s is to %s %s of %s",
            self.writer.transport.integration,
            made["id"],
            OPERATIONS[verb],
            counted(int(suitable.sum()), "record"),
            self.writer.sobject,
        )
        names = names_of(cells[suitable], verb, key_field=self.writer.key_field).reindex(cells.index)
        return WriteJob(made["id"], verb, names)

    def carry_out(self, batch: WriteBatch, job: WriteJob) -> pd.DataFrame:
        """Give the job its rows, wait for its end, and account for them (schemas.WRITE_RESULTS).

        Raises a ServiceError that ends the load while it is not known what the job did.
        """
        try:
            self._give(job, csv_of(cells_of(batch, job.verb, key_field=self.writer.key_field)[job.names.notna()]))
            told = self._results(job, self._ended(job))
        except ServiceError as error:
            raise self._under_way(job, error) from error
        saved = self._saved(batch.rows, job, told)
        why = job.names.map(told[ERROR])
        refusals = self._refused(batch.take(why.notna()), why.dropna(), saved=len(saved))
        again = job.names.isna() | job.names.isin(told.index[told[RECORD].isna() & told[ERROR].isna()])
        told_why = WRITE_RESULTS.of_rows(WriteResult._fields, [answer.result() for answer in refusals])
        return _together(saved, told_why, _again(batch.rows[again]))

    def take_up(self, rows: pd.DataFrame, job: WriteJob) -> pd.DataFrame | None:
        """What the job of an interrupted run did with these rows (schemas.WRITE_ROWS), as WRITE_RESULTS; None where it is forgotten.

        One that was not closed is aborted. What was not saved is to go again, by whoever plans it.
        """
        try:
            state = self._state(job)
            if state["state"] == "Open":
                self._abort(job)
            told = self._results(job, self._ended(job))
        except RowsDoubtedError as refusal:
            if refusal.problem.code == _FORGOTTEN:
                return None
            raise self._under_way(job, refusal) from refusal
        except ServiceError as error:
            raise self._under_way(job, error) from error
        return _together(self._saved(rows, job, told), _again(rows[job.names.isna() | job.names.isin(told.index[told[RECORD].isna()])]))

    # --- the job

    def _bytes(self, batch: WriteBatch) -> int:
        cells = cells_of(batch, Verb(batch.rows["verb"].iat[0]), key_field=self.writer.key_field)
        most = most_bytes(cells)
        return most if most <= LARGEST_BYTES else len(csv_of(cells[fit(cells, batch)]))

    def _give(self, job: WriteJob, content: bytes) -> None:
        """Upload the rows and close the job. What was done already by a request without an answer is not done again."""
        attempts = 0

        def put(client: Salesforce) -> Any:
            nonlocal attempts
            attempts += 1
            return _send(client, method="PUT", path=f"{JOBS}/{job.id}/batches", data=content)

        try:
            self.writer.transport.call(put, label=self.writer.label, holds=ANYTHING)
        except RowsRefusedError:
            if attempts == 1:
                raise
        try:
            self._call("PATCH", f"{JOBS}/{job.id}", json={"state": "UploadComplete"}, holds=JOB)
        except RowsRefusedError:
            if self._state(job)["state"] == "Open":
                raise

    def _ended(self, job: WriteJob) -> Mapping[str, Any]:
        """The job's state once it is over; one that lasts too long is aborted."""
        until, wait = time.monotonic() + self.lasts, self.first_wait
        while (state := self._state(job))["state"] not in OVER:
            if time.monotonic() > until:
                self._abort(job)
            time.sleep(wait)
            wait = min(1.5 * wait, LONGEST_WAIT)
        return state

    def _state(self, job: WriteJob) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self._call("GET", f"{JOBS}/{job.id}", holds=JOB_STATE)
        return state

    def _abort(self, job: WriteJob) -> None:
        try:
            self._call("PATCH", f"{JOBS}/{job.id}", json={"state": "Aborted"}, holds=JOB)
        except RowsRefusedError:
            if self._state(job)["state"] not in OVER:
                raise

    def _results(self, job: WriteJob, state: Mapping[str, Any]) -> pd.DataFrame:
        """What the job tells of its rows, by their names: sf__Id and sf__Created of those saved, sf__Error of those refused.

        Those that it did not come to have nulls alone.
        """
        processed, failed, given = state["numberRecordsProcessed"], state["numberRecordsFailed"], job.names.dropna()
        key_field = self._key_field_of(state)
        columns, parts = _columns(job, key_field), []
        if processed > failed:
            parts.append(self._told(job, "successfulResults", RECORD, CREATED, named=columns))
        if failed:
            parts.append(self._told(job, "failedResults", ERROR, named=columns))
        if processed and state["state"] != "JobComplete" and sum(map(len, parts)) < len(given):
            parts.append(self._told(job, "unprocessedrecords", named=columns))
        if not processed and state["state"] != "JobComplete":
            # It came to none of its rows, whether it was given them or not.
            return pd.DataFrame(index=given, columns=TOLD, dtype="str")
        told = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*TOLD, *columns], dtype="str")
        names = names_of(told.drop(columns=TOLD).fillna(""), job.verb, key_field=key_field)
        return told[TOLD].set_axis(pd.Index(names)).loc[lambda found: ~found.index.duplicated()]

    def _told(self, job: WriteJob, which: str, *needed: str, named: tuple[str, ...]) -> pd.DataFrame:
        """The rows of one result, with nulls for what it does not tell; ``named``: the columns by which rows are named."""
        ask = partial(_send, method="GET", path=f"{JOBS}/{job.id}/{which}")
        content = self.writer.transport.call(ask, label=self.writer.label, holds=ANYTHING)
        wanted = (*needed, *named)
        try:
            found = rows_in(content, columns=None if job.verb is Verb.CREATE else wanted)
        except ValueError:
            found = pd.DataFrame()
        if missing := [name for name in wanted if name not in found.columns]:
            raise self.writer.transport.unexpected(f"tells the {which} of a job without {', '.join(missing)}")
        nothing = {name: None for name in TOLD if name not in needed}
        return found.assign(**nothing)

    def _key_field_of(self, state: Mapping[str, Any]) -> str | None:
        """The external key that a job was made with: the integration may have another one by now, or none."""
        own, told = self.writer.key_field, state.get("externalIdFieldName")
        return own if not isinstance(told, str) or (own or "").casefold() == told.casefold() else told

    # --- what became of its rows

    def _saved(self, rows: pd.DataFrame, job: WriteJob, told: pd.DataFrame) -> pd.DataFrame:
        """The results of the rows that were saved; where two rows are told one record, or an update another one, they have none."""
        crm_id = job.names.map(told[RECORD]).map(_long)
        right = crm_id.notna() & ~crm_id.duplicated(keep=False)
        if job.verb is Verb.UPDATE:
            right &= crm_id.eq(rows["crm_id"].map(_long))
        new = job.names.map(told[CREATED]).str.lower().eq("true") if job.verb is Verb.UPSERT else job.verb is Verb.CREATE
        result = {"qbench_id": rows["qbench_id"], "crm_id": crm_id, "created": new, "parent_sent": rows["parent_crm_id"].notna()}
        return pd.DataFrame(result)[right]

    def _refused(self, batch: WriteBatch, why: pd.Series, *, saved: int) -> list[Answer]:
        """What became of refused rows. One that may have failed for another row's sake goes again, with fewer others."""
        answers = []
        for row, text in zip(rows_of(batch.writes()), why, strict=True):
            problem = read_problem(_entries(text), sobject=self.writer.sobject)
            if may_be_of_the_call(problem, saved=saved):
                answers.append(Answer(row, error=RecordLockedException, problem=problem))
            elif saved and problem.code in LIMIT_CODES:
                answers.append(Answer(row, error=CrmFailsOnRecordException, problem=problem))
            else:
                answers.append(refused(row, problem))
        if limited := next(filter(is_limited, answers), None):
            self.writer.transport.limit_reached(f"a limit of the organization is used up: {limited.problem.code}")
        return self.writer.settle(answers)

    # --- requests

    def _call(self, method: str, path: str, *, holds: Any, **more: Any) -> Any:
        ask = partial(Salesforce.restful, path=path, method=method, **more)
        return self.writer.transport.call(ask, label=self.writer.label, holds=holds)

    def _under_way(self, job: WriteJob, error: ServiceError) -> ServiceError:
        """The error that ends a load whose job is not settled: the next one asks the job first, before anything is sent again."""
        return ServiceUnavailableError(
            f"job {job.id} is not known to be over ({error}); the next load asks for it first",
            integration=error.integration,
            service=error.service,
            code=error.code,
            wait_seconds=LONGEST_WAIT,
        )


def _send(client: Salesforce, *, method: str, path: str, **more: Any) -> bytes:
    headers = {**client.headers, "Content-Type": "text/csv; charset=UTF-8", "Accept": "text/csv"}
    content: bytes = call_salesforce(f"{client.base_url}{path}", method, client.session, headers, **more).content
    return content


def _columns(job: WriteJob, key_field: str | None) -> tuple[str, ...]:
    """The columns by which rows are named; of creates without a key all are."""
    return {Verb.UPDATE: ("Id",), Verb.UPSERT: (str(key_field),)}.get(job.verb, ())


def _entries(text: str) -> list[dict[str, Any]]:
    """An ``sf__Error`` as the errors of a row that a collection tells."""
    found = _ERROR.match(text)
    if found is None:
        return [{"statusCode": text.partition(":")[0], "message": text}]
    code, message, fields = found.groups()
    return [{"statusCode": code, "message": message, "fields": [name.strip() for name in fields.split(",") if name.strip()]}]


def _long(record_id: object) -> str | None:
    return long_id(record_id) if isinstance(record_id, str) and record_id else None


def _together(*parts: pd.DataFrame) -> pd.DataFrame:
    built = [WRITE_RESULTS.build(part) for part in parts if len(part)]
    return pd.concat(built, ignore_index=True) if built else WRITE_RESULTS.empty()


def _again(rows: pd.DataFrame) -> pd.DataFrame:
    """The results of rows that were certainly not saved, and may go again at once."""
    return pd.DataFrame({"qbench_id": rows["qbench_id"], "error_type": RecordLockedException.__name__})
