"""What of a job's results is read: the columns that are asked for, of nothing that is no CSV."""

from __future__ import annotations

import pytest

from crm_pipeline.crms.salesforce import job_rows
from crm_pipeline.crms.salesforce.job_rows import rows_in

ASKED = ("sf__Id", "Key__c")
HEAD, ROW = '"sf__Id","sf__Created","Description","Key__c"\n', '"001A","true","two ""quoted""\nlines","7"\n'


@pytest.mark.parametrize("rows", [0, 1, job_rows.ROWS_AT_ONCE + 1])
def test_the_columns_that_are_asked_for_are_read_of_all_rows(rows: int) -> None:
    found = rows_in((HEAD + rows * ROW).encode(), columns=(*ASKED, "sf__Error"))
    assert found.columns.tolist() == list(ASKED)
    assert found.to_numpy().tolist() == rows * [["001A", "7"]]


@pytest.mark.parametrize("columns", [ASKED, None])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        (HEAD + '"001A","true","says "3","x","7"\n').encode(),
        (HEAD + ROW + '"001A","true","says "3","x","7"\n').encode(),
        HEAD.encode() + b'"001A","true","\xff","7"\n',
    ],
    ids=["nothing", "more cells in every row", "more cells in one row", "no UTF-8 in another column"],
)
def test_what_is_no_csv_is_refused_whichever_columns_are_asked_for(content: bytes, columns: tuple[str, ...] | None) -> None:
    with pytest.raises(ValueError, match=r"columns|cells|Expected 4 fields|decode"):
        rows_in(content, columns=columns)
