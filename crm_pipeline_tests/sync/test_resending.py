"""What is sent again on purpose, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.planning.selection import Named, Selection
from crm_pipeline.sync.resending import Resend
from crm_pipeline_tests.sync.conftest import ACCOUNT, EVERYTHING, LEAN_ACCOUNT_MAP, Bench, Stories, customer

PLACE: dict[str, Any] = {"address": "1 Main St", "city_name": "Austin", "zip_postal_code": "78701"}
WITH_ADDRESS: dict[str, Any] = {
    **LEAN_ACCOUNT_MAP,
    "address": {"street_1": "address", "city": "city_name", "postal_code": "zip_postal_code"},
}


def resend(bench: Bench, spec: IntegrationSpec, what: Resend | None, *, selection: Selection = EVERYTHING) -> LoadReport:
    """A load that sends again; with None, one that sends what changed."""
    with closing(bench.connect(spec)) as crm:
        return Load(replace(bench.order(spec, ACCOUNT), resend=what), store=bench.store, crm=crm).run(selection)


def accounts(bench: Bench) -> dict[str, dict[str, Any]]:
    """The CRM's accounts in Salesforce, by name."""
    return {record["Name"]: record for record in bench.sandbox.org.records("Account")}


def edit(bench: Bench, qbench_id: int, **fields: Any) -> None:
    """Change a record as a user of Salesforce would."""
    [(crm_id,)] = bench.rows(f"SELECT crm_id FROM crm_pipeline.link WHERE qbench_id = {qbench_id}")
    bench.sandbox.org.update("Account", crm_id, fields)


EDITED, OTHER, STALE = 1, 2, 3
"""Customers, of which all are synced, the first two were edited in the CRM since, and the last is there in a newer version."""


@dataclass(frozen=True)
class Resent:
    """A plain load, one that sends the first customer again, one that sends all again, and a plain one; with the accounts after each."""

    outcomes: list[dict[str, int]]
    accounts: list[dict[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def resent(stories: Stories) -> Resent:
    with stories("salesforce") as bench:
        spec = bench.spec()
        synced = (customer(number, phone="512 555 0102", comments="ours") for number in (EDITED, OTHER))
        ids = bench.given(spec, ACCOUNT, *synced, customer(STALE, 200, comments="ours"))
        bench.rows(f"UPDATE crm_pipeline.normalized_record SET version = 100 WHERE qbench_id = {STALE} RETURNING 1")
        for number in (EDITED, OTHER):
            edit(bench, number, Phone="512 555 0199", Description="theirs")
        edit(bench, STALE, Description="theirs")
        outcomes, accounts = [], []
        for what, selection in ((None, EVERYTHING), (Resend(), Named((EDITED,))), (Resend(), EVERYTHING), (None, EVERYTHING)):
            outcomes.append(dict(resend(bench, spec, what, selection=selection).outcomes))
            accounts.append({number: bench.sandbox.org.record("Account", crm_id) for number, crm_id in ids.items()})
        return Resent(outcomes, accounts)


def test_an_edit_made_in_the_crm_stands_until_the_record_is_sent_again_by_force(resent: Resent) -> None:
    assert [after[OTHER]["Description"] for after in resent.accounts] == ["theirs", "theirs", "ours", "ours"]
    plain, _, forced, plain_again = resent.outcomes
    assert plain == plain_again == {"unchanged": 3}
    assert forced == {"updated": 2, "unchanged": 1}


def test_sending_again_by_force_leaves_create_only_fields_and_records_not_named_alone(resent: Resent) -> None:
    after_named = resent.accounts[1]
    assert resent.outcomes[1] == {"updated": 1}
    assert (after_named[EDITED]["Phone"], after_named[EDITED]["Description"]) == ("512 555 0199", "ours")
    assert after_named[OTHER]["Description"] == "theirs"


def test_an_older_version_is_not_sent_again_over_a_newer_one(resent: Resent) -> None:
    assert [after[STALE]["Description"] for after in resent.accounts] == ["theirs"] * 4
    assert resent.outcomes[2] == {"updated": len({EDITED, OTHER}), "unchanged": len({STALE})}


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


def test_a_field_that_is_not_create_only_is_refused_with_those_that_are(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": {**WITH_ADDRESS, "website": "website"}})
    salesforce.given(spec, ACCOUNT, customer(1))
    with pytest.raises(ConfigurationError, match="called website; there are: address, phone_number"):
        resend(salesforce, spec, Resend(("website",)))
