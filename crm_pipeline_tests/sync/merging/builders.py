"""Rows for the decision, with words in place of digests, and what was decided, in words again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sync.merging.deciding import decide
from crm_pipeline.sync.merging.fields import FIELDS, Evidence, Situation

_DIGESTS = ("wanted", "shown", "sent", "seen", "sending")
_TIMES = ("open_until", "read_at", "touched_at", "wanted_since", "shown_since")


def at(clock: str | None) -> pd.Timestamp | None:
    """A moment of one day, by ``10:05`` or ``10:05:30``."""
    return None if clock is None else pd.Timestamp(f"2026-11-01T{clock}Z")


@cache
def digest(word: str | None) -> int | None:
    """The digest of a word; of the empty one NO_DIGEST, of null null."""
    if word is None:
        return None
    return int(digests(pd.DataFrame({"word": [word]}, dtype="str")).iloc[0, 0]) if word else NO_DIGEST


def row(**given: Any) -> dict[str, Any]:
    """One row of FIELDS: linked, both ways, agreed on ``old``, read well after our last write; ``given`` in words and clock times."""
    usual = {
        "qbench_id": 41,
        "field": "Description",
        "direction": Direction.BOTH,
        "rule": Rule.LATER,
        "clear": False,
        "situation": Situation.LINKED,
        "wanted": "old",
        "whole": True,
        "shown": "old",
        "fits": True,
        "sent": "old",
        "seen": "old",
        "sending": None,
        "open_until": None,
        "read_at": "12:00",
        "touched_at": "11:00",
        "wanted_since": "09:00",
        "wanted_grain": 1,
        "shown_since": "09:00",
        "shown_grain": 0,
        "shown_evidence": Evidence.HISTORY,
    }
    assert not given.keys() - {*usual, "clears_crm"}
    return {**usual, "clears_crm": given.get("clear", False), **given}


def fields(*rows: dict[str, Any]) -> pd.DataFrame:
    """The rows as a frame."""
    columns = {name: [row[name] for row in rows] for name in FIELDS.names}
    typed = {
        name: [digest(value) for value in values] if name in _DIGESTS else [at(value) for value in values] if name in _TIMES else values
        for name, values in columns.items()
    }
    return FIELDS.build({column.name: pd.Series(typed[column.name], dtype=column.dtype) for column in FIELDS.columns})


@dataclass(frozen=True)
class Decision:
    """One decision, with the words of the row in the place of their digests."""

    verdict: str
    case: int | None
    sent: str
    seen: str | None
    agreed: str | None
    sending: str | None
    touched_at: pd.Timestamp | None
    winner: str | None
    evidence: str | None


def decided(**given: Any) -> Decision:
    """What is decided about one row."""
    [decision] = decided_all(row(**given))
    return decision


def decided_all(*rows: dict[str, Any]) -> list[Decision]:
    """What is decided about each row."""
    words = {digest(one[name]): one[name] for one in rows for name in _DIGESTS} | {NO_DIGEST: ""}
    return [_in_words(found, words) for found in decide(fields(*rows)).astype(object).to_dict("records")]


def _in_words(found: dict[Any, Any], words: dict[int | None, str]) -> Decision:
    given: dict[str, Any] = {name: None if pd.isna(value) else value for name, value in found.items()}
    assert given.pop("conflict") == (given["winner"] is not None) == (given["evidence"] is not None)
    told: dict[str, Any] = {name: None if given[name] is None else words[given[name]] for name in ("sent", "seen", "agreed", "sending")}
    return Decision(**(given | told))
