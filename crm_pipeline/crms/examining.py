"""What became of records in a CRM, also in one that does not tell merges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from crm_pipeline.crms.abilities import LeavingCrm, MergingCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.schemas import EXAMINED


def examined(crm: Crm, crm_object: CrmObject, crm_ids: list[str], *, key: str | None, fields: Sequence[str] = ()) -> pd.DataFrame:
    """What became of these records (schemas.EXAMINED, the ``fields`` behind it); one that the CRM fails to read has no row.

    ``key``: the external key's field. In a CRM that tells no merges, a record that is not there is deleted.
    """
    if isinstance(crm, MergingCrm):
        return crm.examine(crm_object, crm_ids, fields=fields)
    asked = list(dict.fromkeys(crm_ids))
    if not asked:
        return EXAMINED.build({name: pd.Series(dtype=object) for name in fields})
    held = crm.read(crm_object, asked, list(dict.fromkeys([*([] if key is None else [key]), *fields])))
    live = held[held["error_type"].isna()]
    gone = [crm_id for crm_id in asked if crm_id not in set(held["crm_id"])]
    found = pd.DataFrame(
        {
            "crm_id": live["crm_id"],
            "state": "live",
            "leads_to": live["crm_id"],
            "key": None if key is None else live[key],
            "parent_crm_id": live["parent_crm_id"],
            **{name: live[name] for name in fields},
        }
    )
    return EXAMINED.build(pd.concat([found, pd.DataFrame({"crm_id": gone, "state": "deleted"})], ignore_index=True).astype("object"))


def left_since(crm: Crm, crm_object: CrmObject, since: datetime) -> list[str]:
    """Ids of records that left since then, as far as the CRM tells it at all."""
    return crm.left(crm_object, since=since) if isinstance(crm, LeavingCrm) else []
