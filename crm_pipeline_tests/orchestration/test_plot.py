"""The picture of the last hours' outcomes."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from crm_pipeline.orchestration.plot import recent_plot

NOW = datetime(2026, 11, 3, 10, 20, tzinfo=UTC)


def bars(markdown: str) -> list[ElementTree.Element]:
    encoded = re.search(r"!\[outcomes per hour\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert encoded is not None
    picture = ElementTree.fromstring(base64.b64decode(encoded.group(1)))  # noqa: S314 - our own
    return [shape for shape in picture if shape.get("x") is not None]


def hour(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}:00+00:00").timestamp())


def test_hours_stand_in_order_and_outcomes_of_one_hour_on_top_of_each_other() -> None:
    plot = recent_plot([(hour("03T10"), "created", 6), (hour("03T10"), "failed", 2), (hour("01T11"), "skipped", 4)], now=NOW)
    placed = {(bar.get("x"), bar.get("height"), bar.get("y")) for bar in bars(plot)}
    assert placed == {("376", "45.0", "15.0"), ("376", "15.0", "0.0"), ("0", "30.0", "30.0")}


def test_counts_are_said_in_words_too() -> None:
    plot = recent_plot([(hour("03T09"), "created", 6), (hour("03T09"), "linked", 1), (hour("03T10"), "failed", 2)], now=NOW)
    assert plot.endswith("Last 48 hours up to 2026-11-03 10:20 UTC: 7 synced, 0 skipped or waiting, 2 failed; 7 in the busiest hour.")


def test_quiet_hours_have_a_plot_without_bars() -> None:
    assert bars(recent_plot([], now=NOW)) == []
