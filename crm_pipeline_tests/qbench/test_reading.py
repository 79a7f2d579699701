"""What a read of a window gives, and that nothing is missed while users go on editing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_pipeline.errors import ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.listing import RowList
from crm_pipeline.qbench.one_by_one import MOST_FAILURES
from crm_pipeline.qbench.reading import organization, read_by_id, read_changes, read_deletions, read_one, read_restored
from crm_pipeline.qbench.walking import Walk
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline.source import Page
from crm_pipeline_tests.qbench.bench import NOW, Bench, bench, frame_of, keys_of, quiet_tenant, settings_for

T0 = 1_760_000_000


def add_customers(tenant: QBenchTenant, *versions: int) -> list[int]:
    return [tenant.add_customer(customer_name="Eco Labs", at=version) for version in versions]


def once_at(request: int, change: Callable[[], object]) -> Callable[[str, Mapping[str, str]], None]:
    """A hook that makes a change before the given list request, counted from 1."""
    left = [request]

    def hook(_path: str, _query: Mapping[str, str]) -> None:
        left[0] -= 1
        if left[0] == 0:
            change()

    return hook


# What a read gives


def test_empty_tenant_gives_no_page(qbench: Bench) -> None:
    assert list(read_changes(qbench.client, RecordType.ACCOUNT, since=None, until=NOW)) == []


def test_empty_window_makes_no_call(qbench: Bench) -> None:
    assert qbench.read(since=T0, until=T0).empty
    assert qbench.journal.calls() == []


def test_rows_of_the_window_come_oldest_first_and_untouched(qbench: Bench) -> None:
    later, earlier = add_customers(qbench.tenant, T0 + 5, T0)
    frame = qbench.read()
    assert keys_of(frame) == [(earlier, T0), (later, T0 + 5)]
    assert frame["content"].iloc[0]["customer_name"] == "Eco Labs"
    assert frame["content"].iloc[0]["website"] is None
    assert frame["unreadable"].isna().all()


@pytest.mark.parametrize("bound", [">", ">="])
def test_window_holds_its_first_second_and_not_its_last(small: Bench, bound: str) -> None:
    small.tenant.last_updated_bound = bound  # type: ignore[assignment]  # parametrized
    add_customers(small.tenant, *range(T0 - 4, T0 + 12))
    assert small.read(since=T0, until=T0 + 7)["version"].tolist() == list(range(T0, T0 + 7))


def test_reading_stops_behind_the_windows_end(small: Bench) -> None:
    add_customers(small.tenant, *range(T0, T0 + 100))
    small.read(since=T0, until=T0 + 4)
    assert small.client.calls.snapshot() == {"sign_in": 1, "read": 3}


@pytest.mark.parametrize("form", ["unix", "digits", "iso", "iso_naive", "us"])
def test_every_form_of_date_is_read(small: Bench, form: str) -> None:
    small.tenant.date_form = form  # type: ignore[assignment]  # parametrized
    ids = add_customers(small.tenant, *range(T0, T0 + 300, 30))
    frame = small.read()
    assert frame["qbench_id"].tolist() == ids
    grain = 60 if form == "us" else 1
    assert frame["version"].tolist() == [at // grain * grain for at in range(T0, T0 + 300, 30)]


def test_date_that_nobody_can_parse_takes_the_version_before_it_and_comes_once(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 9))
    for broken in (ids[0], ids[2], ids[5], ids[8]):
        small.tenant.answer_with("customers", broken, last_updated="next Tuesday")
    frame = small.read(since=T0)
    assert sorted(frame["qbench_id"]) == ids
    assert frame.loc[frame["unreadable"] == "last_updated", "qbench_id"].tolist() == [ids[0], ids[2], ids[5], ids[8]]
    assert frame["version"].tolist() == [T0, T0 + 1, T0 + 1, T0 + 3, T0 + 4, T0 + 4, T0 + 6, T0 + 7, T0 + 7]


def test_tenant_without_any_date_that_can_be_parsed_is_read_whole(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 10))
    for broken in ids:
        small.tenant.answer_with("customers", broken, last_updated=None)
    frame = small.read()
    assert frame["qbench_id"].tolist() == ids
    assert frame["version"].unique().tolist() == [0]


def test_record_with_every_field_null_is_read(qbench: Bench) -> None:
    (broken,) = add_customers(qbench.tenant, T0)
    nothing = dict.fromkeys(qbench.tenant.customer(broken), None) | {"id": broken}
    qbench.tenant.answer_with("customers", broken, **nothing)
    frame = qbench.read()
    assert (frame["qbench_id"].tolist(), frame["unreadable"].tolist()) == ([broken], ["last_updated"])


def test_large_value_is_read(qbench: Bench) -> None:
    qbench.tenant.add_customer(customer_name="Eco Labs", comments="x" * 10_000_000, at=T0)
    assert len(qbench.read()["content"].iloc[0]["comments"]) == 10_000_000


@pytest.mark.parametrize("wrong", [None, "", "A-1", 1.5, True])
def test_record_without_a_readable_id_is_left_out_and_told_by_object_and_place(qbench: Bench, wrong: object) -> None:
    first, broken, last = add_customers(qbench.tenant, T0, T0 + 1, T0 + 2)
    qbench.tenant.answer_with("customers", broken, id=wrong)
    changes = read_changes(qbench.client, RecordType.ACCOUNT, since=T0, until=NOW)
    assert frame_of(list(changes))["qbench_id"].tolist() == [first, last]
    assert [(gap.name, gap.place) for gap in changes.gaps] == [("customers", 2)]


def test_total_is_what_qbench_announced(small: Bench) -> None:
    add_customers(small.tenant, *range(T0, T0 + 10))
    (page,) = read_changes(small.client, RecordType.ACCOUNT, since=T0 + 4, until=T0 + 7)
    assert (page.total, page.position, len(page.frame)) == (6, T0 + 7, 3)


def counting(pages: int, total: int) -> Fault:
    """Every list says that it has so many pages and records, whatever it has."""
    return Fault(
        path="/(customers|contacts)$",
        kind="bend",
        times=None,
        bend=lambda answer: {**answer, "total_pages": pages, "total_count": total},
    )


@pytest.mark.parametrize(("pages", "total"), [(1, 3), (1, 0), (0, 0), (99, 999)], ids=["one page", "none counted", "nothing", "too many"])
@pytest.mark.parametrize("size", [0, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("same_second", [False, True])
def test_counts_that_are_wrong_hide_no_record(small: Bench, pages: int, total: int, size: int, *, same_second: bool) -> None:
    ids = add_customers(small.tenant, *(T0 if same_second else T0 + number for number in range(size)))
    gone = add_customers(small.tenant, *(T0 + 50 + number for number in range(size)))
    for number, customer in enumerate(gone):
        small.tenant.delete_customer(customer, at=T0 + 100 + (0 if same_second else number))
    small.faults.add(counting(pages, total))
    assert sorted(small.read()["qbench_id"]) == ids
    assert sorted(frame_of(deletions(small))["qbench_id"]) == gone


def test_pages_that_are_shorter_than_they_are_counted_by_hide_no_record(qbench: Bench) -> None:
    ids = add_customers(qbench.tenant, *[T0] * 200)
    qbench.tenant.longest_page = 30
    qbench.faults.add(counting(4, 200))
    assert sorted(qbench.read()["qbench_id"]) == ids


def test_full_page_that_is_announced_as_the_last_one_is_not(qbench: Bench) -> None:
    ids = add_customers(qbench.tenant, *range(T0, T0 + 51))
    qbench.faults.add(counting(1, 50))
    assert qbench.read()["qbench_id"].tolist() == ids


def test_contact_names_all_its_customers_though_pages_are_shorter_than_they_are_counted_by(small: Bench) -> None:
    small.tenant.customers_form, small.tenant.longest_page = "absent", 2
    customers = add_customers(small.tenant, *[T0] * 7)
    contact = small.tenant.add_contact(customer_ids=customers, first_name="Ana", at=T0)
    small.faults.add(counting(3, 7))
    found = read_one(small.client, RecordType.CONTACT, contact)
    assert found is not None
    assert [item["id"] for item in found["customers"]] == customers


def test_contact_of_more_customers_than_a_page_names_them_all_whatever_is_counted(small: Bench) -> None:
    small.tenant.customers_form = "absent"
    customers = add_customers(small.tenant, *[T0] * 4)
    contact = small.tenant.add_contact(customer_ids=customers, first_name="Ana", at=T0)
    small.faults.add(counting(1, 3))
    found = read_one(small.client, RecordType.CONTACT, contact)
    assert found is not None
    assert [item["id"] for item in found["customers"]] == customers


def test_server_that_gives_the_same_page_for_ever_is_found_out() -> None:
    with bench(attempts=1, page_size=3) as running:
        same = {"data": [{"id": number, "last_updated": T0} for number in range(3)]}
        running.faults.add(Fault(path="/customers$", status=200, body=same, times=None))
        with pytest.raises(UnexpectedAnswerError, match="the page before it again"):
            running.read()


def test_hour_with_few_changes_costs_no_more_calls_for_that(qbench: Bench) -> None:
    add_customers(qbench.tenant, *range(T0, T0 + 7))
    qbench.read()
    assert qbench.client.calls.snapshot()["read"] == 1


@pytest.fixture(scope="module")
def long_read() -> Iterator[tuple[Bench, list[Page]]]:
    """A list of 2600 customers, and what reading it to its end gave."""
    with bench() as running:
        add_customers(running.tenant, *(T0 + number // 3 for number in range(2600)))
        yield running, list(read_changes(running.client, RecordType.ACCOUNT, since=None, until=NOW))


def test_many_rows_come_in_frames_of_about_two_thousand(long_read: tuple[Bench, list[Page]]) -> None:
    running, pages = long_read
    assert [2000 <= len(page.frame) <= 2050 for page in pages] == [True, False]
    assert frame_of(pages)["qbench_id"].tolist() == [row["id"] for row in running.tenant.customers()]


def test_read_that_resumes_completes_the_one_that_broke_off(long_read: tuple[Bench, list[Page]]) -> None:
    running, (first, *others) = long_read
    assert keys_of(running.read(resume=first.position)) == keys_of(frame_of(others))


def test_one_record_is_read_as_a_list_gives_it(qbench: Bench) -> None:
    customer = qbench.tenant.add_customer(customer_name="Eco Labs", at=T0)
    contact = qbench.tenant.add_contact(first_name="Ana", customer_ids=[customer], at=T0)
    assert read_one(qbench.client, RecordType.CONTACT, contact) == qbench.read(RecordType.CONTACT)["content"].iloc[0]
    assert read_one(qbench.client, RecordType.ACCOUNT, customer) == qbench.read()["content"].iloc[0]


def test_one_record_that_is_gone_is_none(qbench: Bench) -> None:
    assert read_one(qbench.client, RecordType.CONTACT, 41) is None


@pytest.mark.parametrize(
    ("url", "tenant"),
    [
        ("https://acme.qbench.net", "acme.qbench.net"),
        ("https://Acme.QBench.net:443/", "acme.qbench.net"),
        ("http://localhost:80", "localhost"),
        ("http://localhost:443", "localhost:443"),
        ("http://localhost:8001", "localhost:8001"),
        ("http://localhost:8002", "localhost:8002"),
    ],
)
def test_organization_is_the_host_and_a_port_of_its_own(url: str, tenant: str) -> None:
    with QBenchClient(settings_for(url), integration="acme") as client:
        assert organization(client) == tenant
        assert client.calls.snapshot() == {}


# While users go on editing


@pytest.mark.parametrize("request_number", [2, 3, 4])
@pytest.mark.parametrize("change", ["edit", "insert", "delete"])
@pytest.mark.parametrize("spread", [1, 20], ids=["spread over time", "in one second"])
def test_change_between_pages_hides_no_other_record(small: Bench, change: str, spread: int, request_number: int) -> None:
    ids = add_customers(small.tenant, *(T0 + number // spread for number in range(12)))
    changes: dict[str, Callable[[], object]] = {
        "edit": lambda: small.tenant.edit_customer(ids[0], phone="1"),
        "insert": lambda: small.tenant.add_customer(customer_name="New"),
        "delete": lambda: small.tenant.delete_customer(ids[0]),
    }
    small.tenant.on_request = once_at(request_number, changes[change])
    assert set(small.read()["qbench_id"]) >= set(ids[1:])


def test_edited_record_comes_again_with_its_new_version(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 8))
    small.tenant.on_request = once_at(3, lambda: small.tenant.edit_customer(ids[0], phone="1"))
    assert keys_of(small.read(until=NOW + 1))[-1] == (ids[0], NOW)


@pytest.mark.parametrize("bound", [">", ">="])
def test_second_with_more_records_than_a_page_is_read_whole_and_once(small: Bench, bound: str) -> None:
    small.tenant.last_updated_bound = bound  # type: ignore[assignment]  # parametrized
    ids = add_customers(small.tenant, T0 - 1, *[T0] * 20, *[T0 + 1] * 7, T0 + 2)
    frame = small.read()
    assert sorted(frame["qbench_id"]) == ids
    assert frame["version"].is_monotonic_increasing


@pytest.mark.parametrize("bound", [">", ">="])
def test_server_that_ignores_the_order_is_read_whole(small: Bench, bound: str) -> None:
    small.tenant.ignore_sort = True
    small.tenant.last_updated_bound = bound  # type: ignore[assignment]  # parametrized
    ids = add_customers(small.tenant, *(T0 + (number * 7) % 20 for number in range(20)))
    frame = small.read(since=T0 + 3, until=T0 + 15)
    assert sorted(frame["qbench_id"]) == [key for key in ids if T0 + 3 <= small.tenant.customer(key)["last_updated"] < T0 + 15]


def test_server_that_ignores_the_order_is_found_out_even_where_a_page_looks_sorted(small: Bench) -> None:
    small.tenant.ignore_sort = True
    ids = add_customers(small.tenant, T0, T0 + 1, T0 + 900, *range(T0 + 2, T0 + 20))
    assert sorted(small.read()["qbench_id"]) == ids


def test_position_stays_at_the_windows_start_where_the_order_is_ignored(qbench: Bench) -> None:
    qbench.tenant.ignore_sort = True
    add_customers(qbench.tenant, *(T0 + (number * 7) % 2100 for number in range(2100)))
    first, last = read_changes(qbench.client, RecordType.ACCOUNT, since=T0, until=NOW)
    assert (first.position, last.position) == (T0, NOW)


HOURS = range(T0 - T0 % 3_600, T0 - T0 % 3_600 + 9 * 3_600, 3_600)


@pytest.mark.parametrize("form", ["iso_naive", "us"])
@pytest.mark.parametrize("told", ["Asia/Tokyo", "Europe/London", "America/Chicago"])
@pytest.mark.parametrize("page_size", [3, 50])
def test_hours_of_dates_in_another_time_zone_than_told_are_refused_naming_the_setting(form: str, told: str, page_size: int) -> None:
    tenant = quiet_tenant()
    tenant.date_form = form  # type: ignore[assignment]  # parametrized
    add_customers(tenant, *(hour + minute * 60 for hour in HOURS for minute in (5, 20, 30, 50)))
    with bench(tenant, page_size=page_size, time_zone=told) as running:
        for hour in HOURS[2:-2]:
            with pytest.raises(UnexpectedAnswerError, match=rf"not in {told}; set qbench.time_zone"):
                running.read(since=hour, until=hour + 3_600)


@pytest.mark.parametrize("form", ["iso_naive", "us"])
@pytest.mark.parametrize(("zone", "set_back"), [("America/Chicago", "2025-11-02T07:00"), ("Australia/Lord_Howe", "2026-04-04T15:00")])
@pytest.mark.parametrize("page_size", [3, 50])
def test_no_record_is_lost_in_the_hours_around_clocks_set_back(form: str, zone: str, set_back: str, page_size: int) -> None:
    tenant = quiet_tenant()
    tenant.date_form, tenant.time_zone = form, zone  # type: ignore[assignment]  # parametrized
    change = int(datetime.fromisoformat(f"{set_back}+00:00").timestamp())
    hours = range(change - 3 * 3_600, change + 3 * 3_600, 3_600)
    ids = add_customers(tenant, *(hour + minute * 60 for hour in hours for minute in range(0, 60, 7)))
    with bench(tenant, page_size=page_size, time_zone=zone) as running:
        found = {key for hour in hours for key in running.read(since=hour, until=hour + 3_600)["qbench_id"]}
    assert sorted(found) == ids


def test_list_that_never_settles_ends_in_an_error_that_says_what_to_do(small: Bench) -> None:
    small.tenant.ignore_sort = True
    add_customers(small.tenant, *range(T0 + 12, T0, -1))
    version = [T0 + 100]

    def someone_is_never_done(path: str, _query: Mapping[str, str]) -> None:
        version[0] += 1
        small.tenant.edit_customer(1, at=version[0])

    small.tenant.on_request = someone_is_never_done
    with pytest.raises(UnexpectedAnswerError, match="start the run again when fewer people work in QBench"):
        small.read()


Change = tuple[str, int]
CHANGES = st.tuples(st.sampled_from(["edit", "delete", "insert"]), st.integers(0, 99))
SCRIPTS = st.lists(st.lists(CHANGES, max_size=3), max_size=15)


class Users:
    """Play a script: before each request its next few changes, a second later each time. Remember what was touched."""

    def __init__(self, tenant: QBenchTenant, script: list[list[Change]]) -> None:
        self.tenant = tenant
        self.touched: set[int] = set()
        self._script = iter(script)
        self._time = NOW

    def __call__(self, _path: str, _query: Mapping[str, str]) -> None:
        self._time += 1
        for kind, number in next(self._script, []):
            live = [row["id"] for row in self.tenant.customers()]
            if kind == "insert" or not live:
                self.touched.add(self.tenant.add_customer(customer_name="New", at=self._time))
                continue
            chosen = live[number % len(live)]
            self.touched.add(chosen)
            if kind == "edit":
                self.tenant.edit_customer(chosen, at=self._time)
            else:
                self.tenant.delete_customer(chosen, at=self._time)


@settings(max_examples=20)
@given(
    seconds=st.lists(st.integers(0, 6), min_size=1, max_size=25),
    script=SCRIPTS,
    page_size=st.integers(1, 4),
    bound=st.sampled_from([">", ">="]),
)
def test_whatever_users_do_every_record_comes_in_its_last_state_and_once(
    seconds: list[int], script: list[list[Change]], page_size: int, bound: str
) -> None:
    tenant = quiet_tenant()
    tenant.last_updated_bound = bound  # type: ignore[assignment]  # sampled
    # The list's order is looked at first, and a newest record shows it. A list without one keeps untouched records only (below).
    add_customers(tenant, *(T0 + second for second in seconds), T0 + 10)
    tenant.on_request = Users(tenant, [[], [], *script])
    with bench(tenant, page_size=page_size) as running:
        keys = keys_of(running.read(until=NOW + 1000))
    assert len(set(keys)) == len(keys)
    assert set(keys) >= {(row["id"], row["last_updated"]) for row in tenant.customers()}


@settings(max_examples=12)
@given(
    seconds=st.lists(st.integers(0, 200), min_size=1, max_size=25),
    script=SCRIPTS,
    page_size=st.integers(1, 4),
    quirk=st.sampled_from(["ignores the order", "knows no seconds", "unreadable dates"]),
)
@example(
    seconds=[71, 0, 0],
    script=[
        [("delete", 34), ("insert", 0), ("insert", 0)],
        [("delete", 29)],
        *[[]] * 4,
        [("insert", 0)],
        [("delete", 0), ("edit", 1)],
        [("delete", 0)],
        [("edit", 1)],
    ],
    page_size=1,
    quirk="knows no seconds",
)
def test_whatever_users_and_server_do_no_untouched_record_is_missed(
    seconds: list[int], script: list[list[Change]], page_size: int, quirk: str
) -> None:
    tenant = quiet_tenant()
    tenant.ignore_sort = quirk == "ignores the order"
    tenant.date_form = "us" if quirk == "knows no seconds" else "unix"
    ids = add_customers(tenant, *(T0 + second for second in seconds))
    for broken in ids[::3] if quirk == "unreadable dates" else []:
        tenant.answer_with("customers", broken, last_updated="?")
    users = Users(tenant, [[], [], *script])  # the order is looked at first
    tenant.on_request = users
    with bench(tenant, page_size=page_size) as running:
        keys = keys_of(running.read())
    assert len(set(keys)) == len(keys)
    assert {key for key, _ in keys} >= set(ids) - users.touched


# A long list, of which several stretches are read at once


STRETCH_PAGES = 12
"""Pages of a stretch where as many are read at once as QBench answers at one time."""


def asked(tenant: QBenchTenant) -> list[tuple[int, int]]:
    """Where each page of customers begins that is asked for from now on: the second, and the page's number from there on."""
    pages: list[tuple[int, int]] = []

    def hook(path: str, query: Mapping[str, str]) -> None:
        if path.endswith("/customers") and query["sort_order"] == "ASC":
            pages.append((int(query.get("last_updated", 0)), int(query["page_num"])))

    tenant.on_request = hook
    return pages


