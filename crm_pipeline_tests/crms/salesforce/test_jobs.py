"""Writing to Salesforce by ingest jobs: what they tell of each row, however they end."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import WriteJob, account_for
from crm_pipeline.crms.fewest_calls import fewest_calls
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, LEADS
from crm_pipeline.crms.salesforce import jobs as salesforce_jobs
from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.model import Verb
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce import DuplicateRule, SalesforceOrg, ValidationRule
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import Put, batch_of, results_by_id, writes_of
from crm_pipeline_tests.crms.salesforce_bench import KEY, connect_salesforce, open_bench

AGAIN = "RecordLockedException"
TOLD = ("created", "parent_sent", "error_type", "error_code", "error_fields", "error_ids", "value_refused")


def opened(crm: Crm, *rows: Put) -> tuple[JobsCrm, WriteJob]:
    assert isinstance(crm, JobsCrm)
    job = crm.open_job(CONTACTS, batch_of(*rows))
    assert job is not None
    return crm, job


def by_job(crm: Crm, *rows: Put) -> dict[int, dict[str, Any]]:
    """What contacts are answered that a job writes."""
    jobs, job = opened(crm, *rows)
    return results_by_id(jobs.carry_out(CONTACTS, batch_of(*rows), job))


def taken_up(crm: Crm, *rows: Put, job: WriteJob) -> dict[int, str | None]:
    """The error of each row, by the job of a load that ended."""
    assert isinstance(crm, JobsCrm)
    told = crm.take_up(CONTACTS, batch_of(*rows).rows, job)
    assert told is not None
    return {number: row["error_type"] for number, row in results_by_id(account_for(batch_of(*rows).rows, told)).items()}


def person(number: int, **more: Any) -> Put:
    values = {"LastName": f"Person {number}", "Email": f"person{number}@example.com", **more.pop("values", {})}
    return Put(number, values, **{"key": str(number), **more})


def poisoned(org: SalesforceOrg, *, keyed: bool) -> list[Put]:
    """Contacts of which Salesforce takes some and refuses others, each for another cause, and changes of those that are there."""
    org.add_duplicate_rule(DuplicateRule("Contact", ("Email",)))
    org.add_validation_rule(ValidationRule("Contact", lambda row: row.get("FirstName") == "Bad", field="FirstName"))
    org.obstacles.append(
        Obstacle("Contact", lambda row: row["LastName"] == "Person 5", "INSUFFICIENT_ACCESS_OR_READONLY", ("Lab_Tier__c",))
    )
    org.add("Contact", {"LastName": "There", "Email": "person7@example.com"})
    account, gone = (org.add("Account", {"Name": name}) for name in ("A", "B"))
    there, deleted = (org.add("Contact", {"LastName": name, "Phone": "1"}) for name in ("One", "Two"))
    org.delete("Account", gone)
    org.delete("Contact", deleted)
    more: list[dict[str, Any]] = [
        {"values": {"Phone": "5125550100", "FirstName": 'Ána "x", y\nz'}},
        {"values": {"FirstName": None}, "parent": account},
        {"values": {"FirstName": "x" * 41}},
        {"values": {"FirstName": "Bad"}},
        {},
        {},
        {},
        {"values": {"Email": "nobody"}},
        {"values": {"Lab_Tier__c": "Lead"}},
        {"values": {"LastName": None}},
        {"parent": gone},
        {"values": {"Lab_Tier__c": "Gold"}, "parent": account},
    ]
    creates = [person(number, **({} if keyed else {"key": None}), **one) for number, one in enumerate(more, 1)]
    changes = [
        Put(20, {"Phone": None, "FirstName": "New"}, crm_id=there, parent=account),
        Put(21, {"FirstName": "Never"}, crm_id=deleted),
        Put(22, {"FirstName": "Never"}, crm_id="003Qb00000zzzzz"),
    ]
    return [*creates, *changes]


def written(crm: Crm, rows: list[Put], *, jobs: bool) -> dict[int, tuple[Any, ...]]:
    """Per row what it is answered, without the ids that Salesforce gives new records."""
    told: dict[int, dict[str, Any]] = {}
    for changes in (False, True):
        part = [row for row in rows if (row.crm_id is not None) is changes]
        told |= by_job(crm, *part) if jobs else results_by_id(crm.write(CONTACTS, writes_of(*part)))
    return {number: (told[number]["crm_id"] is not None, *(told[number][name] for name in TOLD)) for number in sorted(told)}


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "without a key"])
def test_a_job_answers_each_row_as_calls_do(sandbox: Sandbox, crm: Crm, *, keyed: bool) -> None:
    rows = poisoned(sandbox.org, keyed=keyed)
    with sandbox.org.savepoint() as undo:
        by_calls = written(crm, rows, jobs=False)
        undo()
    told = written(crm, rows, jobs=True)
    assert told == by_calls
    assert len({errors[3] for errors in told.values()}) > 6, "the rows are not poisoned"
    kept = {record["LastName"]: record for record in sandbox.org.records("Contact")}
    assert kept["Person 1"]["FirstName"] == 'Ána "x", y\nz'
    assert (kept["One"]["Phone"], kept["One"]["FirstName"]) == (None, "New")


def test_equal_creates_without_a_key_are_each_told_one_record(sandbox: Sandbox, crm: Crm) -> None:
    twins = [Put(number, {"LastName": "Twin"}) for number in range(3)]
    told = by_job(crm, *twins)
    assert {row["crm_id"] for row in told.values()} == {record["Id"] for record in sandbox.org.records("Contact")}
    assert len(sandbox.org.records("Contact")) == 3


def test_as_many_rows_fit_as_its_csv_may_have_bytes(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(crm, JobsCrm)
    rows = [person(number) for number in range(100)]
    each = len("99,Person 99,person99@example.com\n")
    fitting = []
    for most in (each * 120, each * 50, each * 30, each):
        monkeypatch.setattr(salesforce_jobs, "LARGEST_BYTES", most)
        fitting.append(crm.rows_that_fit(CONTACTS, batch_of(*rows)))
    assert fitting == [100, 50, 25, 1]


def test_values_that_its_csv_cannot_carry_are_left_to_calls(sandbox: Sandbox, crm: Crm) -> None:
    told = by_job(crm, person(1), person(2, values={"FirstName": "#N/A"}), person(3, values={"FirstName": "a\r\nb"}))
    assert {number: row["error_type"] for number, row in told.items()} == {1: None, 2: AGAIN, 3: AGAIN}
    assert [record["LastName"] for record in sandbox.org.records("Contact")] == ["Person 1"]


def test_what_an_aborted_job_did_not_come_to_goes_again_and_what_it_saved_stands(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.job_pace = 200
    rows = [person(number) for number in range(500)]

    def stop(method: str, path: str) -> None:
        for job in sandbox.org.jobs.values():
            if job.processed == 200 and not job.is_over:
                job.end("Aborted")

    sandbox.org.on_request = stop
    told = by_job(crm, *rows)
    assert {error: sum(row["error_type"] == error for row in told.values()) for error in (None, AGAIN)} == {None: 200, AGAIN: 300}
    assert len(sandbox.org.records("Contact")) == 200


def test_a_job_that_lasts_too_long_is_aborted(sandbox: Sandbox) -> None:
    open_bench(sandbox)
    sandbox.org.job_pace = 0
    with closing(connect_salesforce(sandbox, bulk_seconds=0.001)) as crm:
        assert by_job(crm, person(1))[1]["error_type"] == AGAIN
    assert [job.state for job in sandbox.org.jobs.values()] == ["Aborted"]


def test_a_job_that_fails_as_a_whole_writes_nothing_and_its_rows_go_again(sandbox: Sandbox, crm: Crm) -> None:
    told = by_job(crm, person(1, values={"Nothing__c": "x"}), person(2))
    assert ({row["error_type"] for row in told.values()}, sandbox.org.records("Contact")) == ({AGAIN}, [])


@pytest.mark.parametrize(
    "request_", [("POST", "/jobs/ingest$"), ("PUT", "/batches$"), ("PATCH", "/jobs/ingest/"), ("GET", "/jobs/ingest/")]
)
def test_a_request_whose_answer_was_lost_is_made_once_more_and_nothing_twice(sandbox: Sandbox, crm: Crm, request_: tuple[str, str]) -> None:
    method, path = request_
    sandbox.faults.add(Fault(service="salesforce", method=method, path=path, kind="drop_after"))
    told = by_job(crm, person(1), person(2))
    assert {row["error_type"] for row in told.values()} == {None}
    assert len(sandbox.org.records("Contact")) == 2
    assert not sandbox.faults.open()


def test_a_job_that_is_not_known_to_be_over_ends_the_load(sandbox: Sandbox, crm: Crm) -> None:
    jobs, job = opened(crm, person(1))
    sandbox.faults.add(Fault(service="salesforce", method="GET", path="/jobs/ingest/", status=503, times=None))
    with pytest.raises(ServiceUnavailableError, match=f"job {job.id} is not known to be over") as raised:
        jobs.carry_out(CONTACTS, batch_of(person(1)), job)
    assert raised.value.wait_seconds is not None, "a load may go on behind it"
    sandbox.faults.clear()
    assert taken_up(crm, person(1), job=job) == {1: None}
    assert len(sandbox.org.records("Contact")) == 1


@pytest.mark.parametrize("member", ["state", "numberRecordsProcessed", "numberRecordsFailed"])
def test_a_look_at_a_job_that_lacks_a_member_is_not_believed(sandbox: Sandbox, crm: Crm, member: str) -> None:
    jobs, job = opened(crm, person(1))
    bent: dict[str, Any] = {"kind": "bend", "bend": lambda answer: {name: value for name, value in answer.items() if name != member}}
    sandbox.faults.add(Fault(service="salesforce", method="GET", path=r"/jobs/ingest/\w+$", times=None, **bent))
    with pytest.raises(ServiceUnavailableError, match=f"{member} is missing"):
        jobs.carry_out(CONTACTS, batch_of(person(1)), job)
    sandbox.faults.clear()
    assert taken_up(crm, person(1), job=job) == {1: None}


def test_results_that_lack_a_column_are_not_believed(sandbox: Sandbox, crm: Crm) -> None:
    jobs, job = opened(crm, person(1))
    sandbox.faults.add(
        Fault(
            service="salesforce", path="/successfulResults$", status=200, headers={"content-type": "text/csv"}, body="sf__Id\n", times=None
        )
    )
    with pytest.raises(ServiceUnavailableError, match=f"without sf__Created, {KEY}"):
        jobs.carry_out(CONTACTS, batch_of(person(1)), job)


def test_a_job_that_was_not_closed_is_aborted_when_it_is_taken_up(sandbox: Sandbox, crm: Crm) -> None:
    _, job = opened(crm, person(1))
    assert taken_up(crm, person(1), job=job) == {1: AGAIN}
    assert (sandbox.org.jobs[job.id].state, sandbox.org.records("Contact")) == ("Aborted", [])


def test_a_forgotten_job_tells_nothing(sandbox: Sandbox, crm: Crm) -> None:
    jobs, job = opened(crm, person(1))
    sandbox.org.jobs.clear()
    assert jobs.take_up(CONTACTS, batch_of(person(1)).rows, job) is None


def test_no_job_is_made_for_what_a_header_must_say(sandbox: Sandbox) -> None:
    def rows(**settings: Any) -> list[int | None]:
        with closing(connect_salesforce(sandbox, **settings)) as crm:
            assert isinstance(crm, JobsCrm)
            return [crm.rows_of_a_job(one, verb) for one in (ACCOUNTS, CONTACTS, LEADS) for verb in (Verb.UPSERT, Verb.UPDATE)]

    many = 10_000
    assert rows() == [many, many, many, many, None, None]
    assert rows(bulk_from="never") == [None] * 6
    assert rows(allow_duplicates="updates", auto_assign=False) == [many, None] * 3
    assert rows(auto_assign={"accounts": True, "leads": False}) == [None, None, many, many, many, many]


def test_where_no_job_is_allowed_none_is_asked_for_again(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.takes_jobs = False
    assert isinstance(crm, JobsCrm)
    assert crm.open_job(CONTACTS, batch_of(person(1))) is None
    assert crm.rows_of_a_job(CONTACTS, Verb.UPSERT) is None


def test_locked_rows_and_those_that_fail_for_others_go_again(sandbox: Sandbox, crm: Crm) -> None:
    account = sandbox.org.add("Account", {"Name": "A"})
    sandbox.org.lock("Account", account)
    sandbox.org.obstacles.append(Obstacle("Contact", lambda row: row["LastName"] == "Person 2", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"))
    told = by_job(crm, person(1, parent=account), person(2), person(3))
    assert {number: row["error_type"] for number, row in told.items()} == {1: AGAIN, 2: AGAIN, 3: None}
    assert pd.notna(told[2]["error_code"])


def test_the_fewest_calls_of_many_rows_are_those_of_full_jobs_and_of_calls_for_the_rest(crm: Crm) -> None:
    assert fewest_calls(crm, CONTACTS, {"upsert": 20_201, "update": 9_999, "associate": 201}) == {
        "associate": 2,
        "update": 50,
        "upsert": 14,
    }
    assert fewest_calls(crm, LEADS, {"upsert": 20_201}) == {"upsert": 102}
