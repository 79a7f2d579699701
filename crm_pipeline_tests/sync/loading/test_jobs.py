"""Loads that write by jobs: as calls would, and once, whatever becomes of the load (docs/rules.md, 42)."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.crms.salesforce import jobs as salesforce_jobs
from crm_pipeline.errors import ServiceUnavailableError, StoreError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import ValidationRule, ingest
from crm_pipeline.store import write_jobs
from crm_pipeline.store.database import Store
from crm_pipeline.sync.loading import storing
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, Staged, contact, customer
from crm_pipeline_tests.sync.loading.stages import stages

JOBS = {"bulk_from": 500}
MANY = 620
"""Records of a load: a call's worth goes first, a job takes the rest of its 500, and calls take what is left."""
LARGE = 1_000
"""Records of a load that makes a batch of them: a call's worth goes first, three jobs take the rest where they are small."""
THREE_JOBS = [("JobComplete", 267), ("JobComplete", 267), ("JobComplete", 266)]

no_fork_warning = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture
def bench(salesforce: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    salesforce.sandbox.org.job_pace = 100
    # In parts as what is larger.
    monkeypatch.setattr(write_jobs, "ROWS_OF_A_PART", 120)
    monkeypatch.setattr(storing, "LINKS_AT_ONCE", 120)
    yield salesforce
    salesforce.sandbox.faults.clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes some three hundred accounts, there and here."""
    most = 20_000
    monkeypatch.setattr(salesforce_jobs, "LARGEST_BYTES", most)
    monkeypatch.setattr(ingest, "MOST_BYTES", most * 4 // 3)


def many(count: int = MANY) -> list[Staged]:
    return [customer(number, comments="x" * 50) for number in range(count)]


def staged(bench: Bench, *, external_keys: bool = True, count: int = MANY, **settings: Any) -> IntegrationSpec:
    spec = bench.spec(external_keys=external_keys, settings={**JOBS, **settings})
    bench.stage(spec, ACCOUNT, *many(count))
    return spec


def jobs(bench: Bench) -> list[tuple[str, int]]:
    """State and rows of each job that was given some."""
    return [(job.state, len(job.rows)) for job in bench.sandbox.org.jobs.values() if job.content is not None]


def arrived_once(bench: Bench, count: int = MANY) -> None:
    """Every record is in the CRM once, linked to its own, and nothing is open."""
    assert Counter(bench.names()) == Counter(f"Lab {number}" for number in range(count))
    ids = {record["Name"]: record["Id"] for record in bench.sandbox.org.records("Account")}
    linked = bench.rows("SELECT qbench_id, crm_id, digest_bytes IS NOT NULL FROM crm_pipeline.link")
    assert sorted(linked) == [(number, ids[f"Lab {number}"], True) for number in range(count)]
    for table in ("write_job", "intent", "open_call"):
        assert bench.rows(f"SELECT count(*) FROM crm_pipeline.{table}") == [(0,)], table


def test_job_stores_what_calls_would_and_an_equal_load_sends_nothing(bench: Bench) -> None:
    bench.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: row["Name"] == "Lab 400", field="Description"))
    spec = staged(bench)
    report = bench.load(spec, ACCOUNT)
    assert (jobs(bench), report.outcomes["created"]) == ([("JobComplete", 300)], MANY - 1)
    assert set(bench.outcomes().values()) == {("created", None), ("failed", "InvalidValueException")}
    assert bench.outcomes()[400] == ("failed", "InvalidValueException")
    bench.load(spec, ACCOUNT)
    assert "write" not in bench.calls


def test_load_that_has_fewer_records_makes_no_job_and_no_call_more(bench: Bench) -> None:
    calls = []
    for settings in ({"bulk_from": MANY + 1}, {"bulk_from": "never"}):
        bench.load(staged(bench, **settings), ACCOUNT)
        calls.append(bench.calls)
        assert not bench.sandbox.org.jobs
        for name in bench.sandbox.org.records("Account"):
            bench.sandbox.org.purge("Account", name["Id"])
        for table in ("link", "outcome"):
            with bench.store.transaction() as connection:
                connection.exec_driver_sql(f"DELETE FROM crm_pipeline.{table}")
    assert calls[0] == calls[1]


def test_writes_are_gathered_for_a_job_only_where_the_load_may_have_as_many(bench: Bench) -> None:
    with stages(bench, bench.spec(settings=JOBS), ACCOUNT) as load:
        worth = []
        for load.job.report.expected in (499, 500):
            worth.append([load.sending.rows_of_a_job("", verb) for verb in ("upsert", "update")])
    assert worth == [[None, None], [500, 500]]


def test_contacts_go_with_their_accounts_and_changes_by_their_ids(bench: Bench) -> None:
    spec = bench.spec(settings=JOBS)
    accounts = bench.given(spec, ACCOUNT, *(customer(number) for number in range(3)))
    bench.stage(spec, CONTACT, *(contact(number, of=number % 3) for number in range(MANY)))
    bench.load(spec, CONTACT)
    bench.stage(spec, CONTACT, *(contact(number, 200, of=number % 3, first_name="Eva") for number in range(MANY)))
    bench.load(spec, CONTACT)
    assert [job.operation for job in bench.sandbox.org.jobs.values()] == ["upsert", "update"]
    records = bench.sandbox.org.records("Contact")
    assert {(record["AccountId"], record["FirstName"]) for record in records} == {(one, "Eva") for one in accounts.values()}
    assert len(records) == MANY


def test_what_a_job_left_undone_goes_by_calls_in_the_same_load(bench: Bench) -> None:
    def stop(_method: str, _path: str) -> None:
        for job in bench.sandbox.org.jobs.values():
            if job.processed == 100 and not job.is_over:
                job.end("Failed", "InternalServerError")

    bench.sandbox.org.on_request = stop
    bench.load(staged(bench), ACCOUNT)
    assert jobs(bench) == [("Failed", 300)]
    arrived_once(bench)


@pytest.mark.usefixtures("small")
def test_more_than_a_job_takes_goes_by_several_one_after_the_other(bench: Bench) -> None:
    at_once = []

    def look(_method: str, _path: str) -> None:
        at_once.append(sum(not job.is_over for job in bench.sandbox.org.jobs.values()))

    bench.sandbox.org.on_request = look
    bench.load(staged(bench, count=LARGE, bulk_from=LARGE), ACCOUNT)
    assert jobs(bench) == THREE_JOBS
    assert max(at_once) == 1
    arrived_once(bench, LARGE)


LATER_MOMENTS: Sequence[tuple[str, str, str, Sequence[tuple[str, int]]]] = (
    ("its rows are uploaded", "PUT", "/batches$", [("JobComplete", 267)]),
    ("it is closed", "PATCH", "/jobs/ingest/", [("JobComplete", 267), ("Aborted", 267)]),
    ("its results are read", "GET", "/successfulResults$", [("JobComplete", 267)] * 2),
)


@no_fork_warning
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("external_keys", [True, False], ids=["keyed", "without a key"])
@pytest.mark.parametrize(("method", "path", "given"), [one[1:] for one in LATER_MOMENTS], ids=[f"before {one[0]}" for one in LATER_MOMENTS])
def test_load_that_is_killed_during_the_second_of_its_jobs_gives_no_record_to_two(
    bench: Bench, database_url: str, method: str, path: str, given: Sequence[tuple[str, int]], *, external_keys: bool
) -> None:
    spec = staged(bench, external_keys=external_keys, count=LARGE, bulk_from=LARGE)
    lands = threading.Event()
    fault = Fault(service="salesforce", method=method, path=path, kind="delay", skip=1, until=lands)
    bench.sandbox.faults.add(fault)
    killed(bench, spec, database_url, when=lambda: fault not in bench.sandbox.faults.open())
    bench.load(spec, ACCOUNT, at_once=True)
    lands.set()
    assert jobs(bench) == given
    arrived_once(bench, LARGE)


def test_where_no_job_is_made_all_goes_by_calls(bench: Bench) -> None:
    bench.sandbox.org.takes_jobs = False
    bench.load(staged(bench), ACCOUNT)
    arrived_once(bench)


def test_load_whose_job_is_not_over_ends_and_the_next_one_asks_for_it(bench: Bench) -> None:
    spec = staged(bench)
    bench.sandbox.faults.add(Fault(service="salesforce", method="GET", path="/jobs/ingest/", times=2))
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError, match="is not known to be over"):
            bench.load(spec, ACCOUNT)
    bench.load(spec, ACCOUNT)
    assert jobs(bench) == [("JobComplete", 300)]
    arrived_once(bench)


def test_job_is_settled_though_the_integration_names_no_external_key_any_more(bench: Bench) -> None:
    bench.sandbox.faults.add(Fault(service="salesforce", method="GET", path="/jobs/ingest/"))
    with pytest.raises(ServiceUnavailableError, match="is not known to be over"):
        bench.load(staged(bench), ACCOUNT)
    bench.load(bench.spec(external_keys=False, settings=JOBS), ACCOUNT)
    assert jobs(bench) == [("JobComplete", 300)]
    arrived_once(bench)


MOMENTS: Sequence[tuple[str, str, str]] = (
    ("before its rows are uploaded", "PUT", "/batches$"),
    ("before it is closed", "PATCH", "/jobs/ingest/"),
    ("before it begins", "GET", r"/jobs/ingest/\w+$"),
    ("before its results are read", "GET", "/successfulResults$"),
)


@no_fork_warning
@pytest.mark.parametrize("external_keys", [True, False], ids=["keyed", "without a key"])
@pytest.mark.parametrize(("moment", "method", "path"), MOMENTS, ids=[moment for moment, _, _ in MOMENTS])
def test_load_that_is_killed_during_a_job_loses_and_doubles_nothing(
    bench: Bench, database_url: str, moment: str, method: str, path: str, *, external_keys: bool
) -> None:
    spec = staged(bench, external_keys=external_keys)
    lands = threading.Event()
    fault = Fault(service="salesforce", method=method, path=path, kind="delay", until=lands)
    bench.sandbox.faults.add(fault)
    killed(bench, spec, database_url, when=lambda: fault not in bench.sandbox.faults.open())
    report = bench.load(spec, ACCOUNT, at_once=True)
    lands.set()
    given = [state for state, _ in jobs(bench)]
    if method == "GET":
        assert given == ["JobComplete"], "its rows went again"
        assert report.outcomes["unchanged"] >= 300
    else:
        assert "JobComplete" not in given, "what was not closed in time went on"
    bench.load(spec, ACCOUNT, at_once=True)
    assert "write" not in bench.calls
    arrived_once(bench)


@no_fork_warning
def test_job_that_ends_while_nobody_looks_is_not_sent_again(bench: Bench, database_url: str) -> None:
    spec = staged(bench, external_keys=False)
    fault = Fault(service="salesforce", method="GET", path=r"/jobs/ingest/\w+$", kind="delay", skip=2, until=threading.Event())
    bench.sandbox.faults.add(fault)
    killed(bench, spec, database_url, when=lambda: fault not in bench.sandbox.faults.open())
    (job,) = bench.sandbox.org.jobs.values()
    assert 0 < job.processed < 300
    bench.load(spec, ACCOUNT, at_once=True)
    assert jobs(bench) == [("JobComplete", 300)]
    fault.until.set() if fault.until else None
    arrived_once(bench)


@no_fork_warning
def test_two_runs_at_once_make_one_job_for_the_same_records(bench: Bench, database_url: str) -> None:
    spec = staged(bench, external_keys=False)
    runs = [process(bench, spec, database_url) for _ in range(2)]
    for run in runs:
        run.join()
    assert jobs(bench) == [("JobComplete", 300)]
    bench.load(spec, ACCOUNT, at_once=True)
    arrived_once(bench)


def test_load_that_loses_its_lock_while_a_job_is_made_gives_it_no_records(bench: Bench, database_url: str) -> None:
    def lose(method: str, path: str) -> None:
        if (method, path) == ("POST", "jobs/ingest"):
            end_lock_holders(database_url)

    bench.sandbox.org.on_request = lose
    with pytest.raises(StoreError):
        bench.load(staged(bench), ACCOUNT)
    assert (len(bench.sandbox.org.jobs), jobs(bench)) == (1, [])
    assert bench.rows("SELECT count(*) FROM crm_pipeline.write_job") == [(0,)]


def test_forgotten_job_leaves_its_creates_to_be_looked_for(bench: Bench) -> None:
    spec = staged(bench, external_keys=False)
    bench.sandbox.faults.add(Fault(service="salesforce", method="GET", path=r"/jobs/ingest/\w+$", skip=1))
    with pytest.raises(ServiceUnavailableError):
        bench.load(spec, ACCOUNT)
    bench.sandbox.org.jobs.clear()
    bench.load(spec, ACCOUNT)
    bench.load(spec, ACCOUNT)
    assert Counter(bench.names()) == Counter(f"Lab {number}" for number in range(MANY))
    assert bench.rows("SELECT count(*) FROM crm_pipeline.write_job") == [(0,)]


def process(bench: Bench, spec: IntegrationSpec, database_url: str) -> Any:
    """A load in a process of its own, which has begun."""

    def load() -> None:
        with closing(Store(database_url)) as store:
            Bench(bench.sandbox, store, bench.crm).load(spec, ACCOUNT, at_once=True)

    run = multiprocessing.get_context("fork").Process(target=load)
    run.start()
    return run


def killed(bench: Bench, spec: IntegrationSpec, database_url: str, *, when: Any) -> None:
    run = process(bench, spec, database_url)
    await_that(when, "the request is under way")
    run.kill()
    run.join()
