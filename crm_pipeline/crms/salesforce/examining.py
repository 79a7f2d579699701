"""What became of records by their ids: live, merged into another one, or deleted ("MasterRecordId", "queryAll" in the REST API guide)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from crm_pipeline.crms.salesforce.queries import SelectIn, any_of, compare
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, json_value
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.frames import text_column
from crm_pipeline.schemas import EXAMINED

DELETED_FIELD = "IsDeleted"
"""Tells records in the recycle bin, losers of a merge among them."""

MASTER = "MasterRecordId"
"""On a loser of a merge: the record that it was merged into."""


def examine(
    transport: SalesforceTransport, sobject: str, ids: Sequence[str], *, further: Sequence[str], key: str | None, fields: Sequence[str]
) -> pd.DataFrame:
    """What became of these records (schemas.EXAMINED, then ``fields``). ``further``: to read besides; ``key``: the external key among them.

    The live ones come 2,000 a call; only those missing there are looked for in the recycle bin, some 570 a call. Records that
    have left the bin, or that the run-as user may not see, count as deleted.
    """
    read = list({name.lower(): name for name in ["Id", DELETED_FIELD, MASTER, *further, *fields]}.values())
    known: dict[str, Mapping[str, Any]] = {}
    asked: set[str] = set()
    wave = list(dict.fromkeys(ids))
    failed: set[str] = set()
    while wave:
        asked.update(wave)
        live, failing = transport.retrieve(sobject, wave, read)
        found = {str(record["Id"]): record for record in live}
        missing = [one for one in wave if one not in found and one not in failing]
        binned, failing_too = transport.query_in(SelectIn(sobject, read, "Id"), missing, deleted="included") if missing else ([], set())
        found |= {str(record["Id"]): record for record in binned}
        failed |= failing | failing_too
        known |= found
        masters = (str(record[MASTER]) for record in found.values() if record.get(DELETED_FIELD) and record.get(MASTER))
        wave = [master for master in dict.fromkeys(masters) if master not in asked]
    told = [one for one in dict.fromkeys(ids) if not (failed and _leads_to(known, one) & failed)]
    ends: list[Mapping[str, Any] | None] = [_end(known, one) for one in told]
    leads_to = [None if end is None else str(end["Id"]) for end in ends]
    held = [end or {} for end in ends]
    return EXAMINED.build(
        {
            "crm_id": text_column(told),
            "state": text_column(
                ["live" if one == end else "deleted" if end is None else "merged" for one, end in zip(told, leads_to, strict=True)]
            ),
            "leads_to": text_column(leads_to),
            "key": text_column([record.get(key) for record in held] if key else [None] * len(held)),
            "parent_crm_id": text_column([record.get(PARENT_FIELD) for record in held]),
            **{name: pd.Series([json_value(value) for value in _values(held, name)], dtype="object") for name in fields},
        }
    )


def left_since(transport: SalesforceTransport, sobject: str, since: datetime, *, ways: Sequence[str]) -> list[str]:
    """The ids of records that left since then: one call a 2,000, as far back as the recycle bin reaches.

    ``ways``: the fields that are true in those that left; each of them moves the record's stamp. One that Salesforce fails to show is
    left out; a look at all links tells it.
    """
    where = [any_of(compare(way, "=", True) for way in ways), compare("SystemModstamp", ">=", since)]
    parts = transport.all_records(sobject, ["Id"], where=where, deleted="included")
    return list(dict.fromkeys(str(record["Id"]) for part, _ in parts for record in part))


def _leads_to(known: Mapping[str, Mapping[str, Any]], crm_id: str) -> set[str]:
    """The ids of a record and of those that it was merged into, one upon the other."""
    passed: set[str] = set()
    while crm_id not in passed:
        passed.add(crm_id)
        crm_id = str(known.get(crm_id, {}).get(MASTER))
    return passed


def _end(known: Mapping[str, Mapping[str, Any]], crm_id: str) -> Mapping[str, Any] | None:
    """The live record at the end of a record's merges; None where there is none."""
    passed: set[str] = set()
    record = known.get(crm_id)
    while record is not None and record.get(DELETED_FIELD):
        passed.add(str(record["Id"]))
        master = str(record.get(MASTER))
        record = None if master in passed else known.get(master)
    return record


def _values(held: Sequence[Mapping[str, Any]], field: str) -> Iterator[Any]:
    """The values of a field, however the records spell its name."""
    lower = field.lower()
    for record in held:
        yield record[field] if field in record else next((record[name] for name in record if name.lower() == lower), None)
