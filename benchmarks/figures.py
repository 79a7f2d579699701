"""What was measured, against what it must reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    ``limit``: the most it may be, None where it is only told. ``floor``: the least that the vendor's API allows
    (calls), None where there is none.
    """

    benchmark: str
    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    floor: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the value is within its limit; a value without one always is."""
        return self.limit is None or self.value <= self.limit

    def as_json(self) -> dict[str, Any]:
        """The figure as JSON shows it."""
        return {**asdict(self), "passed": self.passed}


def table(title: str, figures: Iterable[Figure]) -> Table:
    """The figures of one benchmark as a table: measured, limit, floor, pass or miss."""
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("figure")
    for heading in ("measured", "limit", "floor", ""):
        drawn.add_column(heading, justify="right")
    for figure in figures:
        verdict = "" if figure.limit is None else "[green]pass[/]" if figure.passed else "[bold red]miss[/]"
        drawn.add_row(figure.name, _shown(figure.value, figure.unit), _shown(figure.limit, figure.unit), _shown(figure.floor, ""), verdict)
    return drawn


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "·"
    return f"{value:,.0f} {unit}".rstrip() if float(value).is_integer() or abs(value) >= 100 else f"{value:,.2f} {unit}".rstrip()
