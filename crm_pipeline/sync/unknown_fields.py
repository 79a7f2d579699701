"""Does QBench have the fields that the mapping and its rules name? A misspelt field is just blank in every record."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from crm_pipeline.mapping.sources import named_fields
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import READ
from crm_pipeline.store.raw_fields import absent_fields


def unknown_fields(connection: Connection, integration: str, record: RecordSpec, *, newest: int | None = None) -> list[str]:
    """The QBench fields, as the YAML names them, that no staged record has; of the ``newest`` records, or of all.

    It may also be a field that QBench leaves out of records without a value, if it does so (not documented).
    """
    found: list[str] = []
    for record_type in READ:
        prefix, fields = named_fields(record, record_type)
        absent = absent_fields(connection, integration, record_type, fields=fields, newest=newest) if fields else []
        found += [prefix + field for field in absent]
    return found


def told(fields: Sequence[str]) -> str:
    """The words for fields that are unknown."""
    return f"No staged record has a field {', '.join(fields)}: misspelt in the mapping or its rules, or filled in no record"