def steps_of(running: Bench, *, until: int = NOW, start: int = 0) -> tuple[Walk, Iterator[tuple[list[tuple[int, int]], int]]]:
    """A walk through the customers, and what each of its steps gives, with the position after it."""
    walk = Walk(RowList(running.client, "customers", since=0), until=until)
    return walk, (([(row.qbench_id, row.version) for row in rows], walk.position) for rows in walk.rows(start))


def test_long_list_is_read_in_stretches_at_once_for_a_call_each(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 400))
    pages = asked(small.tenant)
    assert small.read()["qbench_id"].tolist() == ids
    assert [bound for bound, number in pages if number == 1] != sorted(bound for bound, number in pages if number == 1)
    ahead = [number for _, number in pages if number > 1]
    assert ahead
    assert {(number - 1) % STRETCH_PAGES for number in ahead} == {0}
    # A page begins with the last second of the one before it; what a stretch begins with is read by it alone.
    assert len(pages) <= 400 / 2 + len(ahead)


def test_second_in_which_a_page_ahead_begins_is_read_whole(small: Bench) -> None:
    ids = add_customers(small.tenant, *(T0 + 10 * (number // 5 * 3 + [0, 0, 1, 2, 2][number % 5]) for number in range(200)))
    pages = asked(small.tenant)
    assert small.read()["qbench_id"].tolist() == ids
    assert any(number > 1 for _, number in pages)


def test_list_no_longer_than_a_stretch_costs_no_call_ahead(small: Bench) -> None:
    add_customers(small.tenant, *range(T0, T0 + 2 * STRETCH_PAGES))
    pages = asked(small.tenant)
    small.read()
    assert len(pages) == STRETCH_PAGES
    assert {number for _, number in pages} == {1}


def test_window_that_ends_before_the_list_does_is_read_to_its_end_and_not_behind_it(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 400))
    assert small.read(until=T0 + 130)["qbench_id"].tolist() == ids[:130]


def test_slow_limit_has_one_call_at_a_time() -> None:
    with bench(page_size=3, limits={"calls": 1_000, "seconds": 1, "concurrent": 1}) as running:
        ids = add_customers(running.tenant, *range(T0, T0 + 200))
        pages = asked(running.tenant)
        assert running.read()["qbench_id"].tolist() == ids
        assert pages == sorted(pages)


def test_failure_of_one_stretch_keeps_the_rows_before_it_and_a_read_from_there_gives_the_others() -> None:
    with bench(page_size=3, attempts=1) as running:
        ids = add_customers(running.tenant, *range(T0, T0 + 300))
        running.tenant.answer_with("customers", ids[200], customer_name="Zaphod")
        outage = Fault(path="/customers$", returning="Zaphod", status=503, headers={"Retry-After": "900"}, times=None)
        running.faults.add(outage)
        walk, steps = steps_of(running)
        before: list[int] = []
        with pytest.raises(ServiceUnavailableError):
            before.extend(number for rows, _ in steps for number, _ in rows)
        assert 200 - 2 * 3 * STRETCH_PAGES < len(before) <= 200
        running.faults.clear()
        _, others = steps_of(running, start=walk.position)
        assert sorted({*before, *(number for rows, _ in others for number, _ in rows)}) == ids


def test_record_out_of_order_far_into_the_list_has_the_whole_list_read(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 150))
    small.tenant.answer_with("customers", ids[100], last_updated=T0 + 20)
    assert sorted(small.read()["qbench_id"]) == ids


def test_page_ahead_that_fails_is_passed_over(small: Bench) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 200))
    small.faults.add(Fault(path="/customers$", holding=f"page_num={STRETCH_PAGES + 1}&", status=403, times=None))
    assert small.read()["qbench_id"].tolist() == ids


