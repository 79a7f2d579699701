"""What a query finds, as a frame."""

from __future__ import annotations

import pytest

from crm_pipeline.frames import Column, FrameError, FrameSchema
from crm_pipeline.schemas import LINKS
from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import fetch

DIGEST = 2**62 + 1

DIGESTS = FrameSchema("digests", (Column("name", "str", "a name"), Column("digest", "Int64", "a digest")))
COUNTS = FrameSchema("counts", (Column("count", "int64", "a number"),))


def test_a_large_integer_beside_a_null_is_exact(store: Store) -> None:
    with store.transaction() as connection:
        found = fetch(connection, "SELECT * FROM (VALUES (:digest, 'a'), (NULL, 'b')) AS given (digest, name)", {"digest": DIGEST}, DIGESTS)
    assert found["digest"][0] == DIGEST
    assert found["digest"].isna().tolist() == [False, True]
    assert found["name"].tolist() == ["a", "b"]


def test_a_query_that_finds_nothing_has_the_columns_and_their_types(store: Store) -> None:
    with store.transaction() as connection:
        found = fetch(connection, f"SELECT {', '.join(LINKS.names)} FROM crm_pipeline.link", {}, LINKS)
    assert len(LINKS.check(found)) == 0


def test_a_null_where_there_may_be_none_names_the_frame_and_the_column(store: Store) -> None:
    with store.transaction() as connection, pytest.raises(FrameError, match="frame counts: column count does not hold int64"):
        fetch(connection, "SELECT CAST(NULL AS bigint) AS count", {}, COUNTS)
