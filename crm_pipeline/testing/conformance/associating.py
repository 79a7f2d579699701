"""How contacts come to belong to accounts, where no write carries that, and how they leave them."""

from __future__ import annotations

from crm_pipeline.crms.base import Crm
from crm_pipeline.testing.batches import Put, associations_of, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, ALONE, CONTACT, added, associated, errors_of, fail_on_record, key_of, written


def test_contact_gets_its_account_by_write_or_association(bench: Bench, crm: Crm) -> None:
    account = added(bench, ACCOUNT)
    contact = written(crm, bench.object(CONTACT), Put(7, valid(bench, CONTACT), key=key_of(bench, "7"), parent=account))[7]
    if not contact["parent_sent"]:
        result = associated(crm, associations_of((7, contact["crm_id"], account)))[7]
        assert (result["error_type"], result["parent_sent"]) == (None, True)
    assert bench.parent(contact["crm_id"]) == account


def test_association_is_made_and_may_be_repeated(bench: Bench, crm: Crm) -> None:
    account, contact = added(bench, ACCOUNT), added(bench, CONTACT)
    for _ in range(2):
        assert errors_of(associated(crm, associations_of((7, contact, account)))) == {7: None}
    assert bench.parent(contact) == account


def test_contact_that_leaves_an_account_has_the_new_one(bench: Bench, crm: Crm) -> None:
    old, new = (added(bench, ACCOUNT, number) for number in (1, 2))
    contact = added(bench, CONTACT)
    associated(crm, associations_of((7, contact, old)))
    for _ in range(2):
        assert errors_of(associated(crm, associations_of((7, contact, new), leaving=old))) == {7: None}
    assert bench.parent(contact) == new


def test_account_beside_the_main_one_leaves_that_where_a_contact_can_have_several(bench: Bench, crm: Crm) -> None:
    """Where it can have one only, no association is asked to stand beside another: a second one takes the place of the first."""
    several = bench.kind.capabilities.several_accounts
    first, second = (added(bench, ACCOUNT, number) for number in (1, 2))
    contact = added(bench, CONTACT)
    associated(crm, associations_of((7, contact, first)))
    assert errors_of(associated(crm, associations_of((7, contact, second), beside=several))) == {7: None}
    assert bench.parent(contact) == (first if several else second)


def test_full_batch_of_associations_costs_one_call(bench: Bench, crm: Crm) -> None:
    account = added(bench, ACCOUNT)
    contacts = [added(bench, CONTACT, number) for number in range(crm.capabilities.association_batch_size)]
    results = associated(crm, associations_of(*((number, contact, account) for number, contact in enumerate(contacts))))
    assert errors_of(results) == dict.fromkeys(range(len(contacts)))
    assert {bench.parent(contact) for contact in contacts} == {account}
    assert crm.calls.snapshot()["associate"] == 1


def test_association_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm) -> None:
    account = added(bench, ACCOUNT)
    contacts = [added(bench, CONTACT, number) for number in range(6)]
    fail_on_record(bench, contacts[2])
    results = associated(crm, associations_of(*((number, contact, account) for number, contact in enumerate(contacts))))
    assert errors_of(results) == {**dict.fromkeys(range(6)), 2: ALONE}
    assert [bench.parent(contact) for contact in contacts] == [account, account, None, account, account, account]
