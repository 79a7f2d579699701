"""How many records may change at once."""

from __future__ import annotations

import pytest

from crm_pipeline.sync.returning.policy import ReturnPolicy


@pytest.mark.parametrize(("links", "most"), [(0, 5), (10, 5), (1_000, 50), (100_000, 200)])
def test_the_lower_of_number_and_share_counts_and_a_handful_is_never_too_many(links: int, most: int) -> None:
    assert ReturnPolicy().limit(links) == most


def test_no_record_at_all_may_be_asked_for() -> None:
    assert ReturnPolicy(most_changed=0).limit(1_000) == 0
