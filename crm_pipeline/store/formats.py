"""From when on rows are kept in ways that an older version cannot read."""

from __future__ import annotations


def is_later(name: str) -> str:
    """The condition that a way to keep rows has not begun, as SQL: a run of an older version, under way, may read them."""
    return f"EXISTS (SELECT FROM crm_pipeline.format WHERE name = '{name}' AND since > now())"
