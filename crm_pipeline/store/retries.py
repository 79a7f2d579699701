"""Which hours hold records that are tried again by themselves, and when? Per CRM, over all record types."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch

OPEN_HOURS = FrameSchema(
    "open_hours",
    (
        Column("crm", "str", "the CRM's name"),
        Column("hour", "int64", "start of the hour in which the records' versions lie, Unix seconds"),
        Column("due", "bool", "the time of at least one record's next attempt has come"),
        Column("attempt", "str", "changes with every attempt of one of the records"),
    ),
)

_HOUR = "staged.version - staged.version % 3600"

_OPEN = f"""
SELECT waiting.crm, {_HOUR} AS hour, bool_or(waiting.next_attempt_at <= now()) AS due,
       to_char(max(waiting.next_attempt_at) AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') AS attempt
FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged USING (integration, record_type, qbench_id, version)
WHERE waiting.integration = :integration AND waiting.next_attempt_at IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""

_HOURS_OF = f"""
SELECT DISTINCT {_HOUR} FROM crm_pipeline.normalized_record AS staged
WHERE integration = :integration AND record_type = :record_type AND qbench_id = ANY(:ids)
"""


def open_hours(connection: Connection, integration: str) -> pd.DataFrame:
    """The hours with records that failed for a passing cause (OPEN_HOURS); a record edited meanwhile belongs to its new hour."""
    return fetch(connection, _OPEN, {"integration": integration}, OPEN_HOURS)


def hours_of(connection: Connection, state: CrmState, *, ids: list[int]) -> set[int]:
    """The hours (Unix seconds) in which the staged versions of these QBench ids lie."""
    parameters = {"integration": state.integration, "record_type": state.record_type, "ids": ids}
    return set(connection.execute(text(_HOURS_OF), parameters).scalars())
