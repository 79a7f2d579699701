"""Of which attempts, a run's tries of a partition, outcomes came: each is kept once, and its outcomes name it by a short id.

The id stands where versions before kept the run's own; outcomes of before stay as they are until they are written next.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

from crm_pipeline.store.formats import is_later

NAMED = """
named AS (INSERT INTO crm_pipeline.attempt (id, run_id, partition_key) VALUES (:attempt_id, :run_id, :partition_key) ON CONFLICT DO NOTHING)
"""
"""Part of a statement that stores outcomes of an attempt; binds ``attempt_id``, ``run_id`` and ``partition_key``."""

_LATER = is_later("attempts")

KEPT = f"CASE WHEN {_LATER} THEN :run_id ELSE :attempt_id END, CASE WHEN {_LATER} THEN :partition_key END"
"""What an outcome keeps as ``run_id`` and ``partition_key``: as long as a run of an older version may read it, both themselves."""


def attempt_id(run_id: str, partition_key: str | None) -> str:
    """The short id that stands for an attempt: ten characters, with one more PostgreSQL pads each outcome by eight bytes."""
    digest = hashlib.blake2b(f"{run_id}\0{partition_key}".encode(), digest_size=8).digest()
    return urlsafe_b64encode(digest)[:10].decode()


def joined(outcome: str) -> str:
    """What joins the ``attempt`` of an outcome to it, as SQL; ``outcome``: what the statement calls it."""
    return f"LEFT JOIN crm_pipeline.attempt ON attempt.id = {outcome}.run_id"


def told(outcome: str, column: str) -> str:
    """A column of an outcome with its attempt ``joined``, as SQL: ``run_id`` and ``partition_key`` are those of the attempt."""
    own = f"{outcome}.{column}"
    return f"coalesce(attempt.{column}, {own}) AS {column}" if column in {"run_id", "partition_key"} else own
