"""Jobs that a CRM may still be carrying out, or has carried out unasked: those under way, and those of loads that ended.

A job is stored before it is given its rows, with all that is to be stored of them once it is over, and taken away with its results.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.model import Verb
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute, json_column

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_BEGIN = """
INSERT INTO crm_pipeline.write_job (integration, crm, record_type, job, verb, rows)
VALUES (:integration, :crm, :record_type, :job, :verb, CAST(:rows AS jsonb)) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, by its number here and the CRM's ``id``, with its rows, as lists by column.

    Per row, ``names``: by what the job tells of it; ``calls``: the number of its open call, None where it has an intent.
    """

    number: int
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
) -> int:
    """Store a job that is about to be given these rows (see StoredJob), and return its number here."""
    columns = {name: plain(rows[name]) for name in rows.columns}
    [content] = json_column(pd.Series([{"columns": columns, "names": names, "calls": calls}], dtype=object))
    said = {"job": job_id, "verb": str(verb), "rows": content}
    key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    number: int = execute(connection, _BEGIN, {**key, **said}).scalar_one()
    return number


def begun_jobs(connection: Connection, state: CrmState) -> list[StoredJob]:
    """The jobs whose results are not stored, in the order in which they were made."""
    statement = f"SELECT id, job, verb, CAST(rows AS text) FROM crm_pipeline.write_job WHERE {_KEY} ORDER BY id"
    found = execute(connection, statement, {"integration": state.integration, "crm": state.crm, "record_type": state.record_type})
    return [_stored(*row) for row in found]


def end_job(connection: Connection, number: int) -> None:
    """Forget a job: its results are stored with this."""
    connection.execute(text("DELETE FROM crm_pipeline.write_job WHERE id = :number"), {"number": number})


def _stored(number: int, job: str, verb: str, rows: str) -> StoredJob:
    said = json.loads(rows)
    return StoredJob(number, job, Verb(verb), said["columns"], said["names"], said["calls"])
