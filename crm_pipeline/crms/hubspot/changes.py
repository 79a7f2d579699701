"""Which records changed in a window of time, by the property in which HubSpot stamps them.

Search tells the ids: what it shows of a record may be out of date, so the values come from a batch read (source: HubSpot's search
guide). It is walked by id, since more records than a search pages through can have one stamp (seen by others: airbyte 43317).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot import CONTACTS
from crm_pipeline.crms.hubspot.examining import LAST_MODIFIED, PRIMARY_COMPANY
from crm_pipeline.crms.hubspot.reading import Reader, text
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.schemas import CHANGED


def changed(
    reader: Reader, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime, key: str | None
) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
    """The changed records (crms.abilities.ChangesCrm.changed), a search for 200 and a read for 100; ``key``: the external key or null."""
    for one, fields in wanted.items():
        stamp = LAST_MODIFIED[one.name]
        window = [*([] if since is None else [_at(stamp, "GTE", since)]), _at(stamp, "LT", until)]
        read = [stamp, *([key] if key else []), *([PRIMARY_COMPANY] if one == CONTACTS else []), *fields]
        for found, unread in reader.searched(one.name, window, [stamp]):
            records, failed = reader.records(one.name, [str(record["id"]) for record in found], read)
            failed |= unread
            if records or failed:
                yield one, _frame(records, fields, stamp=stamp, key=key, failed=sorted(failed))


def _at(stamp: str, operator: str, moment: datetime) -> dict[str, str]:
    return {"propertyName": stamp, "operator": operator, "value": str(int(moment.timestamp() * 1000))}


def _frame(
    records: Sequence[Mapping[str, Any]], fields: Sequence[str], *, stamp: str, key: str | None, failed: Sequence[str]
) -> pd.DataFrame:
    held = [record["properties"] for record in records]
    blank: list[str | None] = [None] * len(failed)

    def told(name: str) -> pd.Series:
        return pd.Series([text(properties.get(name)) for properties in held] + blank, dtype="str")

    error_type = [None] * len(held) + [CrmFailsOnRecordException.__name__] * len(failed)
    return CHANGED.build(
        {
            "crm_id": pd.Series([str(record["id"]) for record in records] + list(failed), dtype="str"),
            "stamp": pd.to_datetime(told(stamp), utc=True, format="ISO8601", errors="coerce"),
            "key": told(key) if key else None,
            "parent_crm_id": told(PRIMARY_COMPANY),
            "error_type": pd.Series(error_type, dtype="str"),
            **{name: told(name) for name in fields},
        }
    )
