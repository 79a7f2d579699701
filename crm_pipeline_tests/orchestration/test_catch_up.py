"""Which runs are wanted, from what is open in which asset; without Dagster's storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from crm_pipeline.orchestration.catch_up import Standing, Wanted, wanted

HOURS = [f"hour {number}" for number in range(6)]
READ, SALES, CONTACTS, HUB = (dg.AssetKey(name) for name in ("read", "sales", "contacts", "hub"))
UPSTREAM = {READ: frozenset[dg.AssetKey](), SALES: {READ}, CONTACTS: {READ, SALES}, HUB: {READ}}
"""One read for two CRMs, of which one has contacts below its accounts."""

ALL = tuple(UPSTREAM)


def runs(hours_open: dict[dg.AssetKey, Sequence[int]], *, per_run: int = 10, at_most: int = 10, **standing: Any) -> list[Wanted]:
    """What is wanted where these hours are open."""
    open_hours = {asset: {HOURS[number] for number in hours_open.get(asset, ())} for asset in UPSTREAM}
    return wanted(Standing(UPSTREAM, open_hours, **standing), HOURS, per_run=per_run, at_most=at_most)


def everywhere(*numbers: int) -> dict[dg.AssetKey, Sequence[int]]:
    return dict.fromkeys(UPSTREAM, numbers)


def test_nothing_open_wants_nothing() -> None:
    assert runs({}) == []


def test_open_asset_runs_with_all_that_is_made_from_it() -> None:
    assert runs({READ: [1]}) == [Wanted(HOURS[1], HOURS[1], ALL)]
    assert runs({SALES: [1]}) == [Wanted(HOURS[1], HOURS[1], (SALES, CONTACTS))]


def test_hours_with_the_same_assets_to_run_are_one_run_and_others_their_own() -> None:
    assert runs({**everywhere(3, 4), HUB: [0, 1, 3, 4]}) == [Wanted(HOURS[0], HOURS[1], (HUB,)), Wanted(HOURS[3], HOURS[4], ALL)]


def test_what_has_much_to_catch_up_keeps_nothing_else_waiting() -> None:
    much = {**everywhere(5), HUB: [0, 1, 2, 3, 4, 5]}
    assert runs(much, at_most=2) == [Wanted(HOURS[0], HOURS[1], (HUB,)), Wanted(HOURS[5], HOURS[5], ALL)]


def test_long_gap_is_split_into_runs() -> None:
    found = runs(everywhere(0, 1, 2, 3, 4), per_run=2, at_most=5)
    assert [(run.first, run.last) for run in found] == [(HOURS[0], HOURS[1]), (HOURS[2], HOURS[3]), (HOURS[4], HOURS[4])]


def test_resting_asset_and_what_waits_for_its_hour_are_left_out_and_the_rest_goes_on() -> None:
    assert runs(everywhere(2), resting={SALES: {HOURS[2]}}) == [Wanted(HOURS[2], HOURS[2], (READ, HUB))]
    assert runs(everywhere(2), resting={READ: {HOURS[2]}}) == [], "a load before its read would be green without its records"
    assert runs({HUB: [2]}, resting={READ: {HOURS[2]}}) == [Wanted(HOURS[2], HOURS[2], (HUB,))]


def test_hour_left_to_the_retries_is_not_run_unless_its_records_are_read_anew() -> None:
    left = {SALES: {HOURS[1]}, CONTACTS: {HOURS[1]}}
    assert runs({SALES: [1], CONTACTS: [1]}, left=left) == []
    assert runs({READ: [1], SALES: [1]}, left=left) == [Wanted(HOURS[1], HOURS[1], ALL)]
