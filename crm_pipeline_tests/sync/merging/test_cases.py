"""Each line of the table in docs/both-ways.md, direction by direction (docs/rules.md, 46)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sync.merging.cases import CASES, NOT_FIT, Fact
from crm_pipeline.sync.merging.fields import Evidence, Situation
from crm_pipeline_tests.sync.merging.builders import decided, decided_all, row

TO_CRM, FROM_CRM, BOTH = Direction
Q = {"wanted": "q"}
C = {"shown": "c"}
BLANK_Q = {"wanted": ""}
BLANK_C = {"shown": ""}
SWITCHED_ON = {"seen": None}
FIRST = {"situation": Situation.FIRST_LINK, "sent": "", "seen": None, "touched_at": None}
MADE_IN_CRM = {"situation": Situation.NEW_IN_CRM, "sent": "", "seen": None, "read_at": None, "touched_at": None, "wanted": "q"}
MADE_IN_QBENCH = {"situation": Situation.NEW_IN_QBENCH, "sent": "", "seen": None, "touched_at": None, "wanted": "", "shown": "c"}
CLEAR = {"clear": True}
PREFER_CRM = {"rule": Rule.PREFER_CRM}

LINES: list[tuple[int, str, dict[str, Any], tuple[str, str, str]]] = [
    (1, "both show the same", {"wanted": "new", "shown": "new"}, ("agreed", "agreed", "agreed")),
    (1, "both are blank", BLANK_Q | BLANK_C, ("agreed", "agreed", "agreed")),
    (1, "both show the same when they are linked", FIRST | {"wanted": "x", "shown": "x"}, ("agreed", "agreed", "agreed")),
    (2, "neither changed, and they differ", {"sent": "q", "seen": "c"} | Q | C, ("kept", "drift", "drift")),
    (3, "QBench changed", Q, ("to_crm", "kept", "to_crm")),
    (3, "QBench was emptied, with clear", BLANK_Q | CLEAR, ("to_crm", "kept", "to_crm")),
    (4, "the CRM changed", C, ("kept", "to_qbench", "to_qbench")),
    (4, "the CRM was emptied, with clear", BLANK_C | CLEAR, ("kept", "to_qbench", "to_qbench")),
    (5, "both changed, QBench later", Q | C | {"wanted_since": "10:00"}, ("to_crm", "to_qbench", "to_crm")),
    (5, "both changed, the CRM later", Q | C | {"shown_since": "10:00"}, ("to_crm", "to_qbench", "to_qbench")),
    (6, "the CRM was emptied, without clear", BLANK_C, ("kept", "kept", "kept")),
    (6, "QBench was emptied, without clear", BLANK_Q, ("kept", "kept", "kept")),
    (7, "switched on, QBench unchanged", SWITCHED_ON | C, ("kept", "kept", "kept")),
    (7, "switched on, QBench changed", SWITCHED_ON | Q | C, ("to_crm", "kept", "to_crm")),
    (8, "linked, the CRM is blank", FIRST | Q | BLANK_C, ("to_crm", "kept", "to_crm")),
    (8, "linked, QBench is blank", FIRST | BLANK_Q | C, ("kept", "to_qbench", "to_qbench")),
    (8, "linked, QBench is blank, with clear", FIRST | BLANK_Q | C | CLEAR, ("to_crm", "to_qbench", "to_qbench")),
    (8, "linked, both are filled", FIRST | Q | C, ("to_crm", "to_qbench", "to_crm")),
    (8, "linked, both are filled, the CRM is preferred", FIRST | Q | C | PREFER_CRM, ("to_crm", "to_qbench", "to_qbench")),
    (9, "made in the CRM", MADE_IN_CRM, ("to_crm", "kept", "to_crm")),
    (9, "made in QBench", MADE_IN_QBENCH, ("kept", "to_qbench", "to_qbench")),
    (10, "QBench cannot hold what changed in the CRM", C | {"fits": False}, ("kept", "not_taken", "not_taken")),
]
"""Number, words, the row, and the verdict for each direction."""


@pytest.mark.parametrize(("number", "words", "given", "verdicts"), LINES, ids=[f"{number} {words}" for number, words, *_ in LINES])
def test_each_line_of_the_table(number: int, words: str, given: dict[str, Any], verdicts: tuple[str, str, str]) -> None:
    found = decided_all(*(row(**given, direction=direction) for direction in Direction))
    assert tuple(decision.verdict for decision in found) == verdicts
    assert found[-1].case == number


def test_every_line_of_the_table_is_tried() -> None:
    assert {number for number, *_ in LINES} == {case.number for case in CASES} | {NOT_FIT}


def test_every_fact_stands_in_the_table() -> None:
    assert {fact for case in CASES for fact in case.holds} == set(Fact)


@pytest.mark.parametrize("direction", [FROM_CRM, BOTH])
def test_agreement_sets_both_bases(direction: Direction) -> None:
    found = decided(wanted="new", shown="new", direction=direction)
    assert (found.sent, found.seen, found.agreed) == ("new", "new", None)


def test_sides_that_differ_unchanged_are_told_as_drift() -> None:
    found = decided(wanted="q", shown="c", sent="q", seen="c")
    assert (found.verdict, found.sent, found.seen) == ("drift", "q", "c")


@pytest.mark.parametrize("given", [Q, C, Q | C, FIRST | Q | C, MADE_IN_CRM, MADE_IN_QBENCH], ids=str)
def test_before_a_write_both_bases_are_what_it_replaces_and_then_what_it_brings(given: dict[str, Any]) -> None:
    found = decided(**given)
    q, c = given.get("wanted", "old"), "" if given is MADE_IN_CRM else given.get("shown", "old")
    replaced, brought = (c, q) if found.verdict == "to_crm" else (q, c)
    assert (found.sent, found.seen, found.agreed) == (replaced, replaced, brought)


def test_a_field_that_is_only_sent_keeps_no_base_of_the_crm() -> None:
    """Else all that people changed in the CRM meanwhile would flow into QBench on the day when the direction is switched."""
    for given in (Q, C, Q | C, {"wanted": "new", "shown": "new"}):
        assert decided(**given, direction=TO_CRM).seen is None


def test_a_field_that_only_comes_back_accepts_what_is_edited_in_qbench() -> None:
    found = decided(wanted="q", direction=FROM_CRM)
    assert (found.verdict, found.sent, found.seen) == ("kept", "q", "old")


def test_a_field_that_is_only_sent_needs_no_reading() -> None:
    found = decided(wanted="q", direction=TO_CRM, read_at=None)
    assert (found.verdict, found.case, found.agreed) == ("to_crm", 3, "q")


def test_a_blank_that_clears_nothing_does_not_overwrite_and_the_next_change_of_the_other_side_goes() -> None:
    emptied = decided(shown="")
    assert (emptied.verdict, emptied.sent, emptied.seen) == ("kept", "old", "")
    assert decided(shown="", seen="", wanted="q").verdict == "to_crm"
    assert decided(shown="", wanted="q").verdict == "to_crm"
    assert decided(wanted="", shown="c", rule=Rule.PREFER_QBENCH).verdict == "to_qbench"


def test_a_value_given_again_after_a_blank_is_a_change() -> None:
    """QBench was emptied and filled as before, while the CRM was edited: two changes, and not the CRM's alone."""
    emptied = decided(wanted="")
    assert emptied.sent == ""
    found = decided(wanted="old", sent=emptied.sent, seen=emptied.seen, shown="c", shown_since="10:00")
    assert (found.case, found.verdict, found.winner) == (5, "to_qbench", "crm")


