"""What is sent again on purpose, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sync.load import Load
from crm_pipeline.sync.report import LoadReport
from crm_pipeline.sync.resending import Resend
from crm_pipeline.sync.selection import Named, Selection
from crm_pipeline_tests.sync.conftest import ACCOUNT, EVERYTHING, LEAN_ACCOUNT_MAP, Bench, customer

PLACE: dict[str, Any] = {"address": "1 Main St", "city_name": "Austin", "zip_postal_code": "78701"}
WITH_ADDRESS: dict[str, Any] = {
    **LEAN_ACCOUNT_MAP,
    "address": {"street_1": "address", "city": "city_name", "postal_code": "zip_postal_code"},
}


def resend(bench: Bench, spec: IntegrationSpec, what: Resend, *, selection: Selection = EVERYTHING) -> LoadReport:
    """A load that sends again."""
    with closing(bench.connect(spec)) as crm:
        return Load(replace(bench.order(spec, ACCOUNT), resend=what), store=bench.store, crm=crm).run(selection)


def accounts(bench: Bench) -> dict[str, dict[str, Any]]:
    """The CRM's accounts in Salesforce, by name."""
    return {record["Name"]: record for record in bench.sandbox.org.records("Account")}


def edit(bench: Bench, qbench_id: int, **fields: Any) -> None:
    """Change a record as a user of Salesforce would."""
    [(crm_id,)] = bench.rows(f"SELECT crm_id FROM crm_pipeline.link WHERE qbench_id = {qbench_id}")
    bench.sandbox.org.update("Account", crm_id, fields)


def test_an_edit_made_in_the_crm_stands_until_the_record_is_sent_again_by_force(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1, comments="ours"))
    edit(salesforce, 1, Description="theirs")
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}
    assert accounts(salesforce)["Lab 1"]["Description"] == "theirs"
    assert dict(resend(salesforce, spec, Resend()).outcomes) == {"updated": 1}
    assert accounts(salesforce)["Lab 1"]["Description"] == "ours"
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}


def test_sending_again_by_force_leaves_create_only_fields_and_records_not_named_alone(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1, phone="512 555 0102", comments="ours"), customer(2, comments="ours"))
    edit(salesforce, 1, Phone="512 555 0199", Description="theirs")
    edit(salesforce, 2, Description="theirs")
    assert resend(salesforce, spec, Resend(), selection=Named((1,))).rows == 1
    after = accounts(salesforce)
    assert (after["Lab 1"]["Phone"], after["Lab 1"]["Description"]) == ("512 555 0199", "ours")
    assert after["Lab 2"]["Description"] == "theirs"


def test_a_create_only_field_is_repaired_in_linked_records_whole_and_alone(salesforce: Bench) -> None:
    wrong = {**LEAN_ACCOUNT_MAP, "address": {"street_1": "customer_name", "city": "city_name", "postal_code": "zip_postal_code"}}
    spec = salesforce.spec(accounts={"map": wrong})
    salesforce.stage(spec, ACCOUNT, customer(1, **PLACE))
    salesforce.load(spec, ACCOUNT)
    edit(salesforce, 1, Description="theirs")
    right = {**wrong, "address": {**WITH_ADDRESS["address"], "postal_code": "county"}}
    spec = salesforce.spec(accounts={"map": right})
    salesforce.normalize(spec, ACCOUNT, window=EVERYTHING)
    salesforce.stage(spec, ACCOUNT, customer(2, **PLACE))
    assert dict(resend(salesforce, spec, Resend(("address",))).outcomes) == {"updated": 1}
    [(_, repaired)] = accounts(salesforce).items()
    assert (repaired["BillingStreet"], repaired["BillingCity"]) == ("1 Main St", "Austin")
    assert not repaired.get("BillingPostalCode")
    assert repaired["Description"] == "theirs"


def test_a_repaired_field_is_not_sent_again_by_the_next_load(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts={"map": WITH_ADDRESS})
    hubspot.given(spec, ACCOUNT, customer(1, **PLACE))
    assert dict(resend(hubspot, spec, Resend(("address",))).outcomes) == {"updated": 1}
    assert dict(hubspot.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}


def test_an_older_version_is_not_sent_again_over_a_newer_one(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1, 200))
    with salesforce.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE crm_pipeline.normalized_record SET version = 100")
    assert dict(resend(salesforce, spec, Resend()).outcomes) == {"unchanged": 1}


def test_a_field_that_is_not_create_only_is_refused_with_those_that_are(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": {**WITH_ADDRESS, "website": "website"}})
    salesforce.given(spec, ACCOUNT, customer(1))
    with pytest.raises(ConfigurationError, match="called website; there are: address, phone_number"):
        resend(salesforce, spec, Resend(("website",)))
