"""Finds what became of creates without an external key whose answer is not known (docs/rules.md, 4 and 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.crms.hubspot.reading import Reader
from crm_pipeline.model import RecordType

CREATED = "createdate"

CLOCK_SKEW = timedelta(minutes=5)
"""How far HubSpot's clock may be behind ours. Assumed; a record created earlier than this before its intent is not ours."""

SENDING = timedelta(minutes=10)
"""How long after its intent a create can still be carried out: pacing, a time-out and HubSpot's own delay. Assumed."""

Found = tuple[int, str | None]
"""A QBench id and the id of a record that its create may have made, null where HubSpot fails to tell."""


def resolve(reader: Reader, record_type: RecordType, object_name: str, intents: pd.DataFrame) -> pd.DataFrame:
    """The records that the creates of these intents made: columns ``qbench_id``, ``crm_id``, a row per record found.

    Contacts are read by email, which is exact at once. Companies are searched by creation time and compared by name; the
    search index lags, so that one may be missing that is there already.
    """
    if record_type is RecordType.CONTACT:
        found = list(_contacts(reader, object_name, intents))
    else:
        found = [pair for window in _windows(intents) for pair in _companies(reader, object_name, window)]
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
    created = {crm_id: _created(reader, record) for crm_id, record in held.items()}
    for (qbench_id, since), email in emails.items():
        crm_id = ids.get(email)
        if email in unread or crm_id in failed:
            yield qbench_id, None
        elif crm_id is not None and _is_ours(created.get(crm_id), since):
            yield qbench_id, crm_id


def _companies(reader: Reader, object_name: str, intents: pd.DataFrame) -> Iterator[Found]:
    filters = [
        {"propertyName": CREATED, "operator": "GTE", "value": _milliseconds(intents["created_at"].min() - CLOCK_SKEW)},
        {"propertyName": CREATED, "operator": "LTE", "value": _milliseconds(intents["created_at"].max() + CLOCK_SKEW + SENDING)},
    ]
    by_name: dict[str, list[tuple[str, datetime]]] = {}
    for record in reader.searcher.records(object_name, filters, ["name", CREATED]):
        name = record["properties"].get("name")
        by_name.setdefault(_folded(name), []).append((str(record["id"]), _created(reader, record)))
    for qbench_id, sent, since in zip(intents["qbench_id"], intents["sent"], intents["created_at"], strict=True):
        for crm_id, created in by_name.get(_folded(sent.get("name")), ()):
            if sent.get("name") and _is_ours(created, since):
                yield int(qbench_id), crm_id


def _windows(intents: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The intents in groups that were written shortly after one another: a group costs one search or a few."""
    ordered = intents.sort_values("created_at")
    group = (ordered["created_at"].diff() > SENDING).cumsum()
    for _, window in ordered.groupby(group):
        yield window


def _is_ours(created: datetime | None, since: datetime) -> bool:
    return created is not None and created >= since - CLOCK_SKEW


def _created(reader: Reader, record: Mapping[str, Any]) -> datetime:
    """When a record was created: its property may hold milliseconds, the record's own member is a moment in ISO 8601.

    Raises UnexpectedAnswerError where neither says it: whose record it is would only be guessed.
    """
    for value in (record["properties"].get(CREATED), record.get("createdAt")):
        with suppress(ValueError):
            moment = datetime.fromisoformat(str(value))
            # Some counts of milliseconds read as a date long ago, without a time zone.
            if moment.tzinfo is not None:
                return moment
    raise reader.unexpected(f"a record does not say when it was created, neither in {CREATED} nor in createdAt")


def _folded(name: object) -> str:
    return str(name or "").strip().casefold()


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
