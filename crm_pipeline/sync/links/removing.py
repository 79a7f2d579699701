"""Deletes CRM records of what QBench deleted, or has as inactive, where the integration asks for it (docs/rules.md, 26).

Part of a check of links, behind its limit: a mass of deletions is reported, and nothing of it done. What a person could miss stays: a
record that the pipeline did not make, one that was merged or carries another key, an account with which others would go.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import DeletingCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.crms.examining import examined
from crm_pipeline.errors import ConfigurationError, DeletedInQBenchException, InactiveContactException, RecordError
from crm_pipeline.mapping.folding import fold, same_key
from crm_pipeline.mapping.normalize import ACTIVE_STATUS
from crm_pipeline.mapping.spec import ContactSpec
from crm_pipeline.model import children
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.removals import about_to_remove, removable, save_removed
from crm_pipeline.sync.links.findings import told
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.order import LoadOrder, objects_of

ERRORS: dict[str, type[RecordError]] = {error.__name__: error for error in (DeletedInQBenchException, InactiveContactException)}
CHILDREN_NAMED = 5


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of CRM records that were to be deleted, by QBench id. ``too_many``: they are more than the policy allows: all stay."""

    removed: list[int]
    kept: list[int]
    too_many: list[int]


NOTHING = Removal([], [], [])


@dataclass(frozen=True, slots=True)
class Remover:
    """Deletes records of one type in one CRM; under the locks of whoever writes there."""

    order: LoadOrder
    store: Store
    crm: Crm
    policy: LinkPolicy

    @property
    def is_asked_for(self) -> bool:
        """Whether the integration has such records deleted, and sends anything to the CRM now."""
        return self.order.record.deletes and self.order.settings.send

    def run(self) -> Removal:
        """Delete what is to go; what is done is stored batch by batch. Raises the ServiceError or ConfigurationError that stopped it."""
        crm, order = self._deleting(), self.order
        with self.store.transaction() as connection:
            found = due(self._removable(connection))
            limit = self.policy.limit(count_links(connection, order.state) + len(found)) if len(found) else 0
        if found.empty:
            return NOTHING
        if len(found) > limit:
            return Removal([], [], found["qbench_id"].tolist())
        parts = [
            self._batch(crm, crm_object, of_object.iloc[start : start + size].reset_index(drop=True))
            for crm_object, rows in objects_of(order.state, found["object"])
            for of_object, size in [(found[rows], self.crm.capabilities.batch_size)]
            for start in range(0, len(of_object), size)
        ]
        removed, kept = zip(*parts, strict=True)
        return Removal(list(chain.from_iterable(removed)), list(chain.from_iterable(kept)), [])

    def _removable(self, connection: Connection) -> pd.DataFrame:
        record = self.order.record
        inactive = isinstance(record, ContactSpec) and record.delete_inactive
        deleted = record.when_deleted_in_qbench == "delete"
        return removable(connection, self.order.state, deleted=deleted, inactive=inactive, also_linked=record.also_linked)

    def _batch(self, crm: DeletingCrm, crm_object: CrmObject, links: pd.DataFrame) -> tuple[list[int], list[int]]:
        """Delete the records of these links, and store what became of them; the QBench ids of those that went, and of those that stay."""
        order, key = self.order, self.order.settings.external_key
        looked = links.merge(examined(self.crm, crm_object, links["crm_id"].tolist(), key=key), on="crm_id")
        own_key = order.key_of(looked["qbench_id"]) if key else pd.Series(None, index=looked.index, dtype="str")
        looked = looked.assign(stays=reasons_to_stay(looked, own_key))
        live = looked["state"].eq("live") & looked["stays"].isna()
        if children(order.state.record_type) and live.any():
            others = with_others(crm.children(looked.loc[live, "crm_id"].tolist()))
            looked["stays"] = looked["stays"].fillna(looked["crm_id"].map(others).astype("str"))
            live &= looked["stays"].isna()
        with self.store.transaction() as connection:
            about_to_remove(connection, order.state, ids=looked.loc[live, "qbench_id"].tolist())
        if live.any():
            answer = crm.remove(crm_object, looked.loc[live, "crm_id"].tolist()).set_index("crm_id")
            refused = answer["error_type"] + (" (" + answer["error_code"] + ")").fillna("")
            looked["stays"] = looked["stays"].fillna(looked["crm_id"].map(refused).astype("str"))
        gone = looked["stays"].isna()
        self._store(looked, gone)
        return looked.loc[gone, "qbench_id"].tolist(), looked.loc[~gone, "qbench_id"].tolist()

    def _store(self, looked: pd.DataFrame, gone: pd.Series) -> None:
        order = self.order
        said = (f"deleted in {order.crm}: " + looked["crm_id"]).mask(
            ~gone, f"not deleted in {order.crm}: " + looked["crm_id"] + ", " + looked["stays"]
        )
        with self.store.transaction() as connection:
            save_removed(connection, order.state, ids=looked.loc[gone, "qbench_id"].tolist())
            latest = order.state.outcomes(connection, ids=looked["qbench_id"].tolist())
            outcomes = told(looked.assign(reason=said), looked["error_type"].map(ERRORS), latest)
            order.state.save_outcomes(connection, outcomes=outcomes, attempt=order.attempt)

    def _deleting(self) -> DeletingCrm:
        if isinstance(self.crm, DeletingCrm):
            return self.crm
        title = crm_kinds()[self.order.crm].title
        raise ConfigurationError(
            f"integration {self.order.integration}: {title} has no bin; leave when_deleted_in_qbench and delete_inactive away"
        )


def due(links: pd.DataFrame) -> pd.DataFrame:
    """Those of these links (store.removals.REMOVABLE) whose records go: of inactive contacts those whose customer is active.

    A customer that says no status is not known to be inactive.
    """
    status = fold(links["customer_status"].astype("object"))
    waits = links["error_type"].eq(InactiveContactException.__name__) & status.notna() & status.ne(ACTIVE_STATUS)
    return links[~waits].reset_index(drop=True)


def reasons_to_stay(looked: pd.DataFrame, own_key: pd.Series) -> pd.Series:
    """Why records are left as they are, null where they may go; ``looked``: what became of them (schemas.EXAMINED)."""
    merged = looked["state"].eq("merged")
    other_key = looked["state"].eq("live") & own_key.notna() & looked["key"].notna() & ~same_key(looked["key"], own_key)
    nothing = pd.Series(None, index=looked.index, dtype="str")
    return nothing.mask(merged, "merged into " + looked["leads_to"]).mask(other_key, "which carries another external key")


def with_others(found: pd.DataFrame) -> pd.Series:
    """By account, what would be deleted with it, in words (``found``: schemas.CHILDREN)."""
    named = found.assign(name=(found["object"] + " " + found["crm_id"]).fillna(found["error_type"]))
    return named.groupby("parent_crm_id")["name"].agg(_listed).astype("str")


def _listed(names: pd.Series) -> str:
    shown = ", ".join(names.iloc[:CHILDREN_NAMED])
    more = len(names) - CHILDREN_NAMED
    return f"with which would go: {shown}{f' and {more} more' if more > 0 else ''}"
