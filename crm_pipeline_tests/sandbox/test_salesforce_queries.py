"""What the Salesforce stand-in finds: its SOQL against the vendor's rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import API, Rest, rest_of


@contextmanager
def seeded() -> Iterator[Rest]:
    org = SalesforceOrg(external_keys=True)
    for number, name in enumerate(["Acme", "acme", "Zoë's \\ Lab", "Beta_1", "BetaX1", None], start=1):
        values = {"Name": name or "-", "QBench_Id__c": f"k{number}", "NumberOfEmployees": number * 10, "BillingCity": name}
        org.add("Account", {**values, "CreatedDate": datetime(2026, 1, number, tzinfo=UTC)})
    with rest_of(org) as client:
        yield client


@pytest.fixture
def rest() -> Iterator[Rest]:
    """An organization of the test's own."""
    with seeded() as client:
        yield client


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Rest]:
    """One organization for all tests that only ask."""
    with seeded() as client:
        yield client


def keys(rest: Rest, where: str) -> str:
    return " ".join(row["QBench_Id__c"] for row in rest.query(f"SELECT QBench_Id__c FROM Account WHERE {where} ORDER BY QBench_Id__c"))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'ACME'", "k1 k2"),
        ("QBench_Id__c IN ('K1', 'k3', 'none')", "k1 k3"),
        ("Name = 'Zoë\\'s \\\\ Lab'", "k3"),
        ("NumberOfEmployees > 20 AND NumberOfEmployees <= 40", "k3 k4"),
        ("NumberOfEmployees = 10 OR (Name = 'acme' AND QBench_Id__c != 'k1')", "k1 k2"),
        ("BillingCity = null", "k6"),
        ("BillingCity = ''", "k6"),
        ("BillingCity != 'Acme'", "k3 k4 k5 k6"),
        ("BillingCity NOT IN ('acme', 'BetaX1')", "k3 k4 k6"),
        ("NOT BillingCity LIKE 'b%'", "k1 k2 k3 k6"),
        ("BillingCity LIKE 'beta_1'", "k4 k5"),
        ("BillingCity LIKE 'beta\\_1'", "k4"),
        ("CreatedDate >= 2026-01-05T00:00:00Z", "k5 k6"),
        ("CreatedDate < 2026-01-02T02:00:00+02:00", "k1"),
        ("IsDeleted = false AND Owner.Username LIKE 'integration@%' AND Name LIKE 'a%'", "k1 k2"),
    ],
)
def test_a_condition_finds_what_the_vendor_finds(unchanged: Rest, where: str, expected: str) -> None:
    assert keys(unchanged, where) == expected


@pytest.mark.parametrize(
    ("soql", "expected"),
    [
        ("SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Id IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'it's'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'a\\q'", "MALFORMED_QUERY"),
        ("SELECT Id, id FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-13-01T00:00:00Z", "MALFORMED_QUERY"),
        ("DELETE FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Nothing FROM Account", "INVALID_FIELD"),
        ("SELECT Nothing.Id FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE NumberOfEmployees = '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'long texts are not filterable'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Id = 'nope'", "INVALID_QUERY_FILTER_OPERATOR"),
    ],
)
def test_a_wrong_query_is_refused_with_the_vendors_code(unchanged: Rest, soql: str, expected: str) -> None:
    assert unchanged.query_refusal(soql) == expected


def test_a_statement_over_100_000_characters_is_refused(rest: Rest) -> None:
    url = f"{API}/query?q=SELECT+Id+FROM+Account" + "+" * 100_000
    (result,) = rest.composite({"method": "GET", "url": url, "referenceId": "long"})
    assert (result["httpStatusCode"], result["body"][0]["errorCode"]) == (400, "MALFORMED_QUERY")


def test_ids_of_15_characters_are_found(rest: Rest) -> None:
    (row,) = rest.query("SELECT Id FROM Account WHERE QBench_Id__c = 'k1'")
    assert rest.query(f"SELECT Id FROM Account WHERE Id = '{row['Id'][:15]}'") == [row]
    assert len(row["Id"]) == 18


