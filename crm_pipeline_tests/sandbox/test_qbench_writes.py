"""What the QBench stand-in takes of what is written, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
import pytest

from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline.sandbox.tenant import Kind
from crm_pipeline_tests.sandbox.qbench_http import API, client_of, ids

NOW = 1_760_000_000

Row = dict[str, Any]


@pytest.fixture
def tenant() -> QBenchTenant:
    return QBenchTenant(clock=lambda: NOW, limits=None)


@pytest.fixture
def client(tenant: QBenchTenant) -> Iterator[httpx.Client]:
    with client_of(tenant) as client:
        yield client


def send(client: httpx.Client, method: str, path: str, *rows: Row) -> httpx.Response:
    return client.request(method, API + path, json=list(rows))


def written(client: httpx.Client, method: str, path: str, *rows: Row) -> list[Row]:
    """The rows that a write is answered with."""
    answer = send(client, method, path, *rows)
    assert answer.status_code == (201 if method == "POST" else 200), answer.text
    data: list[Row] = answer.json()["data"]
    return data


def problems(answer: httpx.Response) -> list[tuple[Any, ...]]:
    """Where the refused fields of a 400 are: row and name."""
    assert (answer.status_code, set(answer.json())) == (400, {"error_description", "error_type", "error_token", "errors"})
    return [tuple(each["loc"]) for each in answer.json()["errors"]]


# What is kept


def test_created_records_come_back_with_201(tenant: QBenchTenant, client: httpx.Client) -> None:
    first, second = written(
        client, "POST", "/customers", {"customer_name": "Lab", "website": "https://labs.example.org"}, {"customer_name": "B"}
    )
    assert (first["id"], first["website"], first["status"], second["id"]) == (1, "https://labs.example.org", "ACTIVE", 2)
    assert (first["last_updated"], first["date_created"]) == (NOW, NOW)
    assert [row["customer_name"] for row in tenant.customers()] == ["Lab", "B"]


def test_changed_record_comes_back_whole_with_the_time_of_the_change(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_contact(first_name="Ana", phone="1", at=100)
    (row,) = written(client, "PATCH", "/contacts", {"id": 1, "last_name": "Ruiz"})
    assert (row["first_name"], row["last_name"], row["phone"], row["last_updated"]) == ("Ana", "Ruiz", "1", NOW)


@pytest.mark.parametrize("name", ["websit", "Website", "contact_street", "date_modified", "__class__", "at"])
def test_key_that_names_no_field_is_dropped_without_a_word(tenant: QBenchTenant, client: httpx.Client, name: str) -> None:
    tenant.add_customer(customer_name="Lab")
    (row,) = written(client, "PATCH", "/customers", {"id": 1, name: "x", "comments": "kept"})
    assert name not in row
    assert (tenant.customer(1).get(name), row["comments"]) == (None, "kept")


def test_field_that_an_administrator_adds_is_taken_from_then_on(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab")
    assert "crm_key" not in written(client, "PATCH", "/customers", {"id": 1, "crm_key": "001A"})[0]
    tenant.add_field("customers", "crm_key")
    assert client.get(f"{API}/customers/1").json()["data"]["crm_key"] is None
    assert written(client, "PATCH", "/customers", {"id": 1, "crm_key": "001A"})[0]["crm_key"] == "001A"


def test_null_clears_and_what_is_left_out_stays(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_contact(first_name="Ana", phone="1", mobile="2", tags=["vip"], contact_city="Austin")
    (row,) = written(client, "PATCH", "/contacts", {"id": 1, "phone": None, "tags": None, "contact_city": None, "fax": ""})
    assert (row["phone"], row["mobile"], row["tags"], row["contact_city"], row["fax"]) == (None, "2", [], None, "")


def test_tenant_may_keep_values_in_a_form_of_its_own(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.habits.formatting = lambda name, value: value.strip().upper() if name == "comments" and isinstance(value, str) else value
    tenant.add_customer(customer_name="Lab")
    (row,) = written(client, "PATCH", "/customers", {"id": 1, "comments": " pays late ", "address": " 1 Main St "})
    assert (row["comments"], row["address"]) == ("PAYS LATE", " 1 Main St ")


def test_a_row_twice_in_one_array_is_written_in_order(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab")
    written(client, "PATCH", "/customers", {"id": 1, "comments": "first"}, {"id": 1, "comments": "second"})
    assert tenant.customer(1)["comments"] == "second"


@pytest.mark.parametrize(("order", "expected"), [("sent", [2, 1]), ("reversed", [1, 2])])
def test_answered_rows_come_in_the_order_asked_for(
    tenant: QBenchTenant, client: httpx.Client, order: Literal["sent", "reversed"], expected: list[int]
) -> None:
    tenant.habits.answer_order = order
    for name in "AB":
        tenant.add_customer(customer_name=name)
    assert [row["id"] for row in written(client, "PATCH", "/customers", {"id": 2, "fax": "2"}, {"id": 1, "fax": "1"})] == expected


def test_emails_and_names_may_repeat(client: httpx.Client) -> None:
    same = {"first_name": "Ana", "email_address": "ana@labs.example.org"}
    assert [row["id"] for row in written(client, "POST", "/contacts", same, same)] == [1, 2]


# Stamps and ids that the write schemas list


def test_client_that_sends_stamps_falsifies_them(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab", at=100)
    written(client, "PATCH", "/customers", {"id": 1, "last_updated": 50, "date_created": "2020-01-01T00:00:00"})
    assert (tenant.customer(1)["last_updated"], tenant.customer(1)["date_created"]) == (50, 1_577_836_800)
    assert ids(client, "/customers", last_updated=60) == []


def test_id_of_a_new_record_is_taken_and_refused_where_it_is_in_use(tenant: QBenchTenant, client: httpx.Client) -> None:
    assert written(client, "POST", "/contacts", {"id": 70, "first_name": "Ana"})[0]["id"] == 70
    assert problems(send(client, "POST", "/contacts", {"id": 70, "first_name": "Bo"})) == [(0, "id")]
    assert written(client, "POST", "/contacts", {"first_name": "Cy"})[0]["id"] == 71
    assert problems(send(client, "POST", "/contacts", {"id": 80, "first_name": "Di"}, {"id": 80, "first_name": "Eve"})) == [(1, "id")]


def test_tenant_may_drop_stamps_and_ids(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.habits.takes_system_fields = False
    (row,) = written(client, "POST", "/customers", {"id": 70, "customer_name": "Lab", "last_updated": 50, "date_created": 50})
    assert (row["id"], row["last_updated"], row["date_created"]) == (1, NOW, NOW)


@pytest.mark.parametrize(
    ("touches", "unchanged", "expected"), [(True, True, [NOW, NOW]), (True, False, [NOW, 100]), (False, True, [100, 100])]
)
def test_write_moves_the_stamp_as_the_tenant_is_set(
    tenant: QBenchTenant, client: httpx.Client, touches: Any, unchanged: Any, expected: list[int]
) -> None:
    tenant.habits.touches, tenant.habits.touches_unchanged = touches, unchanged
    for _ in range(2):
        tenant.add_customer(customer_name="Lab", at=100)
    rows = written(client, "PATCH", "/customers", {"id": 1, "fax": "1"}, {"id": 2, "customer_name": "Lab"})
    assert [row["last_updated"] for row in rows] == expected


def test_clock_that_is_ahead_shows_in_stamps_and_in_the_date_of_answers(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.clock_ahead = 90
    tenant.add_customer(customer_name="Lab", at=1_000)
    answer = send(client, "PATCH", "/customers", {"id": 1, "fax": "1"})
    assert tenant.customer(1)["date_created"] == 1_090
    assert answer.json()["data"][0]["last_updated"] == NOW + 90
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == NOW + 90
    assert "date" in client.get(f"{API}/customers/7").headers


def test_stamps_may_be_whole_minutes(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.stamp_seconds = 60
    tenant.add_customer(customer_name="Lab", at=179)
    assert tenant.customer(1)["last_updated"] == 120
    assert written(client, "PATCH", "/customers", {"id": 1, "fax": "1"})[0]["last_updated"] == NOW - NOW % 60


def test_change_that_becomes_visible_late_has_an_early_stamp(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab", at=100)
    assert ids(client, "/customers", last_updated=NOW - 1_000) == []
    tenant.edit_customer(1, comments="late", at=NOW - 600)
    assert ids(client, "/customers", last_updated=NOW - 599) == []
    assert ids(client, "/customers", last_updated=NOW - 601) == [1]


# What is refused


@pytest.mark.parametrize(
    ("path", "row", "expected"),
    [
        ("/customers", {"address": "no name"}, "customer_name"),
        ("/customers", {"customer_name": ""}, "customer_name"),
        ("/customers", {"customer_name": "x" * 251}, "customer_name"),
        ("/customers", {"customer_name": "Lab", "comments": "x" * 2_001}, "comments"),
        ("/customers", {"customer_name": "Lab", "phone": 5}, "phone"),
        ("/customers", {"customer_name": "Lab", "parent_customer_id": "5"}, "parent_customer_id"),
        ("/customers", {"customer_name": "Lab", "tags": "vip"}, "tags"),
        ("/customers", {"customer_name": "Lab", "contacts": [1]}, "contacts"),
        ("/customers", {"customer_name": "Lab", "date_created": "soon"}, "date_created"),
        ("/contacts", {"last_name": "Ruiz"}, "first_name"),
        ("/contacts", {"first_name": "Ana", "mobile": "1" * 51}, "mobile"),
        ("/contacts", {"first_name": "Ana", "is_doctor": "no"}, "is_doctor"),
        ("/contacts", {"first_name": "Ana", "customers": [{"id": 99}]}, "customers"),
        ("/contacts", {"first_name": "Ana", "id": True}, "id"),
    ],
    ids=str,
)
def test_wrong_value_is_refused_and_named(tenant: QBenchTenant, client: httpx.Client, path: str, row: Row, expected: str) -> None:
    assert problems(send(client, "POST", path, row)) == [(0, expected)]
    assert (tenant.customers(), tenant.contacts()) == ([], [])


@pytest.mark.parametrize("given", [None, ""])
def test_name_cannot_be_cleared(tenant: QBenchTenant, client: httpx.Client, given: str | None) -> None:
    tenant.add_customer(customer_name="Lab")
    assert problems(send(client, "PATCH", "/customers", {"id": 1, "customer_name": given})) == [(0, "customer_name")]
    assert tenant.customer(1)["customer_name"] == "Lab"


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": "1"}, {"id": [1]}, {"id": True}, {"id": 1.0}], ids=str)
def test_change_without_an_id_is_refused(tenant: QBenchTenant, client: httpx.Client, given: Row) -> None:
    tenant.add_customer(customer_name="Lab")
    assert problems(send(client, "PATCH", "/customers", {**given, "fax": "1"})) == [(0, "id")]


@pytest.mark.parametrize("record_id", [2, 99, -1])
def test_unknown_and_deleted_records_cannot_be_changed(tenant: QBenchTenant, client: httpx.Client, record_id: int) -> None:
    for _ in range(2):
        tenant.add_contact(first_name="Ana")
    tenant.delete_contact(2)
    assert send(client, "PATCH", "/contacts", {"id": 1, "phone": "1"}, {"id": record_id, "phone": "1"}).status_code == 404
    assert tenant.contact(1)["phone"] is None


def test_inactive_customer_can_be_changed(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.add_customer(customer_name="Lab", status="INACTIVE")
    assert written(client, "PATCH", "/customers", {"id": 1, "fax": "1"})[0]["status"] == "INACTIVE"


@pytest.mark.parametrize("body", [b"", b"{", b'{"id": 1}', b"[1]"])
def test_body_that_is_no_array_of_objects_is_refused(client: httpx.Client, body: bytes) -> None:
    for method in ("POST", "PATCH"):
        assert client.request(method, f"{API}/customers", content=body).status_code == 400


def test_more_than_50_rows_are_refused(tenant: QBenchTenant, client: httpx.Client) -> None:
    rows = [{"first_name": str(number)} for number in range(51)]
    assert send(client, "POST", "/contacts", *rows).status_code == 400
    assert len(written(client, "POST", "/contacts", *rows[:50])) == 50
    assert len(tenant.contacts()) == 50


@pytest.mark.parametrize(
    ("habit", "status", "expected"),
    [("refuse_all", 400, [None, None, None]), ("stop", 400, ["1", None, None]), ("leave_out", 200, ["1", None, "3"])],
)
def test_wrong_row_among_others_does_what_the_tenant_is_set_to(
    tenant: QBenchTenant, client: httpx.Client, habit: Any, status: int, expected: list[str | None]
) -> None:
    tenant.habits.wrong_rows = habit
    for _ in range(3):
        tenant.add_customer(customer_name="Lab")
    answer = send(client, "PATCH", "/customers", {"id": 1, "fax": "1"}, {"id": 2, "customer_name": "x" * 300}, {"id": 3, "fax": "3"})
    assert answer.status_code == status
    assert [tenant.customer(number)["fax"] for number in (1, 2, 3)] == expected
    assert [row["id"] for row in answer.json().get("data", [])] == ([1, 3] if status == 200 else [])


@pytest.mark.parametrize("kind", ["customers", "contacts"])
def test_tenant_may_hold_a_field_unique(tenant: QBenchTenant, client: httpx.Client, kind: Kind) -> None:
    tenant.habits.unique = {"customers": frozenset({"website"}), "contacts": frozenset({"email_address"})}
    field, name = ("website", "customer_name") if kind == "customers" else ("email_address", "first_name")
    written(client, "POST", f"/{kind}", {name: "A", field: "x"}, {name: "B"}, {name: "C"})
    assert problems(send(client, "POST", f"/{kind}", {name: "D", field: "x"})) == [(0, field)]
    assert problems(send(client, "PATCH", f"/{kind}", {"id": 2, field: "y"}, {"id": 3, field: "y"})) == [(1, field)]
    assert written(client, "PATCH", f"/{kind}", {"id": 1, field: "x"})[0][field] == "x"


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("PATCH /customers", "/customers"),
        ("POST /contacts", "/contacts"),
        ("POST /contacts/{id}/customers", "/contacts/1/customers"),
        ("DELETE /customers/{id}/contacts/{contact_id}", "/customers/1/contacts/1"),
    ],
)
def test_call_that_the_client_was_not_granted_is_403_and_not_executed(
    tenant: QBenchTenant, client: httpx.Client, call: str, path: str
) -> None:
    tenant.add_contact(customer_ids=[tenant.add_customer(customer_name="Lab")], first_name="Ana")
    before = (tenant.customers(), tenant.contacts())
    tenant.not_granted.add(call)
    answer = client.request(call.split()[0], API + path, json=[{"id": 1, "first_name": "Bo", "customer_name": "B"}])
    assert (answer.status_code, set(answer.json())) == (403, {"error_description", "error_type", "error_token"})
    assert (tenant.customers(), tenant.contacts()) == before
    assert client.get(f"{API}/contacts/1").status_code == 200


# Nested records


@pytest.mark.parametrize(("habit", "expected"), [("replace", [2]), ("add", [1, 2]), ("drop", [1])])
def test_customers_in_a_contact_do_what_the_tenant_is_set_to(
    tenant: QBenchTenant, client: httpx.Client, habit: Any, expected: list[int]
) -> None:
    tenant.habits.nested = habit
    for name in "AB":
        tenant.add_customer(customer_name=name)
    tenant.add_contact(customer_ids=[1], first_name="Ana")
    written(client, "PATCH", "/contacts", {"id": 1, "customers": [{"id": 2}]})
    assert tenant.contact(1)["customer_ids"] == expected
    assert [number for number in (1, 2) if 1 in tenant.customer(number)["contact_ids"]] == expected


@pytest.mark.parametrize(("habit", "expected"), [("replace", [2]), ("add", [1, 2]), ("drop", [1])])
def test_contacts_in_a_customer_do_what_the_tenant_is_set_to(
    tenant: QBenchTenant, client: httpx.Client, habit: Any, expected: list[int]
) -> None:
    tenant.habits.nested = habit
    tenant.add_customer(customer_name="A")
    for name in ("Ana", "Bo"):
        tenant.add_contact(customer_ids=[1] if name == "Ana" else [], first_name=name)
    written(client, "PATCH", "/customers", {"id": 1, "contacts": [{"id": 2, "phone": "5"}]})
    assert tenant.customer(1)["contact_ids"] == expected
    assert tenant.contact(2)["phone"] == (None if habit == "drop" else "5"), "v1 documents that nested contacts are edited"


def test_tenant_may_leave_nested_contacts_as_they_are(tenant: QBenchTenant, client: httpx.Client) -> None:
    tenant.habits.edits_nested = False
    tenant.add_contact(first_name="Ana")
    written(client, "POST", "/customers", {"customer_name": "A", "contacts": [{"id": 1, "phone": "5"}]})
    assert (tenant.contact(1)["phone"], tenant.contact(1)["customer_ids"]) == (None, [1])


# Links between contacts and customers


@pytest.fixture
def pair(tenant: QBenchTenant) -> QBenchTenant:
    """A tenant with one customer and one contact that do not belong together."""
    tenant.add_customer(customer_name="Lab", at=100)
    tenant.add_contact(first_name="Ana", at=100)
    return tenant


@pytest.mark.parametrize(("path", "row"), [("/contacts/1/customers", {"customer_id": 1}), ("/customers/1/contacts", {"contact_id": 1})])
def test_link_is_answered_with_204_and_shown_on_both_sides(pair: QBenchTenant, client: httpx.Client, path: str, row: Row) -> None:
    answer = send(client, "POST", path, {**row, "send_portal_invite": False})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (ids(client, "/contacts/1/customers"), ids(client, "/customers/1/contacts")) == ([1], [1])
    assert (pair.contact(1)["last_updated"], pair.customer(1)["last_updated"], pair.invitations) == (NOW, 100, [])


@pytest.mark.parametrize(
    ("flags", "habit", "mails"),
    [
        ({"send_portal_invite": False}, True, 0),
        ({"send_portal_invite": True}, False, 1),
        ({}, True, 1),
        ({}, False, 0),
        ({"portal_user": False}, True, 1),
    ],
    ids=str,
)
def test_invitations_are_counted(pair: QBenchTenant, client: httpx.Client, flags: Row, habit: Any, mails: int) -> None:
    pair.habits.invites_unless_told = habit
    send(client, "POST", "/contacts/1/customers", {"customer_id": 1, **flags})
    assert [(mail.contact_id, mail.customer_id) for mail in pair.invitations] == [(1, 1)] * mails


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, "customer_id"),
        ({"customer_id": "1"}, "customer_id"),
        ({"customer_id": 99}, "customer_id"),
        ({"customer_id": 1, "contact_id": 2}, "contact_id"),
        ({"customer_id": 1, "send_portal_invite": "no"}, "send_portal_invite"),
    ],
    ids=str,
)
def test_wrong_link_is_refused_whole(pair: QBenchTenant, client: httpx.Client, row: Row, expected: str) -> None:
    pair.add_customer(customer_name="Other")
    pair.add_contact(first_name="Bo")
    assert problems(send(client, "POST", "/contacts/1/customers", {"customer_id": 2}, row)) == [(1, expected)]
    assert pair.contact(1)["customer_ids"] == []
    assert pair.invitations == []


@pytest.mark.parametrize("path", ["/contacts/99/customers", "/customers/99/contacts"])
def test_link_of_an_unknown_record_is_404(pair: QBenchTenant, client: httpx.Client, path: str) -> None:
    assert send(client, "POST", path, {"customer_id": 1, "contact_id": 1}).status_code == 404


@pytest.mark.parametrize(("habit", "status", "mails"), [("refused", 400, 1), ("ignored", 204, 2)])
def test_link_that_is_there_is_refused_or_ignored(pair: QBenchTenant, client: httpx.Client, habit: Any, status: int, mails: int) -> None:
    pair.habits.repeated_link = habit
    row = {"customer_id": 1, "send_portal_invite": True}
    assert [send(client, "POST", "/contacts/1/customers", row).status_code for _ in range(2)] == [204, status]
    assert (pair.contact(1)["customer_ids"], len(pair.invitations)) == ([1], mails)


def test_linking_leaves_the_stamp_alone_where_the_tenant_is_set_so(pair: QBenchTenant, client: httpx.Client) -> None:
    pair.habits.links_touch = False
    send(client, "POST", "/contacts/1/customers", {"customer_id": 1, "send_portal_invite": False})
    assert pair.contact(1)["last_updated"] == 100


def test_unlinked_contact_belongs_to_nobody(pair: QBenchTenant, client: httpx.Client) -> None:
    pair.edit_contact(1, customer_ids=[1], at=100)
    statuses = [client.delete(f"{API}/customers/1/contacts/1").status_code for _ in range(2)]
    assert (statuses, pair.contact(1)["customer_ids"], pair.contact(1)["last_updated"]) == ([204, 404], [], NOW)
