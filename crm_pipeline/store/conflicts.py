"""The values that were written over though the other side did not know them. Both are kept here, for 30 days, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute_rows, json_column, time_column

KEPT_DAYS = 30

_SAVE = """
INSERT INTO crm_pipeline.conflict
  (integration, crm, record_type, run_id, qbench_id, crm_id, field, qbench_value, crm_value, qbench_digest, crm_digest, qbench_since,
   crm_since, winner, evidence)
SELECT :integration, :crm, :record_type, :run_id, *
FROM unnest(CAST(:ids AS bigint[]), CAST(:crm_ids AS text[]), CAST(:fields AS text[]), CAST(:qbench_values AS jsonb[]),
            CAST(:crm_values AS jsonb[]), CAST(:qbench_digests AS bigint[]), CAST(:crm_digests AS bigint[]),
            CAST(:qbench_since AS timestamptz[]), CAST(:crm_since AS timestamptz[]), CAST(:winners AS text[]), CAST(:evidence AS text[]))
ON CONFLICT (integration, crm, record_type, qbench_id, field, qbench_digest, crm_digest, crm_id) DO UPDATE
SET at = now(), winner = excluded.winner, evidence = excluded.evidence, qbench_since = excluded.qbench_since,
    crm_since = excluded.crm_since, run_id = excluded.run_id, restored_at = NULL
"""

_SOUGHT = """
FROM crm_pipeline.conflict
WHERE at >= now() - make_interval(days => :days) AND integration = ANY(:integrations) AND crm = coalesce(:crm, crm)
  AND record_type = coalesce(:record_type, record_type)
  AND (CAST(:qbench_ids AS bigint[]) IS NULL OR qbench_id = ANY(CAST(:qbench_ids AS bigint[])))
"""

_COLUMNS = """
integration, crm, record_type, id, qbench_id, crm_id, field, qbench_value, crm_value, qbench_digest, crm_digest, qbench_since, crm_since,
winner, evidence, run_id, at, restored_at
"""

_LATEST = f"SELECT {_COLUMNS} {_SOUGHT} ORDER BY at DESC, id DESC LIMIT :most"

_ONE = f"SELECT {_COLUMNS} FROM crm_pipeline.conflict WHERE id = :id AND at >= now() - make_interval(days => :days)"

_COUNT = f"""
SELECT integration, crm, record_type, field, winner, evidence, count(*) AS conflicts {_SOUGHT}
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY conflicts DESC, 1, 2, 3, 4, 5, 6
"""

_FORGET = "DELETE FROM crm_pipeline.conflict WHERE at < now() - make_interval(days => :days)"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict, as it is stored (schemas.CONFLICTS): ``id`` names it, ``run_id`` told it ``at`` this time.

    ``restored_at``: when a person had the loser's value put back; None where nobody had.
    """

    state: CrmState
    id: int
    qbench_id: int
    crm_id: str
    field: str
    qbench_value: Mapping[str, Any]
    crm_value: Mapping[str, Any]
    qbench_digest: int
    crm_digest: int
    qbench_since: datetime | None
    crm_since: datetime | None
    winner: str
    evidence: str
    run_id: str
    at: datetime
    restored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Which conflicts are meant: those of these integrations, and of one CRM, one record type or some QBench ids where they are named."""

    integrations: Sequence[str]
    crm: str | None = None
    record_type: str | None = None
    qbench_ids: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Alike:
    """How many conflicts of a field were decided alike."""

    state: CrmState
    field: str
    winner: str
    evidence: str
    conflicts: int


def forget_old_conflicts(connection: Connection) -> None:
    """Forget the conflicts that were kept long enough, of whichever integration."""
    connection.execute(text(_FORGET), {"days": KEPT_DAYS})


def save_conflicts(connection: Connection, state: CrmState, *, conflicts: pd.DataFrame, run_id: str) -> int:
    """Store conflicts (schemas.CONFLICTS), in the transaction that stores what was decided, before anything is written.

    One of the same two values of a field is told once. Those that are too old are forgotten.
    """
    if CONFLICTS.check(conflicts).empty:
        return 0
    forget_old_conflicts(connection)
    return execute_rows(
        connection,
        _SAVE,
        len(conflicts),
        **asdict(state),
        run_id=run_id,
        ids=plain(conflicts["qbench_id"]),
        crm_ids=plain(conflicts["crm_id"]),
        fields=plain(conflicts["field"]),
        qbench_values=json_column(conflicts["qbench_value"]),
        crm_values=json_column(conflicts["crm_value"]),
        qbench_digests=plain(conflicts["qbench_digest"]),
        crm_digests=plain(conflicts["crm_digest"]),
        qbench_since=time_column(conflicts["qbench_since"]),
        crm_since=time_column(conflicts["crm_since"]),
        winners=plain(conflicts["winner"]),
        evidence=plain(conflicts["evidence"]),
    )


def conflicts_told(connection: Connection, sought: Sought, *, most: int) -> list[Conflict]:
    """The latest conflicts, the newest first, and not those that are too old."""
    rows = connection.execute(text(_LATEST), {**_parameters(sought), "most": most})
    return [_conflict(*row) for row in rows]


def conflicts_counted(connection: Connection, sought: Sought) -> list[Alike]:
    """How many conflicts there are of each kind, the most frequent first."""
    rows = connection.execute(text(_COUNT), _parameters(sought))
    return [Alike(CrmState(row[0], row[1], RecordType(row[2])), *row[3:]) for row in rows]


def conflict_of(connection: Connection, conflict_id: int) -> Conflict | None:
    """The conflict of this id; None where there is none, or it is too old."""
    row = connection.execute(text(_ONE), {"id": conflict_id, "days": KEPT_DAYS}).first()
    return None if row is None else _conflict(*row)


def save_restored(connection: Connection, conflict_id: int) -> None:
    """Store that a person had the loser's value put back, now."""
    connection.execute(text("UPDATE crm_pipeline.conflict SET restored_at = now() WHERE id = :id"), {"id": conflict_id})


def _parameters(sought: Sought) -> dict[str, Any]:
    ids = None if sought.qbench_ids is None else list(sought.qbench_ids)
    return {**asdict(sought), "integrations": list(sought.integrations), "qbench_ids": ids, "days": KEPT_DAYS}


def _conflict(integration: str, crm: str, record_type: str, *columns: Any) -> Conflict:
    return Conflict(CrmState(integration, crm, RecordType(record_type)), *columns)