LONG = st.lists(st.integers(0, 60), min_size=30, max_size=70)
CROWDED_AT_THE_END = (
    "55 45 11 0 60 22 52 59 14 50 49 0 34 0 54 29 0 21 0 0 18 52 53 49 57 "
    "3 29 38 11 19 0 8 29 42 10 27 28 44 0 4 17 0 0 16 16 49 2 38 60 25"
)
"""Seconds of which the last one of a stretch has more records than a page of two."""
PAGE_SIZES = st.integers(2, 4)
"""A page of one record shows nothing behind its first second, so that nothing is read ahead."""
SPREAD_SCRIPTS = st.dictionaries(st.integers(2, 90), st.lists(CHANGES, min_size=1, max_size=4), max_size=10)


def walked(tenant: QBenchTenant, script: dict[int, list[Change]], *, page_size: int) -> tuple[list[tuple[int, int]], list[int], set[int]]:
    """What a walk gives while users play a script, its positions, and whom they touched; each position holds."""
    true = {row["id"]: row["last_updated"] for row in tenant.customers()}
    tenant.on_request = users = Users(tenant, [script.get(request, []) for request in range(max(script, default=0) + 1)])
    found: list[tuple[int, int]] = []
    reached: list[tuple[int, set[int]]] = []
    with bench(tenant, page_size=page_size) as running:
        for rows, position in steps_of(running, until=NOW + 1_000)[1]:
            found += rows
            reached.append((position, {number for number, _ in found}))
    for position, by_then in reached:
        assert by_then >= {number for number, at in true.items() if at < position and number not in users.touched}
    return found, [position for position, _ in reached], users.touched


