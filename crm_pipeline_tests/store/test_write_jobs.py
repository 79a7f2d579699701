"""How jobs are kept until their results are stored."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from sqlalchemy import Connection

from crm_pipeline.model import RecordType, Verb
from crm_pipeline.store import write_jobs
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.write_jobs import StoredJob, begin_job, begun_jobs, end_job

STATE = CrmState("acme", "salesforce", RecordType.CONTACT)
IDS = [1, 2, 3, 4, 5]


@pytest.fixture
def connection(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    monkeypatch.setattr(write_jobs, "ROWS_OF_A_PART", 2)
    with store.transaction() as connection:
        yield connection


def begun(connection: Connection, job_id: str) -> StoredJob:
    rows = pd.DataFrame({"qbench_id": IDS, "key": pd.Series(["a", None, "c", "d", "e"], dtype="str")})
    names, calls = ["v", "w", None, "y", "z"], [7, 7, 7, None, 8]
    begin_job(connection, STATE, job_id=job_id, verb=Verb.UPSERT, rows=rows, names=names, calls=calls)
    return StoredJob(job_id, Verb.UPSERT, {"qbench_id": IDS, "key": ["a", None, "c", "d", "e"]}, names, calls)


def stored(connection: Connection) -> list[int]:
    """How many rows each statement stored."""
    return [len(rows["names"]) for (rows,) in connection.exec_driver_sql("SELECT rows FROM crm_pipeline.write_job ORDER BY id")]


def test_job_that_is_stored_in_parts_is_read_as_one(connection: Connection) -> None:
    first, second = begun(connection, "7501"), begun(connection, "7502")
    assert stored(connection) == [2, 2, 1] * 2
    assert begun_jobs(connection, STATE) == [first, second]


def test_job_that_is_over_is_forgotten_with_all_its_parts_and_no_other_one(connection: Connection) -> None:
    begun(connection, "7501")
    second = begun(connection, "7502")
    end_job(connection, STATE, job_id="7501")
    assert begun_jobs(connection, STATE) == [second]
