"""Which records of a CRM are in the lists that an integration syncs there? Nothing flows of those that are not, or nothing comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from crm_pipeline.crms.abilities import ListsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.receiving import Receiving
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.filters import lists_named
from crm_pipeline.sync.order import LoadOrder, objects_of


@dataclass(frozen=True, slots=True)
class Listed:
    """What the CRM says of records by their CRM ids.

    ``outside``: those that are not in a list, with the reason, which names it. ``unread``: those of which the CRM fails to tell.
    """

    outside: Mapping[str, str]
    unread: frozenset[str]


def listed(crm: Crm, order: LoadOrder, records: pd.DataFrame) -> Listed:
    """Which records (columns ``object`` and ``crm_id``) are outside the lists of the order's ``only``, with which they sync both ways.

    As many calls as ``members`` needs for them, none where no list is named. Raises ConfigurationError for a list that is not there.
    """
    return _listed(crm, order, records, lists=lists_named(order.record.only, order.crm))


def listed_back(crm: Crm, order: LoadOrder, records: pd.DataFrame) -> Listed:
    """The same of the way back, which the CRM's ``receive`` may limit to a further list."""
    record_type, receive = order.record.record_type, order.settings.receive
    name = order.settings.list_back(record_type)
    both = lists_named(order.record.only, order.crm)
    try:
        return _listed(crm, order, records, lists=both if name is None or name in both else (*both, name))
    except ConfigurationError as error:
        if isinstance(receive, Receiving) and isinstance(receive.only_in_list, str):
            hint = "a list holds records of one type; `only_in_list: {accounts: <list>, contacts: <list>}` names one for each, or for one"
            raise ConfigurationError(f"{error}; {hint}") from error
        raise


def _listed(crm: Crm, order: LoadOrder, records: pd.DataFrame, *, lists: Sequence[str]) -> Listed:
    if not lists or records.empty:
        return Listed({}, frozenset())
    if not isinstance(crm, ListsCrm):
        raise TypeError(f"{order.crm} is said to keep lists, which its client does not ask for")
    outside: dict[str, str] = {}
    unread: set[str] = set()
    for crm_object, rows in objects_of(order.state, records["object"]):
        for name in lists:
            found = crm.members(crm_object, name, records.loc[rows, "crm_id"].unique().tolist())
            unread.update(found.loc[found["member"].isna(), "crm_id"])
            outside |= dict.fromkeys(found.loc[~found["member"].fillna(value=True).astype(bool), "crm_id"], f"list: {name}")
    return Listed(outside, frozenset(unread))
