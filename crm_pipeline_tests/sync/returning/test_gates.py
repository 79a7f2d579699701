"""Which links keep their record of QBench from being changed by a CRM."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.schemas import LINKS
from crm_pipeline.sync.returning.gates import one_each, stopped


def links(*rows: tuple[int, str, str]) -> pd.DataFrame:
    """Links by QBench id, CRM id and status."""
    columns = pd.DataFrame(rows, columns=["qbench_id", "crm_id", "status"])
    return LINKS.build(columns.assign(origin="created", version=1, digests=[{} for _ in rows]).astype({"origin": "str"}))


def why(status: str = "live", *, staged: bool = True, error: str | None = None) -> str | None:
    """What stops the record of one link."""
    errors = pd.Series({} if error is None else {1: error}, dtype="str")
    found = stopped(links((1, "001A", status)), staged=pd.Series([1] if staged else [], dtype="int64"), errors=errors).iloc[0]
    return None if pd.isna(found) else str(found)


def test_live_link_to_a_record_that_syncs_stops_nothing() -> None:
    assert why() is None


@pytest.mark.parametrize(
    ("status", "error"),
    [("deleted", "DeletedInCrmException"), ("conflict", "LinkConflictException"), ("source_deleted", "DeletedInQBenchException")],
)
def test_link_that_is_not_live_stops_its_record(status: str, error: str) -> None:
    assert why(status) == error


def test_record_that_is_not_staged_is_deleted() -> None:
    assert why(staged=False) == "DeletedInQBenchException"


@pytest.mark.parametrize(
    "error",
    [
        "DeletedInQBenchException",
        "FilteredOutException",
        "InactiveCustomerException",
        "InactiveContactException",
        "UnreadableRecordException",
    ],
)
def test_record_that_is_left_out_in_qbench_is_changed_by_nobody(error: str) -> None:
    assert why(error=error) == error


@pytest.mark.parametrize("error", ["NoNameForCustomerException", "InvalidEmailException", "NoCustomerForContactException"])
def test_what_is_wrong_with_a_record_a_change_may_mend(error: str) -> None:
    assert why(error=error) is None


def test_of_several_links_to_one_record_the_live_one_counts() -> None:
    both = links((1, "001A", "source_deleted"), (2, "001A", "live"), (3, "001B", "conflict"))
    assert sorted(one_each(both)["qbench_id"]) == [2, 3]
