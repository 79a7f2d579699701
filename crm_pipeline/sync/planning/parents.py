"""Which account does a contact get, and which does it leave? Decided from links and from what the CRM has; no I/O."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_pipeline.errors import OtherAccountException
from crm_pipeline.frames import Flags, looked_up, no_text
from crm_pipeline.mapping.digests import NO_DIGEST
from crm_pipeline.mapping.spec import OnOtherAccount
from crm_pipeline.model import LinkOrigin, LinkStatus, Operation
from crm_pipeline.sync.planning.plan import PLAN, Plan, undone
from crm_pipeline.sync.planning.reasons import joined


def former_customers(normalized: pd.DataFrame, links: pd.DataFrame) -> list[int]:
    """QBench ids of the customers that linked contacts (schemas.LINKS) belonged to before."""
    if links["parent_qbench_id"].isna().all():
        return []
    now = looked_up(links["qbench_id"], normalized, "customer_id")
    moved = links["parent_qbench_id"].notna() & now.notna() & links["parent_qbench_id"].ne(now)
    return [int(customer) for customer in links.loc[moved, "parent_qbench_id"].unique()]


def previous_parent_crm_ids(normalized: pd.DataFrame, links: pd.DataFrame, former: pd.DataFrame) -> pd.Series:
    """The CRM id of the account that each row's contact was given before; null without one, or where it is gone from the CRM.

    ``former``: schemas.CHECKED_LINKS of the former customers.
    """
    if former.empty:
        return no_text(normalized.index)
    there = former[~former["status"].isin([LinkStatus.DELETED])].set_index("qbench_id")
    customers = normalized["qbench_id"].map(links.set_index("qbench_id")["parent_qbench_id"])
    return customers.map(there["merged_into"].fillna(there["crm_id"])).astype("str")


def without_account(rows: pd.DataFrame, *, links: pd.DataFrame, open_calls: pd.DataFrame) -> pd.Series:
    """Which contacts (plan.PLAN; bool) are in the CRM, not by us, and are given the first account by us.

    They are being linked, or were by a load that ended before. ``links``, ``open_calls``: schemas.LINKS, schemas.OPEN_CALLS.
    """
    wanted = rows["parent_crm_id"].notna()
    linked = wanted & rows["operation"].eq(Operation.LINK)
    if links.empty or not wanted.any():
        return linked
    untold = open_calls.loc[open_calls["content"].eq(NO_DIGEST), "qbench_id"]
    without = links["origin"].ne(str(LinkOrigin.CREATED)) & (links["parent_qbench_id"].isna() | links["qbench_id"].isin(untold))
    linked_before = rows["operation"].eq(Operation.UPDATE) & rows["qbench_id"].isin(links.loc[without, "qbench_id"])
    return linked | (wanted & linked_before)


def keep_parent(
    planned: Plan,
    current: pd.DataFrame,
    *,
    first: pd.Series,
    open_calls: pd.DataFrame,
    on_other_account: OnOtherAccount = "keep",
    several_accounts: bool = False,
) -> Plan:
    """The plan with respect for the account that a contact has in the CRM already when it is linked (docs/rules.md, 18).

    ``current``: columns ``crm_id`` and ``parent_crm_id`` as read. ``first``: see ``without_account``. The account that it has stays
    (keep), is left (move), or the contact is not linked (refuse). Where contacts may have ``several_accounts``, keep adds ours beside it.
    One that a call of ours without an answer gave it (``open_calls``: schemas.OPEN_CALLS) is left.
    """
    held = current.drop_duplicates("crm_id").set_index("crm_id")["parent_crm_id"].reindex(planned.rows["crm_id"]).reset_index(drop=True)
    wanted = planned.rows["parent_crm_id"]
    has_one = first & held.notna() & wanted.notna()
    other = has_one & held.ne(wanted)
    left = other if on_other_account == "move" else other & _given_by(open_calls, planned.rows["qbench_id"], held)
    kept = other & ~left
    if on_other_account == "refuse":
        refused = kept & planned.rows["operation"].eq(Operation.LINK)
        planned, kept = _refused(planned, refused, held), kept & ~refused
    rows = planned.rows.assign(parent_crm_id=wanted.mask(has_one & held.eq(wanted)))
    rows = rows.assign(previous_parent_crm_id=rows["previous_parent_crm_id"].mask(left, held))
    if kept.any():
        note = ("not_pushed: account (" + wanted + " wanted, " + held + " kept)").where(kept)
        rows = rows.assign(reason=joined(rows["reason"], note), beside=kept & several_accounts)
        if not several_accounts:
            rows = rows.assign(parent_crm_id=rows["parent_crm_id"].mask(kept))
    return Plan(PLAN.build(rows), planned.values, planned.sent)


def _given_by(open_calls: pd.DataFrame, qbench_ids: pd.Series, accounts: pd.Series) -> Flags:
    """Which rows have the account that a call of ours may have given them."""
    if open_calls.empty:
        return np.zeros(len(qbench_ids), dtype=bool)
    given = pd.MultiIndex.from_frame(open_calls[["qbench_id", "parent_crm_id"]])
    found: Flags = pd.MultiIndex.from_arrays([qbench_ids, accounts]).isin(given)
    return found


def _refused(planned: Plan, other: pd.Series, held: pd.Series) -> Plan:
    """The plan without the links of contacts that belong to another account."""
    return undone(planned, other, error=OtherAccountException, reason="ids: " + planned.rows["crm_id"] + ", " + held)
