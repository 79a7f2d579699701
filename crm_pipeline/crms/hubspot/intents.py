"""Finds what became of creates without an external key whose answer is not known (docs/rules.md, 4 and 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot import CONTACTS
from crm_pipeline.crms.hubspot.reading import Reader
from crm_pipeline.errors import ServiceError
from crm_pipeline.halving import may_be_of_one

CREATED = "createdate"

CLOCK_SKEW = timedelta(minutes=5)
"""How far HubSpot's clock may be behind ours. Assumed; a record created earlier than this before its intent is not ours."""

SENDING = timedelta(minutes=10)
"""How long after its intent a create can still be carried out: pacing, a time-out and HubSpot's own delay. Assumed."""

Record = Mapping[str, Any]
Found = tuple[int, str | None]
"""A QBench id and the id of a record that its create may have made, null where HubSpot fails to tell."""


def resolve(reader: Reader, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
    """The records that the creates of these intents made: columns ``qbench_id``, ``crm_id``, a row per record found.

    Contacts are read by email, which is exact at once. Companies are searched by creation time and compared by name; the
    search index lags, so that one may be missing that is there already.
    """
    if crm_object == CONTACTS:
        found = list(_contacts(reader, crm_object.name, intents))
    else:
        found = [pair for window in _windows(intents) for pair in _companies(reader, crm_object.name, window)]
    return pd.DataFrame(
        {
            "qbench_id": pd.Series([qbench_id for qbench_id, _ in found], dtype="int64"),
            "crm_id": pd.Series([crm_id for _, crm_id in found], dtype="str"),
        }
    )


def _contacts(reader: Reader, object_name: str, intents: pd.DataFrame) -> Iterator[Found]:
    emails = {
        (int(qbench_id), since): str(sent["email"]).strip()
        for qbench_id, sent, since in zip(intents["qbench_id"], intents["sent"], intents["created_at"], strict=True)
        if sent.get("email")
    }
    owners = reader.find(object_name, "email", list(emails.values()))
    unread = set(owners.loc[owners["error_type"].notna(), "value"])
    ids = {value: crm_id for value, crm_id in zip(owners["value"], owners["crm_id"], strict=True) if value not in unread}
    held, failed = reader.current(object_name, list(ids.values()), [CREATED])
    for (qbench_id, since), email in emails.items():
        crm_id = ids.get(email)
        if email in unread or crm_id in failed:
            yield qbench_id, None
        elif crm_id in held:
            yield from _ours(qbench_id, crm_id, _created(held[crm_id]), since=since)


def _companies(reader: Reader, object_name: str, intents: pd.DataFrame) -> Iterator[Found]:
    filters = [
        {"propertyName": CREATED, "operator": "GTE", "value": _milliseconds(intents["created_at"].min() - CLOCK_SKEW)},
        {"propertyName": CREATED, "operator": "LTE", "value": _milliseconds(intents["created_at"].max() + CLOCK_SKEW + SENDING)},
    ]
    properties = ["name", CREATED]
    records: Sequence[Record]
    untold: set[str] = set()
    try:
        records = list(reader.searcher.records(object_name, filters, properties))
    except ServiceError as error:
        if not (may_be_of_one(error) and reader.searcher.answers(object_name, filters, properties)):
            raise
        # By name only the creates are untold whose own record HubSpot fails to show.
        names = [str(sent["name"]).strip() for sent in intents["sent"] if _folded(sent.get("name"))]
        records, failed = reader.searcher.with_values(object_name, "name", names, properties, filters=filters)
        untold = set(map(_folded, failed))
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(_folded(record["properties"].get("name")), []).append(record)
    for qbench_id, sent, since in zip(intents["qbench_id"], intents["sent"], intents["created_at"], strict=True):
        name = _folded(sent.get("name"))
        if name in untold:
            yield int(qbench_id), None
        elif name:
            for record in by_name.get(name, ()):
                yield from _ours(int(qbench_id), str(record["id"]), _created(record), since=since)


def _windows(intents: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The intents in groups that were written shortly after one another: a group costs one search or a few."""
    ordered = intents.sort_values("created_at")
    group = (ordered["created_at"].diff() > SENDING).cumsum()
    for _, window in ordered.groupby(group):
        yield window


def _ours(qbench_id: int, crm_id: str, created: datetime | None, *, since: datetime) -> Iterator[Found]:
    """The record if our create may have made it. One that does not say when it was made would only be guessed: it is not told."""
    if created is None:
        yield qbench_id, None
    elif created >= since - CLOCK_SKEW:
        yield qbench_id, crm_id


def _created(record: Record) -> datetime | None:
    """When a record was created; null where it does not say it.

    Its property may hold milliseconds, the record's own member is a moment in ISO 8601.
    """
    for value in (record["properties"].get(CREATED), record.get("createdAt")):
        with suppress(ValueError):
            moment = datetime.fromisoformat(str(value))
            # Some counts of milliseconds read as a date long ago, without a time zone.
            if moment.tzinfo is not None:
                return moment
    return None


def _folded(name: object) -> str:
    return str(name or "").strip().casefold()


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
