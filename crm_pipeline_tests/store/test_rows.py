"""Columns that go into a query as arrays, and what it finds, as a frame."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crm_pipeline.frames import Column, FrameError, FrameSchema
from crm_pipeline.schemas import LINKS
from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import execute, fetch, json_column

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
    [("bigint", [1, None, -(2**63), 2**63 - 1]), ("boolean", [True, None, False]), ("double precision", [1.5, None, 1e300, -math.inf])],
)
def test_a_column_of_numbers_or_flags_arrives_as_it_was(store: Store, kind: str, values: list[object]) -> None:
    with store.transaction() as connection:
        assert list(execute(connection, f"SELECT unnest(CAST(:values AS {kind}[]))", {"values": values}).scalars()) == values


NUMBERS = st.integers() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf])
ANY_TEXT = st.text(st.characters(exclude_categories=[]))
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | ANY_TEXT, lambda values: st.lists(values) | st.dictionaries(TEXTS, values))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents=st.lists(st.dictionaries(TEXTS, VALUES), min_size=1))
@example(documents=[{"name": "a\0b \ud800c \\u0000 😀", "barcode": 2**80, "weight": math.nan, "of": [{"weight": math.inf}], "none": None}])
def test_a_document_arrives_as_it_was_but_for_what_postgresql_cannot_hold(store: Store, documents: list[dict[str, Any]]) -> None:
    columns = {"documents": json_column(pd.Series(documents, dtype=object))}
    with store.transaction() as connection:
        found = execute(connection, "SELECT CAST(unnest(CAST(:documents AS jsonb[])) AS text)", columns).scalars()
        assert [json.loads(document) for document in found] == [_held(document) for document in documents]


def _held(value: Any) -> Any:
    match value:
        case str():
            return "".join(character for character in value if character != "\0" and not "\ud800" <= character <= "\udfff")
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_held(item) for item in value]
        case dict():
            return {name: _held(item) for name, item in value.items()}
    return value
