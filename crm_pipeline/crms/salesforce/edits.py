"""Since when fields hold what they hold, and who gave it: by field history where it is kept, else by the record's last edit.

Field history tells besides what they held before.

Which fields are tracked is the organization's choice, at most 20 of an object ("Field History Tracking" in the help).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pandas as pd

from crm_pipeline.crms.salesforce.changes import EDITED_AT, EDITED_BY
from crm_pipeline.crms.salesforce.errors import RowsRefusedError
from crm_pipeline.crms.salesforce.queries import SelectIn, compare
from crm_pipeline.crms.salesforce.rows import json_value
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.schemas import EDITS, FIELD_HISTORY, RECORD_STAMP, VERSIONS

NO_SUCH_OBJECT = "INVALID_TYPE"
"""The code of an object that the organization lacks, or that its user may not see."""

NAMES_IN_HISTORY: Mapping[tuple[str, str], str] = MappingProxyType({("Account", "name"): "TextName"})
"""How field history names a field, by object and field, where not only as the object does. Assumed."""

Told = Mapping[str, Any]


class Editing:
    """Tells the edits of one organization's records."""

    def __init__(self, transport: SalesforceTransport) -> None:
        self._transport = transport
        self._kept: dict[str, bool] = {}

    def edits(self, sobject: str, ids: Sequence[str], fields: Sequence[str]) -> pd.DataFrame:
        """When the fields were edited (crms.abilities.EditsCrm.edits).

        History tells nothing of a field whose newest entry is of another value than the present one: it is tracked no more.
        """
        wanted, named = list(dict.fromkeys(ids)), list(dict.fromkeys(fields))
        if not (wanted and named):
            return EDITS.empty()
        asked = list({name.lower(): name for name in ("Id", EDITED_AT, EDITED_BY, *named)}.values())
        found, _ = self._transport.retrieve(sobject, wanted, asked)
        newest = self._newest(sobject, [str(record["Id"]) for record in found], named)
        ours = self._transport.identity.user
        rows = [
            (record["Id"], name, *edit)
            for record in map(_by_small_names, found)
            for name in named
            if (edit := _edit(record, newest.get((record["Id"], name.lower())), field=name.lower(), ours=ours))
        ]
        told = pd.DataFrame(rows, columns=EDITS.names)
        told["edited_at"] = pd.to_datetime(told["edited_at"], utc=True, format="ISO8601", errors="coerce")
        return EDITS.build(told[told["edited_at"].notna()])

    def versions(self, sobject: str, ids: Sequence[str], fields: Sequence[str], *, since: datetime) -> pd.DataFrame:
        """What the fields were given (crms.abilities.VersionsCrm.versions); nothing of fields of which history keeps no values."""
        named = {name.lower(): name for name in fields}
        entries = self._entries(sobject, list(dict.fromkeys(ids)), list(named.values()), since=since)
        # Of long texts the entries hold no values.
        kept = [(of, entry) for of, entry in entries if (entry["oldvalue"], entry["newvalue"]) != (None, None)]
        times = pd.to_datetime(pd.Series([entry["createddate"] for _, entry in kept], dtype="str"), utc=True, errors="coerce")
        rows = [
            (crm_id, named[field], json_value(entry["newvalue"]), at)
            for ((crm_id, field), entry), at in zip(kept, times, strict=True)
            if at >= since
        ]
        return VERSIONS.of_rows(VERSIONS.names, rows)

    def _newest(self, sobject: str, ids: Sequence[str], fields: Sequence[str]) -> dict[tuple[str, str], Told]:
        """The newest entry of the history, by record and field in lower case."""
        return dict(self._entries(sobject, ids, fields))

    def _entries(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str], *, since: datetime | None = None
    ) -> list[tuple[tuple[str, str], Told]]:
        """The entries of the history, each with its record and its field in lower case, the oldest first."""
        names = {name: name.lower() for name in fields}
        names |= {other: name.lower() for name in fields if (other := NAMES_IN_HISTORY.get((sobject, name.lower())))}
        of = f"{sobject}Id"
        columns = ["Id", of, "Field", "OldValue", "NewValue", "CreatedById", "CreatedDate"]
        times = [] if since is None else [compare("CreatedDate", ">=", since)]
        statement = SelectIn(f"{sobject}History", columns, of, [compare("Field", "IN", list(names)), *times])
        if not (ids and fields and self._keeps(statement)):
            return []
        entries, _ = self._transport.query_in(statement, ids)
        field_of = {name.lower(): field for name, field in names.items()}
        in_order = sorted(map(_by_small_names, entries), key=lambda entry: (entry["createddate"], entry["Id"]))
        return [((str(entry[of.lower()]), field_of.get(str(entry["field"]).lower(), "")), entry) for entry in in_order]

    def _keeps(self, history: SelectIn) -> bool:
        """Whether there is such a history, asked once: an organization that does not track an object has none of it."""
        if history.sobject not in self._kept:
            self._kept[history.sobject] = self._answers(history)
        return self._kept[history.sobject]

    def _answers(self, history: SelectIn) -> bool:
        try:
            list(self._transport.query(history.of_none()))
        except RowsRefusedError as refusal:
            if refusal.problem.code == NO_SUCH_OBJECT:
                return False
            raise
        return True


def _by_small_names(record: Told) -> dict[str, Any]:
    return {**{name.lower(): value for name, value in record.items()}, "Id": str(record["Id"])}


def _edit(record: Told, newest: Told | None, *, field: str, ours: str | None) -> tuple[str, str | None, str] | None:
    """When a field was edited, by whom, and what says so; null where nothing does."""
    if newest is not None and _is_of(newest, record[field]):
        return newest["createddate"], newest["createdbyid"], FIELD_HISTORY
    # Who is known to be us, or may be, says nothing of what others did before.
    if ours is None or record[EDITED_BY.lower()] in {ours, None}:
        return None
    return record[EDITED_AT.lower()], record[EDITED_BY.lower()], RECORD_STAMP


def _is_of(entry: Told, present: object) -> bool:
    """Whether an entry is of the present value. Of long texts none is kept ("EntityHistory" in the Object Reference)."""
    old, new = entry["oldvalue"], entry["newvalue"]
    return (old is None and new is None) or _as_text(new) == _as_text(present)


def _as_text(value: object) -> str:
    plain = json_value(value)
    return "" if plain is None else str(plain).lower() if isinstance(plain, bool) else str(plain)
