"""Which customers a contact belongs to, in every shape that QBench may give."""

from __future__ import annotations

from math import log2
from typing import Any

import pytest

from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.customers import customer_ids
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN
from crm_pipeline_tests.qbench.bench import Bench

T0 = 1_760_000_000


@pytest.mark.parametrize(
    ("customers", "expected"),
    [
        ([], ()),
        ([{"id": 41, "customer_name": "Eco Labs"}], (41,)),
        ([{"id": "41"}], (41,)),
        ([{"data": {"id": 41}}], (41,)),
        ([{"customer_id": 41}], (41,)),
        ([41, "42"], (41, 42)),
        ({"data": [{"id": 41}]}, (41,)),
        ([{"id": 42}, 41, {"data": {"id": 42}}], (42, 41)),
        (None, None),
        ([{"customer_name": "Eco Labs"}], None),
        ([41, None], None),
        ([True], None),
        ("41", None),
    ],
)
def test_shape_is_read(customers: Any, expected: tuple[int, ...] | None) -> None:
    assert customer_ids({"id": 7, "customers": customers}) == expected


def test_contact_without_the_key_does_not_say_its_customers() -> None:
    assert customer_ids({"id": 7}) is None


@pytest.mark.parametrize("form", ["id", "data", "customer_id", "bare", "absent"])
def test_every_shape_is_staged_as_one(qbench: Bench, form: str) -> None:
    qbench.tenant.customers_form = form  # type: ignore[assignment]  # parametrized
    customers = [qbench.tenant.add_customer(customer_name="Eco Labs", at=T0) for _ in range(2)]
    for number in range(9):
        qbench.tenant.add_contact(first_name="Ana", customer_ids=customers[: number % 3], at=T0 + number)
    staged = [content["customers"] for content in qbench.read(RecordType.CONTACT)["content"]]
    assert staged == [[{"id": customer} for customer in customers[: number % 3]] for number in range(9)]


def test_only_the_customers_change_in_a_staged_contact(qbench: Bench) -> None:
    qbench.tenant.add_contact(id=7, first_name="Ana", at=T0)
    qbench.tenant.answer_with("contacts", 7, customers=[41], shoe_size=[1, {"eu": 38}])
    (content,) = qbench.read(RecordType.CONTACT)["content"]
    stored = {name: value for name, value in qbench.tenant.contact(7).items() if name != "customer_ids"}
    assert content == stored | {"customers": [{"id": 41}], "shoe_size": [1, {"eu": 38}]}


def test_customers_that_look_like_whole_numbers_are_staged_as_such(qbench: Bench) -> None:
    customer = qbench.tenant.add_customer(customer_name="Eco Labs", at=T0)
    contact = qbench.tenant.add_contact(first_name="Ana", customer_ids=[customer], at=T0)
    qbench.tenant.answer_with("contacts", contact, customers=[{"id": float(customer)}])
    (content,) = qbench.read(RecordType.CONTACT)["content"]
    assert repr(content["customers"]) == repr([{"id": customer}])


def test_characters_that_a_database_may_not_hold_are_left_as_they_are(qbench: Bench) -> None:
    body = f'{{"data": [{{"id": 7, "customer_name": "\\u0000 \\ud800", "last_updated": {T0}}}], "total_count": 1, "total_pages": 1}}'
    qbench.faults.add(Fault(path="/customers$", status=200, body=body))
    assert qbench.read()["content"].iloc[0]["customer_name"] == "\x00 \ud800"


def test_customers_of_a_customers_record_are_left_alone(qbench: Bench) -> None:
    qbench.tenant.add_customer(id=7, customer_name="Eco Labs", at=T0)
    qbench.tenant.answer_with("customers", 7, customers="three")
    assert qbench.read()["content"].iloc[0]["customers"] == "three"


def test_contact_with_more_customers_than_a_page_is_asked_for_all(small: Bench) -> None:
    small.tenant.customers_form = "absent"
    customers = [small.tenant.add_customer(customer_name="Eco Labs", at=T0) for _ in range(8)]
    small.tenant.add_contact(first_name="Ana", customer_ids=customers, at=T0)
    (content,) = small.read(RecordType.CONTACT)["content"]
    assert content["customers"] == [{"id": customer} for customer in customers]


