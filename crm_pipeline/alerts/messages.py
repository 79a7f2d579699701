"""In what words incidents are told: one message per channel and look, made of names, counts, times and ids only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """An incident that a channel is to be told of: that it opened unless ``announced``, and that it ended if ``cleared_at`` is set."""

    incident: str
    summary: str
    run_id: str | None
    opened_at: datetime
    announced: bool
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is told at once about one integration; ``dagster_url`` makes links of run ids."""

    integration: str
    notices: Sequence[Notice]
    dagster_url: str | None = None

    @property
    def subject(self) -> str:
        """The message in a line."""
        opened = sum(not notice.announced for notice in self.notices)
        cleared = sum(notice.cleared_at is not None for notice in self.notices)
        parts = [f"{count} {what}" for count, what in ((opened, "new"), (cleared, "cleared")) if count]
        return f"crm-pipeline, {self.integration}: {', '.join(parts)}"

    @property
    def text(self) -> str:
        """A line per incident that opened, and one per incident that ended."""
        return "\n".join(
            [f"crm-pipeline, integration {self.integration}", *(line for notice in self.notices for line in self._lines(notice))]
        )

    def data(self) -> dict[str, Any]:
        """The message for programs."""
        return {"text": self.text, "integration": self.integration, "incidents": [self._incident(notice) for notice in self.notices]}

    def _lines(self, notice: Notice) -> list[str]:
        link = self._run_url(notice) or (f"run {notice.run_id}" if notice.run_id else None)
        opened = f"NEW: {notice.summary}" + (f", {link}" if link else "")
        lines = [] if notice.announced else [opened]
        if notice.cleared_at is not None:
            lines.append(f"CLEARED after {_duration(notice.cleared_at - notice.opened_at)}: {notice.summary}")
        return lines

    def _incident(self, notice: Notice) -> dict[str, Any]:
        return {
            "incident": notice.incident,
            "state": "open" if notice.cleared_at is None else "cleared",
            "summary": notice.summary,
            "run_id": notice.run_id,
            "run_url": self._run_url(notice),
            "opened_at": notice.opened_at.isoformat(),
            "cleared_at": notice.cleared_at.isoformat() if notice.cleared_at else None,
        }

    def _run_url(self, notice: Notice) -> str | None:
        return f"{self.dagster_url.rstrip('/')}/runs/{notice.run_id}" if self.dagster_url and notice.run_id else None


def _duration(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min"
