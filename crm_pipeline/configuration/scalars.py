"""Hours, schedules, regions and owners as a user writes them: the checks of single values."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_OWNER = re.compile(r"team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_START_REMEDY = 'must be a whole hour in UTC, for example "2026-11-01T00:00Z"'


def whole_utc_hour(value: object) -> datetime:
    """A whole hour in UTC, as a text or as YAML reads it. Raises ValueError for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(_START_REMEDY) from None
    if (
        not isinstance(moment, datetime)
        or moment.utcoffset() != timedelta(0)
        or moment != moment.replace(minute=0, second=0, microsecond=0)
    ):
        raise ValueError(_START_REMEDY)
    return moment.astimezone(UTC)


def cron(value: str) -> str:
    """A cron expression of five parts. Raises ValueError for anything else."""
    from dagster._utils.schedules import is_valid_cron_schedule

    if not is_valid_cron_schedule(value):
        raise ValueError('is no cron expression of five parts (minute hour day month weekday), for example "5 * * * *"')
    return value


def region(value: str) -> str:
    """A region by ISO 3166. Raises ValueError for one that has no phone numbers."""
    from phonenumbers import SUPPORTED_REGIONS

    if value not in SUPPORTED_REGIONS:
        raise ValueError("is no region; give its two capital letters by ISO 3166, for example US or GB")
    return value


def owner(value: str) -> str:
    """An owner of assets as Dagster takes it. Raises ValueError for anything else."""
    if not _OWNER.fullmatch(value):
        raise ValueError("an owner is an e-mail address or team:<name>, for example team:data")
    return value
