"""Findings for people: red, yellow and green, each with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crm_pipeline.counting import counted
from crm_pipeline.diagnosis import Finding, Level

SIGNS: Mapping[Level, tuple[str, str]] = MappingProxyType({"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")})
PLURALS: Mapping[Level, str] = MappingProxyType({"ok": "ok", "warning": "warnings", "problem": "problems"})


def show_findings(found: Sequence[tuple[str, Sequence[Finding]]], *, end: str = "Nothing was written.") -> None:
    """Print what was found, by what it was found of, and how many findings there are of each level."""
    console = Console(highlight=False)
    for name, findings in found:
        console.print(f"\n[bold]{name}[/]")
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in findings:
            sign, colour = SIGNS[one.level]
            told = Text(one.text)
            if one.remedy:
                told.append(f"\n→ {one.remedy}", style=colour)
            table.add_row(Text(sign, style=colour), Text(one.subject), told)
        console.print(table)
    counts = Counter(one.level for _, findings in found for one in findings)
    words = [f"[{SIGNS[level][1]}]{counted(counts[level], level, PLURALS[level])}[/]" for level in SIGNS]
    console.print(f"\n{', '.join(words)}. {end}".rstrip())
