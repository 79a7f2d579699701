"""The values that were written over though the other side did not know them. Both are kept here, for 30 days, and nowhere else."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import column, execute_rows, json_column, time_column

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

_FORGET = "DELETE FROM crm_pipeline.conflict WHERE at < now() - make_interval(days => :days)"


def save_conflicts(connection: Connection, state: CrmState, *, conflicts: pd.DataFrame, run_id: str) -> int:
    """Store conflicts (schemas.CONFLICTS), in the transaction that stores what was decided, before anything is written.

    One of the same two values of a field is told once. Those that are too old are forgotten.
    """
    if CONFLICTS.check(conflicts).empty:
        return 0
    connection.execute(text(_FORGET), {"days": KEPT_DAYS})
    return execute_rows(
        connection,
        _SAVE,
        len(conflicts),
        **asdict(state),
        run_id=run_id,
        ids=column(conflicts["qbench_id"]),
        crm_ids=column(conflicts["crm_id"]),
        fields=column(conflicts["field"]),
        qbench_values=json_column(conflicts["qbench_value"]),
        crm_values=json_column(conflicts["crm_value"]),
        qbench_digests=column(conflicts["qbench_digest"]),
        crm_digests=column(conflicts["crm_digest"]),
        qbench_since=time_column(conflicts["qbench_since"]),
        crm_since=time_column(conflicts["crm_since"]),
        winners=column(conflicts["winner"]),
        evidence=column(conflicts["evidence"]),
    )
