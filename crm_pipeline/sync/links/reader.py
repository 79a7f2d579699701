"""What became of the records behind some links? Asked of the CRM, compared with the state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.crms.examining import examined
from crm_pipeline.frames import among
from crm_pipeline.mapping.digests import NO_DIGEST, digest_frame, digests
from crm_pipeline.model import MODELS
from crm_pipeline.schemas import EXAMINED
from crm_pipeline.store.crm_records import stage_seen
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import left_behind, release
from crm_pipeline.store.link_checks import change_links
from crm_pipeline.store.open_calls import untold_accounts
from crm_pipeline.sync.links.findings import contested, noteworthy, reconcile
from crm_pipeline.sync.links.usable import account_crm_ids
from crm_pipeline.sync.order import LoadOrder, fields_back, objects_of, read, usual_object


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at links found: ``rows`` about which there is something to say (findings.noteworthy).

    ``unread``: the QBench ids of those whose records the CRM fails to read.
    """

    rows: pd.DataFrame
    unread: list[int]


@dataclass(frozen=True, slots=True)
class LinkReader:
    """Looks at links on behalf of an order, for a check of links, and for a load that met a deleted or merged record.

    ``state``: whose links they are, the order's own or its accounts'.
    """

    order: LoadOrder
    store: Store
    crm: Crm
    org_id: str
    state: CrmState

    def look(self, links: pd.DataFrame, *, for_changes: bool = False) -> Looked:
        """What there is to say of these links (schemas.CHECKED_LINKS, and what else of schemas.LINKS).

        ``for_changes``: have the next run look at the live records that show something else in the fields that come back than is staged.
        """
        has_parent = MODELS[self.state.record_type].parent is not None
        if has_parent:
            # Asked before the CRM is: a load may be sending them.
            with self.store.transaction() as connection:
                untold = untold_accounts(connection, self.state)
            links = links.assign(parent_qbench_id=links["parent_qbench_id"].mask(links["qbench_id"].isin(untold)))
        parts = [
            self._examined(crm_object, links.loc[rows, "crm_id"].tolist(), for_changes=for_changes)
            for crm_object, rows in objects_of(self.state, links["object"])
        ]
        found = pd.concat(parts, ignore_index=True) if parts else EXAMINED.empty()
        told = among(links["crm_id"], found["crm_id"])
        unread = [int(qbench_id) for qbench_id in links.loc[~told, "qbench_id"]]
        links = links[told].reset_index(drop=True)
        accounts = None
        if has_parent:
            with self.store.transaction() as connection:
                ids = links["parent_qbench_id"].dropna().astype("int64").unique().tolist()
                accounts = account_crm_ids(self.state.accounts.checked_links(connection, ids=ids))
        return Looked(
            noteworthy(links, found, key_of=self.order.key_of if self.order.settings.external_key else None, accounts=accounts), unread
        )

    def _examined(self, crm_object: CrmObject, crm_ids: list[str], *, for_changes: bool) -> pd.DataFrame:
        fields = fields_back(self.order, self.crm, crm_object) if for_changes else []
        began = datetime.now(UTC)
        found = examined(self.crm, crm_object, crm_ids, key=self.order.settings.external_key, fields=fields)
        if fields:
            live = found[found["state"].eq("live")].reset_index(drop=True)
            name = None if crm_object == usual_object(self.state) else crm_object.name
            with self.store.transaction() as connection:
                stage_seen(connection, self.state, frame=live, read_at=began, object_name=name)
        return found[EXAMINED.names]

    def reconcile(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The findings (findings.FINDINGS) about these links (findings.noteworthy).

        Where several lead to one record that nobody holds, and its key does not say whose it is, its values are read. Where the CRM
        fails to show them, nothing is found about these links.
        """
        state, winners = self.state, rows.loc[rows["state"].eq("merged"), "leads_to"].tolist()
        with self.store.transaction() as connection:
            holders = state.holders(connection, org_id=self.org_id, crm_ids=winners)
            left = left_behind(connection, state, org_id=self.org_id, crm_ids=winners)
        holders = holders[~holders["crm_id"].isin(left["crm_id"])].reset_index(drop=True)
        rivals = contested(rows, holders)
        standing, unread = self._standing(rivals)
        rows = rows[~rows["qbench_id"].isin(rivals.loc[rivals["leads_to"].isin(unread), "qbench_id"])].reset_index(drop=True)
        return reconcile(rows, holders, integration=self.order.integration, standing=standing)

    def store_changes(self, connection: Connection, findings: pd.DataFrame) -> None:
        """Store what the links of these findings (findings.FINDINGS) are now; of a record deleted in QBench, a winner is taken over."""
        release(connection, self.state, org_id=self.org_id, crm_ids=findings.loc[findings["finding"].eq("relinked"), "crm_id"].tolist())
        change_links(connection, self.state, changes=findings)

    def _standing(self, rivals: pd.DataFrame) -> tuple[pd.Series | None, set[str]]:
        """By QBench id, how many of the values last sent the winner has, for a merge keeps those of the primary record.

        And the winners that the CRM fails to read.
        """
        fields = sorted({name for row in rivals["digests"] for name in row})
        if rivals.empty or not fields:
            return None, set()
        held = read(self.crm, self.state, rivals.assign(crm_id=rivals["leads_to"]), fields)
        now = digests(held[fields]).set_index(held["crm_id"].rename(None)).reindex(rivals["leads_to"], fill_value=NO_DIGEST)
        last = digest_frame(rivals["digests"], fields)
        equal = (last.to_numpy() == now.to_numpy()) & (last.to_numpy() != NO_DIGEST)
        unread = set(held.loc[held["error_type"].notna(), "crm_id"])
        return pd.Series(equal.sum(axis=1), index=rivals["qbench_id"]), unread