@settings(max_examples=10)
@given(seconds=LONG, script=SPREAD_SCRIPTS, page_size=PAGE_SIZES, bound=st.sampled_from([">", ">="]))
@example(
    seconds=[int(second) for second in CROWDED_AT_THE_END.split()],
    script={34: [("edit", 89), ("edit", 0)], 35: [("delete", 0), ("edit", 59), ("edit", 0)]},
    page_size=2,
    bound=">",
)
def test_whatever_users_do_every_record_of_stretches_read_at_once_comes_in_its_last_state_and_once(
    seconds: list[int], script: dict[int, list[Change]], page_size: int, bound: str
) -> None:
    tenant = quiet_tenant()
    tenant.last_updated_bound = bound  # type: ignore[assignment]  # sampled
    add_customers(tenant, *(T0 + second * 3 for second in seconds), T0 + 1_000)
    keys, positions, _ = walked(tenant, script, page_size=page_size)
    assert len(set(keys)) == len(keys)
    assert set(keys) >= {(row["id"], row["last_updated"]) for row in tenant.customers()}
    assert positions == sorted(positions)


@settings(max_examples=10)
@given(seconds=LONG, script=SPREAD_SCRIPTS, page_size=PAGE_SIZES, quirk=st.sampled_from(["knows no seconds", "unreadable dates"]))
def test_whatever_users_and_server_do_stretches_read_at_once_miss_no_untouched_record(
    seconds: list[int], script: dict[int, list[Change]], page_size: int, quirk: str
) -> None:
    tenant = quiet_tenant()
    tenant.date_form = "us" if quirk == "knows no seconds" else "unix"
    ids = add_customers(tenant, *(T0 + second * 20 for second in seconds), T0 + 10_000)
    for broken in ids[::7] if quirk == "unreadable dates" else []:
        tenant.answer_with("customers", broken, last_updated="?")
    keys, _, touched = walked(tenant, script, page_size=page_size)
    assert {number for number, _ in keys} >= set(ids) - touched


