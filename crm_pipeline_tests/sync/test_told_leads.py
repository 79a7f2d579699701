"""Contacts and leads that wait for each other are told what changes for them, and follow though they did not change themselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.conversions import move_to_contacts
from crm_pipeline.store.manual_links import make_link, move_link, remove_link
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.links.converting import CONVERSIONS, follow_conversions
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.made_in_qbench import link_anew
from crm_pipeline.sync.planning.selection import Named
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.extracting.test_deletions import delete
from crm_pipeline_tests.sync.test_leads import (
    AS_CONTACT,
    AS_LEAD,
    LEAD,
    MAPPED,
    PROSPECTS,
    checked,
    leading,
    links,
    made,
    reason,
    staged,
)

LATER = Window(since=900_000, until=900_001)
"""An hour in which no record changed."""

SHARED = "person7@labs.example.org"


def an_hour(bench: Bench, spec: IntegrationSpec, *record_types: RecordType) -> dict[RecordType, int]:
    """A later hour: what is normalized and loaded in it; how many records were planned though they did not change."""
    for record_type in spec.records:
        bench.normalize(spec, record_type, window=LATER)
    return {each: bench.load(spec, each, window=LATER).replanned for each in record_types or spec.records_in("salesforce")}


def converted(bench: Bench, lead: str) -> str:
    """People make a contact of a lead; its id."""
    _, became = bench.sandbox.org.convert_lead(lead)
    return became


def test_in_an_hour_without_changes_no_contact_that_is_a_lead_and_no_lead_that_is_a_contact_is_planned(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    made(salesforce, spec, contact(7, of=1, status="PROSPECT"), contact(8, of=1))
    assert (salesforce.outcomes(CONTACT)[7], salesforce.outcomes(LEAD)[8]) == (AS_LEAD, AS_CONTACT)
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 0}


def test_an_edited_account_plans_none_of_its_contacts_that_are_leads(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, comments="New"))
    salesforce.load(spec, ACCOUNT)
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 0}


def test_converted_lead_is_sent_as_the_contact_that_it_became_by_the_next_hour(salesforce: Bench) -> None:
    spec = leading(salesforce)
    ids = made(salesforce, spec, contact(7, of=1), contact(8, of=1, email_address="other@labs.example.org"))
    converted(salesforce, ids[7])
    checked(salesforce, spec, scope="recent")
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 1, LEAD: 0}
    assert salesforce.values(CONTACT, "QBench_Id__c") == ["7"]
    assert (salesforce.outcomes(CONTACT), salesforce.outcomes(LEAD)[7]) == ({7: ("updated", None), 8: AS_LEAD}, AS_CONTACT)
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 0}


def test_lead_that_a_load_finds_converted_is_sent_as_a_contact_by_the_next_hour(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    converted(salesforce, lead)
    salesforce.normalize(spec, LEAD, window=LATER)
    staged(salesforce, spec, contact(7, 200, of=1, last_name="Ruiz-Soto"))
    salesforce.load(spec, CONTACT)
    salesforce.load(spec, LEAD)
    assert an_hour(salesforce, spec)[CONTACT] == 1
    assert salesforce.values(CONTACT, "LastName") == ["Ruiz-Soto"]


def test_check_that_is_killed_once_the_link_has_moved_leaves_the_contact_to_the_next_hour(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    converted(salesforce, lead)
    order = salesforce.order(spec, LEAD)
    with salesforce.store.transaction() as connection:
        found = order.state.links(connection, ids=[7])
    with closing(salesforce.connect(spec)) as crm:
        follow_conversions(order, found, store=salesforce.store, crm=crm, org_id=salesforce.org_id)
    an_hour(salesforce, spec)
    assert salesforce.values(CONTACT, "QBench_Id__c") == ["7"]


def test_link_that_could_not_be_moved_opens_nothing(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    before = links(salesforce)
    row = {"qbench_id": [7], "crm_id": [lead], "origin": ["created"], "parent_qbench_id": [1], "contact_crm_id": ["003"]}
    found = CONVERSIONS.build({**row, "account_crm_id": [None], "obstacle": [None]})
    with salesforce.store.transaction() as connection:
        move_to_contacts(connection, salesforce.order(spec, LEAD).state, org_id=salesforce.org_id, moves=found)
        assert links(salesforce) == before, "others do not see it yet"
        connection.rollback()
    assert links(salesforce) == before
    assert an_hour(salesforce, spec)[CONTACT] == 0


def test_load_that_breaks_off_before_it_sends_a_converted_lead_leaves_it_to_the_next(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    converted(salesforce, lead)
    checked(salesforce, spec)
    salesforce.sandbox.faults.add(Fault(service="salesforce", times=None, status=503))
    with pytest.raises(ServiceUnavailableError):
        an_hour(salesforce, spec, CONTACT)
    salesforce.sandbox.faults.clear()
    assert an_hour(salesforce, spec)[CONTACT] == 1
    assert salesforce.values(CONTACT, "QBench_Id__c") == ["7"]


def by_hand(bench: Bench, spec: IntegrationSpec, there: str) -> None:
    with bench.store.transaction() as connection:
        make_link(connection, bench.order(spec, CONTACT).state, org_id=bench.org_id, qbench_id=7, crm_id=there)


def moved_by_hand(bench: Bench, spec: IntegrationSpec, there: str) -> None:
    state = bench.order(spec, CONTACT).state
    with bench.store.transaction() as connection:
        make_link(connection, state, org_id=bench.org_id, qbench_id=8, crm_id=there)
        move_link(connection, state, qbench_id=8, to=7)


def found_to_be_made_of_it(bench: Bench, spec: IntegrationSpec, there: str) -> None:
    with bench.store.transaction() as connection:
        link_anew(connection, bench.order(spec, CONTACT), org_id=bench.org_id, crm_id=there, qbench_id=7)


@pytest.mark.parametrize("link", [by_hand, moved_by_hand, found_to_be_made_of_it])
def test_contact_that_is_linked_beside_its_lead_is_sent_by_the_next_hour(
    salesforce: Bench, link: Callable[[Bench, IntegrationSpec, str], None]
) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1), contact(8, of=1))
    there = salesforce.add(CONTACT, {"LastName": "Elsewhere"})
    link(salesforce, spec, there)
    an_hour(salesforce, spec)
    assert salesforce.values(CONTACT, "LastName") == ["Ruiz 7"]
    assert salesforce.outcomes(CONTACT) == {7: ("updated", None), 8: AS_LEAD}


def two_of_one_address(bench: Bench) -> IntegrationSpec:
    """Contacts 7 and 8 of one address, of which 7 is a lead, and gives the address up then."""
    spec = leading(bench)
    made(bench, spec, contact(7, of=1), contact(8, of=1, email_address=SHARED))
    assert bench.outcomes(LEAD) == {7: ("created", None), 8: AS_CONTACT}
    staged(bench, spec, contact(7, 200, of=1, email_address="new@labs.example.org"))
    return spec


def test_contact_that_becomes_free_to_go_as_a_lead_goes_in_the_same_hour(salesforce: Bench) -> None:
    spec = two_of_one_address(salesforce)
    an_hour(salesforce, spec)
    assert salesforce.outcomes(CONTACT)[8] == AS_LEAD
    assert salesforce.outcomes(LEAD)[8] == ("created", None)


def test_lead_follows_its_contact_though_the_hour_ended_between_them(salesforce: Bench) -> None:
    spec = two_of_one_address(salesforce)
    an_hour(salesforce, spec, ACCOUNT, CONTACT)
    assert (salesforce.outcomes(CONTACT)[8], salesforce.outcomes(LEAD)[8]) == (AS_LEAD, AS_CONTACT)
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 1}
    assert salesforce.outcomes(LEAD)[8] == ("created", None)


def as_contacts(bench: Bench) -> IntegrationSpec:
    """The integration, whose contacts go as leads no more."""
    return bench.spec(settings={"contacts_as": "contact"}, contacts={name: value for name, value in MAPPED.items() if name != "lead"})


def test_contacts_that_go_as_leads_no_more_are_made_by_the_next_hour_though_they_did_not_change(salesforce: Bench) -> None:
    made(salesforce, leading(salesforce), contact(7, of=1))
    an_hour(salesforce, leading(salesforce))
    assert an_hour(salesforce, as_contacts(salesforce)) == {ACCOUNT: 0, CONTACT: 1}
    assert salesforce.values(CONTACT, "LastName") == ["Ruiz 7"]


def test_contacts_that_come_to_go_as_leads_go_by_the_next_hour_where_something_keeps_them_from_being_contacts(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    salesforce.stage(spec, ACCOUNT, customer(1))
    staged(salesforce, spec, contact(7, of=1))
    for record_type in (CONTACT, LEAD):
        salesforce.load(spec, record_type)
    assert salesforce.outcomes(LEAD) == {7: AS_CONTACT}
    an_hour(salesforce, leading(salesforce))
    assert salesforce.outcomes(LEAD) == {7: ("created", None)}


def test_contact_that_becomes_a_lead_by_an_old_mapping_is_normalized_by_the_new_one_in_the_next_hour(salesforce: Bench) -> None:
    spec = leading(salesforce)
    there = salesforce.add(CONTACT, {"LastName": "Ruiz", "Email": SHARED})
    made(salesforce, spec, contact(7, of=1))
    later = as_contacts(salesforce)
    an_hour(salesforce, later)
    salesforce.sandbox.org.delete("Contact", there)
    with salesforce.store.transaction() as connection:
        remove_link(connection, salesforce.order(spec, CONTACT).state, qbench_id=7)
    with closing(salesforce.connect(later)) as crm:
        Load(salesforce.order(later, CONTACT), store=salesforce.store, crm=crm).run(Named((7,)))
    assert salesforce.outcomes(CONTACT) == {7: AS_LEAD}
    an_hour(salesforce, later)
    assert salesforce.outcomes(CONTACT) == {7: ("created", None)}


def test_contacts_without_a_lead_are_looked_for_by_a_key_that_the_settings_come_to_name(salesforce: Bench) -> None:
    unmatched = {**MAPPED, "sync_on": [], "lead": {**MAPPED["lead"], "sync_on": []}}
    before = leading(salesforce, contacts=unmatched, external_keys=False)
    there = salesforce.add(CONTACT, {"LastName": "Earlier", "QBench_Id__c": "7"})
    salesforce.stage(before, ACCOUNT, customer(1))
    staged(salesforce, before, contact(7, of=1))
    for record_type in (ACCOUNT, CONTACT):
        salesforce.load(before, record_type)
    assert salesforce.outcomes(CONTACT) == {7: AS_LEAD}
    after = leading(salesforce, contacts=unmatched)
    checked(salesforce, after, scope="recent")
    an_hour(salesforce, after)
    assert links(salesforce) == [("contact", 7, there, "live")]


def test_contact_whose_customer_qbench_deletes_is_no_lead_until_it_is_back(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    an_hour(salesforce, spec)
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException")}
    salesforce.stage(spec, ACCOUNT, customer(1, 300))
    an_hour(salesforce, spec)
    assert salesforce.outcomes(CONTACT) == {7: AS_LEAD}


def test_nightly_check_tells_what_a_run_of_an_older_version_told_nobody(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    before = salesforce.rows("SELECT qbench_id, state_digest FROM crm_pipeline.outcome WHERE record_type = 'contact'")
    converted(salesforce, lead)
    checked(salesforce, spec)
    with salesforce.store.transaction() as connection:
        for qbench_id, digest in before:
            connection.exec_driver_sql(
                "UPDATE crm_pipeline.outcome SET state_digest = %s WHERE record_type = 'contact' AND qbench_id = %s", (digest, qbench_id)
            )
    assert an_hour(salesforce, spec)[CONTACT] == 0
    checked(salesforce, spec)
    assert an_hour(salesforce, spec)[CONTACT] == 1
    assert salesforce.values(CONTACT, "QBench_Id__c") == ["7"]


def a_gone_lead(bench: Bench) -> IntegrationSpec:
    """Contacts 7 and 8 that are leads, of which people deleted the first."""
    spec = leading(bench)
    ids = made(bench, spec, contact(7, of=1), contact(8, of=1))
    bench.sandbox.org.delete("Lead", ids[7])
    checked(bench, spec)
    an_hour(bench, spec)
    assert bench.outcomes(LEAD) == {7: ("skipped", "DeletedInCrmException"), 8: ("created", None)}
    return spec


def test_leads_name_what_keeps_their_contacts_back_also_those_that_people_deleted(salesforce: Bench) -> None:
    spec = a_gone_lead(salesforce)
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    an_hour(salesforce, spec)
    assert salesforce.outcomes(CONTACT) == dict.fromkeys((7, 8), ("skipped", "CustomerNotSyncedException"))
    assert salesforce.outcomes(LEAD) == dict.fromkeys((7, 8), AS_CONTACT)
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 0}
    salesforce.stage(spec, ACCOUNT, customer(1, 300))
    an_hour(salesforce, spec)
    assert salesforce.outcomes(LEAD) == {7: ("skipped", "DeletedInCrmException"), 8: ("unchanged", None)}


def test_lead_that_people_delete_while_its_contact_is_kept_back_goes_on_naming_that(salesforce: Bench) -> None:
    spec = leading(salesforce)
    ids = made(salesforce, spec, contact(7, of=1))
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    an_hour(salesforce, spec)
    salesforce.sandbox.org.delete("Lead", ids[7])
    checked(salesforce, spec)
    an_hour(salesforce, spec)
    assert (salesforce.outcomes(LEAD), links(salesforce)) == ({7: AS_CONTACT}, [("lead", 7, ids[7], "deleted")])


def test_leads_beside_which_a_contact_is_linked_by_hand_name_it(salesforce: Bench) -> None:
    spec = a_gone_lead(salesforce)
    there = {number: salesforce.add(CONTACT, {"LastName": "Elsewhere"}) for number in (7, 8)}
    with salesforce.store.transaction() as connection:
        for number, crm_id in there.items():
            make_link(connection, salesforce.order(spec, CONTACT).state, org_id=salesforce.org_id, qbench_id=number, crm_id=crm_id)
    an_hour(salesforce, spec)
    assert salesforce.outcomes(LEAD) == dict.fromkeys((7, 8), AS_CONTACT)
    assert reason(salesforce, LEAD) == f"contact:{there[7]}"


def test_lead_in_conflict_whose_contact_is_kept_back_says_the_same_after_each_check(salesforce: Bench) -> None:
    spec = leading(salesforce)
    ids = made(salesforce, spec, contact(7, of=1))
    salesforce.sandbox.org.convert_lead(ids[7], contact_id=salesforce.given(spec, CONTACT, contact(8, of=1))[8])
    checked(salesforce, spec)
    assert salesforce.outcomes(LEAD)[7] == ("skipped", "LinkConflictException")
    delete(salesforce, spec, ACCOUNT, customer(1, 200))
    for _ in range(2):
        an_hour(salesforce, spec)
        checked(salesforce, spec)
        assert salesforce.outcomes(LEAD)[7] == AS_CONTACT
    assert an_hour(salesforce, spec) == {ACCOUNT: 0, CONTACT: 0, LEAD: 0}
