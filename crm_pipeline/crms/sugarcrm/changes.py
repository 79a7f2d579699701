"""Which records changed in a window of time, by ``date_modified``: each save moves it, also one that changes nothing.

It has whole seconds, and is UTC whatever the user's zone. A window is walked by id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.sugarcrm import CONTACTS
from crm_pipeline.crms.sugarcrm.queries import before
from crm_pipeline.crms.sugarcrm.queries import since as from_then_on
from crm_pipeline.crms.sugarcrm.reading import PARENT, Reader, Record
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.schemas import CHANGED, EDITS, RECORD_STAMP

STAMP, EDITOR = "date_modified", "modified_user_id"


def changed(
    reader: Reader, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
    """The records that changed in the window, in frames (schemas.CHANGED), one object after the other."""
    for crm_object, fields in wanted.items():
        where = [*([] if since is None else [from_then_on(crm_object.name, since)]), before(crm_object.name, until)]
        further = [*([reader.key] if reader.key else []), *([PARENT] if crm_object.record_type == CONTACTS.record_type else [])]
        for records, failed in reader.all(crm_object, [STAMP, EDITOR, *further, *fields], where=where):
            yield crm_object, _frame(records, failed, key=reader.key, fields=fields)


def edits(reader: Reader, crm_object: CrmObject, crm_ids: Sequence[str], fields: Sequence[str], *, ours: str | None) -> pd.DataFrame:
    """When records were edited last by somebody else than us (schemas.EDITS), which is all that SugarCRM tells of their fields."""
    records, _ = reader.by_ids(crm_object, crm_ids, [STAMP, EDITOR])
    # Who is known to be us, or may be, says nothing of what others did before.
    told = [record for record in records.values() if record.get(STAMP) and ours is not None and record.get(EDITOR) not in {ours, None}]
    rows = [
        {"crm_id": record["id"], "crm_field": field, "edited_at": record[STAMP], "edited_by": record.get(EDITOR), "evidence": RECORD_STAMP}
        for record in told
        for field in fields
    ]
    frame = pd.DataFrame(rows, columns=EDITS.names)
    return EDITS.build(frame.assign(edited_at=_moments(frame["edited_at"])))


def _frame(records: Sequence[Record], failed: Sequence[str | None], *, key: str | None, fields: Sequence[str]) -> pd.DataFrame:
    rows: list[Record] = [*records, *({"id": crm_id} for crm_id in failed)]

    def texts(name: str | None) -> pd.Series:
        return pd.Series([row.get(name) if name else None for row in rows], dtype="str")

    stamps = _moments(texts(STAMP))
    values: dict[str, Any] = {name: pd.Series([row.get(name) for row in rows], dtype="object") for name in fields}
    errors = [None] * len(records) + [CrmFailsOnRecordException.__name__] * len(failed)
    return CHANGED.build(
        {
            "crm_id": texts("id"),
            "stamp": stamps,
            "edited_at": stamps,
            "edited_by": texts(EDITOR),
            "key": texts(key),
            "parent_crm_id": texts(PARENT),
            "error_type": pd.Series(errors, dtype="str"),
            **values,
        }
    )


def _moments(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts.astype("str"), utc=True, format="ISO8601", errors="coerce")