# Deletions


def deletions(bench: Bench, record_type: RecordType = RecordType.ACCOUNT, *, since: int | None = None, until: int = NOW) -> list[Page]:
    return list(read_deletions(bench.client, record_type, since=since, until=until))


def test_a_read_of_deletions_costs_one_call_where_nothing_was_deleted(qbench: Bench) -> None:
    add_customers(qbench.tenant, *range(T0, T0 + 120))
    qbench.read(until=T0 + 1)
    before = len(qbench.journal.calls())
    assert deletions(qbench) == []
    assert len(qbench.journal.calls()) - before == 1


@pytest.mark.parametrize("answers_deleted", [False, True])
def test_the_deletions_of_a_window_are_those_made_in_it(qbench: Bench, *, answers_deleted: bool) -> None:
    qbench.tenant.answers_deleted = answers_deleted
    first, second, third, _live = add_customers(qbench.tenant, T0, T0, T0, T0 + 15)
    for customer, at in ((first, T0 + 9), (second, T0 + 10), (third, T0 + 20)):
        qbench.tenant.delete_customer(customer, at=at)
    frame = frame_of(deletions(qbench, since=T0 + 10, until=T0 + 20))
    assert keys_of(frame) == [(second, T0 + 10)]
    assert frame["deleted"].all()