def test_contact_deleted_before_it_is_asked_for_is_left_out(qbench: Bench) -> None:
    qbench.tenant.customers_form = "absent"
    kept, gone = (qbench.tenant.add_contact(first_name="Ana", at=T0) for _ in range(2))
    qbench.tenant.on_request = lambda path, _: qbench.tenant.delete_contact(gone) if path.endswith(f"/{gone}/customers") else None
    assert qbench.read(RecordType.CONTACT)["qbench_id"].tolist() == [kept]


def test_tenant_without_the_customers_list_is_not_taken_for_contacts_without_customers(qbench: Bench) -> None:
    add_contacts(qbench, 30)
    qbench.faults.add(Fault(path="/contacts/[0-9]+/customers$", status=404, times=None))
    with pytest.raises(RequestRefusedError, match="/customers with status 404"):
        qbench.read(RecordType.CONTACT)


# --- QBench fails to tell the customers of some


TROUBLES: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 403},
    {"status": 404},
    {"kind": "drop_before"},
    {"kind": "html"},
    {"status": 200, "body": {"data": [{"name": "no id"}], "total_count": 1, "total_pages": 1}},
]


def add_contacts(qbench: Bench, count: int) -> list[int]:
    qbench.tenant.customers_form = "absent"
    customer = qbench.tenant.add_customer(customer_name="Eco Labs", at=T0)
    return [qbench.tenant.add_contact(first_name="Ana", customer_ids=[customer], at=T0 + number) for number in range(count)]


def fail_on(qbench: Bench, *contacts: int, **trouble: Any) -> None:
    path = "|".join(f"/contacts/{number}/customers$" for number in contacts)
    qbench.faults.add(Fault(path=path, times=None, **trouble))


def untold(qbench: Bench, **window: Any) -> list[int]:
    """The contacts that are read without customers; the others have theirs."""
    frame = qbench.read(RecordType.CONTACT, **window)
    marked = frame["unreadable"].eq(CUSTOMERS_UNKNOWN)
    assert ["customers" not in content for content in frame["content"]] == marked.tolist()
    return sorted(frame.loc[marked, "qbench_id"].tolist())


def asked(qbench: Bench) -> int:
    """How often a contact's customers were asked for."""
    return sum(call.path.endswith("/customers") and "/contacts/" in call.path for call in qbench.journal.calls())


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_a_contact_whose_customers_qbench_does_not_tell_is_read_without(qbench: Bench, trouble: dict[str, Any]) -> None:
    contacts = add_contacts(qbench, 7)
    fail_on(qbench, contacts[3], **trouble)
    assert untold(qbench) == [contacts[3]]
    assert asked(qbench) == len(contacts) + 1


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
@pytest.mark.parametrize("count", [1, 12])
def test_that_all_of_a_window_fail_is_theirs_where_others_are_told(qbench: Bench, count: int, trouble: dict[str, Any]) -> None:
    contacts = add_contacts(qbench, 14)
    fail_on(qbench, *contacts[-count:], **trouble)
    assert untold(qbench, since=T0 + 14 - count) == contacts[-count:]


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_qbench_that_tells_no_contacts_customers_stops_the_read_soon(qbench: Bench, trouble: dict[str, Any]) -> None:
    contacts = add_contacts(qbench, 64)
    fail_on(qbench, *contacts, **trouble)
    with pytest.raises(ServiceError):
        qbench.read(RecordType.CONTACT)
    assert asked(qbench) <= 2 * log2(64) + 2


def test_a_contact_for_which_qbench_is_always_busy_is_read_without_its_customers(qbench: Bench) -> None:
    contacts = add_contacts(qbench, 7)
    fail_on(qbench, contacts[3], status=503, headers={"Retry-After": "0"})
    assert untold(qbench) == [contacts[3]]


def test_refused_credentials_stop_the_read_at_once(qbench: Bench) -> None:
    contacts = add_contacts(qbench, 64)
    fail_on(qbench, *contacts, status=401)
    with pytest.raises(AuthenticationError, match="refuses the token"):
        qbench.read(RecordType.CONTACT)
    assert asked(qbench) <= 2 * qbench.client.settings.limits.concurrent


def test_qbench_that_is_away_for_a_moment_is_waited_for(qbench: Bench) -> None:
    add_contacts(qbench, 64)
    qbench.faults.add(Fault(path="/contacts", skip=20, times=13, status=502))
    assert untold(qbench) == []


def test_the_only_contact_of_a_tenant_that_lists_it_is_read_without(qbench: Bench) -> None:
    contacts = add_contacts(qbench, 1)
    fail_on(qbench, *contacts, status=500)
    assert untold(qbench) == contacts
