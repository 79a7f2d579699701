"""Ways in which syncing both ways goes wrong elsewhere, each with three parties and the product's decision (docs/rules.md, 45 to 50)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache

import pytest

from crm_pipeline.mapping.digests import NO_DIGEST
from crm_pipeline_tests.sync.merging.judging import still
from crm_pipeline_tests.sync.merging.parties import CRMS, MAPPING, World, canonical
from crm_pipeline_tests.sync.merging.rounds import Pipeline, digest, hour, learned, look, send

FIELD, OTHER = "clearing", "filling"


@cache
def _agreed() -> Pipeline:
    pipeline = Pipeline(World(1, rate=0, crash=0, skip=0))
    for name in (FIELD, OTHER):
        pipeline.world.edit("q", name, "old")
    still([pipeline], 2)
    return pipeline


def calm() -> Pipeline:
    """A pipeline whose parties agree on ``old``, and in whose world only what a test does happens."""
    return deepcopy(_agreed())


def unread(pipeline: Pipeline) -> None:
    """An hour in which no CRM is read."""
    pipeline.world.tick(20)
    pipeline.world.skip = 1
    hour([pipeline])
    pipeline.world.skip = 0


def shown(pipeline: Pipeline, name: str = FIELD) -> list[str]:
    """What the three parties show."""
    return [canonical(party.values[name]) for party in pipeline.world.parties]


def told(pipeline: Pipeline) -> set[str]:
    """The values that people can read about."""
    return {value for _, value in pipeline.told}


def broken_off(*, count: int = 16) -> list[Pipeline]:
    """Pipelines whose next run breaks off at another boundary each."""
    pipelines = [calm() for _ in range(count)]
    for boundary, pipeline in enumerate(pipelines):
        pipeline.world.breaks_at = boundary
    return pipelines


def go_on(pipelines: Sequence[Pipeline], hours: int = 3) -> None:
    """Nothing breaks off any more."""
    for pipeline in pipelines:
        pipeline.world.breaks_at = None
    still(pipelines, hours)


def test_edits_of_different_fields_on_both_sides_undo_neither() -> None:
    pipeline = calm()
    pipeline.world.edit("s", FIELD, "from s")
    pipeline.world.edit("q", OTHER, "from q")
    still([pipeline], 1)
    assert (shown(pipeline), shown(pipeline, OTHER), pipeline.told) == (["from s"] * 3, ["from q"] * 3, [])


def test_an_edit_arrives_though_we_were_the_last_to_write_to_the_record() -> None:
    pipeline = calm()
    pipeline.world.edit("s", FIELD, "from s")
    pipeline.world.edit("q", OTHER, "from q")
    unread(pipeline)
    assert pipeline.world.crms["s"].by_us
    still([pipeline], 2)
    assert (shown(pipeline), shown(pipeline, OTHER), pipeline.told) == (["from s"] * 3, ["from q"] * 3, [])


def test_the_later_edit_of_a_field_wins_whatever_happens_to_other_fields() -> None:
    """QBench's name of 3:37 and the CRM's of 3:40: the CRM's stands; QBench's phone of 3:45 stays."""
    pipeline = calm()
    for where, name, minutes in (("q", FIELD, 3), ("s", FIELD, 5), ("q", OTHER, 0)):
        pipeline.world.edit(where, name, f"from {where}")
        pipeline.world.tick(minutes)
    still([pipeline], 2)
    assert (shown(pipeline), shown(pipeline, OTHER)) == (["from s"] * 3, ["from q"] * 3)
    assert told(pipeline) == {"from q", "from s"}


def test_what_a_crm_cuts_does_not_come_back_and_no_write_follows() -> None:
    text = "a text that s cannot keep whole"
    pipeline = calm()
    pipeline.world.edit("q", FIELD, text)
    still([pipeline], 2)
    before = pipeline.world.writes
    for number in range(4):
        pipeline.world.edit("s", OTHER, f"edit {number}")
        still([pipeline], 1)
    assert shown(pipeline) == [text, text[:12].strip(), text]
    # Each edit of the other field is brought home once, and sent to h once.
    assert (pipeline.world.writes - before, pipeline.told) == (8, [])


def test_an_edit_of_a_text_that_was_cut_is_brought_and_the_whole_text_told() -> None:
    text = "a text that s cannot keep whole"
    pipeline = calm()
    pipeline.world.edit("q", FIELD, text)
    still([pipeline], 1)
    pipeline.world.edit("s", FIELD, "a new text")
    still([pipeline], 2)
    assert (shown(pipeline), text in told(pipeline)) == (["a new text"] * 3, True)


def test_a_reading_from_before_our_write_reverts_nothing() -> None:
    pipeline = calm()
    pipeline.world.edit("s", FIELD, "from s")
    still([pipeline], 1)
    pipeline.world.edit("q", FIELD, "newest")
    old = pipeline.links["s"].staged
    unread(pipeline)
    pipeline.links["s"].staged = old
    unread(pipeline)
    assert (shown(pipeline), pipeline.told) == (["newest"] * 3, [])


def test_the_record_of_an_old_reading_is_read_again_though_its_stamp_has_not_moved() -> None:
    """A load that ran before the edit was brought home broke off: it had stored that it would write, and then had no reason to."""
    pipelines = broken_off(count=8)
    for pipeline in pipelines:
        pipeline.world.edit("s", FIELD, "from s")
        pipeline.world.tick(20)
        pipeline.world.breaks_at, boundary = None, pipeline.world.breaks_at
        hour([pipeline], steps=[look])
        pipeline.world.edit("q", OTHER, "from q")
        pipeline.world.tick(20)
        pipeline.world.breaks_at = boundary
    hour(pipelines, steps=[send])
    for pipeline in pipelines:
        pipeline.world.edit("q", OTHER, "old")
    go_on(pipelines)
    assert [shown(pipeline) + shown(pipeline, OTHER) for pipeline in pipelines] == [["from s"] * 3 + ["old"] * 3] * len(pipelines)


@pytest.mark.parametrize("newest", ["newest", "old"])
def test_qbench_edited_again_after_a_run_broke_off_is_everywhere_without_a_conflict(newest: str) -> None:
    pipelines = broken_off()
    for pipeline in pipelines:
        pipeline.world.edit("q", FIELD, "first")
    still(pipelines, 1)
    for pipeline in pipelines:
        pipeline.world.edit("q", FIELD, newest)
    go_on(pipelines)
    assert [shown(pipeline) for pipeline in pipelines] == [[newest] * 3] * len(pipelines)
    assert [pipeline.told for pipeline in pipelines] == [[]] * len(pipelines)


def test_an_edit_that_was_brought_by_a_run_that_broke_off_is_everywhere_without_a_conflict() -> None:
    pipelines = broken_off()
    for pipeline in pipelines:
        pipeline.world.edit("s", FIELD, "from s")
    still(pipelines, 1)
    go_on(pipelines)
    assert [shown(pipeline) for pipeline in pipelines] == [["from s"] * 3] * len(pipelines)
    assert [pipeline.told for pipeline in pipelines] == [[]] * len(pipelines)


@pytest.mark.parametrize("first", CRMS)
def test_of_edits_in_two_crms_the_later_one_wins_though_all_are_read_late_and_the_run_broke_off(first: str) -> None:
    """QBench holds the one that is read first since the person's edit, not since our write."""
    second = {"s": "h", "h": "s"}[first]
    pipelines = broken_off()
    for pipeline in pipelines:
        pipeline.world.edit(first, FIELD, f"from {first}")
        pipeline.world.tick(18)
        pipeline.world.edit(second, FIELD, f"from {second}")
        pipeline.world.tick(50)
    still(pipelines, 1)
    go_on(pipelines)
    assert [shown(pipeline) for pipeline in pipelines] == [[f"from {second}"] * 3] * len(pipelines)
    assert all(f"from {first}" in told(pipeline) for pipeline in pipelines)


