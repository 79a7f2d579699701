"""Creates that the CRM refuses because the record is there, and duplicate rules (docs/rules.md, 8 and 33)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sync.loading.refused_creates import RefusedCreates
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, LEAN_ACCOUNT_MAP, Bench, contact, customer, own_bench
from crm_pipeline_tests.sync.loading.stages import answers, stages

EMAIL = "person7@labs.example.org"
keys = pytest.mark.parametrize("external_keys", [True, False], ids=["with a key", "without a key"])


def meanwhile(bench: Bench, act: Callable[[], object], *, after: str) -> Callable[[IntegrationSpec], Crm]:
    """Connects a client whose look-up (``find`` or ``scan``) gives a user of the CRM the time to act, once."""

    class Interrupted:
        def __init__(self, crm: Crm) -> None:
            self._crm = crm
            self._acted = False

        def __getattr__(self, name: str) -> Any:
            return self._once if name == after else getattr(self._crm, name)

        def _once(self, *args: Any) -> Any:
            found = getattr(self._crm, after)(*args)
            found = list(found) if after == "scan" else found
            if not self._acted:
                self._acted = True
                act()
            return found

    return lambda spec: Interrupted(bench.connect(spec))


def loaded(bench: Bench, spec: IntegrationSpec, *, act: Callable[[], object]) -> None:
    """Load customer 1 and its contact 7, while a user of the CRM does something after the look-up."""
    bench.given(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1))
    bench.load(spec, CONTACT, connect=meanwhile(bench, act, after="find"))


@keys
def test_a_contact_that_hubspot_has_meanwhile_is_linked_by_its_email(hubspot: Bench, *, external_keys: bool) -> None:
    portal = hubspot.sandbox.portal
    spec = hubspot.spec(external_keys=external_keys, contacts=BY_EMAIL)
    loaded(hubspot, spec, act=lambda: portal.add("contacts", {"email": EMAIL, "firstname": "By hand"}))
    assert hubspot.outcomes(CONTACT) == {7: ("linked", None)}
    (person,) = portal.records("contacts")
    assert person["properties"]["firstname"] == "Ana"
    assert len(portal.associations()) == 1
    assert hubspot.rows("SELECT origin FROM crm_pipeline.link WHERE record_type = 'contact'") == [("matched",)]
    assert hubspot.rows("SELECT 1 FROM crm_pipeline.intent") == []


@keys
def test_without_a_match_key_the_outcome_names_the_record_and_it_is_left_alone(hubspot: Bench, *, external_keys: bool) -> None:
    person = hubspot.sandbox.portal.add("contacts", {"email": EMAIL})
    spec = hubspot.spec(external_keys=external_keys)
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(7, of=1))
    report = hubspot.load(spec, CONTACT)
    assert (report.rows, report.accounted) == (1, 1)
    said = hubspot.rows("SELECT outcome, error_type, reason, retryable FROM crm_pipeline.outcome WHERE record_type = 'contact'")
    ((outcome, error_type, reason, retryable),) = said
    assert (outcome, error_type, retryable) == ("skipped", "ExistingRecordException", False)
    assert f"ids: {person}" in reason


@dataclass(frozen=True)
class Refused:
    """What duplicate rules made of a load: its counts, outcomes, reasons and the CRM's names; ``rival``: whom customer 4 came to equal."""

    report: LoadReport
    outcomes: dict[int, tuple[str, str | None]]
    reasons: dict[int, str | None]
    names: list[str]
    rival: str


@pytest.fixture(scope="module")
def refused(postgres: str) -> Iterator[Refused]:
    """A user adds customer 1 after the look-up, 3 has the website of another account, and 4, which is linked, changes to what 5 has."""
    with own_bench(postgres, "salesforce") as bench:
        org = bench.sandbox.org
        org.duplicates_named_in_collections = True
        spec = bench.spec(accounts={**BY_NAME, "map": {**LEAN_ACCOUNT_MAP, "website": "website"}})
        ids = bench.given(spec, ACCOUNT, customer(4), customer(5, comments="The same"))
        org.add_duplicate_rule(DuplicateRule("Account", ("Website",)))
        org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
        org.add_duplicate_rule(DuplicateRule("Account", ("Description",), on=frozenset({"update"})))
        org.add("Account", {"Name": "Another", "Website": "https://lab.example.org"})
        bench.stage(spec, ACCOUNT, customer(1), customer(2), customer(3, website="https://lab.example.org"))
        bench.stage(spec, ACCOUNT, customer(4, 200, comments="The same"))
        report = bench.load(spec, ACCOUNT, connect=meanwhile(bench, lambda: bench.add_account("LAB 1"), after="scan"))
        reasons = dict(bench.rows("SELECT qbench_id, reason FROM crm_pipeline.outcome"))
        yield Refused(report, bench.outcomes(), reasons, bench.names(), ids[5])


def test_a_match_key_that_does_not_speak_for_the_record_leaves_it_alone(refused: Refused) -> None:
    assert refused.outcomes[3] == ("skipped", "ExistingRecordException")
    assert "Lab 3" not in refused.names


