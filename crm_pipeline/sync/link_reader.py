"""What became of the records behind some links? Asked of the CRM, compared with the state."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.sync.eligibility import account_crm_ids
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.reconciling import noteworthy, reconcile


@dataclass(frozen=True, slots=True)
class LinkReader:
    """Looks at links of one order, for a check and for a load that met a record which is gone."""

    order: LoadOrder
    store: Store
    crm: Crm
    org_id: str

    def look(self, links: pd.DataFrame) -> pd.DataFrame:
        """Those of these links (schemas.LINKS) about which there is something to say (reconciling.noteworthy)."""
        order = self.order
        examined = self.crm.examine(order.state.record_type, links["crm_id"].tolist())
        accounts = None
        if order.state.record_type is RecordType.CONTACT:
            with self.store.transaction() as connection:
                ids = links["parent_qbench_id"].dropna().astype("int64").unique().tolist()
                accounts = account_crm_ids(order.parent.links(connection, ids=ids))
        return noteworthy(links, examined, key_of=order.key_of if order.settings.external_key else None, accounts=accounts)

    def reconcile(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The findings (reconciling.FINDINGS) about these links (reconciling.noteworthy)."""
        with self.store.transaction() as connection:
            winners = rows.loc[rows["state"].eq("merged"), "leads_to"].tolist()
            holders = self.order.state.holders(connection, org_id=self.org_id, crm_ids=winners)
        return reconcile(rows, holders, integration=self.order.integration)
