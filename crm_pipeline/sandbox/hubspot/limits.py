"""May this request be answered now? HubSpot's rate limits: per ten seconds, per second for search, and per day.

Sources: usage guidelines (policies, headers, 429 body); the daily limit ends at midnight in the account's time zone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from crm_pipeline.sandbox.hubspot.refusals import Refusal

BURST_SECONDS = 10.0
SEARCH_SECONDS = 1.0


@dataclass(slots=True)
class Window:
    """The calls admitted in the last ``seconds``."""

    seconds: float
    times: deque[float] = field(default_factory=deque)

    def used(self, now: float) -> int:
        """How many calls the window holds at this time."""
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        return len(self.times)


class RateLimits:
    """What was called so far, and whether one more call fits. A refused call counts towards the day, as the limit is on requests."""

    def __init__(self, *, clock: Callable[[], float], ticks: Callable[[], float], time_zone: str) -> None:
        self._clock = clock
        self._ticks = ticks
        self._zone = ZoneInfo(time_zone)
        self._burst = Window(BURST_SECONDS)
        self._search = Window(SEARCH_SECONDS)
        self._day: date | None = None
        self._calls_today = 0

    def use_day(self, calls: int) -> None:
        """Count calls that others made today."""
        self._turn_day()
        self._calls_today += calls

    def admit(self, *, burst: int | None, daily: int | None) -> dict[str, str]:
        """Let a call pass and return its rate headers. Raises Refusal 429."""
        now = self._ticks()
        self._admit_today(daily)
        used = self._burst.used(now)
        if burst is not None and used >= burst:
            raise _too_many("ten_secondly_rolling", "TEN_SECONDLY_ROLLING", self._headers(burst, 0, daily))
        self._burst.times.append(now)
        return self._headers(burst, burst - used - 1 if burst is not None else 0, daily)

    def admit_search(self, *, per_second: int | None, daily: int | None) -> None:
        """Let a search pass; its answers carry no rate headers. Raises Refusal 429."""
        now = self._ticks()
        self._admit_today(daily)
        if per_second is not None and self._search.used(now) >= per_second:
            raise _too_many("secondly", "SECONDLY", {})
        self._search.times.append(now)

    def _admit_today(self, daily: int | None) -> None:
        self._turn_day()
        if daily is not None and self._calls_today >= daily:
            raise _too_many("daily", "DAILY", {})
        self._calls_today += 1

    def _turn_day(self) -> None:
        today = datetime.fromtimestamp(self._clock(), UTC).astimezone(self._zone).date()
        if today != self._day:
            self._day, self._calls_today = today, 0

    def _headers(self, burst: int | None, remaining: int, daily: int | None) -> dict[str, str]:
        headers = {}
        if burst is not None:
            headers["X-HubSpot-RateLimit-Max"] = str(burst)
            headers["X-HubSpot-RateLimit-Remaining"] = str(remaining)
            headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(int(BURST_SECONDS * 1000))
        if daily is not None:
            headers["X-HubSpot-RateLimit-Daily"] = str(daily)
            headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(daily - self._calls_today, 0))
        return headers


class RateRefusal(Refusal):
    """A 429, with the headers that HubSpot sends along."""

    def __init__(self, message: str, *, policy: str, headers: dict[str, str]) -> None:
        super().__init__(429, message, category=None, more={"errorType": "RATE_LIMIT", "policyName": policy})
        self.headers = headers


def _too_many(name: str, policy: str, headers: dict[str, str]) -> RateRefusal:
    return RateRefusal(f"You have reached your {name} limit.", policy=policy, headers=headers)
