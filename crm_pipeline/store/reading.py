"""How far a read of QBench has come, so that an interrupted one resumes where it stopped."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType
from crm_pipeline.store.staging import Window


@dataclass(frozen=True, slots=True)
class Progress:
    """``position``: version up to which everything is staged; ``rows``: records staged so far by this read."""

    position: int
    rows: int


_KEY = "integration = :integration AND record_type = :record_type AND since = :since AND until = :until"


def _key(integration: str, record_type: RecordType, window: Window) -> dict[str, object]:
    return {"integration": integration, "record_type": record_type, "since": window.since or 0, "until": window.until}


def interrupted_at(connection: Connection, integration: str, record_type: RecordType, *, window: Window) -> Progress | None:
    """How far an interrupted read of this window came; None when there is none."""
    statement = text(f"SELECT position, rows FROM crm_pipeline.reading WHERE {_KEY}")
    row = connection.execute(statement, _key(integration, record_type, window)).one_or_none()
    return None if row is None else Progress(position=row.position, rows=row.rows)


def save_progress(connection: Connection, integration: str, record_type: RecordType, *, window: Window, progress: Progress) -> None:
    """Store how far the read has come; belongs in the transaction that stages the rows."""
    statement = text(
        "INSERT INTO crm_pipeline.reading (integration, record_type, since, until, position, rows) "
        "VALUES (:integration, :record_type, :since, :until, :position, :rows) "
        "ON CONFLICT (integration, record_type, since, until) DO UPDATE "
        "SET position = excluded.position, rows = excluded.rows, updated_at = now()"
    )
    key = _key(integration, record_type, window)
    connection.execute(statement, {**key, "position": progress.position, "rows": progress.rows})


def finish(connection: Connection, integration: str, record_type: RecordType, *, window: Window) -> None:
    """Forget the progress of a finished read."""
    connection.execute(text(f"DELETE FROM crm_pipeline.reading WHERE {_KEY}"), _key(integration, record_type, window))


def is_being_read_first(connection: Connection, integration: str, record_type: RecordType) -> bool | None:
    """Whether the read from the beginning of time is under way or was interrupted; None where nothing is staged yet."""
    statement = text(
        "SELECT EXISTS (SELECT FROM crm_pipeline.reading WHERE integration = :integration AND record_type = :record_type AND since = 0), "
        "EXISTS (SELECT FROM crm_pipeline.raw_record WHERE integration = :integration AND record_type = :record_type)"
    )
    under_way, staged = connection.execute(statement, {"integration": integration, "record_type": record_type}).one()
    return True if under_way else False if staged else None
