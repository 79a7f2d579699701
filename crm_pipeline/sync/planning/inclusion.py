"""Which records of a CRM are in the lists that an integration syncs there? Nothing flows, either way, of those that left them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import ListsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.filters import lists_named
from crm_pipeline.sync.order import LoadOrder, objects_of


@dataclass(frozen=True, slots=True)
class Listed:
    """What the CRM says of records by their CRM ids.

    ``outside``: those that are not in a list, with its name. ``unread``: those of which the CRM fails to tell.
    """

    outside: Mapping[str, str]
    unread: frozenset[str]


def listed(crm: Crm, order: LoadOrder, records: pd.DataFrame) -> Listed:
    """Which records (columns ``object`` and ``crm_id``) are outside the lists of the order's ``only``.

    As many calls as ``members`` needs for them, none where no list is named. Raises ConfigurationError for a list that is not there, or
    a CRM that keeps none.
    """
    lists = lists_named(order.record.only, order.crm)
    if not lists or records.empty:
        return Listed({}, frozenset())
    if not isinstance(crm, ListsCrm):
        title = crm_kinds()[order.crm].title
        raise ConfigurationError(f"integration {order.integration}: {title} keeps no lists; leave {order.crm} out of `crm_list`")
    outside: dict[str, str] = {}
    unread: set[str] = set()
    for crm_object, rows in objects_of(order.state, records["object"]):
        for name in lists:
            found = crm.members(crm_object, name, records.loc[rows, "crm_id"].unique().tolist())
            unread.update(found.loc[found["member"].isna(), "crm_id"])
            outside |= dict.fromkeys(found.loc[~found["member"].fillna(value=True).astype(bool), "crm_id"], name)
    return Listed(outside, frozenset(unread))
