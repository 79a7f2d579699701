"""What became of records by their ids: live, merged into another one, or deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.reading import MERGED_IDS, Reader, merged_ids, text
from crm_pipeline.frames import text_column
from crm_pipeline.schemas import EXAMINED

PRIMARY_COMPANY = "associatedcompanyid"
"""HubSpot's own property of a contact: the id of its primary company, so that no association needs to be read."""

LAST_MODIFIED: Mapping[str, str] = MappingProxyType({COMPANIES.name: "hs_lastmodifieddate", CONTACTS.name: "lastmodifieddate"})
"""By object, the property that says when a record was changed last."""
_NOTHING: dict[str, Any] = {"properties": {}}
HAS_MERGED: Mapping[str, object] = MappingProxyType({"propertyName": MERGED_IDS, "operator": "HAS_PROPERTY"})


def examine(reader: Reader, crm_object: CrmObject, ids: Sequence[str], *, key: str | None, fields: Sequence[str]) -> pd.DataFrame:
    """What became of these records (schemas.EXAMINED, then ``fields``), 100 a call; ``key``: the external key property or null.

    That a batch read follows merges is assumed. Ids that it does not find are looked for among all merged records, by search.
    The bin is not asked: that a record is in it does not say whether it was deleted or merged away. Where HubSpot fails to show
    a merged record, nothing is said of the ids that are not found.
    """
    wanted = list(dict.fromkeys(ids))
    properties = [*([key] if key else []), *([PRIMARY_COMPANY] if crm_object == CONTACTS else []), *fields]
    found, failed = reader.current(crm_object.name, wanted, properties)
    if not found.keys() | failed >= set(wanted):
        for records, unread in reader.searched(crm_object.name, [dict(HAS_MERGED)], [*properties, MERGED_IDS]):
            for record in records:
                found |= dict.fromkeys(merged_ids(record), record)
            if unread:
                # Each of those that are not found may be part of it.
                failed |= set(wanted)
        failed -= found.keys()
    told = [one for one in wanted if one not in failed] if failed else wanted
    ends: list[dict[str, Any]] = [found.get(one, _NOTHING) for one in told]
    held = [record["properties"] for record in ends]
    leads_to = [None if record is _NOTHING else str(record["id"]) for record in ends]
    absorbed = [", ".join(merged_ids(record)) or None if record["properties"].get(MERGED_IDS) else None for record in ends]
    values = {"key": key, "parent_crm_id": PRIMARY_COMPANY} | {name: name for name in fields}
    return EXAMINED.build(
        {
            "crm_id": text_column(told),
            "state": text_column(
                ["live" if one == end else "deleted" if end is None else "merged" for one, end in zip(told, leads_to, strict=True)]
            ),
            "leads_to": text_column(leads_to),
            "absorbed": text_column(absorbed),
            **{column: _texts(held, name) for column, name in values.items() if name},
        }
    )


def merged_since(reader: Reader, crm_object: CrmObject, since: datetime) -> list[str]:
    """The ids of records that were merged away, the winner of which changed since then; one search a 200.

    HubSpot lists its bin by nothing but the id, hence in as many calls as there are hundreds in it: deletions are not asked for.
    What was merged into a record that HubSpot fails to show is left out; a look at all links tells it.
    """
    changed = {"propertyName": LAST_MODIFIED[crm_object.name], "operator": "GTE", "value": str(int(since.timestamp() * 1000))}
    winners = reader.searched(crm_object.name, [dict(HAS_MERGED), changed], [MERGED_IDS])
    return [one for records, _ in winners for record in records for one in merged_ids(record)]


def _texts(held: Sequence[Mapping[str, Any]], name: str) -> pd.Series:
    values = [properties.get(name) for properties in held]
    return text_column([value if value is None or (value and value.__class__ is str) else text(value) for value in values])
