"""Since when properties hold what they hold, who gave it, and what they held before: by the versions that HubSpot keeps of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot.contracts import HISTORIES
from crm_pipeline.crms.hubspot.reading import Reader, text
from crm_pipeline.schemas import EDITS, FIELD_HISTORY, VERSIONS


def edits(reader: Reader, crm_object: CrmObject, ids: Sequence[str], properties: Sequence[str]) -> pd.DataFrame:
    """When the properties were edited (crms.abilities.EditsCrm.edits), 50 records a call.

    What an app's own writes are called in the history is not known for service keys: they are edits like any other.
    """
    wanted = list(dict.fromkeys(ids))
    if not (wanted and properties):
        return EDITS.empty()
    found, _ = reader.current(crm_object.name, wanted, [], histories=properties)
    rows = [
        {"crm_id": asked, "crm_field": name, "edited_at": version["timestamp"], "edited_by": _by(version), "evidence": FIELD_HISTORY}
        for asked, record in found.items()
        for name, versions in record[HISTORIES].items()
        if (version := _first_of_present(versions)) is not None
    ]
    told = pd.DataFrame(rows, columns=EDITS.names)
    told["edited_at"] = _moments(told["edited_at"].tolist())
    return EDITS.build(told[told["edited_at"].notna()])


def versions(reader: Reader, crm_object: CrmObject, ids: Sequence[str], properties: Sequence[str], *, since: datetime) -> pd.DataFrame:
    """What the properties were given (crms.abilities.VersionsCrm.versions), as far back as HubSpot keeps it, 50 records a call."""
    wanted = list(dict.fromkeys(ids))
    if not (wanted and properties):
        return VERSIONS.empty()
    found, _ = reader.current(crm_object.name, wanted, [], histories=properties)
    rows = [
        (asked, name, text(version["value"]), version["timestamp"])
        for asked, record in found.items()
        if str(record["id"]) == asked
        for name, of_it in record[HISTORIES].items()
        for version in reversed(of_it)
    ]
    times = _moments([row[-1] for row in rows])
    told = [(*row[:-1], at) for row, at in zip(rows, times, strict=True) if at >= since]
    return VERSIONS.of_rows(VERSIONS.names, told)


def _moments(written: Sequence[Any]) -> pd.Series:
    """The times (UTC) as HubSpot writes them, null where they cannot be read."""
    return pd.to_datetime(pd.Series(written, dtype="str"), utc=True, format="ISO8601", errors="coerce")


def _first_of_present(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The version that brought the present value; the newest stands first. One that changes nothing is no edit."""
    present = list(takewhile(lambda version: text(version["value"]) == text(versions[0]["value"]), versions))
    return present[-1] if present else None


def _by(version: Mapping[str, Any]) -> str | None:
    """The user, else what it was, ``IMPORT`` or ``INTEGRATION 1234`` for instance."""
    if (user := text(version.get("updatedByUserId"))) is not None:
        return user
    return " ".join(filter(None, (text(version.get("sourceType")), text(version.get("sourceId"))))) or None