def test_what_was_left_out_for_the_crm_is_no_blank_that_clears() -> None:
    assert decided(wanted="", whole=False, clear=True).verdict == "kept"
    assert decided(wanted="", whole=True, clear=True).verdict == "to_crm"


def test_what_clears_on_one_way_only_is_no_change_on_the_other_one() -> None:
    back_only = CLEAR | {"clears_crm": False}
    assert decided(wanted="", **back_only).verdict == "kept"
    assert decided(shown="", **back_only).verdict == "to_qbench"
    assert decided(wanted="", shown="c", rule=Rule.PREFER_QBENCH, **back_only).verdict == "to_qbench"
    assert decided(shown="", **CLEAR | {"clear": False, "clears_crm": True}).verdict == "kept"


def test_a_value_that_does_not_fit_waits_and_is_named_each_time() -> None:
    found = decided(shown="c", fits=False)
    assert (found.verdict, found.case, found.sent, found.seen, found.winner) == ("not_taken", 10, "old", "old", None)


@pytest.mark.parametrize("given", [FIRST | {"wanted": "", "shown": "c"}, MADE_IN_QBENCH], ids=["first link", "made in QBench"])
def test_a_value_that_does_not_fit_at_first_is_still_a_change_afterwards(given: dict[str, Any]) -> None:
    found = decided(**given, fits=False)
    assert (found.verdict, found.sent, found.seen) == ("not_taken", "", "")
    assert decided(wanted="", shown="c", sent=found.sent, seen=found.seen, fits=False).verdict == "not_taken"


