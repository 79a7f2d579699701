"""What a load does when the CRM no longer has a record that it was to update (rules.md, 29).

Linked records are written by their id, never by a key that might make a second one. So nothing needs to be asked before a
write: only when the CRM refuses one, or says nothing of it, is its link compared with what the CRM has.
"""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import DeletedInCrmException, LinkConflictException, UnaccountedException
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.sync.link_reader import LinkReader
from crm_pipeline.sync.planning import PLAN, Plan
from crm_pipeline.sync.reconciling import outcomes

MAY_BE_GONE = [DeletedInCrmException.__name__, UnaccountedException.__name__]


def follow(reader: LinkReader, batch: Plan, answer: pd.DataFrame) -> tuple[Plan, pd.DataFrame, pd.Series]:
    """The batch with the rows whose records were merged led to the winners, its answer, and which rows are to be sent again.

    ``answer``: schemas.WRITE_RESULTS, a row per row of the batch. What merges made of the links is stored, and a row whose
    winner is another record's is a conflict; deletions are left to the check of links, which sees how many there are. One
    call for as many rows as ``Crm.examine`` takes, none where no record may be gone.
    """
    nothing = pd.Series(False, index=answer.index, dtype="bool")
    doubtful = answer["error_type"].isin(MAY_BE_GONE) & batch.rows["crm_id"].notna()
    if not doubtful.any():
        return batch, answer, nothing
    findings = _followed(reader, batch.rows.loc[doubtful, "qbench_id"].tolist()).set_index("qbench_id", drop=False)
    finding = answer["qbench_id"].map(findings["finding"])
    moved, conflict, deleted = (doubtful & finding.eq(name) for name in ("relinked", "conflict", "deleted"))
    rows = batch.rows.assign(crm_id=batch.rows["crm_id"].mask(moved, batch.rows["qbench_id"].map(findings["crm_id"]).astype("str")))
    error_type = answer["error_type"].mask(conflict, LinkConflictException.__name__).mask(deleted, DeletedInCrmException.__name__)
    error_ids = answer["error_ids"].mask(conflict, answer["qbench_id"].map(findings["merged_into"]).astype("str"))
    answer = WRITE_RESULTS.build(answer.assign(error_type=error_type, error_ids=error_ids))
    return Plan(PLAN.build(rows), batch.values, batch.sent), answer, moved


def _followed(reader: LinkReader, ids: list[int]) -> pd.DataFrame:
    """The findings (reconciling.FINDINGS) about these links, and about others that merges led to the same records.

    What merges made of them is stored.
    """
    order, store = reader.order, reader.store
    with store.transaction() as connection:
        links = order.state.links(connection, ids=ids)
    found = reader.look(links)
    absorbed = found.loc[found["state"].eq("merged"), "absorbed"].dropna().str.split(", ").explode()
    with store.transaction() as connection:
        others = order.state.links_of(connection, crm_ids=[one for one in absorbed.unique() if one not in set(links["crm_id"])])
    if len(others):
        found = pd.concat([found, reader.look(others)], ignore_index=True)
    findings = reader.reconcile(found)
    merged = findings[findings["changed"] & findings["finding"].isin(["relinked", "conflict"])]
    beside = merged[~merged["qbench_id"].isin(ids)]
    with store.transaction() as connection:
        reader.store_changes(connection, merged)
        latest = order.state.outcomes(connection, ids=beside["qbench_id"].tolist())
        order.state.save_outcomes(
            connection,
            outcomes=outcomes(beside, latest),
            backoff=order.retries.backoff,
            run_id=order.run_id,
            partition_key=order.partition_key,
        )
    return findings
