"""What an integration assumes where a value does not say it: the region of a phone number, the zone of a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

RULES = 2
"""Counts up when the same mapping makes other values of the same record, so that every record is normalized again, once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """``default_region``: ISO alpha-2 of phones without a country. ``time_zone``: IANA name, of dates that carry none."""

    default_region: str | None = None
    time_zone: str = "UTC"

    @property
    def zone(self) -> tzinfo:
        """The time zone; UTC needs no zone database."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)
