"""How PostgreSQL goes about the statements that it is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, event

STATEMENTS = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


class Explained(NamedTuple):
    """A statement, and the nodes of its plan, as PostgreSQL writes them in JSON; of a SELECT they tell how many rows they read."""

    statement: str
    nodes: list[dict[str, Any]]


@contextmanager
def explaining(*, carried_out: Collection[str] = ()) -> Iterator[list[Explained]]:
    """Explain each statement just before it is executed; those SELECTs that read one of these tables are ``carried_out`` for it."""
    found: list[Explained] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001
        if connection.dialect.name != "postgresql" or many or not statement.lstrip().upper().startswith(STATEMENTS):
            return
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [(plans,)] = cursor.fetchall()
        nodes = list(_nodes(plans))
        if statement.lstrip().upper().startswith("SELECT") and any(node.get("Relation Name") in carried_out for node in nodes):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters)
            [(plans,)] = cursor.fetchall()
            nodes = list(_nodes(plans))
        found.append(Explained(" ".join(statement.split()), nodes))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def rows_read(node: dict[str, Any]) -> int:
    """The rows of its table that a node of a plan read, those that it left out included; 0 of a plan that was not carried out."""
    read: float = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(read * node.get("Actual Loops", 1))


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for below in plan.values():
            yield from _nodes(below)
    elif isinstance(plan, list):
        for below in plan:
            yield from _nodes(below)
