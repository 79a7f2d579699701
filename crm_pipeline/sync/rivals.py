"""Who else claims the CRM record that a record matches? Over all staged records, in whatever frame they come (docs/rules.md, 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import unlinked_values


def pairs_of(
    state: CrmState, source: str, candidates: pd.DataFrame, *, store: Store, fold: Callable[[pd.Series], pd.Series]
) -> Iterator[pd.DataFrame]:
    """The staged records without a link that have a candidate by one match key: columns ``qbench_id``, ``crm_id``.

    ``source``: the normalized column compared. ``candidates``: schemas.FOUND with folded values. Reads that one column, page by
    page, and gives what has a candidate.
    """
    known = candidates[["value", "crm_id"]].dropna().drop_duplicates()
    if len(known):
        for page in unlinked_values(store, state, source=source):
            yield page.assign(value=fold(page["value"])).merge(known, on="value")[["qbench_id", "crm_id"]]


def contested(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs (``qbench_id``, ``crm_id``) whose CRM record several records claim."""
    pairs = pairs.drop_duplicates()
    return pairs[pairs["crm_id"].duplicated(keep=False)].reset_index(drop=True)


def rivals_of(qbench_ids: pd.Series, contested_pairs: pd.DataFrame) -> list[int]:
    """The other records that claim a CRM record which one of these claims, in ascending order."""
    own = contested_pairs["qbench_id"].isin(qbench_ids)
    near = contested_pairs["crm_id"].isin(contested_pairs.loc[own, "crm_id"])
    ids: list[int] = sorted(set(contested_pairs.loc[near & ~own, "qbench_id"].tolist()))
    return ids