def test_qbench_sends_over_a_value_that_does_not_fit_if_its_own_change_wins() -> None:
    found = decided(wanted="q", shown="c", fits=False, wanted_since="10:00")
    assert (found.verdict, found.winner) == ("to_crm", "qbench")


@pytest.mark.parametrize(
    ("rule", "given", "verdict", "evidence"),
    [
        (Rule.PREFER_CRM, {"wanted_since": "10:00"}, "to_qbench", Evidence.PREFERRED),
        (Rule.PREFER_CRM, {"shown": "", "clear": True}, "to_crm", Evidence.PREFERRED),
        (Rule.PREFER_QBENCH, {"shown_since": "10:00"}, "to_crm", Evidence.PREFERRED),
        (Rule.PREFER_QBENCH, {"wanted": "", "clear": True}, "to_crm", Evidence.PREFERRED),
        (Rule.LATER, {"shown_since": "10:00"}, "to_qbench", Evidence.HISTORY),
        (Rule.LATER, {"shown_since": "10:00", "shown_evidence": Evidence.STAMP}, "to_qbench", Evidence.STAMP),
        (Rule.LATER, {"shown_since": "10:00", "shown_evidence": Evidence.READING}, "to_qbench", Evidence.READING),
        (Rule.LATER, {}, "to_crm", Evidence.TIE),
        (Rule.LATER, {"shown_since": None}, "to_crm", Evidence.UNDATED),
        (Rule.LATER, {"wanted_since": None}, "to_crm", Evidence.UNDATED),
    ],
    ids=str,
)
def test_of_two_changes_the_rule_decides_and_says_by_what(rule: Rule, given: dict[str, Any], verdict: str, evidence: Evidence) -> None:
    found = decided(**({"wanted": "q", "shown": "c"} | given), rule=rule)
    assert (found.case, found.verdict, found.evidence) == (5, verdict, evidence)
    assert found.winner == ("crm" if verdict == "to_qbench" else "qbench")


def test_an_edit_in_qbench_that_a_field_from_the_crm_replaces_is_told() -> None:
    found = decided(wanted="q", shown="c", direction=FROM_CRM)
    assert (found.verdict, found.winner, found.evidence) == ("to_qbench", "crm", Evidence.DIRECTION)
    kept = decided(wanted="q", direction=FROM_CRM)
    later = decided(wanted="q", shown="c", sent=kept.sent, seen=kept.seen, direction=FROM_CRM)
    assert (later.verdict, later.winner, later.evidence) == ("to_qbench", "crm", Evidence.ONLY_CHANGE)


@pytest.mark.parametrize(
    ("given", "winner"),
    [
        (FIRST | Q | C, "qbench"),
        (FIRST | Q | C | PREFER_CRM, "crm"),
        (FIRST | Q | C | {"direction": FROM_CRM}, "crm"),
        (FIRST | Q | C | {"direction": TO_CRM}, None),
        (FIRST | Q | BLANK_C, None),
        (FIRST | BLANK_Q | C, None),
    ],
    ids=str,
)
def test_a_first_link_tells_the_filled_value_that_it_replaces(given: dict[str, Any], winner: str | None) -> None:
    found = decided(**given)
    assert (found.winner, found.evidence) == (winner, winner and Evidence.FIRST_LINK)


@pytest.mark.parametrize(
    ("given", "winner"),
    [
        (SWITCHED_ON | Q | C, "qbench"),
        ({"sent": "q0", "seen": "c", "wanted": "q", "shown": "c"}, "qbench"),
        ({"sent": "q", "seen": "c0", "wanted": "q", "shown": "c"}, "crm"),
        (C | {"whole": False}, "crm"),
        (C | {"whole": False, "wanted": "", "sent": ""}, "crm"),
        ({"sent": "", "seen": "old", "wanted": "q"}, "qbench"),
        ({"sent": "q0", "seen": "", "wanted": "q", "shown": ""}, None),
        ({"sent": "", "seen": "c0", "wanted": "", "shown": "c"}, None),
        (Q, None),
        (C, None),
    ],
    ids=str,
)
def test_a_value_that_the_other_side_did_not_know_is_told_when_it_is_replaced(given: dict[str, Any], winner: str | None) -> None:
    found = decided(**given)
    assert (found.winner, found.evidence) == (winner, winner and Evidence.ONLY_CHANGE)


@pytest.mark.parametrize("rule", Rule)
def test_a_decided_conflict_is_not_told_again_by_the_run_that_carries_it_out(rule: Rule) -> None:
    first = decided(wanted="q", shown="c", rule=rule)
    again = decided(wanted="q", shown="c", rule=rule, sent=first.sent, seen=first.seen)
    assert first.winner
    assert (again.verdict, again.winner) == (first.verdict, None)