def test_related_records_nest_and_empty_references_are_null(rest: Rest) -> None:
    (account,) = rest.query("SELECT Id FROM Account WHERE QBench_Id__c = 'k1'")
    rest.org.add("Contact", {"LastName": "Byron", "AccountId": account["Id"]})
    rest.org.add("Contact", {"LastName": "Turing"})
    one, other = rest.query("SELECT LastName, Account.Name, Account.QBench_Id__c FROM Contact ORDER BY LastName")
    assert (one["Account"]["Name"], one["Account"]["QBench_Id__c"], one["Account"]["attributes"]["type"]) == ("Acme", "k1", "Account")
    assert other["Account"] is None


def test_count_counts_without_records(rest: Rest) -> None:
    answer = rest.call("GET", "query", params={"q": "SELECT COUNT() FROM Account WHERE QBench_Id__c != null"}).json()
    assert answer == {"totalSize": 6, "done": True, "records": []}


def test_count_of_a_field_leaves_nulls_out(rest: Rest) -> None:
    (row,) = rest.query("SELECT COUNT(BillingCity) FROM Account")
    assert row["expr0"] == 5


def test_order_puts_nulls_first_unless_descending_or_told_otherwise(rest: Rest) -> None:
    def last_key(order: str) -> str:
        return str(rest.query(f"SELECT QBench_Id__c FROM Account ORDER BY {order}")[-1]["QBench_Id__c"])

    assert rest.query("SELECT QBench_Id__c FROM Account ORDER BY BillingCity LIMIT 1")[0]["QBench_Id__c"] == "k6"
    assert last_key("BillingCity DESC") == "k6"
    assert last_key("BillingCity ASC NULLS LAST") == "k6"


def test_times_are_shown_in_the_vendors_form(rest: Rest) -> None:
    (row,) = rest.query("SELECT CreatedDate FROM Account WHERE QBench_Id__c = 'k1'")
    assert row["CreatedDate"] == "2026-01-01T00:00:00.000+0000"


def test_organization_and_user_can_be_asked(rest: Rest) -> None:
    (organization,) = rest.query("SELECT Id, Name FROM Organization")
    assert organization["Id"] == rest.org.organization_id
    rest.org.add_user(username="gone@sandbox.example", last_name="Gone", active=False)
    assert [row["Username"] for row in rest.query("SELECT Username FROM User WHERE IsActive = false")] == ["gone@sandbox.example"]


def test_deleted_records_are_seen_by_query_all_only(rest: Rest) -> None:
    (row,) = rest.query("SELECT Id FROM Account WHERE QBench_Id__c = 'k1'")
    rest.org.delete("Account", row["Id"])
    assert rest.query("SELECT Id FROM Account WHERE QBench_Id__c = 'k1'") == []
    (deleted,) = rest.query("SELECT Id, IsDeleted FROM Account WHERE QBench_Id__c = 'k1'", resource="queryAll")
    assert (deleted["Id"], deleted["IsDeleted"]) == (row["Id"], True)


def test_answers_come_in_pages_of_2_000_as_they_were_when_the_query_ran(rest: Rest) -> None:
    for number in range(3_994):
        rest.org.add("Account", {"Name": f"More {number:04d}"})
    first = rest.call("GET", "query", params={"q": "SELECT Id FROM Account ORDER BY Id"}).json()
    rest.org.delete("Account", rest.org.records("Account")[-1]["Id"])
    second = rest.http.get(first["nextRecordsUrl"]).json()
    assert (first["totalSize"], first["done"], len(first["records"])) == (4_000, False, 2_000)
    assert (second["totalSize"], second["done"], len(second["records"])) == (4_000, True, 2_000)
    assert "nextRecordsUrl" not in second
    assert rest.refusal("GET", "query/01gnone-2000") == (400, "INVALID_QUERY_LOCATOR")


def test_only_ten_cursors_stay_open(rest: Rest) -> None:
    rest.org.page_size = 2
    urls = [rest.call("GET", "query", params={"q": "SELECT Id FROM Account"}).json()["nextRecordsUrl"] for _ in range(11)]
    assert rest.http.get(urls[0]).status_code == 400
    assert rest.http.get(urls[1]).status_code == 200


def test_500_keys_among_many_records_are_found_by_index(rest: Rest) -> None:
    for number in range(7, 2_007):
        rest.org.add("Account", {"Name": f"N{number}", "QBench_Id__c": f"k{number}"})
    wanted = ",".join(f"'k{number}'" for number in range(1_000, 1_500))
    assert len(rest.query(f"SELECT Id FROM Account WHERE QBench_Id__c IN ({wanted})")) == 500
