"""QBench's records as frames: as read, as written back, as normalized."""

from __future__ import annotations

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import MODELS, RecordType

CUSTOMERS_UNKNOWN = "customers"
"""``unreadable`` of a contact whose customers QBench does not tell; its content does not hold them."""

RAW = FrameSchema(
    "raw",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "last_updated, Unix seconds"),
        Column("content", "object", "the record as QBench gave it, a dict"),
        Column("unreadable", "str", "name of a field that could not be read (a date, for instance), else null"),
        Column("deleted", "bool", "the record is deleted in QBench"),
    ),
)
"""What extract stages: one row per record. An unreadable date takes the version of the row read before it."""

HELD = FrameSchema(
    "held",
    (
        *RAW.columns,
        Column(
            "since",
            "object",
            "dict of QBench field to [since when a person's value stands there, by our clock (ISO 8601, UTC); to how many seconds that "
            "is known, 0: to the millisecond]; null where nothing is known",
        ),
        Column(
            "bringing",
            "object",
            "dict of QBench field to [digest of the value that is about to be written there, when a person gave it in the CRM]; null "
            "where nothing is",
        ),
    ),
)
"""What is staged of records that come back from a CRM, with the times of their values."""

SOURCE_CHANGES = FrameSchema(
    "source_changes",
    (
        Column("qbench_id", "int64", "QBench id, each once"),
        Column("values", "object", "dict of QBench field to the value to write, None for a blank"),
    ),
)
"""What is to be written of records that are in QBench."""

SOURCE_RESULTS = FrameSchema(
    "source_results",
    (
        Column("qbench_id", "Int64", "QBench id; null of a new record that QBench did not make"),
        Column("error_type", "str", "name of a record error, null where QBench shows all that was sent"),
        Column("error_code", "str", "QBench's own code for the error, null without one"),
        Column(
            "error_fields", "str", "QBench fields that it refuses, or shows otherwise than they were sent (field_names.listed); else null"
        ),
        Column("version", "Int64", "last_updated of the record as it is now, Unix seconds; null where that is not known"),
        Column("content", "object", "the record as it is now, as schemas.RAW has it; null where that is not known"),
        Column("unreadable", "str", "name of a field that could not be read, else null"),
    ),
)
"""What became of records that were written in QBench, one row for each."""

NORMALIZED_META = (
    Column("qbench_id", "int64", "QBench id"),
    Column("version", "int64", "last_updated, Unix seconds"),
    Column("customer_id", "Int64", "contacts: the one customer; null when there is none or more than one"),
    Column("error_type", "str", "name of the record error that keeps the record from syncing anywhere, else null"),
    Column("error_fields", "str", "fields or ids that the error names, joined by ', ', else null"),
    Column("state_digest", "Int64", "digest of the staged state, of content and mapping; null before it is staged"),
)


def normalized_schema(record_type: RecordType) -> FrameSchema:
    """The normalized frame of a record type: its own columns, then the model's fields.

    Behind these may stand undeclared object columns: ``<crm>.<field>`` for a directly mapped CRM field and
    ``qbench.<field>`` for a QBench field that a match key names.
    """
    fields = tuple(Column(field.name, "Int64" if field.kind == "integer" else "str", field.meaning) for field in MODELS[record_type].fields)
    return FrameSchema(f"normalized_{record_type}", NORMALIZED_META + fields)
