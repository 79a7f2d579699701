"""What accounts will be in a CRM once those planned so far are loaded; no I/O but the state's own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import no_text, one_text, plain
from crm_pipeline.mapping.presets import owner_field
from crm_pipeline.model import LinkStatus, Operation
from crm_pipeline.schemas import CHECKED_LINKS, OUTCOMES
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.planning.plan import Plan

TO_BE_CREATED = "to be created: "
"""Begins what stands for the CRM id of an account that the same run would create first; its QBench id follows."""


class PlannedAccounts:
    """The accounts as contacts meet them after the planned ones are written (sync.planning.accounts.Accounts)."""

    def __init__(self, state: CrmState) -> None:
        self._state = state
        self._made = pd.Series(dtype="str", index=pd.Index([], dtype="int64"))
        """By QBench id of those that would be written, their CRM id or what stands for it."""
        self._decided = OUTCOMES.empty()
        self._owners = pd.Series(dtype="str", index=pd.Index([], dtype="str"))

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Those of accounts that would be created, by what stands for their CRM id; None where the CRM gives them one."""
        return dict(zip(self._owners.index.tolist(), plain(self._owners), strict=True))

    @property
    def written(self) -> list[int]:
        """QBench ids of those that would be written."""
        ids: list[int] = self._made.index.tolist()
        return ids

    def add(self, planned: Plan) -> None:
        """Take a plan of accounts as carried out."""
        rows = planned.rows
        writes = rows["operation"].ne(Operation.NONE)
        crm_ids = rows["crm_id"].fillna(TO_BE_CREATED + rows["qbench_id"].astype("str"))
        made = pd.concat([self._made, crm_ids[writes].set_axis(rows.loc[writes, "qbench_id"])])
        self._made = made[~made.index.duplicated(keep="last")]
        if not writes.all():
            self._decided = pd.concat([self._decided, rows.loc[~writes, OUTCOMES.names]], ignore_index=True)
        creates = rows["operation"].eq(Operation.CREATE)
        owners = planned.values.get(owner_field(self._state.crm), no_text(rows.index))[creates]
        self._owners = pd.concat([self._owners, owners.set_axis(crm_ids[creates])])

    def checked_links(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The links (schemas.CHECKED_LINKS) of these QBench ids, stored or to be made; of a record restored in QBench it lives again."""
        stored = self._state.checked_links(connection, ids=ids)
        # That of a record which is deleted still serves nobody: its own error keeps its contacts back.
        stored = stored.assign(status=stored["status"].replace(str(LinkStatus.SOURCE_DELETED), str(LinkStatus.LIVE)))
        wanted = pd.Series(ids, dtype="int64").drop_duplicates()
        new = wanted[wanted.isin(self._made.index) & ~wanted.isin(stored["qbench_id"])].reset_index(drop=True)
        if new.empty:
            return stored
        made = {
            "qbench_id": new,
            "crm_id": self._made.reindex(new).set_axis(new.index),
            "status": one_text(LinkStatus.LIVE, new.index),
        }
        made_links = CHECKED_LINKS.build(made)
        return CHECKED_LINKS.build(pd.concat([stored, made_links], ignore_index=True)) if len(stored) else made_links

    def outcomes(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The latest outcomes (schemas.OUTCOMES) of these QBench ids, planned before stored."""
        stored = self._state.outcomes(connection, ids=ids)
        here = self._decided[self._decided["qbench_id"].isin(ids)]
        if here.empty:
            return stored
        return OUTCOMES.build(pd.concat([stored[~stored["qbench_id"].isin(here["qbench_id"])], here], ignore_index=True))
