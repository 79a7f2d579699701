"""What the database finds of the records that are to be normalized again though they did not change."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import RAW, normalized_schema
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline.store.out_of_date import ids_to_normalize_again
from crm_pipeline.store.raw_records import stage_raw

BEGINNING = datetime.min.replace(tzinfo=UTC)


def normalized_again(store: Store) -> list[int]:
    with store.transaction() as connection:
        return ids_to_normalize_again(connection, "acme", RecordType.CONTACT, mapping_digest="d", customers_since=BEGINNING)


def stage_contact(store: Store, *, error_type: str | None, revision: int, customer_revision: int | None) -> None:
    held = {"qbench_id": [7], "version": [5], "customer_id": [41], "error_type": [error_type]}
    frame = normalized_schema(RecordType.CONTACT).build(pd.DataFrame(held))
    with store.transaction() as connection:
        stage_normalized(
            connection,
            "acme",
            RecordType.CONTACT,
            frame=frame,
            mapping_digest="d",
            revisions=[revision],
            customer_revisions=[customer_revision],
        )


def stage_twice(store: Store, record_type: RecordType, qbench_id: int) -> None:
    """A raw record whose content changed once, within one second of QBench's."""
    for content in ({"group_name": "Gold"}, {"group_name": "Silver"}):
        frame = RAW.build(pd.DataFrame({"qbench_id": [qbench_id], "version": [5], "content": [content]}))
        with store.transaction() as connection:
            stage_raw(connection, "acme", record_type, frame=frame)


@pytest.mark.parametrize(("seen", "again"), [(0, [7]), (1, [])], ids=["as it was", "as it is"])
def test_a_contact_is_normalized_again_until_its_customer_was_seen_as_it_is(store: Store, seen: int, again: list[int]) -> None:
    stage_twice(store, RecordType.ACCOUNT, 41)
    stage_contact(store, error_type=None, revision=0, customer_revision=seen)
    assert normalized_again(store) == again


@pytest.mark.parametrize(("seen", "again"), [(0, [7]), (1, [])], ids=["as it was", "as it is"])
def test_a_contact_that_lacked_its_customer_is_normalized_again_until_seen_as_it_is(store: Store, seen: int, again: list[int]) -> None:
    stage_twice(store, RecordType.CONTACT, 7)
    stage_contact(store, error_type="NoCustomerForContactException", revision=seen, customer_revision=None)
    assert normalized_again(store) == again
