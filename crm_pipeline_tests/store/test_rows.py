"""What a query finds, as a frame."""

from __future__ import annotations

from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import fetch

DIGEST = 2**62 + 1


def test_a_large_integer_beside_a_null_is_exact(store: Store) -> None:
    with store.transaction() as connection:
        found = fetch(connection, "SELECT * FROM (VALUES (:digest, 'a'), (NULL, 'b')) AS given (digest, name)", {"digest": DIGEST})
    assert found["digest"].astype("Int64")[0] == DIGEST
    assert found.columns.tolist() == ["digest", "name"]


def test_a_query_that_finds_nothing_has_its_columns(store: Store) -> None:
    with store.transaction() as connection:
        found = fetch(connection, "SELECT qbench_id, crm_id FROM crm_pipeline.link", {})
    assert (len(found), found.columns.tolist()) == (0, ["qbench_id", "crm_id"])
