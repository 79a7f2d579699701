"""Several names of fields in one text, and out of it again: the names that people give to QBench's additional fields hold any character."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PARTING = re.compile(r'[,;"]|^\s|\s$')
"""What a name holds that would not be told from the end of it, or from the quotes around it."""
_NAME = re.compile(r'("(?:[^"\\]|\\.)*"|[^,;"]+)(?:, )?')


def listed(names: Iterable[str]) -> str:
    """The names, joined by ', '; one that holds a comma, a semicolon or quotes stands in quotes, as JSON writes it."""
    return ", ".join(json.dumps(name, ensure_ascii=False) if _PARTING.search(name) else name for name in names)


def names_in(text: str) -> list[str]:
    """The names in what ``listed`` wrote, whatever follows them behind '; '."""
    found, position = [], 0
    while match := _NAME.match(text, position):
        found.append(json.loads(match[1]) if match[1].startswith('"') else match[1])
        position = match.end()
        if not match[0].endswith(", "):
            break
    return found
