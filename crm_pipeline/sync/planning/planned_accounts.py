"""What accounts will be in a CRM once those planned so far are loaded; no I/O but the state's own."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.mapping.presets import owner_field
from crm_pipeline.model import LinkOrigin, LinkStatus, Operation
from crm_pipeline.schemas import LINKS, OUTCOMES
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.planning.plan import Plan

TO_BE_CREATED = "to be created: "
"""Begins what stands for the CRM id of an account that the same run would create first; its QBench id follows."""


class PlannedAccounts:
    """The accounts as contacts meet them after the planned ones are written (sync.planning.accounts.Accounts).

    ``written``: QBench ids of those that would be written. ``owners``: of those that would be created, by what stands for their
    CRM id; None where the CRM gives them one.
    """

    def __init__(self, state: CrmState) -> None:
        self._state = state
        self._made: dict[int, str] = {}
        self._decided = OUTCOMES.empty()
        self.written: set[int] = set()
        self.owners: dict[str, str | None] = {}

    def add(self, planned: Plan) -> None:
        """Take a plan of accounts as carried out."""
        rows = planned.rows
        writes = rows["operation"].ne(Operation.NONE)
        crm_ids = rows["crm_id"].fillna(TO_BE_CREATED + rows["qbench_id"].astype("str"))
        self.written.update(rows.loc[writes, "qbench_id"].tolist())
        self._made.update(zip(rows.loc[writes, "qbench_id"].tolist(), crm_ids[writes].tolist(), strict=True))
        self._decided = pd.concat([self._decided, rows.loc[~writes, OUTCOMES.names]], ignore_index=True)
        creates = rows["operation"].eq(Operation.CREATE)
        nobody = pd.Series(None, index=rows.index, dtype="str")
        owners = planned.values.get(owner_field(self._state.crm), nobody)[creates]
        self.owners.update(zip(crm_ids[creates].tolist(), owners.astype(object).where(owners.notna(), None).tolist(), strict=True))

    def links(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The links (schemas.LINKS) of these QBench ids, stored or to be made; of a record restored in QBench it lives again."""
        stored = self._state.links(connection, ids=ids)
        # That of a record which is deleted still serves nobody: its own error keeps its contacts back.
        stored = stored.assign(status=stored["status"].replace(str(LinkStatus.SOURCE_DELETED), str(LinkStatus.LIVE)))
        known = set(stored["qbench_id"])
        new = [qbench_id for qbench_id in ids if qbench_id in self._made and qbench_id not in known]
        made = LINKS.build(
            {
                "qbench_id": pd.Series(new, dtype="int64"),
                "crm_id": pd.Series([self._made[qbench_id] for qbench_id in new], dtype="str"),
                "origin": pd.Series([str(LinkOrigin.CREATED) for _ in new], dtype="str"),
                "version": pd.Series([0 for _ in new], dtype="int64"),
                "digests": pd.Series([{} for _ in new], dtype=object),
                "status": pd.Series([str(LinkStatus.LIVE) for _ in new], dtype="str"),
            }
        )
        return LINKS.build(pd.concat([stored, made], ignore_index=True)) if new else stored

    def outcomes(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The latest outcomes (schemas.OUTCOMES) of these QBench ids, planned before stored."""
        here = self._decided[self._decided["qbench_id"].isin(ids)]
        stored = self._state.outcomes(connection, ids=ids)
        stored = stored[~stored["qbench_id"].isin(here["qbench_id"])]
        return OUTCOMES.build(pd.concat([stored, here], ignore_index=True))
