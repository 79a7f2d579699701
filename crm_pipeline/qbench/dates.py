"""Which moment does a date of QBench mean? Every form that tenants were seen to give, as Unix seconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

MINUTE = 60
DAY = 86_400
END_OF_TIME = 253_402_300_800
"""The first second of the year 10000: nothing from here on is a date."""

_DIGITS = re.compile(r"\d{1,13}")
_MILLISECONDS = range(10**12, 10**13)
"""Of thirteen digits."""
_ISO = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[T ](?P<minute>\d{2}:\d{2})(?P<second>:\d{2})?(?:[.,]\d+)?)?\s*(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)?"
)
_US = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}),? +"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))? *(?P<half>[AaPp])[Mm]"
)


class Moment(NamedTuple):
    """A point in time as a date gives it: it lies in ``[seconds, seconds + grain)``, in Unix seconds.

    ``zoned``: the date itself says when that is; otherwise it takes knowing the tenant's time zone.
    """

    seconds: int
    grain: int = 1
    zoned: bool = True


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC needs no zone database."""
    return UTC if name == "UTC" else ZoneInfo(name)


def parse_date(value: Any, *, zone: tzinfo = UTC) -> Moment | None:
    """The moment that a date of QBench means, or None when nobody can tell.

    Forms, as observed of tenants: Unix time as a number or digits, ISO 8601 with or without a zone, ``MM/DD/YYYY hh:mm AM``.
    Assumed: thirteen digits are milliseconds, a date without a zone is in ``zone``, fractions are cut off, and a moment
    before 1970 (a blank of some databases) counts as 1970's first second.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _from_number(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _DIGITS.fullmatch(text) and text.isascii():
        return _from_number(int(text))
    try:
        return _from_iso(text, zone) or _from_us(text, zone)
    except (ValueError, OverflowError):
        return None


def _from_number(value: float) -> Moment | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    whole = math.floor(value)
    if abs(whole) in _MILLISECONDS:
        whole //= 1000
    return _moment(whole, grain=1)


def _from_iso(text: str, zone: tzinfo) -> Moment | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    time = f"{found['minute'] or '00:00'}{found['second'] or ':00'}"
    parsed = datetime.fromisoformat(f"{found['day']}T{time}{(found['zone'] or '').upper()}")
    grain = 1 if found["second"] else MINUTE if found["minute"] else DAY
    return _parsed(parsed, zone, grain=grain)


def _from_us(text: str, zone: tzinfo) -> Moment | None:
    found = _US.fullmatch(text)
    if found is None:
        return None
    hour = int(found["hour"])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    parsed = datetime(int(found["year"]), int(found["month"]), int(found["day"]), hour, int(found["minute"]), int(found["second"] or 0))
    return _parsed(parsed, zone, grain=1 if found["second"] else MINUTE)


def _parsed(parsed: datetime, zone: tzinfo, *, grain: int) -> Moment | None:
    if parsed.tzinfo is not None:
        return _moment(math.floor(parsed.timestamp()), grain=grain)
    first, second = (math.floor(parsed.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    # When clocks are set back, an hour's times come twice, and nobody can tell which of the two is meant.
    return _moment(first, grain=grain + max(second - first, 0), zoned=False)


def _moment(seconds: int, *, grain: int, zoned: bool = True) -> Moment | None:
    return Moment(max(seconds, 0), grain, zoned or seconds < 0) if seconds < END_OF_TIME else None
