from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.lengths import crm_length, crm_lengths, cut, may_exceed, strictest_length
from crm_pipeline_tests.mapping.builders import FREE_TEXT, account_spec, crm_fields, customer, listed, payload, problem_rows, quickly

TESTING, FAMILY, WAVE = "\U0001f9ea", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44b\U0001f3fd"


def test_an_emoji_is_as_long_as_the_crms_take_it_to_be() -> None:
    texts = pd.Series(["lab", TESTING, FAMILY, "e\u0301", None], dtype="str")
    assert listed(crm_lengths(texts)) == [3, 2, 8, 2, None]


@quickly
@given(st.lists(st.one_of(st.none(), FREE_TEXT.map(lambda text: text.encode("utf-8", "ignore").decode()))), st.integers(0, 20))
def test_a_quick_look_misses_no_text_that_is_too_long(texts: list[str | None], length: int) -> None:
    column = pd.Series(texts, dtype="str")
    assert may_exceed(column, length) or not (crm_lengths(column) > length).any()


def test_a_text_is_cut_between_characters_as_people_see_them() -> None:
    assert [cut(TESTING * 3, length) for length in (5, 4)] == [TESTING * 2, TESTING * 2]
    assert [cut(f"a{FAMILY}", 8), cut(f"a{WAVE}", 4), cut("ae\u0301", 2)] == ["a"] * 3
    assert cut("one two", 4) == "one"


@quickly
@given(FREE_TEXT.map(lambda text: text.encode("utf-8", "ignore").decode()), st.integers(1, 20))
def test_a_cut_text_begins_like_the_whole_and_fits(text: str, length: int) -> None:
    for count in (crm_length, strictest_length):
        shorter = cut(text, length, count=count)
        assert count(shorter) <= length
        assert text.strip().startswith(shorter)


def test_a_text_of_emoji_that_is_too_long_for_the_crm_follows_its_mapping() -> None:
    fields, contents = crm_fields(Name={}, Description={"length": 10}), [customer(comments=TESTING * number) for number in (5, 6)]
    result = payload(account_spec({"description": {"from": "comments", "on_invalid": "truncate"}}), *contents, crm_fields=fields)
    assert listed(result.values["Description"]) == [TESTING * 5] * 2
    assert problem_rows(result.problems) == [(1, "Description", "ValueTooLongException", "truncated")]
