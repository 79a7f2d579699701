"""The QBench stand-in, over HTTP: it answers what QBench documents and refuses what QBench refuses."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import chain, repeat
from typing import Any, Literal

import httpx
import pytest

from crm_pipeline.sandbox.qbench import Limits, QBenchTenant
from crm_pipeline_tests.sandbox.qbench_http import API, GRANT_TYPE, TOKEN, assertion, client_of, ids, listed, sign_in


@pytest.fixture
def tenant() -> QBenchTenant:
    return QBenchTenant(clock=lambda: 1_760_000_000, limits=None)


@pytest.fixture
def client(tenant: QBenchTenant) -> Iterator[httpx.Client]:
    with client_of(tenant) as client:
        yield client


def status(client: httpx.Client, path: str, **query: Any) -> int:
    return client.get(API + path, params=query).status_code


# Tokens


def test_token_comes_for_a_form_encoded_assertion(tenant: QBenchTenant, client: httpx.Client) -> None:
    answer = sign_in(client, assertion(tenant)).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)


def test_token_comes_for_a_multipart_assertion_under_v2(tenant: QBenchTenant, client: httpx.Client) -> None:
    fields = {"grant_type": (None, GRANT_TYPE), "assertion": (None, assertion(tenant))}
    answer = client.post(f"{API}/auth/token", files=fields)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "someone-else"},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"exp": 3700},
        {"iat": -4000, "exp": -1000},
        {"iat": 300, "exp": 600},
        {"iss": "me"},
        {"aud": "qbench"},
    ],
    ids=["other client", "no sub", "no exp", "no iat", "too long", "expired", "future iat", "iss", "aud"],
)
def test_wrong_assertion_is_an_invalid_grant(tenant: QBenchTenant, client: httpx.Client, claims: dict[str, Any]) -> None:
    """Times are seconds from now."""
    now = int(time.time())
    given: dict[str, Any] = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = sign_in(client, assertion(tenant, **given))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_assertion_signed_with_another_secret_is_refused(tenant: QBenchTenant, client: httpx.Client) -> None:
    assert sign_in(client, assertion(tenant, key="x" * 40)).json() == {"error": "invalid_grant"}


def test_assertion_with_another_algorithm_is_refused(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.client_secret = "s" * 64
    assert sign_in(client, assertion(tenant, algorithm="HS512")).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("content", [{}, {"grant_type": "client_credentials", "assertion": "x"}, {"grant_type": GRANT_TYPE}])
def test_incomplete_token_request_is_invalid(client: httpx.Client, content: dict[str, str]) -> None:
    answer = client.post(TOKEN, data={"other": "1"} | content)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


def test_token_request_in_the_wrong_encoding_is_invalid(tenant: QBenchTenant, client: httpx.Client) -> None:
    answer = client.post(TOKEN, json={"grant_type": GRANT_TYPE, "assertion": assertion(tenant)})
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer unknown", "Basic abc"])
def test_request_without_a_known_token_is_401(client: httpx.Client, header: str) -> None:
    answer = client.get(f"{API}/customers", headers={"authorization": header})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error_description", "error_type", "error_token"}


def test_token_ends_after_its_time(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.token_seconds = 0
    token = sign_in(client, assertion(tenant)).json()["access_token"]
    assert client.get(f"{API}/customers", headers={"authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("form", ["invalid_grant", "invalid_request"])
def test_stale_token_can_be_refused_with_400(
    tenant: QBenchTenant, client: httpx.Client, form: Literal["invalid_grant", "invalid_request"]
) -> None:
    tenant.refuses_stale_with = form
    tenant.expire_tokens()
    answer = client.get(f"{API}/customers")
    assert (answer.status_code, answer.json()) == (400, {"error": form})


# Lists


def test_list_has_its_four_keys_and_twenty_rows_a_page(tenant: QBenchTenant, client: httpx.Client) -> None:
    for number in range(45):
        tenant.add_customer(customer_name=f"Lab {number}")
    content = listed(client, "/customers")
    assert {name: content[name] for name in ("page_number", "total_count", "total_pages")} == {
        "page_number": 1,
        "total_count": 45,
        "total_pages": 3,
    }
    assert len(content["data"]) == 20


def test_page_beyond_the_end_is_empty(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab")
    content = listed(client, "/customers", page_num=9)
    assert (content["data"], content["page_number"], content["total_count"]) == ([], 9, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": 51},
        {"page_size": 0},
        {"page_num": 0},
        {"page_num": "x"},
        {"sort_order": "asc"},
        {"sort_by": "colour"},
        {"last_updated": "yesterday"},
        {"include_deleted": "true"},
        {"last_update": 5},
        {"email_addresses[]": "a@labs.example.org"},
        {"additional_fields_encoded": "bm9uZQ=="},
        {"additional_fields_encoded": "eyJhIjogMX0="},
    ],
    ids=str,
)
def test_wrong_parameter_is_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    answer = client.get(f"{API}/customers", params=query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error_description", "error_type", "error_token", "errors"}


def test_contacts_cannot_be_sorted_by_a_date_they_do_not_have(client: httpx.Client) -> None:
    assert status(client, "/contacts", sort_by="date_created") == 400


@pytest.mark.parametrize(("order", "expected"), [("ASC", [2, 3, 1]), ("DESC", [1, 3, 2])])
def test_list_is_sorted_by_last_updated_then_id(tenant: QBenchTenant, client: httpx.Client, order: str, expected: list[int]) -> None:
    for at in (300, 100, 200):
        tenant.add_customer(customer_name="Lab", at=at)
    assert ids(client, "/customers", sort_by="last_updated", sort_order=order) == expected


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_pages_of_a_sorted_list_hold_every_row_once(tenant: QBenchTenant, client: httpx.Client, order: str) -> None:
    for number in range(23):
        tenant.add_contact(first_name="Ana", at=100 + number % 3)
    query = {"sort_by": "last_updated", "sort_order": order, "last_updated": 100, "page_size": 4}
    pages = [ids(client, "/contacts", page_num=page, **query) for page in range(1, 5)]
    assert sorted(chain.from_iterable(pages)) == [number for number in range(1, 24) if number % 3 != 1]


def test_list_sorts_by_other_fields(tenant: QBenchTenant, client: httpx.Client) -> None:
    for name in ("b", None, "a"):
        tenant.add_customer(customer_name=name)
    assert ids(client, "/customers", sort_by="customer_name") == [2, 3, 1]


@pytest.mark.parametrize(("bound", "expected"), [(">", [3]), (">=", [2, 3])])
def test_last_updated_is_a_lower_bound(tenant: QBenchTenant, client: httpx.Client, bound: Literal[">", ">="], expected: list[int]) -> None:
    tenant.last_updated_bound = bound
    for at in (100, 200, 300):
        tenant.add_contact(first_name="Ana", at=at)
    assert ids(client, "/contacts", last_updated="200", sort_by="last_updated") == expected
    assert ids(client, "/contacts", last_updated="200") == expected


def test_edited_row_moves_between_two_pages(tenant: QBenchTenant, client: httpx.Client) -> None:
    for number in range(4):
        tenant.add_customer(customer_name="Lab", at=100 + number)

    def edit(path: str, query: Mapping[str, str]) -> None:
        if query.get("page_num") == "2":
            tenant.edit_customer(1, comments="late", at=900)

    tenant.on_request = edit
    pages = [ids(client, "/customers", sort_by="last_updated", page_size=2, page_num=page) for page in (1, 2)]
    assert pages == [[1, 2], [4, 1]]


def test_ignored_sort_leaves_rows_by_id(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.ignore_sort = True
    for at in (300, 100, 200):
        tenant.add_customer(customer_name="Lab", at=at)
    assert ids(client, "/customers", sort_by="last_updated", sort_order="DESC", last_updated=50) == [1, 2, 3]


@pytest.mark.parametrize(
    ("include", "expected"), [({}, [1, 3]), ({"include_deleted": "TRUE"}, [1, 2, 3]), ({"include_deleted": "DELETED_ONLY"}, [2])]
)
def test_deleted_rows_are_listed_on_demand(
    tenant: QBenchTenant, client: httpx.Client, include: dict[str, str], expected: list[int]
) -> None:
    for _ in range(3):
        tenant.add_customer(customer_name="Lab")
    tenant.delete_customer(2, at=1_760_000_500)
    assert ids(client, "/customers", **include) == expected


def test_deletion_is_found_by_its_time(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_contact(first_name="Ana", at=100)
    tenant.delete_contact(1, at=500)
    assert ids(client, "/contacts", include_deleted="DELETED_ONLY", last_updated=400, sort_by="last_updated") == [1]


def test_deletion_that_leaves_the_date_alone_is_found_by_the_whole_list_and_the_probe_only(
    tenant: QBenchTenant, client: httpx.Client
) -> None:
    tenant.deletions_touch = False
    tenant.add_contact(first_name="Ana", at=100)
    tenant.delete_contact(1, at=500)
    assert ids(client, "/contacts", include_deleted="DELETED_ONLY", last_updated=400, sort_by="last_updated") == []
    assert ids(client, "/contacts", include_deleted="DELETED_ONLY") == [1]
    assert client.get("/qbench/api/v1/updates/contact/400").json() == {"deleted": [1], "updated": []}
    tenant.restore_contact(1, at=600)
    assert ids(client, "/contacts", last_updated=400) == []
    assert ids(client, "/contacts", last_updated=50) == [1]


def test_contacts_are_filtered_by_customers_and_addresses(tenant: QBenchTenant, client: httpx.Client) -> None:
    first, second = tenant.add_customer(customer_name="A"), tenant.add_customer(customer_name="B")
    tenant.add_contact(customer_ids=[first], first_name="Ana", email_address="ana@labs.example.org")
    tenant.add_contact(customer_ids=[second], first_name="Bo", email_address="bo@labs.example.org")
    tenant.add_contact(customer_ids=[first, second], first_name="Cy", email_address="cy@labs.example.org")
    assert ids(client, "/contacts", **{"customer_ids[]": [first]}) == [1, 3]
    assert ids(client, "/contacts", **{"email_addresses[]": ["bo@labs.example.org", "cy@labs.example.org"]}) == [2, 3]


def test_customers_are_filtered_by_name_status_id_and_contact(tenant: QBenchTenant, client: httpx.Client) -> None:
    for name, state in (("Eco Labs", "ACTIVE"), ("eco water", "INACTIVE"), ("Other", "ACTIVE")):
        tenant.add_contact(customer_ids=[tenant.add_customer(customer_name=name, status=state)], first_name="Ana")
    assert ids(client, "/customers", name_keyword="ECO") == [1, 2]
    assert ids(client, "/customers", **{"statuses[]": "INACTIVE"}) == [2]
    assert ids(client, "/customers", **{"customer_ids[]": [1, 3]}) == [1, 3]
    assert ids(client, "/customers", **{"contact_ids[]": 3}) == [3]


def test_contacts_are_filtered_by_names_and_one_customer(tenant: QBenchTenant, client: httpx.Client) -> None:
    customer = tenant.add_customer(customer_name="A")
    tenant.add_contact(customer_ids=[customer], first_name="Ana", last_name="Ruiz")
    tenant.add_contact(first_name="Ana", last_name="Lovelace")
    assert ids(client, "/contacts", first_name="ana", last_name="RUIZ") == [1]
    assert ids(client, "/contacts", first_name="Ana") == [1, 2]
    assert ids(client, "/contacts", customer_id=customer) == [1]


def test_array_parameters_may_be_spelt_as_in_the_document(tenant: QBenchTenant, client: httpx.Client) -> None:
    for number in range(3):
        tenant.add_contact(first_name="Ana", email_address=f"{number}@labs.example.org")
    assert ids(client, "/contacts", email_addresses=["0@labs.example.org", "2@labs.example.org"]) == [1, 3]


def test_records_are_found_by_additional_fields(tenant: QBenchTenant, client: httpx.Client) -> None:
    for website in ("https://a.example.org", "https://b.example.org"):
        tenant.add_customer(customer_name="Lab", website=website)
    wanted = base64.b64encode(json.dumps({"website": "https://b.example.org"}).encode()).decode()
    assert ids(client, "/customers", additional_fields_encoded=wanted) == [2]


# Records


def test_customer_has_the_documented_fields_and_flat_additional_ones(tenant: QBenchTenant, client: httpx.Client) -> None:
    customer_id = tenant.add_customer(customer_name="Eco Labs", website="https://ecolabs.example.org")
    tenant.add_contact(customer_ids=[customer_id], first_name="Ana", last_name="Ruiz", email_address="ana@ecolabs.example.org")
    record = client.get(f"{API}/customers/{customer_id}").json()["data"]
    assert set(record) == {
        *("id", "customer_name", "address", "city_name", "state_name", "zip_postal_code", "country_name", "phone", "fax", "comments"),
        *("special_instructions", "status", "tags", "parent_customer_id", "contacts", "sources", "group_name", "payment_term"),
        *("date_created", "last_updated", "website", "industry", "employees"),
    }
    assert record["contacts"] == [{"id": 1, "first_name": "Ana", "last_name": "Ruiz", "email_address": "ana@ecolabs.example.org"}]
    assert record["website"] == "https://ecolabs.example.org"


def test_contact_has_the_documented_fields_and_no_date_created(tenant: QBenchTenant, client: httpx.Client) -> None:
    contact_id = tenant.add_contact(first_name="Ana", contact_city="Austin")
    record = client.get(f"{API}/contacts/{contact_id}").json()["data"]
    assert set(record) == {
        *("id", "first_name", "last_name", "email_address", "phone", "mobile", "fax", "address", "is_doctor", "tags", "customers"),
        *("last_updated", "contact_street", "contact_city", "contact_state", "contact_zip", "contact_country"),
    }


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("unix", 1_760_000_123),
        ("digits", "1760000123"),
        ("iso", "2025-10-09T08:55:23+00:00"),
        ("iso_naive", "2025-10-09T08:55:23"),
        ("us", "10/09/2025 08:55 AM"),
    ],
)
def test_dates_come_in_the_form_asked_for(tenant: QBenchTenant, client: httpx.Client, form: Any, expected: int | str) -> None:
    tenant.date_form = form
    tenant.add_customer(customer_name="Lab", at=1_760_000_123)
    (row,) = listed(client, "/customers")["data"]
    assert (row["last_updated"], row["date_created"]) == (expected, expected)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("id", [{"id": 1, "customer_name": "Lab"}]),
        ("data", [{"data": {"id": 1, "customer_name": "Lab"}}]),
        ("customer_id", [{"customer_id": 1}]),
        ("bare", [1]),
        ("absent", None),
    ],
)
def test_customers_of_a_contact_come_in_the_shape_asked_for(tenant: QBenchTenant, client: httpx.Client, form: Any, expected: Any) -> None:
    tenant.customers_form = form
    tenant.add_contact(customer_ids=[tenant.add_customer(customer_name="Lab")], first_name="Ana")
    (row,) = listed(client, "/contacts")["data"]
    assert row.get("customers") == expected


def test_customers_of_a_contact_are_a_list_of_their_own(tenant: QBenchTenant, client: httpx.Client) -> None:
    customers = [tenant.add_customer(customer_name=name) for name in "ABC"]
    contact_id = tenant.add_contact(customer_ids=customers, first_name="Ana")
    content = listed(client, f"/contacts/{contact_id}/customers", page_size=2)
    assert ([row["customer_name"] for row in content["data"]], content["total_pages"]) == (["A", "B"], 2)


def test_contacts_of_a_customer_are_a_list_of_their_own(tenant: QBenchTenant, client: httpx.Client) -> None:
    customer_id = tenant.add_customer(customer_name="Lab")
    tenant.add_contact(customer_ids=[customer_id], first_name="Ana")
    tenant.add_contact(first_name="Bo")
    assert ids(client, f"/customers/{customer_id}/contacts") == [1]


@pytest.mark.parametrize(("setting", "expected"), [(False, []), (True, [1])])
def test_deleted_customer_stays_on_its_contact_only_if_set_so(
    tenant: QBenchTenant, client: httpx.Client, setting: Any, expected: list[int]
) -> None:
    tenant.lists_deleted_customers = setting
    contact_id = tenant.add_contact(customer_ids=[tenant.add_customer(customer_name="Lab")], first_name="Ana")
    tenant.delete_customer(1)
    assert ids(client, f"/contacts/{contact_id}/customers") == expected


@pytest.mark.parametrize("path", ["/customers/7", "/contacts/7", "/contacts/7/customers", "/customers/7/contacts", "/nothing"])
def test_unknown_record_is_404_in_the_error_form(client: httpx.Client, path: str) -> None:
    answer = client.get(API + path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error_description", "error_type", "error_token"}


def test_record_that_cannot_be_shown_fails_every_answer_that_would_show_it(tenant: QBenchTenant, client: httpx.Client) -> None:
    customer = tenant.add_customer(customer_name="Eco Labs")
    other = tenant.add_customer(customer_name="Other")
    contact = tenant.add_contact(first_name="Ana", customer_ids=[customer])
    tenant.unshowable.add(("customers", customer))
    paths = ("/customers", f"/customers/{customer}", f"/contacts/{contact}/customers", f"/customers/{other}", f"/contacts/{contact}")
    assert [status(client, path) for path in paths] == [500, 500, 500, 200, 200]
    assert (status(client, "/customers", page_size=1, page_num=2), status(client, "/customers", page_size=1)) == (200, 500)


def test_deleted_record_is_404(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.delete_customer(tenant.add_customer(customer_name="Lab"))
    assert status(client, "/customers/1") == 404


def test_answer_can_show_what_nobody_expects(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab")
    tenant.answer_with("customers", 1, last_updated="soon")
    assert listed(client, "/customers")["data"][0]["last_updated"] == "soon"


# Deleting, QBench's own links and the probe


def test_deleted_by_api_is_gone_with_204(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_contact(first_name="Ana")
    assert client.delete(f"{API}/contacts/1").status_code == 204
    assert tenant.contacts() == []


def test_link_comes_back_in_qbench_spelling(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab")
    answer = client.post(f"{API}/integrations/5/customers", json=[{"entity_id": 1, "integration_vendor_id": "001A"}])
    assert (answer.status_code, answer.json()["data"]) == (201, [{"entity_id": 1, "integraton_vendor_id": "001A"}])
    assert listed(client, "/integrations/5/customers", **{"entity_ids[]": [1]})["data"] == answer.json()["data"]
    assert listed(client, "/integrations/6/customers")["data"] == []


def test_link_to_an_unknown_record_is_refused(client: httpx.Client) -> None:
    assert client.post(f"{API}/integrations/5/contacts", json=[{"entity_id": 1, "integration_vendor_id": "x"}]).status_code == 400


def test_lists_are_filtered_by_links(tenant: QBenchTenant, client: httpx.Client) -> None:
    customers = [tenant.add_customer(customer_name=name) for name in "AB"]
    for customer_id in customers:
        tenant.add_contact(customer_ids=[customer_id], first_name="Ana")
    client.post(f"{API}/integrations/5/customers", json=[{"entity_id": 1, "integration_vendor_id": "001A"}])
    assert ids(client, "/customers", **{"integration_ids[]": 5}) == [1]
    assert ids(client, "/customers", **{"not_integration_ids[]": 5}) == [2]
    assert ids(client, "/contacts", **{"customer_integration_ids[]": 5}) == [1]


def test_probe_names_updated_and_deleted_ids(tenant: QBenchTenant, client: httpx.Client) -> None:
    for at in (100, 200, 300):
        tenant.add_customer(customer_name="Lab", at=at)
    tenant.delete_customer(3, at=400)
    assert client.get("/qbench/api/v1/updates/customer/150").json() == {"deleted": [3], "updated": [2]}
    assert client.get("/qbench/api/v1/updates/contact/150").json() == {"deleted": [], "updated": []}


# Limits


def test_call_over_the_limit_is_429_with_count_and_time_to_wait(tenant: QBenchTenant) -> None:
    tenant.limits = Limits(calls=4)
    with client_of(tenant) as client:
        answers = [client.get(f"{API}/customers") for _ in range(4)]
    refused = answers[-1]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    wait = refused.headers["x-qbapi-throttle-ttl"]
    assert refused.headers["x-qbapi-throttle-request-count"] == "5"
    assert refused.json() == {"error": f"ratelimit exceeded 4 per 60 seconds [current count: 5. Retry in {wait} seconds]"}


def test_refused_call_is_not_executed(tenant: QBenchTenant) -> None:
    tenant.limits = Limits(calls=1)
    with client_of(tenant) as client:
        assert client.post(f"{API}/customers", json=[{"customer_name": "Lab"}]).status_code == 429
    assert tenant.customers() == []


def test_limit_begins_anew_after_its_window(tenant: QBenchTenant) -> None:
    tenant.limits = Limits(calls=1, seconds=0.05)
    with client_of(tenant) as client:
        assert 200 in (client.get(f"{API}/customers").status_code for _ in repeat(None))


def test_eleventh_request_at_a_time_is_429_without_headers(tenant: QBenchTenant) -> None:
    tenant.limits = Limits()
    with ThreadPoolExecutor(11) as pool:
        with client_of(tenant) as client:
            tenant.latency = 3600
            asked = [pool.submit(client.get, f"{API}/customers") for _ in range(11)]
            done, held = wait(asked, return_when=FIRST_COMPLETED)
        (refused,) = [asking.result() for asking in done]
        assert all(isinstance(asking.exception(), httpx.TransportError) for asking in held)
    assert (refused.status_code, refused.json()) == (429, {"error": "exceeded concurrent request limit of 10"})
    assert "x-qbapi-throttle-ttl" not in refused.headers


def test_limits_can_be_switched_off(tenant: QBenchTenant) -> None:
    tenant.limits = Limits(calls=1)
    with client_of(tenant) as client:
        assert status(client, "/customers") == 429
        tenant.limits = None
        assert status(client, "/customers") == 200


# The tenant


def test_unknown_customer_of_a_contact_raises() -> None:
    with pytest.raises(KeyError):
        QBenchTenant().add_contact(customer_ids=[5], first_name="Ana")


def test_taken_id_raises() -> None:
    tenant = QBenchTenant()
    tenant.add_customer(id=5, customer_name="Lab")
    with pytest.raises(ValueError, match="5"):
        tenant.add_customer(id=5, customer_name="Lab")
    assert tenant.add_customer(customer_name="Next") == 6


def test_deleted_record_cannot_be_edited() -> None:
    tenant = QBenchTenant()
    tenant.delete_contact(tenant.add_contact(first_name="Ana"))
    with pytest.raises(KeyError):
        tenant.edit_contact(1, first_name="Bo")


def test_edits_take_the_clock_unless_given_a_time() -> None:
    tenant = QBenchTenant(clock=lambda: 500.7)
    customer_id = tenant.add_customer(customer_name="Lab", at=100)
    tenant.edit_customer(customer_id, comments="x")
    assert tenant.customer(customer_id)["last_updated"] == 500
    tenant.edit_customer(customer_id, comments="y", at=300)
    assert tenant.customer(customer_id)["last_updated"] == 300
