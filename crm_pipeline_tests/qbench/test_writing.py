"""What is written into QBench, what is not, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError, ServiceUnavailableError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.tenant import QBenchTenant
from crm_pipeline.schemas import SOURCE_CHANGES, SOURCE_RESULTS
from crm_pipeline.source import WritableSource
from crm_pipeline_tests.qbench.bench import NOW, Bench, quiet_tenant, settings_for
from crm_pipeline_tests.qbench.bench import bench as running_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
PATCH = "/qbench/api/v2/(customers|contacts)$"


@contextmanager
def source_of(bench: Bench) -> Iterator[WritableSource]:
    source = QBench(settings_for(bench.url), integration="acme")
    try:
        yield source
    finally:
        source.close()


@pytest.fixture
def source(qbench: Bench) -> Iterator[WritableSource]:
    with source_of(qbench) as given:
        yield given


def changes_of(values: Mapping[int, Mapping[str, Any]]) -> pd.DataFrame:
    given = pd.Series([dict(one) for one in values.values()], dtype=object)
    return SOURCE_CHANGES.build({"qbench_id": pd.Series(list(values), dtype="int64"), "values": given})


def writes(bench: Bench) -> list[Call]:
    return [call for call in bench.journal.calls() if call.method in {"PATCH", "POST"} and "oauth2" not in call.path]


def by_id(results: pd.DataFrame) -> dict[int, Any]:
    told = SOURCE_RESULTS.check(results).astype(object)
    return {row.qbench_id: row for row in told.where(told.notna(), None).itertuples()}


def customers(tenant: QBenchTenant, count: int) -> list[int]:
    return [tenant.add_customer(customer_name=f"Lab {number}", comments="old") for number in range(count)]


def shown(tenant: QBenchTenant, kind: Any, record_id: int) -> dict[str, Any]:
    return tenant.tables[kind].rows[record_id]


class TestChanging:
    def test_only_the_given_fields_are_written_all_in_one_call(self, qbench: Bench, source: WritableSource) -> None:
        ids = customers(qbench.tenant, 50)
        results = by_id(source.change(ACCOUNT, changes_of({key: {"comments": f"new {key}"} for key in ids})))
        assert [results[key].error_type for key in ids] == [None] * 50
        assert [results[key].content["comments"] for key in ids] == [f"new {key}" for key in ids]
        assert [shown(qbench.tenant, "customers", key)["customer_name"] for key in ids] == [f"Lab {number}" for number in range(50)]
        [call] = writes(qbench)
        assert (call.method, source.calls.snapshot()) == ("PATCH", {"sign_in": 1, "write": 1})

    def test_answered_record_is_as_a_reading_would_give_it(self, qbench: Bench, source: WritableSource) -> None:
        qbench.tenant.customers_form = "absent"
        customer = qbench.tenant.add_customer(customer_name="Lab")
        contact = qbench.tenant.add_contact(customer_ids=[customer], first_name="Ana")
        result = by_id(source.change(CONTACT, changes_of({contact: {"first_name": "Anna"}})))[contact]
        read = qbench.read(CONTACT, until=NOW + 1).iloc[0]
        assert (result.version, result.content, result.unreadable) == (read["version"], read["content"], None)

    @pytest.mark.parametrize("order", ["sent", "reversed"])
    def test_answered_rows_are_told_by_their_ids(self, qbench: Bench, source: WritableSource, order: Any) -> None:
        qbench.tenant.habits.answer_order = order
        first, second = customers(qbench.tenant, 2)
        results = by_id(source.change(ACCOUNT, changes_of({first: {"comments": "a"}, second: {"comments": "b"}})))
        assert [(key, row.error_type, row.content["comments"]) for key, row in results.items()] == [(first, None, "a"), (second, None, "b")]

    def test_field_that_qbench_drops_with_success_is_named(self, qbench: Bench, source: WritableSource) -> None:
        [customer] = customers(qbench.tenant, 1)
        result = by_id(source.change(ACCOUNT, changes_of({customer: {"websit": "https://eco.example", "comments": "new"}})))[customer]
        assert (result.error_type, result.error_fields) == ("NotTakenByQBenchException", "websit")
        assert result.content["comments"] == "new"

    def test_value_that_qbench_writes_otherwise_is_no_loss_and_one_that_it_alters_is_named(
        self, qbench: Bench, source: WritableSource
    ) -> None:
        qbench.tenant.habits.formatting = lambda name, value: value.strip() if name == "comments" else value[:3]
        [customer] = customers(qbench.tenant, 1)
        result = by_id(source.change(ACCOUNT, changes_of({customer: {"comments": " new ", "phone": "+15125550101"}})))[customer]
        assert (result.error_type, result.error_fields) == ("NotTakenByQBenchException", "phone")

    @pytest.mark.parametrize("habit", ["refuse_all", "stop", "leave_out"])
    def test_refused_row_keeps_no_other_back(self, qbench: Bench, source: WritableSource, habit: Any) -> None:
        qbench.tenant.habits.wrong_rows = habit
        ids = customers(qbench.tenant, 9)
        wanted = {key: {"comments": f"new {key}"} for key in ids} | {ids[4]: {"customer_name": "", "comments": "lost"}}
        results = by_id(source.change(ACCOUNT, changes_of(wanted)))
        told = "NotTakenByQBenchException" if habit == "leave_out" else "RefusedByQBenchException"
        assert {key: row.error_type for key, row in results.items()} == dict.fromkeys(ids) | {ids[4]: told}
        assert "customer_name" in results[ids[4]].error_fields
        assert [shown(qbench.tenant, "customers", key)["comments"] for key in ids] == [
            "old" if key == ids[4] else f"new {key}" for key in ids
        ]

    @pytest.mark.parametrize("habit", ["refuse_all", "leave_out"])
    def test_record_that_was_deleted_meanwhile_is_told(self, qbench: Bench, source: WritableSource, habit: Any) -> None:
        qbench.tenant.habits.wrong_rows = habit
        kept, gone = customers(qbench.tenant, 2)
        qbench.tenant.delete_customer(gone)
        results = by_id(source.change(ACCOUNT, changes_of({kept: {"comments": "new"}, gone: {"comments": "new"}})))
        assert (results[kept].error_type, results[gone].error_type) == (None, "DeletedInQBenchException")

    def test_shorter_arrays_are_found_by_halving(self, qbench: Bench, source: WritableSource) -> None:
        qbench.tenant.habits.longest_array = 4
        ids = customers(qbench.tenant, 10)
        results = by_id(source.change(ACCOUNT, changes_of({key: {"comments": "new"} for key in ids})))
        assert {row.error_type for row in results.values()} == {None}
        assert len(results) == 10

    def test_record_on_which_qbench_fails_keeps_no_other_back(self, qbench: Bench, source: WritableSource) -> None:
        ids = customers(qbench.tenant, 6)
        qbench.faults.add(Fault(method="PATCH", naming=str(ids[2]), times=None, status=500))
        results = by_id(source.change(ACCOUNT, changes_of({key: {"comments": "new"} for key in ids})))
        assert {key: row.error_type for key, row in results.items() if row.error_type} == {ids[2]: "QBenchFailsOnRecordException"}

    def test_qbench_that_is_down_stops_the_call_with_no_outcome(self, qbench: Bench, source: WritableSource) -> None:
        ids = customers(qbench.tenant, 3)
        qbench.faults.add(Fault(path=PATCH, times=None, status=503))
        with pytest.raises(ServiceUnavailableError):
            source.change(ACCOUNT, changes_of({key: {"comments": "new"} for key in ids}))

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(method="PATCH", kind="drop_after"),
            Fault(method="PATCH", kind="drop_before"),
            Fault(method="PATCH", kind="html"),
            Fault(method="PATCH", status=429, body={"error": "exceeded concurrent request limit of 10"}),
            Fault(method="PATCH", status=401),
        ],
        ids=lambda fault: f"{fault.kind} {fault.status or ''}",
    )
    def test_change_whose_answer_is_lost_is_sent_again(self, qbench: Bench, source: WritableSource, fault: Fault) -> None:
        [customer] = customers(qbench.tenant, 1)
        qbench.faults.add(fault)
        result = by_id(source.change(ACCOUNT, changes_of({customer: {"comments": "new"}})))[customer]
        assert (result.error_type, result.content["comments"]) == (None, "new")
        assert len(writes(qbench)) == 2

    def test_rows_that_an_answer_lacks_are_read(self, qbench: Bench, source: WritableSource) -> None:
        first, second = customers(qbench.tenant, 2)
        qbench.faults.add(Fault(method="PATCH", kind="bend", bend=lambda answer: {"data": answer["data"][:1]}))
        results = by_id(source.change(ACCOUNT, changes_of({first: {"comments": "a"}, second: {"comments": "b"}})))
        assert (results[second].error_type, results[second].content["comments"]) == (None, "b")

    @pytest.mark.parametrize(("record_type", "path"), [(ACCOUNT, "/customers"), (CONTACT, "/contacts")])
    def test_call_that_is_not_granted_is_named_as_it_is_granted(
        self, qbench: Bench, source: WritableSource, record_type: RecordType, path: str
    ) -> None:
        qbench.tenant.not_granted = {f"PATCH {path}"}
        [customer] = customers(qbench.tenant, 1)
        with pytest.raises(AuthenticationError, match=f"grant the API client PATCH {path}"):
            source.change(record_type, changes_of({customer: {"phone": "1"}}))

    def test_tenant_without_the_call_is_not_taken_for_one_without_the_record(self, qbench: Bench, source: WritableSource) -> None:
        [customer] = customers(qbench.tenant, 1)
        qbench.faults.add(Fault(method="PATCH", times=None, status=404))
        with pytest.raises(RequestRefusedError, match=f"customers {customer}, which is there"):
            source.change(ACCOUNT, changes_of({customer: {"comments": "new"}}))

    @pytest.mark.parametrize("field", ["id", "last_updated", "date_created", "customers"])
    def test_what_qbench_keeps_itself_is_never_sent(self, qbench: Bench, source: WritableSource, field: str) -> None:
        contact = qbench.tenant.add_contact(first_name="Ana")
        with pytest.raises(ValueError, match=field):
            source.change(CONTACT, changes_of({contact: {field: 1}}))
        assert qbench.journal.calls() == []

    def test_no_value_is_told_in_an_error_or_a_log(self, qbench: Bench, source: WritableSource, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        first, second = customers(qbench.tenant, 2)
        body = {"error_type": "bad", "errors": [{"loc": ["comments"], "msg": "Secret is no comment", "value": "Secret"}]}
        qbench.faults.add(Fault(method="PATCH", times=None, status=400, body=body))
        results = source.change(ACCOUNT, changes_of({first: {"comments": "Secret"}, second: {"phone": "Secret"}}))
        assert results["error_fields"].fillna("").tolist() == ["comments", ""]
        assert "Secret" not in results.to_string()
        assert "Secret" not in caplog.text


class TestCreating:
    def test_record_is_made_with_what_is_given(self, qbench: Bench, source: WritableSource) -> None:
        [result] = by_id(source.create(ACCOUNT, {"customer_name": "Eco Labs", "website": "https://eco.example"})).values()
        assert shown(qbench.tenant, "customers", result.qbench_id)["customer_name"] == "Eco Labs"
        assert (result.error_type, result.content["website"]) == (None, "https://eco.example")

    @pytest.mark.parametrize("kind", ["drop_after", "drop_before", "html"])
    def test_create_whose_answer_is_lost_is_never_sent_again(self, qbench: Bench, source: WritableSource, kind: Any) -> None:
        qbench.faults.add(Fault(method="POST", path="customers$", kind=kind))
        with pytest.raises(ServiceError) as told:
            source.create(ACCOUNT, {"customer_name": "Eco Labs"})
        assert told.value.executed
        assert len(writes(qbench)) == 1

    def test_create_that_was_certainly_not_carried_out_is_sent_again(self, qbench: Bench, source: WritableSource) -> None:
        qbench.faults.add(Fault(method="POST", path="customers$", status=429, body={"error": "exceeded concurrent request limit of 10"}))
        [result] = by_id(source.create(ACCOUNT, {"customer_name": "Eco Labs"})).values()
        assert list(qbench.tenant.tables["customers"].rows) == [result.qbench_id]

    @pytest.mark.parametrize("habit", ["refuse_all", "leave_out"])
    def test_refused_record_is_told_without_an_id(self, qbench: Bench, source: WritableSource, habit: Any) -> None:
        qbench.tenant.habits.wrong_rows = habit
        [result] = by_id(source.create(CONTACT, {"last_name": "Ruiz"})).values()
        assert (result.qbench_id, result.error_type) == (None, "RefusedByQBenchException")

    def test_id_is_told_also_where_a_field_was_dropped(self, qbench: Bench, source: WritableSource) -> None:
        [result] = by_id(source.create(CONTACT, {"first_name": "Ana", "crm_key": "hubspot:7"})).values()
        assert (result.error_type, result.error_fields) == ("NotTakenByQBenchException", "crm_key")
        assert result.qbench_id in qbench.tenant.tables["contacts"].rows


class TestConnecting:
    def test_contact_is_linked_and_nobody_is_invited(self, qbench: Bench, source: WritableSource) -> None:
        customer, contact = qbench.tenant.add_customer(customer_name="Lab"), qbench.tenant.add_contact(first_name="Ana")
        result = by_id(source.connect(contact_id=contact, customer_id=customer))[contact]
        assert (result.error_type, result.content["customers"]) == (None, [{"id": customer}])
        assert qbench.tenant.invitations == []

    def test_contact_that_is_linked_is_left_alone(self, qbench: Bench, source: WritableSource) -> None:
        customer = qbench.tenant.add_customer(customer_name="Lab")
        contact = qbench.tenant.add_contact(customer_ids=[customer], first_name="Ana")
        result = by_id(source.connect(contact_id=contact, customer_id=customer))[contact]
        assert (result.error_type, writes(qbench)) == (None, [])

    def test_link_whose_answer_was_lost_is_found_the_next_time(self, qbench: Bench, source: WritableSource) -> None:
        customer, contact = qbench.tenant.add_customer(customer_name="Lab"), qbench.tenant.add_contact(first_name="Ana")
        qbench.faults.add(Fault(method="POST", path="contacts/.*/customers$", kind="drop_after"))
        with pytest.raises(ServiceUnavailableError):
            source.connect(contact_id=contact, customer_id=customer)
        assert by_id(source.connect(contact_id=contact, customer_id=customer))[contact].error_type is None
        assert (len(writes(qbench)), qbench.tenant.invitations) == (1, [])

    def test_other_customers_of_the_contact_stay(self, qbench: Bench, source: WritableSource) -> None:
        first, second = customers(qbench.tenant, 2)
        contact = qbench.tenant.add_contact(customer_ids=[first], first_name="Ana")
        source.connect(contact_id=contact, customer_id=second)
        assert set(qbench.tenant.customer_ids[contact]) == {first, second}

    def test_call_that_is_not_granted_is_named_without_the_id(self, qbench: Bench, source: WritableSource) -> None:
        qbench.tenant.not_granted = {"POST /contacts/{id}/customers"}
        customer, contact = qbench.tenant.add_customer(customer_name="Lab"), qbench.tenant.add_contact(first_name="Ana")
        with pytest.raises(AuthenticationError, match=r"grant the API client POST /contacts/\{id\}/customers"):
            source.connect(contact_id=contact, customer_id=customer)

    def test_contact_or_customer_that_is_gone_is_told(self, qbench: Bench, source: WritableSource) -> None:
        contact = qbench.tenant.add_contact(first_name="Ana")
        assert by_id(source.connect(contact_id=contact, customer_id=41))[contact].error_type == "RefusedByQBenchException"
        qbench.tenant.delete_contact(contact)
        assert by_id(source.connect(contact_id=contact, customer_id=41))[contact].error_type == "DeletedInQBenchException"


class TestMatching:
    def test_contacts_are_found_by_their_email_and_deleted_ones_are_not(self, qbench: Bench, source: WritableSource) -> None:
        kept = qbench.tenant.add_contact(first_name="Ana", email_address="ana@eco.example")
        gone = qbench.tenant.add_contact(first_name="Ana", email_address="ana@eco.example")
        qbench.tenant.add_contact(first_name="Bo", email_address="bo@eco.example")
        qbench.tenant.delete_contact(gone)
        assert source.matching(CONTACT, "ana@eco.example")["qbench_id"].tolist() == [kept]

    def test_all_pages_of_customers_with_the_name_are_read(self) -> None:
        with running_bench() as running, source_of(running) as source:
            ids = customers(running.tenant, 60)
            running.tenant.add_customer(customer_name="Other")
            assert source.matching(ACCOUNT, "lab")["qbench_id"].tolist() == ids


def test_clock_of_qbench_is_told_by_its_answers() -> None:
    tenant = quiet_tenant()
    tenant.clock, tenant.clock_ahead = QBenchTenant().clock, 90
    with running_bench(tenant) as running, source_of(running) as source:
        assert source.clock_ahead == timedelta(0)
        source.by_id(ACCOUNT, [41])
        assert timedelta(seconds=80) < source.clock_ahead < timedelta(seconds=100)
