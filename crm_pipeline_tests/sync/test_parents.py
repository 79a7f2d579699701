"""A contact's account: on a match, and when its customer changes (rules.md, 18 to 20)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, CONTACT, CRM_FIELDS, Bench, contact, customer


def add_person(bench: Bench, *, account: str | None) -> str:
    """A contact that a user of the CRM made, with the email of QBench's contact 7."""
    name = CRM_FIELDS[bench.crm, CONTACT]
    return bench.add(CONTACT, {name["last_name"]: "Ruiz", name["email"]: "person7@labs.example.org"}, account=account)


def accounts_of(bench: Bench, person: str) -> tuple[str | None, set[str]]:
    """A contact's main account, and those beside it."""
    if bench.crm == "salesforce":
        account: str | None = bench.sandbox.org.record("Contact", person)["AccountId"]
        return account, set()
    held = {company: types for one, company, types in bench.sandbox.portal.associations() if one == person}
    main = next((company for company, types in held.items() if 1 in types), None)
    return main, set(held) - {main}


def reason(bench: Bench) -> Any:
    ((said,),) = bench.rows("SELECT reason FROM crm_pipeline.outcome WHERE record_type = 'contact'")
    return said


def linked(bench: Bench, *, account: str | None, **keys: Any) -> tuple[str, str]:
    """Load a contact that the CRM has already; its id there and that of its customer's account."""
    spec = bench.spec(contacts={**BY_EMAIL, **keys})
    person = add_person(bench, account=account)
    ours = bench.given(spec, ACCOUNT, customer(1))[1]
    bench.stage(spec, CONTACT, contact(7, of=1))
    bench.load(spec, CONTACT)
    return person, ours


def moved(bench: Bench) -> tuple[IntegrationSpec, str, dict[int, str]]:
    """A synced contact whose customer changes from 1 to 2, ready to be loaded; its id, and those of the accounts."""
    spec = bench.spec()
    accounts = bench.given(spec, ACCOUNT, customer(1), customer(2))
    person = bench.given(spec, CONTACT, contact(7, of=1))[7]
    bench.stage(spec, CONTACT, contact(7, 200, of=2))
    return spec, person, accounts


def test_a_matched_contact_without_an_account_gets_ours(bench: Bench) -> None:
    person, ours = linked(bench, account=None)
    assert accounts_of(bench, person) == (ours, set())
    assert (bench.outcomes(CONTACT)[7], reason(bench)) == (("linked", None), None)


def test_a_matched_contact_of_another_account_stays_there_and_belongs_to_ours_too_where_it_can(bench: Bench) -> None:
    other = bench.add_account("Other")
    person, ours = linked(bench, account=other)
    assert accounts_of(bench, person) == (other, set() if bench.crm == "salesforce" else {ours})
    assert (bench.outcomes(CONTACT)[7], reason(bench)) == (("linked", None), f"not_pushed: account ({ours} wanted, {other} kept)")
    assert dict(bench.load(bench.spec(contacts=BY_EMAIL), CONTACT).outcomes) == {"unchanged": 1}


def test_a_matched_contact_of_another_account_moves_where_the_yaml_says_so(bench: Bench) -> None:
    person, ours = linked(bench, account=bench.add_account("Other"), on_other_account="move")
    assert accounts_of(bench, person) == (ours, set())
    assert (bench.outcomes(CONTACT)[7], reason(bench)) == (("linked", None), None)


def test_a_matched_contact_of_another_account_is_not_linked_where_the_yaml_refuses_it(bench: Bench) -> None:
    other = bench.add_account("Other")
    person, _ = linked(bench, account=other, on_other_account="refuse")
    assert accounts_of(bench, person) == (other, set())
    assert (bench.outcomes(CONTACT)[7], reason(bench)) == (("skipped", "OtherAccountException"), f"ids: {person}, {other}")
    assert bench.rows("SELECT qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == []


def test_a_contact_whose_customer_changed_moves_to_the_new_account(bench: Bench) -> None:
    spec, person, accounts = moved(bench)
    assert dict(bench.load(spec, CONTACT).outcomes) == {"updated": 1}
    assert accounts_of(bench, person) == (accounts[2], set())
    assert dict(bench.load(spec, CONTACT).outcomes) == {"unchanged": 1}


def test_a_move_that_broke_off_is_finished_by_the_next_load(hubspot: Bench) -> None:
    spec, person, accounts = moved(hubspot)
    hubspot.sandbox.faults.add(Fault(path="/associations/.*/create", status=503, service="hubspot"))
    with pytest.raises(ServiceError):
        hubspot.load(spec, CONTACT)
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1,)]
    hubspot.load(spec, CONTACT)
    assert accounts_of(hubspot, person) == (accounts[2], set())
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(2,)]


def test_a_former_account_with_labels_of_the_users_own_is_kept_and_reported(hubspot: Bench) -> None:
    spec, person, accounts = moved(hubspot)
    label = hubspot.sandbox.portal.add_association_label("Lab manager").contact_to_company
    hubspot.sandbox.portal.associate(person, accounts[1], types=(label,))
    assert dict(hubspot.load(spec, CONTACT).outcomes) == {"updated": 1}
    assert accounts_of(hubspot, person) == (accounts[2], {accounts[1]})
    assert reason(hubspot) == f"not_pushed: account {accounts[1]} is kept beside the new one, for its labels"
