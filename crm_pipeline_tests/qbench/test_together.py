"""Many records as they are now: in few calls, each by its own id, and none left out."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.source import ReadById
from crm_pipeline_tests.qbench.bench import NOW, Bench, settings_for

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
LIST, ONE = "/qbench/api/v2/contacts", "/qbench/api/v2/contacts/"


@pytest.fixture
def source(qbench: Bench) -> Iterator[QBench]:
    given = QBench(settings_for(qbench.url), integration="acme")
    yield given
    given.close()


def contacts(bench: Bench, count: int, *, email: str = "{}@labs.example") -> list[int]:
    return [bench.tenant.add_contact(first_name="Ana", email_address=email.format(number)) for number in range(count)]


def staged(bench: Bench, record_type: RecordType = CONTACT) -> pd.DataFrame:
    return bench.read(record_type, until=NOW + 1)


def calls(bench: Bench) -> tuple[int, int]:
    """The lists and the single records that were read of contacts."""
    paths = [call.path for call in bench.journal.calls()]
    return sum(path == LIST for path in paths), sum(path.startswith(ONE) for path in paths)


def again(bench: Bench, source: QBench, known: pd.DataFrame, record_type: RecordType = CONTACT) -> ReadById:
    """What is read; it is what the records' own reads tell."""
    bench.journal.clear()
    found = source.read_again(record_type, known)
    made = bench.journal.calls()
    single = source.by_id(record_type, known["qbench_id"].tolist())
    assert found.failed == single.failed
    expected = single.frame.sort_values("qbench_id", ignore_index=True)
    pd.testing.assert_frame_equal(found.frame.sort_values("qbench_id", ignore_index=True), expected)
    bench.journal.clear()
    for call in made:
        bench.journal.record(call)
    return found


def test_contacts_are_listed_by_their_addresses_fifty_with_a_call(qbench: Bench, source: QBench) -> None:
    contacts(qbench, 101)
    again(qbench, source, staged(qbench))
    assert calls(qbench) == (2, 1)


def test_customers_are_listed_by_their_ids(qbench: Bench, source: QBench) -> None:
    for number in range(60):
        qbench.tenant.add_customer(customer_name=f"Lab {number % 2}")
    again(qbench, source, staged(qbench, ACCOUNT), ACCOUNT)
    assert source.calls.snapshot()["read"] == 2 + 60  # the records' own reads besides


def test_contact_that_no_list_shows_is_read_by_its_id(qbench: Bench, source: QBench) -> None:
    moved, deleted, nameless, *_ = contacts(qbench, 10)
    qbench.tenant.edit_contact(nameless, email_address=None)
    known = staged(qbench)
    qbench.tenant.edit_contact(moved, email_address="elsewhere@labs.example")
    qbench.tenant.delete_contact(deleted)
    again(qbench, source, known)
    assert calls(qbench) == (1, 3)


def test_contact_that_has_an_address_now_of_another_one_is_nobody_else(qbench: Bench, source: QBench) -> None:
    first, second, _ = contacts(qbench, 3)
    known = staged(qbench)
    qbench.tenant.edit_contact(first, email_address="1@labs.example")
    qbench.tenant.edit_contact(second, email_address="0@labs.example")
    found = again(qbench, source, known).frame.set_index("qbench_id")["content"]
    assert (found[first]["email_address"], found[second]["email_address"]) == ("1@labs.example", "0@labs.example")


def test_address_of_more_contacts_than_a_page_shows_costs_no_more_than_their_own_reads(qbench: Bench, source: QBench) -> None:
    shared = contacts(qbench, 150, email="info@labs.example")
    contacts(qbench, 2)
    known = staged(qbench)
    again(qbench, source, known[~known["qbench_id"].isin(shared[:-2])].reset_index(drop=True))
    assert sum(calls(qbench)) <= 4 + 1
    again(qbench, source, known)
    assert calls(qbench) == (4, 0)


def test_long_addresses_make_no_address_of_a_call_too_long(qbench: Bench, source: QBench) -> None:
    contacts(qbench, 50, email="a" * 450 + "{}@labs.example")
    again(qbench, source, staged(qbench))
    assert calls(qbench) == (7, 0)


def test_list_that_fails_for_one_contacts_sake_keeps_no_other_back(qbench: Bench, source: QBench) -> None:
    ids = contacts(qbench, 5)
    known = staged(qbench)
    qbench.tenant.unshowable.add(("contacts", ids[2]))
    assert again(qbench, source, known).failed == [ids[2]]


def test_tenant_that_does_not_know_the_filter_is_asked_one_by_one(qbench: Bench, source: QBench) -> None:
    contacts(qbench, 60)
    known = staged(qbench).tail(3).reset_index(drop=True)
    qbench.tenant.ignore_filters = True
    again(qbench, source, known)
    qbench.tenant.ignore_filters = False
    qbench.faults.add(Fault(path=f"{LIST}$", status=400))
    again(qbench, source, known)
    assert calls(qbench) == (1, 3)


def test_customers_that_a_list_does_not_tell_are_asked_for(qbench: Bench, source: QBench) -> None:
    customer = qbench.tenant.add_customer(customer_name="Lab")
    for number in range(3):
        qbench.tenant.add_contact(first_name="Ana", email_address=f"{number}@labs.example", customer_ids=[customer])
    qbench.tenant.customers_form = "absent"
    again(qbench, source, staged(qbench))


def test_qbench_that_is_down_is_told(qbench: Bench, source: QBench) -> None:
    contacts(qbench, 3)
    known = staged(qbench)
    qbench.faults.add(Fault(path=LIST, times=None, status=503))
    with pytest.raises(ServiceUnavailableError):
        source.read_again(CONTACT, known)


def test_nothing_is_asked_of_nobody(qbench: Bench, source: QBench) -> None:
    known = staged(qbench)
    qbench.journal.clear()
    assert source.read_again(CONTACT, known).frame.empty
    assert qbench.journal.calls() == []
