"""What holds of every decision, whatever the two sides hold and held (docs/rules.md, 45 to 50)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crm_pipeline.mapping.digests import NO_DIGEST
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sync.merging.deciding import decide
from crm_pipeline.sync.merging.fields import FIELDS, Evidence, Situation
from crm_pipeline_tests.sync.merging.builders import at, digest, fields, row

WORDS = ["", "a", "b", "c"]
CLOCK = [at(clock) for clock in ("09:00", "09:00:01", "10:00", "11:00")]
CHOICES: dict[str, list[Any]] = {
    "qbench_id": [41],
    "field": ["Description"],
    "direction": list(Direction),
    "rule": list(Rule),
    "clear": [True, False],
    "clears_crm": [True, False],
    "situation": [Situation.LINKED] * 4 + list(Situation),
    "wanted": [digest(word) for word in WORDS],
    "whole": [True, True, False],
    "shown": [digest(word) for word in WORDS],
    "fits": [True, True, False],
    "sent": [digest(word) for word in WORDS],
    "seen": [digest(word) for word in [*WORDS, None]],
    "sending": [digest(word) for word in [*WORDS, None]],
    "open_until": [None, *CLOCK],
    "read_at": [None, *CLOCK],
    "touched_at": [None, *CLOCK],
    "wanted_since": [None, *CLOCK],
    "wanted_grain": [0, 1, 60],
    "shown_since": [None, *CLOCK],
    "shown_grain": [0, 1, 60],
    "shown_evidence": [Evidence.HISTORY, Evidence.STAMP, Evidence.READING],
}
ROWS = 3_000


def _frame(seed: int) -> pd.DataFrame:
    """Rows of all kinds; a record that is not there yet shows nothing."""
    chance = np.random.default_rng(seed)
    columns = {
        column.name: pd.Series(
            pd.array(CHOICES[column.name], dtype=column.dtype).take(chance.integers(len(CHOICES[column.name]), size=ROWS))
        )
        for column in FIELDS.columns
    }
    frame = FIELDS.build(columns)
    return frame.assign(
        shown=frame["shown"].mask(frame["situation"].eq(Situation.NEW_IN_CRM), NO_DIGEST),
        wanted=frame["wanted"].mask(frame["situation"].eq(Situation.NEW_IN_QBENCH), NO_DIGEST),
        whole=frame["whole"] | frame["situation"].eq(Situation.NEW_IN_QBENCH),
    )


FRAMES = st.integers(0, 2**32 - 1).map(_frame)
few = settings(max_examples=3, phases=(Phase.explicit, Phase.generate))


def together(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with what was decided of each."""
    return frame, decide(frame)


def afterwards(frame: pd.DataFrame, found: pd.DataFrame, *, carried_out: bool) -> pd.DataFrame:
    """The rows as the next run finds them: decisions stored, and the writes made and stored, or none of them."""
    out, back = found["verdict"].eq("to_crm") & carried_out, found["verdict"].eq("to_qbench") & carried_out
    read = found["verdict"].ne("unread")
    there = frame["situation"].eq(Situation.LINKED) | read if carried_out else frame["situation"].eq(Situation.LINKED)
    return FIELDS.build(
        frame.assign(
            situation=frame["situation"].where(~there, str(Situation.LINKED)),
            shown=frame["shown"].mask(out, frame["wanted"]),
            wanted=frame["wanted"].mask(back, frame["shown"]),
            whole=frame["whole"] | back,
            sent=found["sent"].mask(out | (back & frame["direction"].ne(Direction.TO_CRM)), found["agreed"].fillna(0)).astype("int64"),
            seen=found["seen"].mask((out | back) & frame["direction"].ne(Direction.TO_CRM), found["agreed"]),
            sending=found["sending"].mask(out),
            touched_at=found["touched_at"],
            read_at=pd.Timestamp("2026-11-01T13:00Z"),
        )
    )


def offending(mask: pd.Series, *frames: pd.DataFrame) -> list[dict[Any, Any]]:
    """The first rows where the mask holds, in words, for a message that can be read."""
    words: dict[Any, Any] = {digest(word): word for word in WORDS}
    rows = pd.concat([frame[mask].head(3).add_prefix(prefix) for prefix, frame in zip(("", "-> "), frames, strict=False)], axis=1)
    return [{name: words.get(value, value) for name, value in row.items()} for row in rows.astype(object).to_dict("records")]


