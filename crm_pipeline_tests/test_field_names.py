"""Names of fields in one text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.field_names import listed, names_in

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(["comments", "Tier, current", 'a "b"', "x; written: y", " y", "z\\"])


@settings(max_examples=60)
@given(st.lists(NAMES, max_size=4), st.sampled_from(["", "; fields: a, b"]))
def test_names_come_out_as_they_went_in(names: list[str], behind: str) -> None:
    assert names_in(listed(names) + (behind if names else "")) == names


@pytest.mark.parametrize(
    ("names", "told"),
    [(["comments", "customer_name"], "comments, customer_name"), (["Größe (cm)", "Tier, current"], 'Größe (cm), "Tier, current"')],
)
def test_names_read_as_people_wrote_them(names: list[str], told: str) -> None:
    assert listed(names) == told
