"""A list that QBench fails to show for one record's sake is read without that record, which is told by its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log2
from typing import Any

import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.reading import Reading, deleted_since, read_by_id, read_changes, read_deletions
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.source import Gap
from crm_pipeline_tests.qbench.bench import NOW, Bench, bench, frame_of

ACCOUNT = RecordType.ACCOUNT
T0 = 1_760_000_000


def add(qbench: Bench, count: int, *, spread: int = 1, at: int = T0) -> list[int]:
    return [qbench.tenant.add_customer(customer_name="Eco Labs", at=at + number * spread) for number in range(count)]


def unshowable(qbench: Bench, *customers: int) -> None:
    qbench.tenant.unshowable.update(("customers", number) for number in customers)


def read(qbench: Bench, *, since: int | None = None, until: int = NOW) -> tuple[list[int], Reading]:
    """The ids that are read, each once, and the read."""
    changes = read_changes(qbench.client, ACCOUNT, since=since, until=until)
    found = frame_of(list(changes))["qbench_id"].tolist()
    assert len(found) == len(set(found))
    return sorted(found), changes


def holds(gap: Gap, at: int) -> bool:
    return gap.since <= at < gap.until


def lists(qbench: Bench) -> int:
    return sum(call.path.endswith("/customers") for call in qbench.journal.calls())


CASES = [
    *((50, ">", broken) for broken in ({0}, {22}, {9}, {4, 5}, {3, 17}, set(range(6, 15)))),
    *((3, ">=", broken) for broken in ({0}, {22}, {4, 5}, {3, 17})),
]
"""Page size, what the lower bound means, and the places of the records on which QBench fails, of 23."""


@pytest.mark.parametrize("spread", [0, 1], ids=["in one second", "over time"])
@pytest.mark.parametrize(("size", "bound", "broken"), CASES, ids=str)
def test_the_others_are_read_and_each_gap_is_told(size: int, broken: set[int], spread: int, bound: str) -> None:
    with bench(page_size=size) as qbench:
        qbench.tenant.last_updated_bound = bound  # type: ignore[assignment]  # parametrized
        ids = add(qbench, 23, spread=spread)
        unshowable(qbench, *(ids[number] for number in broken))
        found, changes = read(qbench)
        assert found == [number for place, number in enumerate(ids) if place not in broken]
        assert all(any(holds(gap, T0 + place * spread) for gap in changes.gaps) for place in broken)
        assert len(changes.gaps) <= len(broken)
        assert all(gap.until <= T0 + 30 for gap in changes.gaps) or not spread or len(ids) - 1 in broken


@pytest.mark.parametrize(
    "broken",
    [{36}, {35, 37, 38}, {71, 72, 73, 74, 75}, {10, 50, 90, 149}, set(range(34, 40))],
    ids=["first of a stretch", "around", "a page", "one each", "pages"],
)
def test_of_stretches_read_at_once_the_others_are_read_and_each_gap_is_told_once(small: Bench, broken: set[int]) -> None:
    ids = add(small, 150)
    unshowable(small, *(ids[number] for number in broken))
    found, changes = read(small)
    assert found == [number for place, number in enumerate(ids) if place not in broken]
    assert all(any(holds(gap, T0 + place) for gap in changes.gaps) for place in broken)
    assert len(changes.gaps) <= len(broken)
    assert 149 in broken or all(gap.until <= T0 + 150 for gap in changes.gaps)


def test_the_gap_is_told_by_list_place_and_time(qbench: Bench) -> None:
    ids = add(qbench, 5, spread=10)
    unshowable(qbench, ids[2])
    _, changes = read(qbench, since=T0)
    assert changes.gaps == [Gap("customers", place=3, position=T0, since=T0 + 10, until=T0 + 31)]


def test_one_record_costs_few_calls(qbench: Bench) -> None:
    ids = add(qbench, 45, at=T0)
    read(qbench)
    before = lists(qbench)
    unshowable(qbench, ids[-9])
    read(qbench)
    assert lists(qbench) - 2 * before <= 2 * (2 * log2(50) + 2)


def test_a_record_that_only_another_window_holds_is_no_gap(qbench: Bench) -> None:
    ids = add(qbench, 6, spread=10)
    unshowable(qbench, ids[4])
    found, changes = read(qbench, until=T0 + 25)
    assert (found, changes.gaps) == (ids[:3], [])


@pytest.mark.parametrize("count", [1, 3, 8])
def test_records_that_are_all_of_a_window_are_gaps_where_others_are_shown(small: Bench, count: int) -> None:
    add(small, 2, at=T0 - 100)
    ids = add(small, count)
    unshowable(small, *ids)
    found, changes = read(small, since=T0)
    assert found == []
    assert all(any(holds(gap, T0 + place) for gap in changes.gaps) for place in range(count))


@pytest.mark.parametrize("trouble", [{"status": 500}, {"kind": "html"}, {"kind": "drop_before"}], ids=str)
@pytest.mark.parametrize("count", [1, 50])
def test_qbench_that_shows_nothing_stops_the_read_soon(qbench: Bench, count: int, trouble: dict[str, Any]) -> None:
    add(qbench, count)
    qbench.faults.add(Fault(path="/customers$", times=None, **trouble))
    with pytest.raises(Exception, match="customers"):
        read(qbench)
    assert lists(qbench) <= 1 + 2 * log2(50) + 2 + qbench.client.settings.attempts


def test_a_failure_that_passes_leaves_no_gap(qbench: Bench) -> None:
    ids = add(qbench, 60)
    for skip, times in ((0, 1), (1, 3), (2, 16)):
        qbench.faults.clear()
        qbench.faults.add(Fault(path="/customers$", skip=skip, times=times, status=502))
        found, changes = read(qbench)
        assert (found, changes.gaps) == (ids, [])


def test_a_list_that_time_does_not_order_is_read_without_the_record(small: Bench) -> None:
    small.tenant.ignore_sort = True
    ids = [small.tenant.add_customer(customer_name="Eco Labs", at=T0 + place) for place in (5, 3, 8, 1, 9, 2, 7)]
    unshowable(small, ids[3])
    found, changes = read(small, since=T0)
    assert found == [number for number in ids if number != ids[3]]
    assert [(gap.since, gap.until) for gap in changes.gaps] == [(T0, NOW)]


@pytest.mark.parametrize("request_number", [3, 6, 9])
@pytest.mark.parametrize("change", ["edit", "insert", "delete"])
@pytest.mark.parametrize("spread", [0, 10], ids=["in one second", "over time"])
def test_change_between_the_parts_hides_no_other_record(small: Bench, spread: int, change: str, request_number: int) -> None:
    ids = add(small, 9, spread=spread)
    unshowable(small, ids[4])
    changes: Mapping[str, Callable[[], object]] = {
        "edit": lambda: small.tenant.edit_customer(ids[1], comments="x", at=T0 + 500),
        "insert": lambda: small.tenant.add_customer(customer_name="New", at=T0 + 500),
        "delete": lambda: small.tenant.delete_customer(ids[1], at=T0 + 500),
    }
    left = [request_number]

    def hook(_path: str, _query: Mapping[str, str]) -> None:
        left[0] -= 1
        if left[0] == 0:
            changes[change]()

    small.tenant.on_request = hook
    found = frame_of(list(read_changes(small.client, ACCOUNT, since=None, until=NOW)))["qbench_id"].tolist()
    assert set(ids) - {ids[4], ids[1]} <= set(found)


def test_deletions_are_read_without_one_that_qbench_fails_to_list(qbench: Bench) -> None:
    ids = add(qbench, 8)
    for number in ids[:6]:
        qbench.tenant.delete_customer(number, at=T0 + 100 + number)
    unshowable(qbench, ids[2])
    deletions = read_deletions(qbench.client, ACCOUNT, since=None, until=NOW)
    found = frame_of(list(deletions))
    assert sorted(found["qbench_id"]) == [number for number in ids[:6] if number != ids[2]]
    assert found["deleted"].all()
    assert [holds(gap, T0 + 100 + ids[2]) for gap in deletions.gaps] == [True]


def test_the_oldest_record_does_not_stop_a_reading_by_ids(qbench: Bench) -> None:
    ids = add(qbench, 9)
    unshowable(qbench, *ids[:7])
    answer = read_by_id(qbench.client, ACCOUNT, ids[:8])
    assert (answer.frame["qbench_id"].tolist(), answer.failed) == (ids[7:8], ids[:7])


@pytest.mark.parametrize("size", [1, 2, 50])
def test_the_only_record_of_a_tenant_is_a_gap_while_qbench_answers_the_like_for_none(size: int) -> None:
    with bench(page_size=size) as qbench:
        [number] = add(qbench, 1)
        unshowable(qbench, number)
        found, changes = read(qbench)
        assert (found, [holds(gap, T0) for gap in changes.gaps]) == ([], [True])
        assert read_by_id(qbench.client, ACCOUNT, [number]).failed == [number]


def test_the_only_deletion_of_a_tenant_without_live_records_is_a_gap(qbench: Bench) -> None:
    [number] = add(qbench, 1)
    qbench.tenant.delete_customer(number, at=T0 + 100)
    unshowable(qbench, number)
    deletions = read_deletions(qbench.client, ACCOUNT, since=None, until=NOW)
    assert list(deletions) == []
    assert [holds(gap, T0 + 100) for gap in deletions.gaps] == [True]


@pytest.mark.parametrize(
    ("longest", "broken", "spread", "counted"),
    [(10, {3, 17}, 1, True), (4, {0}, 0, True), (7, {22}, 0, False), (15, {9, 10}, 1, False)],
    ids=str,
)
def test_pages_shorter_than_what_is_asked_for_are_parted_too(
    qbench: Bench, longest: int, broken: set[int], spread: int, *, counted: bool
) -> None:
    qbench.tenant.longest_page = longest
    ids = add(qbench, 23, spread=spread)
    unshowable(qbench, *(ids[number] for number in broken))
    if not counted:
        without = {"total_pages": None, "total_count": None}
        qbench.faults.add(Fault(path="/customers$", kind="bend", times=None, bend=lambda answer: {**answer, **without}))
    found, changes = read(qbench)
    assert found == [number for place, number in enumerate(ids) if place not in broken]
    assert all(any(holds(gap, T0 + place * spread) for gap in changes.gaps) for place in broken)


def test_page_of_which_more_is_counted_than_it_shows_is_followed_by_another(qbench: Bench) -> None:
    qbench.tenant.longest_page = 10
    ids = add(qbench, 18)
    qbench.faults.add(Fault(path="/customers$", kind="bend", times=None, bend=lambda answer: {**answer, "total_pages": 1}))
    assert read(qbench)[0] == ids


WAYS: list[dict[str, Any]] = [
    *({"status": status} for status in (400, 403, 500, 504)),
    {"kind": "html"},
    {"kind": "drop_before"},
    {"kind": "bend", "bend": lambda _answer: {"never": "heard of"}},
]
"""How QBench fails whenever it is to show a record."""


def broken(qbench: Bench, way: dict[str, Any]) -> None:
    qbench.faults.add(Fault(path="/customers(/[0-9]+)?$", returning="Zaphod", times=None, **way))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.get("status", way.get("kind"))))
def test_in_whatever_way_qbench_fails_on_one_record_each_reading_names_it_and_gives_the_others(small: Bench, way: dict[str, Any]) -> None:
    ids = [small.tenant.add_customer(customer_name="Zaphod" if number == 3 else "Labs", at=T0 + number) for number in range(7)]
    others = [number for number in ids if number != ids[3]]
    broken(small, way)
    found, changes = read(small)
    assert (found, [holds(gap, T0 + 3) for gap in changes.gaps]) == (others, [True])
    answer = read_by_id(small.client, ACCOUNT, ids)
    assert (sorted(answer.frame["qbench_id"]), answer.failed) == (others, [ids[3]])
    for number in ids:
        small.tenant.delete_customer(number, at=T0 + 100 + number)
    deletions = read_deletions(small.client, ACCOUNT, since=None, until=NOW)
    assert sorted(frame_of(list(deletions))["qbench_id"]) == others
    assert [holds(gap, T0 + 100 + ids[3]) for gap in deletions.gaps] == [True]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.get("status", way.get("kind"))))
def test_probe_for_changes_that_fails_is_passed_over_for_the_list_of_deletions(small: Bench, way: dict[str, Any]) -> None:
    small.faults.add(Fault(path="/updates/", times=None, **way))
    assert deleted_since(small.client, ACCOUNT, T0) is None
