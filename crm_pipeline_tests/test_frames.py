from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.frames import Column, FrameError, FrameSchema, aligned, among, equal, looked_up, one_of, plain
from crm_pipeline_tests.mapping.builders import listed

NEAR_2_TO_60 = 2**60 + 1
"""Floats do not tell it from its neighbours."""


def test_each_id_gets_its_own_row_whatever_the_order_and_the_index() -> None:
    frame = pd.DataFrame({"qbench_id": [NEAR_2_TO_60, 7, NEAR_2_TO_60 - 1], "crm_id": ["a", "b", "c"]}, index=[9, 9, 1])
    ids = pd.Series([7, NEAR_2_TO_60 - 1, 8, NEAR_2_TO_60], index=[3, 1, 4, 1])
    found = aligned(frame, ids, columns={"stored": "crm_id"})["stored"]
    assert listed(found) == ["b", "c", None, "a"]
    assert found.index.tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize("null_in_the_frame", [False, True])
@pytest.mark.parametrize(("dtype", "known"), [("Int64", 7), ("str", "ana@labs.example")])
def test_a_null_id_is_nobodys(dtype: str, known: object, *, null_in_the_frame: bool) -> None:
    held = pd.Series([known, *([None] if null_in_the_frame else [])], dtype=dtype)
    frame = pd.DataFrame({"key": held, "crm_id": pd.Series(["a", "b"][: len(held)], dtype="str")})
    assert listed(looked_up(pd.Series([None, known], dtype=dtype), frame, "crm_id", by="key")) == [None, "a"]


@pytest.mark.parametrize("dtype", ["object", "boolean"])
@pytest.mark.parametrize("nothing", [None, float("nan"), pd.NA])
def test_a_null_bool_is_false_however_it_is_given(dtype: str, nothing: object) -> None:
    schema = FrameSchema("answers", (Column("done", "bool", "whether it is done"),))
    given = pd.Series([nothing if dtype == "object" else pd.NA, True, False], dtype=dtype)
    assert schema.build({"done": given})["done"].tolist() == [False, True, False]
    assert schema.of_rows(["done"], [[None], [True], [False]])["done"].tolist() == [False, True, False]


def test_a_text_is_among_others_and_a_null_never_is() -> None:
    column, texts = pd.Series(["a", None, "b"], index=[7, 7, 1], dtype="str"), pd.Series([None, "b"], dtype="str")
    assert listed(among(column, texts)) == [False, False, True]
    assert listed(among(pd.concat([column, column]), pd.concat([texts, texts]))) == [False, False, True] * 2
    assert (listed(among(column, texts[:0])), listed(among(column[:0], texts))) == ([False] * 3, [])
    assert listed(column[1:][among(column[1:], texts)]) == listed(column[2:])


def test_a_text_equals_itself_alone_and_a_null_equals_nothing() -> None:
    column = pd.Series(["a", None, "b"], index=[7, 7, 1], dtype="str")
    assert equal(column, "b").tolist() == [False, False, True]
    assert one_of(column, ["b", "c"]).tolist() == [False, False, True]
    parts = pd.concat([column, column])
    assert equal(parts, "a").tolist() == one_of(parts, ["a"]).tolist() == [True, False, False] * 2
    assert (equal(column[:0], "a").tolist(), one_of(column, []).tolist()) == ([], [False] * 3)


@pytest.mark.parametrize(
    ("dtype", "old", "new"), [("int64", 1, 2), ("Int64", 1, 2), ("bool", False, True), ("object", "a", "b"), ("str", "a", "b")]
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_built_frame_shares_nothing_with_what_it_is_built_of(dtype: str, old: object, new: object, *, declared: bool) -> None:
    schema = FrameSchema("own", (Column("value" if declared else "other", dtype, "a value"),))
    given = {"value": pd.Series([old], dtype=dtype), "other": pd.Series([old], dtype=dtype)}
    for source in (given, pd.DataFrame(given)):
        built = schema.build(source)
        built.loc[0, "value"] = new
        assert (listed(built["value"]), listed(source["value"])) == ([new], [old])


def test_what_has_a_fraction_is_no_integer_and_is_not_made_one() -> None:
    schema = FrameSchema("counted", (Column("count", "Int64", "how many"), Column("note", "str", "a text")))
    whole = schema.build({"count": pd.Series([1, None, 2.0], dtype=object), "note": pd.Series(["a", None, 5], dtype=object)})
    assert (listed(whole["count"]), listed(whole["note"])) == ([1, None, 2], ["a", None, "5"])
    with pytest.raises(FrameError):
        schema.build({"count": pd.Series([1, 2.5], dtype=object)})
    with pytest.raises(FrameError):
        schema.of_rows(["count"], [[1], [2.5]])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("str", ["a", None, ""]),
        ("Int64", [2**62, None, -1]),
        ("int64", [2**62, 0, -1]),
        ("bool", [True, False, True]),
        ("float64", [1.5, None, 2.0]),
        ("object", [{"a": 1}, None, "b"]),
    ],
)
@pytest.mark.parametrize("rows", [slice(None), slice(1, None), slice(0, 0)])
def test_plain_column_holds_pythons_own_values_and_none_for_null(dtype: str, values: list[Any], rows: slice) -> None:
    found = plain(pd.Series(values, dtype=dtype)[rows])
    assert found == values[rows]
    assert [type(value) for value in found] == [type(value) for value in values[rows]]
