"""How far is an integration on the way to its first load?"""

from __future__ import annotations

from sqlalchemy import Connection, text

_HAS = {
    "read": text("SELECT EXISTS (SELECT FROM crm_pipeline.raw_record WHERE integration = :integration)"),
    "loaded": text("SELECT EXISTS (SELECT FROM crm_pipeline.outcome WHERE integration = :integration)"),
}


def was_read(connection: Connection, integration: str) -> bool:
    """Whether any record of QBench's is staged."""
    return bool(connection.execute(_HAS["read"], {"integration": integration}).scalar_one())


def was_loaded(connection: Connection, integration: str) -> bool:
    """Whether any record has an outcome in a CRM."""
    return bool(connection.execute(_HAS["loaded"], {"integration": integration}).scalar_one())