def test_an_account_that_a_duplicate_rule_names_is_linked_by_its_name(refused: Refused) -> None:
    assert (refused.outcomes[1], refused.outcomes[2]) == (("linked", None), ("created", None))
    assert (refused.report.rows, refused.report.accounted) == (5, 5)
    assert refused.names == ["Another", "Lab 1", "Lab 2", "Lab 4", "Lab 5"]


def test_a_create_refused_for_a_record_that_cannot_be_read_is_open_until_it_can_be(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
    spec = salesforce.spec(accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.sandbox.faults.add(Fault(method="POST", path="composite/sobjects/Account$", service="salesforce"))
    salesforce.load(spec, ACCOUNT, connect=meanwhile(salesforce, lambda: salesforce.add_account("LAB 1"), after="scan"))
    assert salesforce.outcomes() == {1: ("failed", "CrmFailsOnRecordException"), 2: ("created", None)}
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("linked", None), 2: ("unchanged", None)}


def test_a_record_found_for_a_refused_create_is_sent_again_where_it_was_locked(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
    spec = salesforce.spec(accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1))
    salesforce.load(
        spec, ACCOUNT, connect=meanwhile(salesforce, lambda: org.lock("Account", salesforce.add_account("LAB 1")), after="scan")
    )
    assert salesforce.outcomes() == {1: ("linked", None)}


def test_a_duplicate_rule_refuses_the_update_of_a_linked_record(refused: Refused) -> None:
    assert refused.outcomes[4] == ("failed", "DuplicateRecordException")
    assert f"ids: {refused.rival}" in str(refused.reasons[4])


def test_a_duplicate_rule_lets_the_update_of_a_linked_record_pass_where_updates_are_allowed(salesforce: Bench) -> None:
    spec = salesforce.spec(settings={"allow_duplicates": "updates"})
    salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.sandbox.org.duplicates_named_in_collections = True
    salesforce.sandbox.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Lab 2"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[1] == ("updated", None)
    assert salesforce.names() == ["Lab 2", "Lab 2"]


def test_a_named_record_that_another_record_of_ours_holds_is_a_conflict_that_names_both(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("created", None), 2: ("skipped", "LinkConflictException")}
    assert salesforce.rows("SELECT reason LIKE '% is linked to QBench id 1' FROM crm_pipeline.outcome WHERE qbench_id = 2") == [(True,)]


def test_a_contact_whose_email_the_crm_fails_to_look_up_is_open_by_itself_and_never_doubled(hubspot: Bench) -> None:
    spec = hubspot.spec(contacts=BY_EMAIL)
    hubspot.given(spec, ACCOUNT, customer(1))
    there = hubspot.add(CONTACT, {"email": EMAIL})
    hubspot.stage(spec, CONTACT, *(contact(number, of=1) for number in (6, 7, 8)))
    hubspot.sandbox.faults.add(Fault(service="hubspot", path="contacts/batch/read", holding="person7@", status=500, times=None))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {6: ("created", None), 7: ("failed", "CrmFailsOnRecordException"), 8: ("created", None)}
    hubspot.sandbox.faults.clear()
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT)[7] == ("linked", None)
    assert len(hubspot.emails()) == 3
    assert hubspot.rows("SELECT crm_id FROM crm_pipeline.link WHERE record_type = 'contact' AND qbench_id = 7") == [(there,)]


def test_a_create_whose_key_is_taken_sends_what_a_link_may_send(salesforce: Bench) -> None:
    spec, there = salesforce.spec(), []

    def one_with_the_key() -> None:
        there.append(salesforce.add(ACCOUNT, {"Name": "Old name", "Phone": "by hand", "QBench_Id__c": "1"}))
        message = f"duplicate value found: QBench_Id__c duplicates value on record with id: {there[0][:15]}"
        refusal = {"success": False, "errors": [{"statusCode": "DUPLICATE_VALUE", "message": message, "fields": []}]}
        salesforce.sandbox.faults.add(Fault(service="salesforce", path="sobjects/Account/QBench_Id__c", kind="rows", body=refusal))

    salesforce.stage(spec, ACCOUNT, customer(1, phone="5125550101"))
    salesforce.load(spec, ACCOUNT, connect=meanwhile(salesforce, one_with_the_key, after="has_keyed_records"))
    record = salesforce.sandbox.org.record("Account", there[0])
    assert (record["Name"], record["Phone"]) == ("Lab 1", "by hand")
    assert salesforce.outcomes() == {1: ("linked", None)}
    assert salesforce.rows("SELECT crm_id, origin FROM crm_pipeline.link") == [(there[0], "key")]


def test_create_that_the_load_does_not_get_to_look_for_stays_refused(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch, refused = load.plan(1), RefusedCreates(load.job, load.storing)
        refused.add(batch.rows, answers(batch, {"crm_id": None, "error_type": "ExistingRecordException"}))
        assert [rows["qbench_id"].tolist() for rows in refused.waiting] == [[1]]
        refused.leave_refused()
    assert salesforce.outcomes() == {1: ("skipped", "ExistingRecordException")}
