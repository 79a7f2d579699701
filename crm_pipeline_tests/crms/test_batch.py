"""What is handed to a CRM and what it answers: every row of both, and no value of a record where one of them is shown."""

from __future__ import annotations

import pytest

from crm_pipeline.crms.batch import WriteBatch, WriteResult
from crm_pipeline.testing.batches import Put, batch_of, writes_of


def test_row_to_write_and_what_became_of_it_show_no_value_of_the_record() -> None:
    (row,) = writes_of(Put(7, {"email": "a@example.com"}, crm_id="12"))
    assert repr(row) == "Write(qbench_id=7, operation='update', crm_id='12', fields=['email'])"
    assert "a@example.com" not in repr(WriteResult(7, "12", kept={"email": "a@example.com"}))


def test_rows_without_their_values_are_an_error_not_fewer_writes() -> None:
    batch = batch_of(Put(1, {"name": "One"}), Put(2, {"name": "Two"}))
    with pytest.raises(ValueError, match="shorter"):
        WriteBatch(batch.rows, batch.values.iloc[:1], batch.sent.iloc[:1]).writes()
