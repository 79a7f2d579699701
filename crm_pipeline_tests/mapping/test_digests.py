from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.digests import NO_DIGEST, contents, digest_dicts, digest_frame, digests
from crm_pipeline_tests.mapping.builders import listed, quickly

STORABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DIGESTS = st.dictionaries(st.sampled_from(["Name", "Phone"]), st.integers(-(2**63), 2**63 - 1).filter(lambda digest: digest != NO_DIGEST))


def test_digest_of_a_text_never_changes() -> None:
    assert listed(digests(pd.DataFrame({"Name": ["Eco Labs", "Éco\nLabs"]}))["Name"]) == [-7533624900595636716, 6540743387371284050]


def test_null_has_no_digest() -> None:
    assert digests(pd.DataFrame({"Name": pd.Series([None, "x"], dtype="str")}))["Name"].eq(NO_DIGEST).tolist() == [True, False]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series(["5"], dtype="str"), pd.Series([5], dtype="Int64")),
        (pd.Series([5.0], dtype="Float64"), pd.Series([5], dtype="Int64")),
        (pd.Series([True], dtype="boolean"), pd.Series(["true"], dtype=object)),
        (pd.Series(["x"], dtype="str"), pd.Series(["x"], dtype=object)),
    ],
)
def test_digest_does_not_depend_on_the_dtype(one: pd.Series, other: pd.Series) -> None:
    pd.testing.assert_frame_equal(digests(one.to_frame("Field")), digests(other.to_frame("Field")))


@quickly
@given(st.lists(STORABLE, max_size=5))
def test_digest_does_not_depend_on_the_rows_around(values: list[str]) -> None:
    column = pd.DataFrame({"Name": pd.Series(values, dtype="str")})
    assert listed(digests(column)["Name"]) == [listed(digests(column.iloc[[row]])["Name"])[0] for row in range(len(values))]


@quickly
@given(STORABLE, STORABLE)
def test_different_texts_have_different_digests(one: str, other: str) -> None:
    digested = digests(pd.DataFrame({"Name": pd.Series([one, other], dtype="str")}))["Name"]
    assert (digested.iloc[0] == digested.iloc[1]) == (one == other)


@quickly
@given(st.lists(DIGESTS, max_size=5))
def test_digests_come_back_from_their_dicts(stored: list[dict[str, int]]) -> None:
    frame = digest_frame(pd.Series(stored, dtype=object), ["Name", "Phone"])
    assert {str(dtype) for dtype in frame.dtypes} == {"int64"}
    assert digest_dicts(frame) == stored


def test_row_without_stored_digests_has_none() -> None:
    frame = digest_frame(pd.Series([None, float("nan"), {"Gone": 1}], dtype=object), ["Name"])
    assert listed(frame["Name"]) == [NO_DIGEST] * 3


def test_no_fields_make_empty_dicts() -> None:
    assert digest_dicts(pd.DataFrame(index=pd.RangeIndex(2))) == [{}, {}]


def test_digests_that_are_stored_are_the_same_in_every_version() -> None:
    values = pd.DataFrame(
        {"Phone": pd.Series(["+15125550101", None], dtype="str"), "Name": pd.Series(["Eco Labs", "Zürich ⚗"], dtype="str")}
    )
    parents = pd.Series([41, None], dtype="Int64")
    digested = digests(values)
    assert digested.to_numpy().tolist() == [[-3303011538104485880, -7533624900595636716], [NO_DIGEST, -538907382589787202]]
    assert listed(contents(digested, parents)) == [-2348113796173267583, -7171937517812815755]
    assert listed(contents(digested[[]], parents)) == [-629960256874461178, 1149342035885833360]
