"""Which links belong to records that were deleted in QBench, as the database finds and forgets them."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import left_behind, release
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, link, save, stored


@pytest.mark.parametrize("status", ["live", "source_deleted"])
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "back"])
def test_a_link_that_is_found_left_behind_is_released_and_no_other(store: Store, status: str, *, deleted: bool) -> None:
    """Whether the link followed the deletion, or its end, is no matter: a load may be under way meanwhile."""
    save(store, link(1, "001", status=status))
    frame = RAW.build(pd.DataFrame({"qbench_id": [1], "version": [5], "content": [{}], "deleted": [deleted]}))
    with store.transaction() as connection:
        stage_raw(connection, "acme", RecordType.ACCOUNT, frame=frame)
        found = left_behind(connection, ACCOUNTS, org_id="org", crm_ids=["001"])
        release(connection, ACCOUNTS, org_id="org", crm_ids=["001"])
    assert (len(found), len(stored(store, 1))) == ((1, 0) if deleted else (0, 1))
