"""What time does a service think it is? Its clock beside ours, by the date that it puts on its answers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

NONE = timedelta(0)
A_SECOND = timedelta(seconds=1)


def moment(date: str) -> datetime | None:
    """The moment that a date of HTTP names (RFC 9110, 5.6.7); null where it is none."""
    try:
        read = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


class Clock:
    """A service's clock, as its answers show it; safe over threads.

    A date has whole seconds, and was written somewhere between the request and its answer: each answer says only between
    which two limits the clocks' difference lies, several together say it the better.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._least: timedelta | None = None
        self._most: timedelta | None = None

    def note(self, date: str | None, *, sent: datetime, answered: datetime) -> None:
        """Learn from an answer's ``Date``; ``sent`` and ``answered``: by our clock, when it was asked for and when it was there."""
        shown = moment(date or "")
        if shown is None:
            return
        least, most = shown - answered, shown + A_SECOND - sent
        with self._lock:
            if self._least is not None and self._most is not None and least < self._most and self._least < most:
                least, most = max(least, self._least), min(most, self._most)
            # Else one of the clocks was set: what was known is no more true.
            self._least, self._most = least, most

    @property
    def ahead(self) -> timedelta:
        """How far the service's clock is ahead of ours; zero where it said nothing, or nothing that tells the two apart."""
        with self._lock:
            if self._least is None or self._most is None or self._least <= NONE <= self._most:
                return NONE
            return (self._least + self._most) / 2