@few
@given(FRAMES)
def test_every_row_is_decided_and_in_its_order(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    assert len(found) == len(frame)
    assert not offending(found["verdict"].isna(), frame)
    turned = decide(frame.iloc[::-1].reset_index(drop=True)).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, turned)


@few
@given(FRAMES)
def test_what_agrees_is_never_written(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    agree = frame["wanted"].eq(frame["shown"]) & frame["read_at"].notna() & frame["direction"].ne(Direction.TO_CRM)
    assert not offending(agree & (found["agreed"].notna() | found["conflict"]), frame, found)


@few
@given(FRAMES)
def test_a_direction_writes_its_own_side_only(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    back, out = found["verdict"].isin(["to_qbench", "not_taken", "unread"]), found["verdict"].eq("to_crm")
    assert not offending((back & frame["direction"].eq(Direction.TO_CRM)) | (out & frame["direction"].eq(Direction.FROM_CRM)), frame, found)


@few
@given(FRAMES)
def test_what_was_carried_out_agrees_and_nothing_is_written_any_more(frame: pd.DataFrame) -> None:
    frame, found = together(frame)
    later = afterwards(frame, found, carried_out=True)
    again = decide(later)
    assert not offending(found["agreed"].notna() & again["case"].ne(1), later, again)
    third = decide(afterwards(later, again, carried_out=True))
    assert not offending(again["verdict"].ne("unread") & third["agreed"].notna(), frame, third)


@few
@given(FRAMES)
def test_a_write_that_was_not_carried_out_is_made_by_the_next_run_and_told_once(frame: pd.DataFrame) -> None:
    frame, found = together(frame)
    again = decide(afterwards(frame, found, carried_out=False))
    asked = frame["situation"].eq(Situation.LINKED) & frame["direction"].ne(Direction.TO_CRM) & found["agreed"].notna()
    assert not offending(asked & (again["verdict"].ne(found["verdict"]) | again["agreed"].ne(found["agreed"])), frame, again)
    assert not offending(asked & frame["whole"] & again["conflict"], frame, again)


@few
@given(FRAMES)
def test_no_value_is_written_over_unknown_to_the_other_side_without_a_conflict(frame: pd.DataFrame) -> None:
    frame, found = together(frame)
    linked = frame["situation"].eq(Situation.LINKED)
    echo = linked & frame["sending"].eq(frame["shown"]).fillna(value=False)
    agreed = linked & frame["sent"].eq(frame["seen"]).fillna(value=False)
    silent = ~found["conflict"] & frame["direction"].ne(Direction.TO_CRM)
    out = found["verdict"].eq("to_crm") & silent & frame["shown"].ne(NO_DIGEST)
    assert not offending(out & ~(echo | (agreed & frame["seen"].eq(frame["shown"]).fillna(value=False))), frame, found)
    back = found["verdict"].eq("to_qbench") & silent & frame["wanted"].ne(NO_DIGEST)
    assert not offending(back & ~(agreed & frame["sent"].eq(frame["wanted"]) & frame["whole"]), frame, found)


@few
@given(FRAMES)
def test_a_blank_overwrites_only_with_clear(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    out = found["verdict"].eq("to_crm") & frame["wanted"].eq(NO_DIGEST)
    back = found["verdict"].eq("to_qbench") & frame["shown"].eq(NO_DIGEST)
    assert not offending(back & ~frame["clear"], frame, found)
    assert not offending(out & ~(frame["clears_crm"] & frame["whole"]), frame, found)


@few
@given(FRAMES)
def test_what_does_not_fit_never_goes_to_qbench(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    assert not offending(found["verdict"].eq("to_qbench") & ~frame["fits"], frame, found)


@few
@given(FRAMES)
def test_a_conflict_names_its_winner_and_what_decided_it(frame: pd.DataFrame) -> None:
    _, found = together(frame)
    winner = found["verdict"].map({"to_crm": "qbench", "to_qbench": "crm"})
    assert not offending(found["conflict"] & (found["winner"].ne(winner) | found["evidence"].isna()), frame, found)
    assert not offending(~found["conflict"] & (found["winner"].notna() | found["evidence"].notna()), frame, found)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_frame_may_be_empty(rows: int) -> None:
    assert len(decide(fields(*[row()] * rows))) == rows
