"""Columns that go into a query as arrays, and what it finds, as a frame."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crm_pipeline.frames import Column, FrameError, FrameSchema
from crm_pipeline.schemas import LINKS
from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import execute, fetch

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
    with store.transaction() as connection, pytest.raises(FrameError, match=r"frame counts: column count .*int64"):
        fetch(connection, "SELECT CAST(NULL AS bigint) AS count", {}, COUNTS)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(st.none() | TEXTS))
@example(texts=["line\nand\ttab", "back\\slash", "\\n", 'quo"ted', "{a,b}", "NULL", "null", "", " blank ", "é😀", None])
def test_a_column_of_texts_arrives_as_it_was_whatever_characters_it_holds(store: Store, texts: list[str | None]) -> None:
    with store.transaction() as connection:
        assert list(execute(connection, "SELECT unnest(CAST(:texts AS text[]))", {"texts": texts}).scalars()) == texts


@pytest.mark.parametrize(
    ("kind", "values"),
    [("bigint", [1, None, -(2**63), 2**63 - 1]), ("boolean", [True, None, False]), ("double precision", [1.5, None, 1e300])],
)
def test_a_column_of_numbers_or_flags_arrives_as_it_was(store: Store, kind: str, values: list[object]) -> None:
    with store.transaction() as connection:
        assert list(execute(connection, f"SELECT unnest(CAST(:values AS {kind}[]))", {"values": values}).scalars()) == values
