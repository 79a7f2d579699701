"""Creates that the CRM refuses because the record is there (rules.md, 8), and duplicate rules (33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, LEAN_ACCOUNT_MAP, Bench, contact, customer

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


def test_a_match_key_that_does_not_speak_for_the_record_leaves_it_alone(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Website",)))
    spec = salesforce.spec(accounts={**BY_NAME, "map": {**LEAN_ACCOUNT_MAP, "website": "website"}})
    org.add("Account", {"Name": "Another", "Website": "https://lab.example.org"})
    salesforce.stage(spec, ACCOUNT, customer(1, website="https://lab.example.org"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("skipped", "ExistingRecordException")}


def test_an_account_that_a_duplicate_rule_names_is_linked_by_its_name(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
    spec = salesforce.spec(accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    connect = meanwhile(salesforce, lambda: salesforce.add_account("LAB 1"), after="scan")
    report = salesforce.load(spec, ACCOUNT, connect=connect)
    assert salesforce.outcomes() == {1: ("linked", None), 2: ("created", None)}
    assert (report.rows, report.accounted) == (2, 2)
    assert salesforce.names() == ["Lab 1", "Lab 2"]


def test_a_named_record_that_another_record_of_ours_holds_is_a_conflict_that_names_both(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",), on=frozenset({"create"})))
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("created", None), 2: ("skipped", "LinkConflictException")}
    assert salesforce.rows("SELECT reason LIKE '% is linked to QBench id 1' FROM crm_pipeline.outcome WHERE qbench_id = 2") == [(True,)]


@pytest.mark.parametrize(("allow", "expected"), [("none", ("failed", "DuplicateRecordException")), ("updates", ("updated", None))])
def test_a_duplicate_rule_refuses_the_update_of_a_linked_record_unless_updates_are_allowed(
    salesforce: Bench, allow: str, expected: tuple[str, str | None]
) -> None:
    org = salesforce.sandbox.org
    org.duplicates_named_in_collections = True
    spec = salesforce.spec()
    settings = {"salesforce": spec.crms.configured["salesforce"].model_copy(update={"allow_duplicates": allow})}
    spec = spec.model_copy(update={"crms": spec.crms.model_copy(update=settings)})
    other = salesforce.given(spec, ACCOUNT, customer(1), customer(2))[2]
    org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Lab 2"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[1] == expected
    ((reason,),) = salesforce.rows("SELECT coalesce(reason, '') FROM crm_pipeline.outcome WHERE qbench_id = 1")
    assert (f"ids: {other}" in reason) == (allow == "none")
