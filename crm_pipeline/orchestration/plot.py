"""A picture of the last hours' outcomes, small enough for a materialization's metadata.

An SVG as data URI: Dagster's UI shows any ``data:`` image in markdown, and bars need no drawing library.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from crm_pipeline.model import Outcome

HOURS = 48

_GROUPS = {
    "synced": ("#2e9e5b", (Outcome.CREATED, Outcome.UPDATED, Outcome.LINKED)),
    "skipped or waiting": ("#e0a92e", (Outcome.SKIPPED, Outcome.DEFERRED)),
    "failed": ("#d3423e", (Outcome.FAILED,)),
}
_BAR, _HEIGHT = 8, 60


def recent_plot(outcomes: Iterable[tuple[int, str, int]], *, now: datetime) -> str:
    """Markdown with a bar per hour up to ``now`` and the counts in words; ``outcomes`` as store.ledger.recent_outcomes."""
    group_of = {str(outcome): name for name, (_, members) in _GROUPS.items() for outcome in members}
    newest = int(now.timestamp()) // 3_600
    counts: Counter[tuple[int, str]] = Counter()
    totals, by_hour = Counter[str](), Counter[int]()
    for hour, outcome, records in outcomes:
        position, group = HOURS - 1 - (newest - hour // 3_600), group_of[outcome]
        counts[position, group] += records
        totals[group] += records
        by_hour[position] += records
    highest = max(by_hour.values(), default=0)
    image = base64.b64encode(_svg(counts, highest).encode()).decode()
    said = ", ".join(f"{totals[name]} {name}" for name in _GROUPS)
    return (
        f"![outcomes per hour](data:image/svg+xml;base64,{image})\n\n"
        f"Last {HOURS} hours up to {now:%Y-%m-%d %H:%M} UTC: {said}; {highest} in the busiest hour."
    )


def _svg(counts: Counter[tuple[int, str]], highest: int) -> str:
    width, bars = HOURS * _BAR, ""
    for position in range(HOURS):
        bottom = float(_HEIGHT)
        for group, (colour, _) in _GROUPS.items():
            if records := counts[position, group]:
                height = records * _HEIGHT / highest
                bottom -= height
                bars += f'<rect x="{position * _BAR}" y="{bottom:.1f}" width="{_BAR - 1}" height="{height:.1f}" fill="{colour}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT + 1}" viewBox="0 0 {width} {_HEIGHT + 1}">'
        f'{bars}<rect y="{_HEIGHT}" width="{width}" height="1" fill="#8a8f98"/></svg>'
    )
