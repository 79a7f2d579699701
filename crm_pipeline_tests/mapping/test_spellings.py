from __future__ import annotations

from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.meaningless import match_values
from crm_pipeline.mapping.spellings import spellings
from crm_pipeline.model import FieldKind
from crm_pipeline_tests.mapping.builders import quickly


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        ("+15125550101", "phone", "(512) 555-0101"),
        ("(512) 555-0101", "phone", "512.555.0101"),
        ("512 555 0101", "phone", "+15125550101"),
        ("512-555-0101", "phone", "5125550101"),
        ("+49 30 123456", "phone", "+4930123456"),
        ("+1 512 555 0101 ext 12", "phone", "(512) 555-0101 ext. 12"),
        ("https://www.ecolabs.dev/about", "url", "ecolabs.dev"),
        ("ecolabs.dev", "url", "http://www.ecolabs.dev/"),
        ("facebook.com/ecolabs", "url", "https://www.facebook.com/ecolabs"),
        (" O'Brien  Labs", "text", "o’brien labs"),
        (" Ana@Labs.example", "email", "ana@labs.example"),
    ],
)
def test_usual_spelling_of_a_value_is_among_them(value: str, kind: FieldKind, written: str) -> None:
    assert written in spellings(value, kind, default_region="US")


PHONES = st.from_regex(r"(\+1|\+49|\+44|0)? ?[2-9]\d{2}[ .-]?\d{3}[ .-]?\d{4}( x\d{1,3})?", fullmatch=True)
ADDRESSES = st.from_regex(r"(https?://)?(www\.)?[a-z]{2,9}\.(com|dev|co\.uk|wixsite\.com)(/[a-z]{1,5})?/?", fullmatch=True)


@quickly
@given(st.one_of(st.text(max_size=40), PHONES, ADDRESSES))
def test_every_spelling_of_a_value_means_the_same(value: str) -> None:
    for kind in get_args(FieldKind):
        written = spellings(value, kind, default_region="US")
        folded = match_values(pd.Series(written, dtype="str"), kind, default_region="US")
        assert folded.nunique(dropna=False) == 1, (kind, [one for one, form in zip(written, folded, strict=True) if form != folded.iloc[0]])
