"""How every command answers: in text for people or in one JSON document for programs, and how its help shows examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

Tell = Callable[[str, Mapping[str, Any]], None]
"""Tells one thing that was done: as a sentence, and as the plain values behind it."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
"""``--json``, which every command has that tells something; the command takes it as ``as_json``."""


def examples(*lines: str) -> str:
    """The end of a command's help (click's ``epilog``): what one types, a command a line."""
    # \b keeps the lines as they are.
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def echo_json(told: Any) -> None:
    """Print a JSON document: times by ISO 8601 in UTC, everything else of plain values already."""
    click.echo(json.dumps(told, indent=2, ensure_ascii=False, default=_plain))


def answer(sentence: str, told: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was done, once."""
    if as_json:
        echo_json(told)
    else:
        click.echo(sentence)


@contextmanager
def telling(*, as_json: bool) -> Iterator[Tell]:
    """Say several things as they are done: sentences at once, JSON as one list at the end, also where the block breaks off."""
    every: list[Mapping[str, Any]] = []

    def tell(sentence: str, told: Mapping[str, Any]) -> None:
        every.append(told)
        if not as_json:
            click.echo(sentence)

    try:
        yield tell
    finally:
        if as_json:
            echo_json(every)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