def test_a_deleted_contact_is_read_without_asking_for_its_customers(qbench: Bench) -> None:
    qbench.tenant.customers_form = "absent"
    customer = qbench.tenant.add_customer(customer_name="Eco Labs", at=T0)
    contact = qbench.tenant.add_contact(customer_ids=[customer], first_name="Ana", at=T0)
    qbench.tenant.delete_contact(contact, at=T0 + 5)
    assert keys_of(frame_of(deletions(qbench, RecordType.CONTACT))) == [(contact, T0 + 5)]
    assert not [call for call in qbench.journal.calls() if call.path.endswith("/customers")]


def test_a_server_that_lists_live_records_as_deleted_is_not_believed(qbench: Bench) -> None:
    add_customers(qbench.tenant, T0, T0 + 1)
    live = {"data": qbench.client.list_page("customers", page=1, size=50).records, "total_pages": 1, "total_count": 2}
    qbench.faults.add(
        Fault(service="qbench", path="/customers$", status=200, headers={"content-type": "application/json"}, body=json.dumps(live))
    )
    assert deletions(qbench) == []


@pytest.mark.parametrize("deleted", [{0}, {3}, {0, 9}, {1, 4}, set(range(10))], ids=["first", "middle", "both ends", "within", "all"])
def test_deletions_are_told_from_live_records_that_are_listed_with_them(small: Bench, deleted: set[int]) -> None:
    ids = add_customers(small.tenant, *range(T0, T0 + 10))
    everything = [dict(small.tenant.customer(customer)) for customer in ids]
    for position in deleted:
        small.tenant.delete_customer(ids[position], at=T0 + position)
    small.faults.add(Fault(path="/customers$", status=200, body={"data": everything, "total_pages": 1, "total_count": 10}))
    assert frame_of(deletions(small))["qbench_id"].tolist() == [ids[position] for position in sorted(deleted)]


