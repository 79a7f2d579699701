"""Which of two changes is the later one, and since when a value stands (docs/rules.md, 48 and 49)."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.sync.merging.fields import Evidence
from crm_pipeline.sync.merging.times import STANDING, by_our_clock, crm_is_later, standing_since
from crm_pipeline_tests.sync.merging.builders import at, decided, digest, fields, row


@pytest.mark.parametrize(
    ("qbench", "grain", "crm", "winner", "evidence"),
    [
        ("10:00:00", 1, "10:00:03", "crm", Evidence.STAMP),
        ("10:00:00", 1, "10:00:02", "qbench", Evidence.TIE),
        ("10:00:02", 1, "10:00:00", "qbench", Evidence.TIE),
        ("10:00:03", 1, "10:00:00", "qbench", Evidence.STAMP),
        ("10:00:00", 60, "10:01:01", "qbench", Evidence.TIE),
        ("10:00:00", 60, "10:01:02", "crm", Evidence.STAMP),
        ("10:00:00", 0, "10:00:02", "crm", Evidence.STAMP),
    ],
)
def test_changes_nearer_than_two_seconds_and_the_coarser_grain_are_qbenchs(
    qbench: str, grain: int, crm: str, winner: str, evidence: Evidence
) -> None:
    times = {"wanted_since": qbench, "wanted_grain": grain, "shown_since": crm, "shown_grain": 0}
    found = decided(wanted="q", shown="c", shown_evidence=Evidence.STAMP, **times)
    assert (found.winner, found.evidence) == (winner, evidence)


def test_a_clock_that_is_ahead_is_put_right_before_times_are_compared() -> None:
    """QBench is 90 seconds ahead: its change of 10:00:30 bears 10:02:00, and is older than the CRM's of 10:01:00."""
    [qbench] = by_our_clock(pd.Series([at("10:02:00")]), ahead=timedelta(seconds=90))
    assert qbench == at("10:00:30")


SECONDS = st.integers(0, 300)


@settings(max_examples=5)
@given(st.lists(st.tuples(SECONDS, SECONDS, st.sampled_from([0, 1, 60])), min_size=1, max_size=30))
def test_swapping_the_clocks_swaps_the_later_one_but_for_ties(times: list[tuple[int, int, int]]) -> None:
    def later(pairs: list[tuple[int, int, int]]) -> tuple[list[bool], list[str]]:
        clock = [(f"10:{q // 60:02}:{q % 60:02}", f"10:{c // 60:02}:{c % 60:02}", grain) for q, c, grain in pairs]
        rows = [row(wanted_since=q, shown_since=c, shown_grain=grain, shown_evidence=Evidence.STAMP) for q, c, grain in clock]
        crm, told = crm_is_later(fields(*rows))
        return crm.tolist(), [str(word) for word in told]

    crm, told = later(times)
    swapped, told_swapped = later([(c, q, grain) for q, c, grain in times])
    assert told == told_swapped
    for one, other, evidence in zip(crm, swapped, told, strict=True):
        assert (one or other) == (evidence != Evidence.TIE)
        assert not (one and other)


@pytest.mark.parametrize(
    ("found", "sending", "alone", "since"),
    [
        ("held", None, True, "09:00"),
        ("held", "held", False, "09:00"),
        ("edited", None, True, "11:00"),
        ("edited", "brought", True, "11:00"),
        ("edited", None, False, "10:30"),
        ("brought", "brought", True, "10:05"),
        ("brought", "brought", False, "10:05"),
    ],
)
def test_a_value_that_we_brought_stands_since_the_persons_edit_and_one_of_several_since_the_reading_before(
    found: str, sending: str | None, since: str, *, alone: bool
) -> None:
    columns = {
        "held": digest("held"),
        "since": at("09:00"),
        "found": digest(found),
        "changed_at": at("11:00"),
        "alone": alone,
        "unchanged_at": at("10:30"),
        "sending": digest(sending),
        "sending_since": at("10:05"),
    }
    values = STANDING.build({column.name: pd.Series([columns[column.name]], dtype=column.dtype) for column in STANDING.columns})
    assert standing_since(values).tolist() == [at(since)]
