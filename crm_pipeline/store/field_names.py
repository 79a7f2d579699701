"""Names of fields that many rows have in common: kept once, and referred to by one number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

NAMED = """
named AS (INSERT INTO crm_pipeline.field_names (id, names) VALUES (:fields, CAST(:names AS text[])) ON CONFLICT DO NOTHING)
"""
"""Part of a statement that stores rows of these names; binds ``fields``, their number, and ``names``."""

_NAMES = text("SELECT id, names FROM crm_pipeline.field_names WHERE id = ANY(:numbers)")

_known: dict[int, list[str]] = {}
# A number is a digest of the names, so that it stands for the same ones in every database.


def number_of(names: Sequence[str]) -> int:
    """The number that stands for these names, in their order."""
    return int.from_bytes(hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest(), signed=True)


def names_of(connection: Connection, numbers: Iterable[int]) -> dict[int, list[str]]:
    """The names that stored rows mean by these numbers, and any others that are known."""
    if unknown := set(numbers) - _known.keys():
        _known.update((row.id, row.names) for row in connection.execute(_NAMES, {"numbers": list(unknown)}))
    return _known
