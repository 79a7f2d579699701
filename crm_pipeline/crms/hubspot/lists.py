"""Which records are in a list (HubSpot's pages call it a segment), and which list a name or an id means.

An active list is evaluated in the background, after its records changed (source: HubSpot's lists guide): who left a moment ago may
be in it still.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.answers import InputsDoubtedError
from crm_pipeline.crms.hubspot.contracts import LIST_SHOWN, LISTS_FOUND, MEMBERSHIPS_READ
from crm_pipeline.crms.hubspot.errors import NOT_FOUND
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import BatchRead, Reader
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import ConfigurationError, CrmFailsOnRecordException
from crm_pipeline.schemas import MEMBERS

TYPE_IDS: Mapping[str, str] = MappingProxyType({COMPANIES.name: "0-2", CONTACTS.name: "0-1"})
"""HubSpot's numbers of its object types, as its lists, and the pages of records, name them."""

RECORD_BATCH = 100
"""Records of a batch read of memberships. Not documented: assumed, as of other batches."""

NAMES_SHOWN = 20
"""How many names of lists an error shows."""

MISSING = frozenset({NOT_FOUND, "404"})
"""Codes of a list that is not there."""


class Lists:
    """The lists of one portal; each is looked for once."""

    def __init__(self, transport: Transport, paths: Paths, reader: Reader) -> None:
        self._transport = transport
        self._paths = paths
        self._reader = reader
        self._lock = threading.Lock()
        self._ids: dict[tuple[str, str], str] = {}

    def id_of(self, crm_object: CrmObject, named: str) -> str:
        """The id of the list of this name, whatever its case, or else of this id (crms.abilities.ListsCrm.list_id)."""
        with self._lock:
            if (crm_object.name, named) not in self._ids:
                self._ids[crm_object.name, named] = self._looked_for(crm_object, named)
            return self._ids[crm_object.name, named]

    def members(self, crm_object: CrmObject, named: str, ids: Sequence[str]) -> pd.DataFrame:
        """Which of these records are in a list (crms.abilities.ListsCrm.members), 100 a call."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return MEMBERS.empty()
        list_id, type_id = self.id_of(crm_object, named), TYPE_IDS[crm_object.name]
        read = BatchRead(MEMBERSHIPS_READ, NOT_FOUND, _record, RECORD_BATCH, entry=lambda one: {"objectTypeId": type_id, "recordId": one})
        results, failed = self._reader.batches(self._paths.memberships, {}, wanted, read)
        within = {_record(result)[0] for result in results if list_id in {str(one["listId"]) for one in result["recordListMemberships"]}}
        return MEMBERS.build(
            {
                "crm_id": wanted,
                "member": [None if one in failed else one in within for one in wanted],
                "error_type": [CrmFailsOnRecordException.__name__ if one in failed else None for one in wanted],
            }
        )

    def _looked_for(self, crm_object: CrmObject, named: str) -> str:
        type_id = TYPE_IDS[crm_object.name]
        asked = [self._paths.list_named(type_id, quote(named, safe=""))]
        # A number may be a name, too; one that is both is the name, which people see.
        asked += [self._paths.one_list(named)] if named.isascii() and named.isdecimal() else []
        for path in asked:
            try:
                found = self._transport.get(path, label="describe", holds=LIST_SHOWN)["list"]
            except InputsDoubtedError as refusal:
                if refusal.code not in MISSING:
                    raise
            else:
                if str(found["objectTypeId"]) == type_id and not found.get("deletedAt"):
                    return str(found["listId"])
        raise ConfigurationError(
            f"integration {self._transport.integration}: HubSpot has no list {named!r} of {crm_object.name}; {self._names(type_id)}"
        )

    def _names(self, type_id: str) -> str:
        """The names of the lists that there are, in words."""
        body = {"objectTypeId": type_id, "offset": 0, "count": NAMES_SHOWN}
        answer: dict[str, Any] = self._transport.post(self._paths.lists_search, body, label="describe", holds=LISTS_FOUND).content
        names = ", ".join(str(one["name"]) for one in answer["lists"])
        if not names:
            return "there is none; make one there, or take it out of the YAML"
        return f"name one of these{', or of more,' if answer['hasMore'] else ''} by its name or id: {names}"


def _record(result: dict[str, Any]) -> list[str]:
    """The record whose lists a result holds."""
    return [str(result["recordId"])]
