"""What the Salesforce stand-in does with the ingest jobs of Bulk API 2.0."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crm_pipeline.sandbox.salesforce import DuplicateRule, SalesforceOrg, ValidationRule
from crm_pipeline_tests.sandbox.salesforce_http import KEY, Rest, rest_of

JOBS = "jobs/ingest"


@pytest.fixture
def rest() -> Iterator[Rest]:
    with rest_of(SalesforceOrg(external_keys=True, job_pace=200)) as client:
        yield client


def _opened(rest: Rest, operation: str, object_name: str = "Account", **more: Any) -> str:
    answer = rest.call("POST", JOBS, json={"operation": operation, "object": object_name, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "Open"
    return str(answer.json()["id"])


def _upload(rest: Rest, job: str, content: str) -> httpx.Response:
    return rest.call("PUT", f"{JOBS}/{job}/batches", content=content.encode(), headers={"content-type": "text/csv"})


def _set(rest: Rest, job: str, state: str) -> httpx.Response:
    return rest.call("PATCH", f"{JOBS}/{job}", json={"state": state})


def _given(rest: Rest, job: str, content: str) -> str:
    assert _upload(rest, job, content).status_code == 201
    assert _set(rest, job, "UploadComplete").json()["state"] == "UploadComplete"
    return job


def _over(rest: Rest, job: str) -> dict[str, Any]:
    for _ in range(100):
        info: dict[str, Any] = rest.call("GET", f"{JOBS}/{job}").json()
        if info["state"] in {"JobComplete", "Failed", "Aborted"}:
            return info
    raise AssertionError("the job does not end")


def _results(rest: Rest, job: str, which: str) -> list[dict[str, str]]:
    answer = rest.call("GET", f"{JOBS}/{job}/{which}")
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def _run(rest: Rest, operation: str, content: str, object_name: str = "Account", **more: Any) -> str:
    job = _given(rest, _opened(rest, operation, object_name, **more), content)
    _over(rest, job)
    return job


def test_a_job_goes_on_over_several_looks_and_tells_every_row_that_it_was_given(rest: Rest) -> None:
    rows = "".join(f'k{number},"{"" if number == 7 else f"Name {number}"}"\n' for number in range(450))
    job = _given(rest, _opened(rest, "upsert", externalIdFieldName=KEY), f"{KEY},Name\n{rows}")
    seen = [rest.call("GET", f"{JOBS}/{job}").json() for _ in range(4)]
    assert [(info["state"], info["numberRecordsProcessed"]) for info in seen] == [
        ("InProgress", 0),
        ("InProgress", 200),
        ("InProgress", 400),
        ("JobComplete", 450),
    ]
    done, failed, left = (_results(rest, job, which) for which in ("successfulResults", "failedResults", "unprocessedrecords"))
    assert (len(done), len(failed), len(left)) == (449, 1, 0)
    assert [row[KEY] for row in done] != sorted((row[KEY] for row in done), key=lambda key: int(key[1:])), "in the order of the input"
    assert {(row["sf__Created"], rest.org.record("Account", row["sf__Id"])[KEY] == row[KEY]) for row in done} == {("true", True)}
    assert failed == [
        {"sf__Id": "", "sf__Error": "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --", KEY: "k7", "Name": ""}
    ]


def test_an_empty_cell_is_left_alone_and_its_own_mark_clears(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A", "Phone": "1", "Fax": "2", "NumberOfEmployees": 3})
    job = _run(rest, "update", f"Id,Phone,Fax,NumberOfEmployees\n{account[:15]},#N/A,,12\n")
    (done,) = _results(rest, job, "successfulResults")
    assert (done["sf__Id"], done["sf__Created"], done["Id"]) == (account, "false", account[:15])
    row = rest.org.record("Account", account)
    assert (row["Phone"], row["Fax"], row["NumberOfEmployees"]) == (None, "2", 12)


def test_rows_are_judged_one_by_one_by_the_rules_of_every_save_and_no_header_saves_past_duplicate_rules(rest: Rest) -> None:
    rest.org.add("Contact", {"LastName": "There", "Email": "there@example.com"})
    rest.org.add_duplicate_rule(DuplicateRule("Contact", ("Email",)))
    rest.org.add_validation_rule(ValidationRule("Contact", lambda row: row.get("FirstName") == "Bad", field="FirstName"))
    account = rest.org.add("Account", {"Name": "A", KEY: "a1"})
    rest.http.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
    rows = [f"1,One,,a1,{'x' * 41}", "2,Two,there@example.com,,", "3,Three,,none,", "4,Four,,a1,Bad", "5,Five,,a1,", "6,Six,nobody,,"]
    job = _run(
        rest,
        "upsert",
        f"{KEY},LastName,Email,Account.{KEY},FirstName\n" + "\n".join(rows),
        "Contact",
        externalIdFieldName=KEY,
    )
    failed = {row[KEY]: row["sf__Error"] for row in _results(rest, job, "failedResults")}
    assert {key: text.partition(":")[0] for key, text in failed.items()} == {
        "1": "STRING_TOO_LONG",
        "2": "DUPLICATES_DETECTED",
        "3": "INVALID_FIELD",
        "4": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "6": "INVALID_EMAIL_ADDRESS",
    }
    assert failed["4"].endswith(":FirstName --")
    assert failed["2"] == "DUPLICATES_DETECTED:Use one of these records?: --"
    (done,) = _results(rest, job, "successfulResults")
    assert rest.org.record("Contact", done["sf__Id"])["AccountId"] == account


def test_rows_of_one_chunk_that_name_one_record_are_all_refused(rest: Rest) -> None:
    job = _run(rest, "upsert", f"{KEY},Name\nk1,A\nK1,B\nk2,C\n", externalIdFieldName=KEY)
    assert {row["sf__Error"].partition(":")[0] for row in _results(rest, job, "failedResults")} == {"DUPLICATE_VALUE"}
    assert [row["Name"] for row in _results(rest, job, "successfulResults")] == ["C"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("Name,Colour\nA,red\n", "InvalidBatch : Field name not found : Colour"),
        ("Name\r\nA\r\n", "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF"),
        ('Name,Description\nA,"one\r\ntwo"\n', "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF"),
        ('Name,Description\nA,"open\n', "ClientInputError : Failed to parse CSV. Check the quotes around fields"),
        ("Name,Phone\nA,1,2\n", "InvalidBatch : Row 1 has another number of columns than the header row"),
        ("\ufeffName\nA\n", "InvalidBatch : Field name not found : \ufeffName"),
    ],
)
def test_content_that_cannot_be_read_fails_the_job_and_leaves_its_rows_unprocessed(rest: Rest, content: str, error: str) -> None:
    job = _given(rest, _opened(rest, "insert"), content)
    info = _over(rest, job)
    assert (info["state"], info["errorMessage"], info["numberRecordsProcessed"]) == ("Failed", error, 0)
    assert (_results(rest, job, "successfulResults"), rest.org.records("Account")) == ([], [])


def test_an_aborted_job_keeps_what_it_saved_and_tells_the_rest_as_unprocessed(rest: Rest) -> None:
    job = _given(rest, _opened(rest, "insert"), "Name\n" + "".join(f"N{number}\n" for number in range(500)))
    for _ in range(2):
        rest.call("GET", f"{JOBS}/{job}")
    assert rest.refusal("GET", f"{JOBS}/{job}/successfulResults") == (400, "INVALIDJOBSTATE")
    assert _set(rest, job, "Aborted").json()["state"] == "Aborted"
    assert _over(rest, job)["numberRecordsProcessed"] == 200 == len(rest.org.records("Account"))
    assert len(_results(rest, job, "unprocessedrecords")) == 300
    assert _set(rest, job, "UploadComplete").status_code == 400


def test_a_job_takes_its_rows_once_and_only_while_it_is_open(rest: Rest) -> None:
    job = _opened(rest, "insert")
    assert rest.refusal("DELETE", f"{JOBS}/{job}") == (400, "INVALIDJOBSTATE")
    assert _upload(rest, job, "Name\nA\n").status_code == 201
    again = _upload(rest, job, "Name\nA\n")
    assert (again.status_code, "Found multiple contents" in again.text) == (400, True)
    assert _set(rest, job, "Aborted").status_code == 200
    assert _upload(rest, job, "Name\nA\n").json()[0]["errorCode"] == "INVALIDJOBSTATE"
    assert [one["id"] for one in rest.call("GET", JOBS).json()["records"]] == [job]
    assert rest.call("DELETE", f"{JOBS}/{job}").status_code == 204
    assert rest.refusal("GET", f"{JOBS}/{job}") == (404, "NOT_FOUND")
    assert _opened(rest, "insert") != job


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"object": "Nothing", "operation": "insert"}, "INVALIDENTITY"),
        ({"object": "Account", "operation": "merge"}, "INVALIDJOB"),
        ({"object": "Account", "operation": "upsert"}, "INVALIDJOB"),
        ({"object": "Account", "operation": "upsert", "externalIdFieldName": "Phone"}, "INVALIDJOB"),
        ({"object": "Account", "operation": "insert", "lineEnding": "CR"}, "INVALIDJOB"),
        ({"object": "Account", "operation": "insert", "assignmentRuleId": "01Q000000000001AAA"}, "INVALIDJOB"),
        ({"object": "Account", "operation": "insert", "allOrNone": True}, "JSON_PARSER_ERROR"),
    ],
)
def test_a_job_that_cannot_be_is_refused(rest: Rest, asked: dict[str, Any], code: str) -> None:
    assert rest.refusal("POST", JOBS, json=asked) == (400, code)


def test_an_organization_without_the_feature_makes_no_job(rest: Rest) -> None:
    rest.org.takes_jobs = False
    assert rest.refusal("POST", JOBS, json={"object": "Account", "operation": "insert"}) == (400, "FEATURENOTENABLED")


def test_no_assignment_rule_runs_but_one_that_the_job_names(rest: Rest) -> None:
    owner = rest.org.add_user(username="queue@example.com", last_name="Queue")
    rest.org.assigned_owner["Lead"] = lambda _: owner
    content = "LastName,Company\nA,B\n"
    plain, ruled = (_run(rest, "insert", content, "Lead", **more) for more in ({}, {"assignmentRuleId": "01Q000000000001AAA"}))
    owners = [rest.org.record("Lead", _results(rest, job, "successfulResults")[0]["sf__Id"])["OwnerId"] for job in (plain, ruled)]
    assert owners == [rest.org.user_id, owner]