def test_two_crms_that_change_one_field_in_one_hour_agree_with_qbench_after_two_runs() -> None:
    pipelines = [calm() for _ in range(4)]
    for seed, pipeline in enumerate(pipelines):
        pipeline.world.chance.seed(seed)
        for crm in CRMS:
            pipeline.world.edit(crm, FIELD, f"from {crm}")
            pipeline.world.tick(10)
    still(pipelines, 2)
    assert [shown(pipeline) for pipeline in pipelines] == [["from h"] * 3] * len(pipelines)


def test_values_written_in_another_form_cause_no_write_and_a_corrected_case_travels() -> None:
    pipeline = calm()
    assert pipeline.world.crms["h"].values[FIELD] == "old "
    before = pipeline.world.writes
    still([pipeline], 3)
    assert pipeline.world.writes == before
    pipeline.world.edit("h", FIELD, "OLD")
    still([pipeline], 1)
    assert shown(pipeline) == ["OLD"] * 3


def test_an_option_that_is_switched_on_over_differing_data_writes_nothing_and_then_the_first_edit_flows() -> None:
    pipeline = calm()
    pipeline.world.crms["s"].values[FIELD] = "elsewhere"
    pipeline.world.edit("s", OTHER, "old")
    for link in pipeline.links.values():
        link.seen = dict.fromkeys(MAPPING)
    before = pipeline.world.writes
    still([pipeline], 2)
    assert (pipeline.world.writes, shown(pipeline)) == (before, ["old", "elsewhere", "old"])
    pipeline.world.edit("s", FIELD, "from s")
    still([pipeline], 2)
    assert (shown(pipeline), told(pipeline)) == (["from s"] * 3, {"old", "from s"})


