"""What becomes of a record that is deleted in QBench: rule 26."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.schemas import RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window, stage_raw
from crm_pipeline.sync.extract import Extract
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, Bench, contact, customer


def delete(bench: Bench, spec: IntegrationSpec, record_type: RecordType, *records: tuple[int, int, dict[str, Any]]) -> None:
    """Stage records as extract and normalize do when QBench deleted them."""
    frame = RAW.build(pd.DataFrame(list(records), columns=["qbench_id", "version", "content"])).assign(deleted=True)
    with bench.store.transaction() as connection:
        stage_raw(connection, spec.name, record_type, frame=frame)
    versions = [version for _, version, _ in records]
    bench.normalize(spec, record_type, window=Window(since=min(versions), until=max(versions) + 1))


def status(bench: Bench, record_type: RecordType = ACCOUNT) -> dict[int, str]:
    return dict(bench.rows(f"SELECT qbench_id, status FROM crm_pipeline.link WHERE record_type = '{record_type}'"))


def test_a_deleted_record_is_skipped_with_its_named_error_before_any_other_and_nothing_is_sent_any_more(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    delete(hubspot, spec, ACCOUNT, customer(1, 200, customer_name="Renamed"), customer(2, 200, customer_name=None))
    assert dict(hubspot.load(spec, ACCOUNT).errors) == {"DeletedInQBenchException": 2}
    assert set(hubspot.outcomes().values()) == {("skipped", "DeletedInQBenchException")}
    assert status(hubspot) == {1: "source_deleted"}
    assert hubspot.names() == ["Lab 1"]
    assert not {"write", "associate"} & set(hubspot.calls)


def test_a_record_that_is_back_in_qbench_is_live_again(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    salesforce.load(spec, ACCOUNT)
    salesforce.stage(spec, ACCOUNT, customer(1, 300))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}
    assert status(salesforce) == {1: "live"}


@pytest.mark.parametrize(("crm", "external_keys"), [("salesforce", True), ("salesforce", False), ("hubspot", True)])
def test_a_survivor_that_matches_takes_the_link_of_a_deleted_record_over(
    sandbox: Sandbox, store: Store, crm: str, *, external_keys: bool
) -> None:
    bench = Bench(sandbox, store, crm)
    spec = bench.spec(external_keys=external_keys, accounts=BY_NAME)
    crm_id = bench.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))[1]
    delete(bench, spec, ACCOUNT, customer(1, 200, customer_name="Eco Labs"))
    bench.stage(spec, ACCOUNT, customer(2, 200, customer_name="ECO Labs", comments="Survivor"))
    bench.load(spec, ACCOUNT)
    assert bench.outcomes() == {1: ("skipped", "DeletedInQBenchException"), 2: ("linked", None)}
    assert bench.rows("SELECT qbench_id, crm_id, origin, status FROM crm_pipeline.link") == [(2, crm_id, "taken_over", "live")]
    assert bench.rows("SELECT reason FROM crm_pipeline.outcome_history WHERE qbench_id = 2") == [
        ("taken over from QBench id 1, which was deleted",)
    ]
    assert bench.names() == ["ECO Labs"]
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {"skipped": 1, "unchanged": 1}


def test_a_survivor_of_the_same_email_takes_a_contact_over(hubspot: Bench) -> None:
    spec = hubspot.spec(external_keys=False, contacts=BY_EMAIL)
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(7, of=1, email_address="ana@labs.example.org"))
    delete(hubspot, spec, CONTACT, contact(7, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.stage(spec, CONTACT, contact(8, 200, of=1, email_address="Ana@labs.example.org"))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {7: ("skipped", "DeletedInQBenchException"), 8: ("linked", None)}
    assert hubspot.emails() == ["ana@labs.example.org"]


def test_without_a_match_key_the_survivor_is_a_conflict_that_names_the_deleted_record(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(7, of=1, email_address="ana@labs.example.org"))
    delete(hubspot, spec, CONTACT, contact(7, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.stage(spec, CONTACT, contact(8, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT)[8] == ("skipped", "LinkConflictException")
    ((reason,),) = hubspot.rows("SELECT reason FROM crm_pipeline.outcome WHERE qbench_id = 8")
    assert "is linked to QBench id 7" in reason


def test_a_deleted_customer_does_not_count_towards_more_than_one(salesforce: Bench) -> None:
    spec = salesforce.spec()
    delete(salesforce, spec, ACCOUNT, customer(2))
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.stage(spec, CONTACT, contact(7, of=1, customers=[{"id": 2}, {"id": 1}]))
    assert dict(salesforce.load(spec, CONTACT).outcomes) == {"created": 1}


def test_a_contact_whose_only_customer_is_deleted_is_skipped_with_the_cause_linked_or_not(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.given(spec, CONTACT, contact(7, of=1))
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    salesforce.stage(spec, CONTACT, contact(7, 200, of=1, last_name="Renamed"), contact(8, 200, of=1))
    salesforce.load(spec, CONTACT)
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException"), 8: ("skipped", "CustomerNotSyncedException")}
    assert set(salesforce.rows("SELECT reason FROM crm_pipeline.outcome WHERE record_type = 'contact'")) == {
        ("customer:1 (DeletedInQBenchException)",)
    }


def test_extraction_marks_what_was_staged_as_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    tenant = salesforce.sandbox.tenant
    kept, gone = (tenant.add_customer(customer_name=name, at=1_000) for name in ("Kept", "Gone"))
    with QBenchClient(spec.qbench, integration=spec.name) as client:
        for window in (Window(since=None, until=2_000), Window(since=2_000, until=3_000)):
            job = Extract(spec.name, ACCOUNT, store=salesforce.store, client=client)
            job.run(window)
            tenant.edit_customer(kept, at=2_100)
            if gone not in tenant.tables["customers"].deleted_at:
                tenant.delete_customer(gone, at=2_500)
    assert (job.rows, job.deleted) == (2, 1)
    staged = salesforce.rows("SELECT qbench_id, version, deleted FROM crm_pipeline.raw_record ORDER BY 1")
    assert staged == [(kept, 2_100, False), (gone, 2_500, True)]
