"""How PostgreSQL goes about the statements that it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, event

STATEMENTS = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


class Explained(NamedTuple):
    """A statement, and the nodes of its plan, as PostgreSQL writes them in JSON."""

    statement: str
    nodes: list[dict[str, Any]]


@contextmanager
def explaining() -> Iterator[list[Explained]]:
    """Explain each statement just before it is executed."""
    found: list[Explained] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001
        if connection.dialect.name != "postgresql" or many or not statement.lstrip().upper().startswith(STATEMENTS):
            return
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [(plans,)] = cursor.fetchall()
        found.append(Explained(" ".join(statement.split()), list(_nodes(plans))))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for below in plan.values():
            yield from _nodes(below)
    elif isinstance(plan, list):
        for below in plan:
            yield from _nodes(below)
