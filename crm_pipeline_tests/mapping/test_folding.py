from __future__ import annotations

from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.folding import fold
from crm_pipeline.model import FieldKind
from crm_pipeline_tests.mapping.builders import FREE_TEXT, SCALARS, in_frames, listed


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (" Eco\u00a0 LABS ", "eco labs", "text"),
        ("Ｅco ﬁrm", "eco firm", "text"),
        ("STRASSE", "straße", "text"),
        (" Ana@EcoLabs.example", "ana@ecolabs.example", "email"),
        ("(512) 555-0101", "+1 512 555 0101", "phone"),
        ("O’Brien – “Labs”", 'o\'brien - "labs"', "text"),
        ("Acme\u200b La\u00adbs\ufeff", "Acme Labs", "text"),
        ("می\u200cخواهم", "میخواهم", "text"),
        ("\u202aana@ecolabs.example\u202c", "ana@ecolabs.example", "email"),
        ("1,200", 1200.0, "integer"),
        ("United States", "us", "country"),
    ],
)
def test_values_that_mean_the_same_fold_to_the_same(one: Any, other: Any, kind: FieldKind) -> None:
    folded = fold(pd.Series([one, other], dtype=object), kind, default_region="US")
    assert folded.iloc[0] == folded.iloc[1]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("Eco Labs", "Eco Labs Inc", "text"),
        ("strasse@x.example", "straße@x.example", "email"),
        ("+15125550101", "+15125550101 x12", "phone"),
        ("\u212aim@labs.example", "kim@labs.example", "email"),
        ("\u0130an@labs.example", "ian@labs.example", "email"),
    ],
)
def test_values_that_may_differ_stay_apart(one: str, other: str, kind: FieldKind) -> None:
    folded = fold(pd.Series([one, other]), kind)
    assert folded.iloc[0] != folded.iloc[1]


def test_blank_folds_to_nothing() -> None:
    assert fold(pd.Series(["", "  ", None, float("nan"), {}], dtype=object)).isna().all()


@in_frames
@given(st.lists(FREE_TEXT, max_size=15))
def test_folding_twice_changes_nothing(values: list[str]) -> None:
    for kind in get_args(FieldKind):
        once = fold(pd.Series(values, dtype=object), kind, default_region="US")
        assert listed(fold(once, kind, default_region="US")) == listed(once), kind


@in_frames
@given(st.lists(SCALARS, max_size=10))
def test_folding_does_not_depend_on_the_rows_around(values: list[Any]) -> None:
    together = listed(fold(pd.Series(values, dtype=object)))
    assert together == [listed(fold(pd.Series([value], dtype=object)))[0] for value in values]
