"""What a write replaced is told with the outcome of that write, wherever that stands by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
import pytest

from crm_pipeline.store.database import Store
from crm_pipeline.store.replacing import tell
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, outcome, query, report

CREATED, UNCHANGED, FAILED = (outcome(1, name) for name in ("created", "unchanged", "failed"))
SKIPPED = outcome(1, "skipped", error_type="LinkConflictException", waits_on="link")
STORIES = {
    "the latest": ([FAILED, CREATED], [("failed", None), ("created", "noted")]),
    "one behind which nothing changed": ([FAILED, CREATED, UNCHANGED], [("failed", None), ("created", "noted")]),
    "one that was repeated": ([CREATED, SKIPPED, SKIPPED], [("created", None), ("skipped", "noted")]),
}


@pytest.mark.parametrize(("reported", "told"), STORIES.values(), ids=STORIES)
def test_what_was_replaced_is_told_once_with_the_outcome_that_it_belongs_to(
    store: Store, reported: Sequence[pd.DataFrame], told: Sequence[tuple[str, str | None]]
) -> None:
    for one in reported:
        report(store, one)
    with store.transaction() as connection:
        began = connection.exec_driver_sql("SELECT now()").scalar_one() - timedelta(hours=1)
        tell(connection, ACCOUNTS, writes=pd.DataFrame({"qbench_id": [1], "began_at": [began]}), notes=["noted"])
    assert query(store, "SELECT outcome, reason FROM crm_pipeline.every_outcome ORDER BY id") == told
    latest, reason = query(store, "SELECT outcome, reason FROM crm_pipeline.outcome")[0]
    assert (latest, reason) == (reported[-1]["outcome"].iat[0], "noted")
