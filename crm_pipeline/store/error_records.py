"""Which records stand with an error? All of them, some of each error, or their ids, by the latest outcome in either direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from sqlalchemy import Connection, ScalarResult, text

from crm_pipeline.errors import wanted_errors
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.standing import Direction, Standing, by_error

FRAME_ROWS = 5_000

ERROR_RECORDS = FrameSchema(
    "error_records",
    (
        Column("direction", "str", "to_crm, or from_crm: a change on its way home"),
        Column("crm", "str", "the CRM's name"),
        Column("record_type", "str", "account, contact or lead"),
        Column("qbench_id", "Int64", "QBench id; null of a change whose record is linked to none"),
        Column("crm_id", "str", "id of the CRM's record, null where there is none yet"),
        Column("outcome", "str", "skipped, deferred or failed"),
        Column("error_type", "str", "name of the record error"),
        Column("reason", "str", "codes, field names and ids, else null"),
        Column("attempts", "int64", "tries in a row that failed for a passing cause"),
        Column("at", "object", "when it was decided, a datetime"),
        Column("next_attempt_at", "object", "when it is tried again by itself, a datetime; null where it is not"),
    ),
)
"""A row for each record with an error."""

_MEANT = """
latest.integration = :integration AND latest.error_type IS NOT NULL
  AND (CAST(:crm AS text) IS NULL OR latest.crm = :crm) AND (CAST(:record_type AS text) IS NULL OR latest.record_type = :record_type)
  AND (CAST(:error_type AS text) IS NULL OR latest.error_type = :error_type)
"""
_TOLD = "latest.outcome, latest.error_type, latest.reason, latest.attempts, latest.at, latest.next_attempt_at"

_ERROR_RECORDS = f"""
SELECT 'to_crm' AS direction, latest.crm, latest.record_type, latest.qbench_id, link.crm_id, {_TOLD}
FROM crm_pipeline.outcome AS latest LEFT JOIN crm_pipeline.link ON link.integration = latest.integration AND link.crm = latest.crm
  AND link.record_type = latest.record_type AND link.qbench_id = latest.qbench_id
WHERE {_MEANT}
UNION ALL
SELECT 'from_crm', latest.crm, latest.record_type, latest.qbench_id, latest.crm_id, {_TOLD}
FROM crm_pipeline.change_outcome AS latest WHERE {_MEANT}
ORDER BY direction DESC, crm, record_type, error_type, qbench_id NULLS LAST, crm_id
"""

_OF_A_STATE = "integration = :integration AND crm = :crm AND record_type = :record_type AND error_type IS NOT NULL"
_CHOSEN = f"""
{_OF_A_STATE} AND (CAST(:error_type AS text) IS NULL OR error_type = :error_type)
  AND (CAST(:ids AS bigint[]) IS NULL OR qbench_id = ANY(:ids)) AND (NOT :wrong_only OR NOT error_type = ANY(:wanted))
"""
_TABLES: dict[Direction, tuple[str, str]] = {"to_crm": ("outcome", "qbench_id"), "from_crm": ("change_outcome", "crm_id")}
"""By direction, where its outcomes are, and what tells their records apart."""

_SAMPLES = """
SELECT sought.error_type, sample.id FROM unnest(CAST(:error_types AS text[])) AS sought (error_type),
LATERAL (
  SELECT {id} AS id FROM crm_pipeline.{table}
  WHERE {of_a_state} AND error_type = sought.error_type ORDER BY {id} LIMIT :most
) AS sample
"""


def error_records(
    connection: Connection,
    integration: str,
    *,
    crm: str | None = None,
    record_type: RecordType | None = None,
    error_type: str | None = None,
) -> Iterator[pd.DataFrame]:
    """The records of an integration with an error (ERROR_RECORDS), of one CRM, record type or error where it is named, frame by frame."""
    parameters = {"integration": integration, "crm": crm, "record_type": record_type, "error_type": error_type}
    result = connection.execute(text(_ERROR_RECORDS), parameters, execution_options={"yield_per": FRAME_ROWS})
    names = list(result.keys())
    for rows in result.partitions():
        yield ERROR_RECORDS.of_rows(names, rows)


def ids_with_error(
    connection: Connection, state: CrmState, *, error_type: str | None = None, ids: Sequence[int] | None = None
) -> list[int]:
    """QBench ids of the records of a state whose latest outcome names an error, in ascending order.

    ``error_type``: only those with this error; ``ids``: only these. Without either, all but those that are left out on purpose.
    """
    return list(_ids(connection, state, "to_crm", error_type=error_type, ids=ids))


def crm_ids_with_error(
    connection: Connection, state: CrmState, *, error_type: str | None = None, ids: Sequence[int] | None = None
) -> list[str]:
    """CRM ids of the records of which the latest change, on its way home, has an error; otherwise as ``ids_with_error``."""
    return list(_ids(connection, state, "from_crm", error_type=error_type, ids=ids))


def _ids(
    connection: Connection, state: CrmState, direction: Direction, *, error_type: str | None, ids: Sequence[int] | None
) -> ScalarResult[Any]:
    table, id_column = _TABLES[direction]
    parameters = {
        **asdict(state),
        "error_type": error_type,
        "ids": None if ids is None else list(ids),
        "wrong_only": error_type is None and ids is None,
        "wanted": sorted(wanted_errors()),
    }
    statement = f"SELECT {id_column} FROM crm_pipeline.{table} WHERE {_CHOSEN} ORDER BY {id_column}"
    return connection.execute(text(statement), parameters).scalars()


def sample_ids(
    connection: Connection,
    state: CrmState,
    standing: Iterable[Standing],
    *,
    direction: Direction,
    of_the_run: Mapping[str, Sequence[Any]],
    most: int = 5,
) -> dict[str, list[Any]]:
    """Some ids of the records with each error that any has: QBench's, of changes on their way home the CRM's.

    ``standing``: that of these records. ``of_the_run``: by error those of a run, which are told before others.
    """
    table, id_column = _TABLES[direction]
    errors = [name for name, total in by_error(standing).items() if total.records and len(of_the_run.get(name, ())) < most]
    parameters = {**asdict(state), "error_types": errors, "most": most}
    found = {name: list(ids[:most]) for name, ids in of_the_run.items()}
    for row in connection.execute(text(_SAMPLES.format(table=table, id=id_column, of_a_state=_OF_A_STATE)), parameters):
        ids = found.setdefault(row.error_type, [])
        if row.id not in ids and len(ids) < most:
            ids.append(row.id)
    return found
