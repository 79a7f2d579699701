"""Jobs that a CRM may still be carrying out, or has carried out unasked: those under way, and those of loads that ended.

A job is stored before it is given its rows, with all that is to be stored of them once it is over, and taken away with its results.
Its rows lie in parts: a connection keeps room for its largest statement for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import plain
from crm_pipeline.model import Verb
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute, json_column

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_BEGIN = """
INSERT INTO crm_pipeline.write_job (integration, crm, record_type, job, verb, rows)
VALUES (:integration, :crm, :record_type, :job, :verb, CAST(:rows AS jsonb))
"""

ROWS_OF_A_PART = 2_000


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, by the CRM's ``id``, with its rows, as lists by column.

    Per row, ``names``: by what the job tells of it; ``calls``: the number of its open call, None where it has an intent.
    """

    id: str
    verb: Verb
    columns: dict[str, list[Any]]
    names: list[str | None]
    calls: list[int | None]


def begin_job(
    connection: Connection,
    state: CrmState,
    *,
    job_id: str,
    verb: Verb,
    rows: pd.DataFrame,
    names: list[str | None],
    calls: list[int | None],
) -> None:
    """Store a job that is about to be given these rows (see StoredJob)."""
    for start in range(0, len(rows), ROWS_OF_A_PART):
        part = slice(start, start + ROWS_OF_A_PART)
        columns = {name: plain(rows[name].iloc[part]) for name in rows.columns}
        [content] = json_column([{"columns": columns, "names": names[part], "calls": calls[part]}])
        execute(connection, _BEGIN, {**asdict(state), "job": job_id, "verb": str(verb), "rows": content})


def begun_jobs(connection: Connection, state: CrmState) -> list[StoredJob]:
    """The jobs whose results are not stored, in the order in which they were made."""
    statement = f"SELECT job, verb, CAST(rows AS text) FROM crm_pipeline.write_job WHERE {_KEY} ORDER BY id"
    found = execute(connection, statement, asdict(state))
    return [_stored(job, verb, [json.loads(rows) for *_, rows in parts]) for (job, verb), parts in groupby(found, key=itemgetter(0, 1))]


def end_job(connection: Connection, state: CrmState, *, job_id: str) -> None:
    """Forget a job: its results are stored with this."""
    execute(connection, f"DELETE FROM crm_pipeline.write_job WHERE {_KEY} AND job = :job", {**asdict(state), "job": job_id})


def _stored(job_id: str, verb: str, parts: Sequence[dict[str, Any]]) -> StoredJob:
    columns = {name: _joined(part["columns"][name] for part in parts) for name in parts[0]["columns"]}
    return StoredJob(job_id, Verb(verb), columns, *(_joined(part[name] for part in parts) for name in ("names", "calls")))


def _joined(lists: Iterable[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))
