"""Since when properties hold what they hold, and who gave it, by the versions that HubSpot keeps of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot.contracts import HISTORIES
from crm_pipeline.crms.hubspot.reading import Reader, text
from crm_pipeline.schemas import EDITS, FIELD_HISTORY


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
    told["edited_at"] = pd.to_datetime(told["edited_at"], utc=True, format="ISO8601", errors="coerce")
    return EDITS.build(told[told["edited_at"].notna()])


def _first_of_present(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The version that brought the present value; the newest stands first. One that changes nothing is no edit."""
    present = list(takewhile(lambda version: text(version["value"]) == text(versions[0]["value"]), versions))
    return present[-1] if present else None


def _by(version: Mapping[str, Any]) -> str | None:
    """The user, else what it was, ``IMPORT`` or ``INTEGRATION 1234`` for instance."""
    if (user := text(version.get("updatedByUserId"))) is not None:
        return user
    return " ".join(filter(None, (text(version.get("sourceType")), text(version.get("sourceId"))))) or None