def test_many_deletions_are_all_read(qbench: Bench) -> None:
    customers = add_customers(qbench.tenant, *range(T0, T0 + 120))
    for customer in customers:
        qbench.tenant.delete_customer(customer, at=T0 + 500 + customer)
    assert frame_of(deletions(qbench))["qbench_id"].tolist() == customers


@pytest.mark.parametrize("answers_deleted", [False, True])
def test_only_a_record_that_the_list_of_live_ones_shows_is_back(small: Bench, *, answers_deleted: bool) -> None:
    small.tenant.answers_deleted = answers_deleted
    back, gone, _other = add_customers(small.tenant, T0, T0, T0)
    for customer in (back, gone):
        small.tenant.delete_customer(customer, at=T0 + 1)
    small.tenant.restore_customer(back, at=T0 + 2)
    answer = read_restored(small.client, RecordType.ACCOUNT, [back, gone, 404])
    assert (keys_of(answer.frame), answer.failed) == ([(back, T0 + 2)], [])


# Records read one by one


@pytest.fixture(scope="module")
def impatient() -> Iterator[Bench]:
    """Whose client tries every call once."""
    with bench(attempts=1) as running:
        yield running


@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 403}, {"kind": "html"}, {"kind": "drop_before"}], ids=str)
def test_record_that_qbench_fails_on_keeps_no_other_back_and_is_named(impatient: Bench, trouble: dict[str, Any]) -> None:
    impatient.faults.clear()
    ids = add_customers(impatient.tenant, *[T0] * (MOST_FAILURES + 2))
    failing = ids[1:]
    for customer in failing:
        impatient.faults.add(Fault(path=f"/customers/{customer}$", times=None, **trouble))
    answer = read_by_id(impatient.client, RecordType.ACCOUNT, ids)
    assert (answer.frame["qbench_id"].tolist(), answer.failed) == (ids[:1], failing)


@pytest.mark.parametrize("count", [1, MOST_FAILURES, 40])
def test_qbench_that_answers_nothing_stops_the_reading_however_few_are_read(impatient: Bench, count: int) -> None:
    impatient.faults.clear()
    ids = add_customers(impatient.tenant, *[T0] * count)
    impatient.faults.add(Fault(path="/customers", times=None, status=503))
    with pytest.raises(ServiceUnavailableError):
        read_by_id(impatient.client, RecordType.ACCOUNT, ids)
