"""No answer of QBench is believed that lacks a member: each read, with each member of its true answers gone, null, or of another type.

What comes of it is an error, or what the whole answer gives; never an empty list, a record called deleted, or one without customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import ServiceError, UnexpectedAnswerError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.customers import contact_ids
from crm_pipeline.qbench.reading import deleted_since, read_by_id, read_changes, read_deletions, read_one, read_restored
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.source import ReadById
from crm_pipeline_tests.bending import bending, member, others, planned, recorded, ways
from crm_pipeline_tests.qbench.bench import NOW, Bench, bench, frame_of, quiet_tenant, settings_for

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
T0 = 1_760_000_000
CUSTOMERS, CONTACTS = (1, 2), (11, 12)
GONE_CUSTOMER, GONE_CONTACT = 3, 13

READ = frozenset({"data", "total_pages", "total_count", "id", "last_updated", "customers", "deleted"})
"""The members that are read; what else a record holds is staged as it comes."""

FAILED = "failed"

Told = dict[object, object]
"""What a read says of each record, by id."""


@pytest.fixture(scope="module")
def tenant() -> Iterator[Bench]:
    """A tenant whose lists have more than one page, in which every read has something to answer."""
    shown = quiet_tenant()
    for number in (*CUSTOMERS, GONE_CUSTOMER):
        shown.add_customer(id=number, customer_name=f"Lab {number}", at=T0 + number)
    for number in (*CONTACTS, GONE_CONTACT):
        shown.add_contact(id=number, first_name="Ana", customer_ids=CUSTOMERS[: number - 10], at=T0 + number)
    shown.delete_customer(GONE_CUSTOMER, at=T0 + 20)
    shown.delete_contact(GONE_CONTACT, at=T0 + 21)
    with bench(shown, page_size=2, attempts=1) as running:
        yield running


def told(frame: pd.DataFrame) -> Told:
    """The customers of each record that names some, or that it is deleted."""
    rows = frame.to_dict("records")
    return {row["qbench_id"]: "deleted" if row.get("deleted") is True else row["content"].get("customers", "there") for row in rows}


def by_id(answer: ReadById) -> Told:
    return {**told(answer.frame), **dict.fromkeys(answer.failed, FAILED)}


READS: Mapping[str, Callable[[QBenchClient], Told]] = {
    "contacts": lambda client: told(frame_of(list(read_changes(client, CONTACT, since=T0, until=NOW)))),
    "deletions": lambda client: told(frame_of(list(read_deletions(client, CONTACT, since=T0, until=NOW)))),
    "one customer": lambda client: {1: (read_one(client, ACCOUNT, 1) or {}).get("id")},
    "one contact": lambda client: by_id(read_by_id(client, CONTACT, [12])),
    "a customer that may be back": lambda client: by_id(read_restored(client, ACCOUNT, [1, GONE_CUSTOMER])),
    "contacts of a customer": lambda client: {1: contact_ids(client, {"id": 1})},
    "the probe for changes": lambda client: {"deleted": FAILED if (found := deleted_since(client, ACCOUNT, T0)) is None else found},
}
ASKED_FOR = ("contacts", "one contact")
"""Reads that ask for the customers of contacts where the tenant's lists do not name them."""


@pytest.mark.parametrize(("read", "form"), [*((read, "id") for read in READS), *((read, "absent") for read in ASKED_FOR)])
def test_answer_without_a_member_is_an_error_or_makes_no_difference(tenant: Bench, read: str, form: str) -> None:
    tenant.tenant.customers_form = form  # type: ignore[assignment]  # parametrized
    ask = READS[read]
    ask(tenant.client)
    with recorded(tenant.faults) as answers:
        whole = ask(tenant.client)
    believed = []
    for number, answer in enumerate(answers):
        for way in ways(answer):
            if READ.isdisjoint(way[-1:]):
                continue
            for value in others(member(answer, way)):
                fault = Fault(kind="bend", skip=number, bend=bending(way, *value))
                try:
                    with planned(tenant.faults, fault):
                        found = ask(tenant.client)
                except ServiceError:
                    continue
                if not agrees(found, whole):
                    believed.append((number, way, value or "gone", found))
    assert whole
    assert believed == []


def agrees(found: Told, whole: Told) -> bool:
    """Whether what a bent answer gave is the truth, or names the records whose reads failed."""
    return all(found.get(key) in (FAILED, whole.get(key)) for key in found.keys() | whole.keys())


@pytest.mark.parametrize("value", [*others("a token")], ids=repr)
def test_answer_without_a_token_lets_nobody_in(tenant: Bench, value: tuple[Any, ...]) -> None:
    with QBenchClient(settings_for(tenant.url, attempts=1), integration="acme") as client:
        with planned(tenant.faults, Fault(kind="bend", bend=bending(("access_token",), *value))), pytest.raises(UnexpectedAnswerError):
            client.record("customers/1")
        assert client.record("customers/1")["id"] == 1
