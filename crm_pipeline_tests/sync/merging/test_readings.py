"""Which readings count, and how the echo of our own write is known (docs/rules.md, 47)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.mapping.directions import Direction
from crm_pipeline.sync.merging.fields import Situation
from crm_pipeline_tests.sync.merging.builders import at, decided


@pytest.mark.parametrize(
    ("read_at", "counts"),
    [("12:00:01", True), ("12:00", False), ("11:59", False), (None, False)],
    ids=["after", "at once", "before", "none"],
)
def test_a_reading_counts_only_if_it_began_after_our_last_write_began(read_at: str | None, *, counts: bool) -> None:
    found = decided(shown="c", read_at=read_at, touched_at="12:00")
    assert (found.verdict == "to_qbench", found.verdict == "unread") == (counts, not counts)
    if not counts:
        assert (found.case, found.sent, found.seen, found.agreed, found.touched_at) == (None, "old", "old", None, at("12:00"))


def test_a_record_that_we_never_wrote_to_is_known_by_any_reading() -> None:
    assert decided(shown="c", touched_at=None).verdict == "to_qbench"


@pytest.mark.parametrize("direction", [Direction.FROM_CRM, Direction.BOTH])
@pytest.mark.parametrize("given", [{}, {"wanted": "q"}, {"seen": None}, {"sending": "c"}, {"situation": Situation.FIRST_LINK}], ids=str)
def test_an_old_reading_decides_nothing(given: dict[str, Any], direction: Direction) -> None:
    found = decided(**({"shown": "c"} | given), direction=direction, read_at="10:59")
    assert (found.verdict, found.agreed, found.sending, found.winner) == ("unread", None, given.get("sending"), None)


def test_after_a_reading_counted_an_earlier_one_does_not_and_the_same_one_may_be_decided_again() -> None:
    """A run that broke off is done again with the reading that it had; what was staged before that one is out of date."""
    first = decided(shown="c", read_at="12:00")
    assert first.touched_at is not None
    clock = first.touched_at.strftime("%H:%M:%S.%f")
    assert decided(shown="c", read_at="12:00", touched_at=clock, sent=first.sent, seen=first.seen).verdict == "to_qbench"
    assert decided(shown="before", read_at="11:59", touched_at=clock, sent=first.sent, seen=first.seen).verdict == "unread"


def test_our_own_write_is_known_by_its_value_after_a_crash() -> None:
    found = decided(wanted="new", shown="new", sending="new")
    assert (found.verdict, found.sent, found.seen, found.sending) == ("agreed", "new", "new", None)


def test_qbench_edited_again_after_the_crash_is_sent_without_a_conflict() -> None:
    found = decided(wanted="newest", shown="new", sending="new")
    assert (found.case, found.verdict, found.winner) == (3, "to_crm", None)


def test_qbench_edited_back_after_the_crash_is_sent() -> None:
    """The CRM got the value, and nobody stored that: QBench's is the one that was stored as sent, and differs all the same."""
    found = decided(wanted="old", sent="old", seen="old", shown="new", sending="new")
    assert (found.case, found.verdict, found.agreed, found.winner) == (3, "to_crm", "old", None)


def test_our_own_cutting_is_not_taken_for_an_edit() -> None:
    found = decided(wanted="cut", shown="cut", sending="cut", whole=False)
    assert found.verdict == "agreed"


def test_our_own_clearing_is_known_too() -> None:
    found = decided(wanted="q", shown="", sending="", clear=True)
    assert (found.case, found.verdict, found.winner) == (3, "to_crm", None)


def test_an_edit_on_top_of_our_lost_write_is_an_edit() -> None:
    assert decided(wanted="old", shown="c", sending="new").verdict == "to_qbench"


@pytest.mark.parametrize(("open_until", "kept"), [(None, None), ("11:59", None), ("12:00", "new"), ("12:10", "new")])
def test_what_was_about_to_be_sent_is_kept_while_it_may_still_arrive(open_until: str | None, kept: str | None) -> None:
    """Later the same value is a person's."""
    found = decided(shown="old", sending="new", open_until=open_until, read_at="12:00")
    assert (found.verdict, found.sending) == ("agreed", kept)


def test_a_first_link_and_a_record_that_is_made_know_no_echo() -> None:
    for situation in (Situation.FIRST_LINK, Situation.NEW_IN_QBENCH):
        assert decided(situation=situation, wanted="", shown="new", sending="new", seen=None).verdict == "to_qbench"
