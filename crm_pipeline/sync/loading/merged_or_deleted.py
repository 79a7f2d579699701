"""What does a load do when the record that it updates was merged or deleted in the CRM (docs/rules.md, 29)?

Linked records are written by their id, never by a key that might make a second one. So nothing needs to be asked before a
write: only when the CRM refuses one, or says nothing of it, is its link compared with what the CRM has.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from crm_pipeline.errors import (
    CustomerNotSyncedException,
    DeletedInCrmException,
    LinkConflictException,
    ParentNotFoundException,
    UnaccountedException,
)
from crm_pipeline.model import LinkStatus
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.sync.links.findings import outcomes
from crm_pipeline.sync.links.reader import LinkReader
from crm_pipeline.sync.links.usable import account_crm_ids
from crm_pipeline.sync.planning.plan import PLAN, Plan

MAY_BE_GONE = [DeletedInCrmException.__name__, UnaccountedException.__name__]
PARENT_MAY_BE_GONE = [ParentNotFoundException.__name__, UnaccountedException.__name__]


def follow(reader: LinkReader, batch: Plan, answer: pd.DataFrame) -> tuple[Plan, pd.DataFrame, pd.Series]:
    """The batch with the rows whose records were merged led to the winners, its answer, and which rows are to be sent again.

    ``answer``: schemas.WRITE_RESULTS, a row per row of the batch. What merges made of the links is stored, and a row whose
    winner is another record's is a conflict; deletions are left to the check of links, which sees how many there are. One
    call for as many rows as ``examine`` takes, none where no record may be gone.
    """
    nothing = pd.Series(False, index=answer.index, dtype="bool")
    doubtful = answer["error_type"].isin(MAY_BE_GONE) & batch.rows["crm_id"].notna()
    if not doubtful.any():
        return batch, answer, nothing
    ids = batch.rows.loc[doubtful, "qbench_id"].tolist()
    findings = _followed(reader, ids, told=ids).set_index("qbench_id", drop=False)
    finding = answer["qbench_id"].map(findings["finding"])
    moved, conflict, deleted = (doubtful & finding.eq(name) for name in ("relinked", "conflict", "deleted"))
    rows = batch.rows.assign(crm_id=batch.rows["crm_id"].mask(moved, batch.rows["qbench_id"].map(findings["crm_id"]).astype("str")))
    error_type = answer["error_type"].mask(conflict, LinkConflictException.__name__).mask(deleted, DeletedInCrmException.__name__)
    error_ids = answer["error_ids"].mask(conflict, answer["qbench_id"].map(findings["merged_into"]).astype("str"))
    answer = WRITE_RESULTS.build(answer.assign(error_type=error_type, error_ids=error_ids))
    return Plan(PLAN.build(rows), batch.values, batch.sent), answer, moved


def follow_parents(
    accounts: Callable[[], LinkReader], rows: pd.DataFrame, answer: pd.DataFrame, *, unless: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """The contacts whose accounts were merged led to the winners, their answers, and which are to be sent again.

    ``accounts``: makes the reader of accounts' links. ``rows``: plan.PLAN. ``answer``: schemas.WRITE_RESULTS, a row per row.
    ``unless``: rows that are sent again anyway. What merges made of the accounts' links is stored. The answer
    says of a deleted account that it is deleted. One call for as many accounts as ``examine`` takes, none where no account may be gone.
    """
    nothing = pd.Series(False, index=answer.index, dtype="bool")
    doubtful = answer["error_type"].isin(PARENT_MAY_BE_GONE) & rows["parent_crm_id"].notna() & ~unless
    if not doubtful.any():
        return rows, answer, nothing
    ids = rows.loc[doubtful, "parent_qbench_id"].astype("int64").unique().tolist()
    reader = accounts()
    findings = _followed(reader, ids, told=[])
    with reader.store.transaction() as connection:
        # As they are now: an earlier batch may have followed the merge.
        winners = account_crm_ids(reader.state.checked_links(connection, ids=ids))
    # Whether an unaccounted create was carried out only its intent tells.
    repeatable = answer["error_type"].eq(ParentNotFoundException.__name__) | rows["crm_id"].notna() | rows["key"].notna()
    gone = doubtful & repeatable & rows["parent_qbench_id"].isin(findings.loc[findings["status"].eq(LinkStatus.DELETED), "qbench_id"])
    parent = rows["parent_qbench_id"].map(winners).astype("str")
    elsewhere = doubtful & parent.notna() & parent.ne(rows["parent_crm_id"])
    answer = answer.assign(
        error_type=answer["error_type"].mask(gone, CustomerNotSyncedException.__name__),
        error_code=answer["error_code"].mask(gone, DeletedInCrmException.__name__),
        error_ids=answer["error_ids"].mask(gone, rows["parent_crm_id"]),
    )
    return rows.assign(parent_crm_id=rows["parent_crm_id"].mask(elsewhere, parent)), WRITE_RESULTS.build(answer), elsewhere & repeatable


def _followed(reader: LinkReader, ids: list[int], *, told: list[int]) -> pd.DataFrame:
    """The findings (findings.FINDINGS) about these links, and about others that merges led to the same records.

    What merges made of them is stored, with the outcomes of all but those ``told``, of whom the load tells itself.
    """
    state, store = reader.state, reader.store
    with store.transaction() as connection:
        links = state.links(connection, ids=ids)
    found = reader.look(links).rows
    absorbed = found.loc[found["state"].eq("merged"), "absorbed"].dropna().str.split(", ").explode()
    with store.transaction() as connection:
        others = state.links_of(connection, crm_ids=[one for one in absorbed.unique() if one not in set(links["crm_id"])])
    if len(others):
        found = pd.concat([found, reader.look(others).rows], ignore_index=True)
    findings = reader.reconcile(found)
    merged = findings[findings["changed"] & findings["finding"].isin(["relinked", "conflict"])]
    beside = merged[~merged["qbench_id"].isin(told)]
    with store.transaction() as connection:
        reader.store_changes(connection, merged)
        latest = state.outcomes(connection, ids=beside["qbench_id"].tolist())
        state.save_outcomes(connection, outcomes=outcomes(beside, latest), attempt=reader.order.attempt)
    return findings
