"""Which records changed in a window of time, by SystemModstamp: it is moved by users and by Salesforce itself, and cannot be set.

LastModifiedDate tells users' changes only, and can be back-dated by an import (source: "System Fields" in the Object Reference). A
window is walked by Id, so that neither equal stamps nor what changes meanwhile lets a record be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.salesforce import CONTACTS
from crm_pipeline.crms.salesforce.queries import compare, select
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, json_value
from crm_pipeline.crms.salesforce.transport import LARGEST_OFFSET, SalesforceTransport
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.schemas import CHANGED

STAMP, EDITED_AT, EDITED_BY = "SystemModstamp", "LastModifiedDate", "LastModifiedById"
TOGETHER = 5
"""Most queries of one Composite call (source: "Composite" in the REST API guide)."""


def changed(
    transport: SalesforceTransport, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime, key: str | None
) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
    """The changed records (crms.abilities.ChangesCrm.changed); ``key``: the external key's field or null.

    The first 2,000 of each object come in one call for up to five objects, which is all where nothing changed.
    """
    where = [*([] if since is None else [compare(STAMP, ">=", since)]), compare(STAMP, "<", until)]
    objects = list(wanted)
    for start in range(0, len(objects), TOGETHER):
        together = objects[start : start + TOGETHER]
        asked = {one: _fields(one, wanted[one], key=key) for one in together}
        statements = [select(one.name, fields, where=where, order="Id", limit=LARGEST_OFFSET) for one, fields in asked.items()]
        of_none = select(together[0].name, asked[together[0]], where=[compare("Id", "=", None), *where], limit=1)
        for (one, fields), first in zip(asked.items(), transport.first_pages(statements, of_none=of_none), strict=True):
            for records, unread in _parts(transport, one.name, fields, where=where, first=first):
                if records or unread:
                    yield one, _frame(records, wanted[one], key=key, unread=unread)


def _fields(crm_object: CrmObject, wanted: Sequence[str], *, key: str | None) -> list[str]:
    return ["Id", STAMP, EDITED_AT, EDITED_BY, *([key] if key else []), *([PARENT_FIELD] if crm_object == CONTACTS else []), *wanted]


def _parts(
    transport: SalesforceTransport, sobject: str, fields: Sequence[str], *, where: Sequence[str], first: dict[str, Any] | None
) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """The records of one object behind its first page too, and how many Salesforce fails to show."""
    last = None
    if first is not None:
        yield first["records"], 0
        if first["done"] and len(first["records"]) < LARGEST_OFFSET:
            return
        last = str(first["records"][-1]["Id"])
    yield from transport.walk(sobject, fields, where=where, after=last)


def _frame(records: Sequence[Mapping[str, Any]], wanted: Sequence[str], *, key: str | None, unread: int) -> pd.DataFrame:
    by_name = [{name.lower(): value for name, value in record.items()} for record in records]
    blank: list[object] = [None] * unread

    def told(name: str) -> list[object]:
        return [json_value(record.get(name.lower())) for record in by_name] + blank

    columns = {"crm_id": told("Id"), "edited_by": told(EDITED_BY), "key": told(key) if key else None, "parent_crm_id": told(PARENT_FIELD)}
    error_type = [None] * len(records) + [CrmFailsOnRecordException.__name__] * unread
    return CHANGED.build(
        {
            **{name: pd.Series(values, dtype="str") for name, values in columns.items() if values is not None},
            "stamp": pd.to_datetime(pd.Series(told(STAMP), dtype="str"), utc=True, format="ISO8601", errors="coerce"),
            "edited_at": pd.to_datetime(pd.Series(told(EDITED_AT), dtype="str"), utc=True, format="ISO8601", errors="coerce"),
            "error_type": pd.Series(error_type, dtype="str"),
            **{name: pd.Series(told(name), dtype="object") for name in wanted},
        }
    )