@pytest.mark.parametrize(("name", "everywhere"), [(FIELD, True), (OTHER, False)])
def test_a_value_that_a_crm_empties_goes_everywhere_with_clear_and_nowhere_without(name: str, *, everywhere: bool) -> None:
    pipeline = calm()
    pipeline.world.edit("s", name, "")
    still([pipeline], 2)
    assert shown(pipeline, name) == ([""] * 3 if everywhere else ["old", "", "old"])
    pipeline.world.edit("q", name, "filled again")
    still([pipeline], 2)
    assert (shown(pipeline, name), pipeline.told) == (["filled again"] * 3, [])


@pytest.mark.parametrize(("grain", "ticks", "winner"), [(0, 1, "from s"), (60, 0, "from q")])
def test_a_clock_that_is_ahead_changes_no_order_and_one_of_minutes_makes_a_tie_which_is_qbenchs(
    grain: int, ticks: int, winner: str
) -> None:
    """QBench's clock is 90 seconds ahead, its edit 50 seconds before that in s, or at once with it."""
    pipeline = calm()
    pipeline.world.hub.ahead, pipeline.world.hub.grain, pipeline.world.crms["s"].ahead = 90, grain, 0
    pipeline.world.edit("q", FIELD, "from q")
    pipeline.world.tick(ticks)
    pipeline.world.edit("s", FIELD, "from s")
    still([pipeline], 2)
    assert (shown(pipeline), told(pipeline)) == ([winner] * 3, {"from q", "from s"})


def test_what_qbench_cannot_hold_stays_in_the_crm_and_is_named() -> None:
    pipeline = calm()
    pipeline.world.edit("h", FIELD, "!value")
    still([pipeline], 2)
    assert (shown(pipeline), told(pipeline)) == (["old", "old", "!value"], {"!value"})


def test_a_field_that_passes_through_qbench_goes_one_way() -> None:
    pipeline = calm()
    pipeline.world.edit("s", "passing", "from s")
    still([pipeline], 1)
    assert shown(pipeline, "passing") == ["from s"] * 3
    pipeline.world.edit("h", "passing", "from h")
    still([pipeline], 2)
    assert shown(pipeline, "passing") == ["from s", "from s", "from h"]


def test_a_model_that_agrees_has_its_bases_agreed() -> None:
    pipeline = calm()
    learned(["old"])
    assert {link.sent[FIELD] for link in pipeline.links.values()} == {digest("old")} != {NO_DIGEST}
