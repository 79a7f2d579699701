"""Where are records that QBench failed to list? Kept until a later read of these times shows them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType
from crm_pipeline.store.staging import Window

_KEEP = """
INSERT INTO crm_pipeline.gap (integration, record_type, since, until)
SELECT :integration, :record_type, * FROM unnest(CAST(:since AS bigint[]), CAST(:until AS bigint[])) ON CONFLICT DO NOTHING
"""
_OPEN = """
SELECT since, until FROM crm_pipeline.gap WHERE integration = :integration AND record_type = :record_type
ORDER BY random() LIMIT :most
"""
_CLOSE = """
DELETE FROM crm_pipeline.gap
WHERE integration = :integration AND record_type = :record_type AND since = :since AND until = :until
"""


def keep_gaps(connection: Connection, integration: str, record_type: RecordType, *, windows: Sequence[Window]) -> None:
    """Store the times in which QBench failed to list a record; belongs in the transaction that stores how far the read came."""
    if windows:
        bounds = {"since": [window.since or 0 for window in windows], "until": [window.until for window in windows]}
        connection.execute(text(_KEEP), {"integration": integration, "record_type": record_type, **bounds})


def open_gaps(connection: Connection, integration: str, record_type: RecordType, *, most: int) -> list[Window]:
    """The times that are still to be read; of more than ``most``, others each time."""
    rows = connection.execute(text(_OPEN), {"integration": integration, "record_type": record_type, "most": most})
    return [Window(since=row.since, until=row.until) for row in rows]


def close_gap(connection: Connection, integration: str, record_type: RecordType, *, window: Window) -> None:
    """Forget a time that was read; belongs in a transaction behind the one that stages what was found."""
    connection.execute(text(_CLOSE), {"integration": integration, "record_type": record_type, **window.bounds})
