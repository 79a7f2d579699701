"""Contacts that go to a CRM as leads, and what becomes of them when people convert these (docs/rules.md, 52)."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.salesforce.duplicates import STANDARD_PERSON_RULES
from crm_pipeline.schemas import CONVERTED, HOLDERS, LINKS
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.links.check import LinkCheck, Scope
from crm_pipeline.sync.links.converting import judged
from crm_pipeline.sync.loading.preview import Preview
from crm_pipeline.sync.planning.planned_accounts import PlannedAccounts
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_CONTACT_MAP, Bench, Staged, contact, customer

LEAD = RecordType.LEAD
AS_LEAD, AS_CONTACT = ("skipped", "SyncsAsLeadException"), ("skipped", "SyncsAsContactException")
PROSPECTS = {"lead": {"only": {"field": "status", "is": "PROSPECT"}}}
BY_EMAIL = [{"email": {"salesforce": "Email"}}]
MAPPED: dict[str, Any] = {"map": LEAN_CONTACT_MAP, "sync_on": BY_EMAIL, "lead": {"map": LEAN_CONTACT_MAP, "sync_on": BY_EMAIL}}

WITHOUT_MATCH = {**MAPPED, "sync_on": []}


def with_person_rules(bench: Bench) -> None:
    """An organization as it is from the start, which takes contacts and leads of one email for the same."""
    bench.sandbox.org.duplicates_named_in_collections = True
    for rule in STANDARD_PERSON_RULES:
        bench.sandbox.org.add_duplicate_rule(rule)


def leading(bench: Bench, contacts_as: object = "lead", **overrides: Any) -> IntegrationSpec:
    """The integration, whose contacts go as leads."""
    return bench.spec(settings={"contacts_as": contacts_as}, **{"contacts": MAPPED, **overrides})


def staged(bench: Bench, spec: IntegrationSpec, *contacts: Staged) -> None:
    """Contacts staged, and the leads that they are as well."""
    bench.stage(spec, CONTACT, *contacts)
    bench.normalize(spec, LEAD, window=EVERYTHING)


def loaded(bench: Bench, spec: IntegrationSpec) -> None:
    """A run's loads: accounts, contacts, leads."""
    for record_type in spec.records_in("salesforce"):
        bench.load(spec, record_type)


def leads(bench: Bench, *fields: str) -> list[tuple[Any, ...]]:
    """What Salesforce's leads hold."""
    return sorted(tuple(row.get(field) for field in fields) for row in bench.sandbox.org.records("Lead"))


def links(bench: Bench) -> list[tuple[str, int, str, str]]:
    return bench.rows("SELECT record_type, qbench_id, crm_id, status FROM crm_pipeline.link WHERE record_type <> 'account' ORDER BY 1, 2")


def reason(bench: Bench, record_type: RecordType) -> str | None:
    """Why record 7 became what it became."""
    told: str | None
    [(told,)] = bench.rows(f"SELECT reason FROM crm_pipeline.outcome WHERE record_type = '{record_type}' AND qbench_id = 7")
    return told


def checked(bench: Bench, spec: IntegrationSpec, *, scope: Scope = "full") -> LinkCheck:
    """A check of links, the nightly one of all."""
    with closing(bench.connect(spec)) as crm:
        job = LinkCheck([bench.order(spec, each) for each in spec.records_in("salesforce")], policy=spec.links, store=bench.store, crm=crm)
        job.run(scope)
        bench.calls = dict(crm.calls.snapshot())
    return job


def made(bench: Bench, spec: IntegrationSpec, *contacts: Staged) -> dict[int, str]:
    """Contacts of customer 1 that are leads in Salesforce by now; their ids there."""
    bench.stage(spec, ACCOUNT, customer(1))
    staged(bench, spec, *contacts)
    loaded(bench, spec)
    return {qbench_id: crm_id for record_type, qbench_id, crm_id, _ in links(bench) if record_type == LEAD}


def test_contact_goes_as_a_lead_that_names_its_customer_and_needs_no_account(salesforce: Bench) -> None:
    spec = leading(salesforce)
    salesforce.stage(spec, ACCOUNT, customer(1))
    staged(salesforce, spec, contact(7, of=1))
    salesforce.load(spec, CONTACT)
    salesforce.load(spec, LEAD)
    assert leads(salesforce, "Email", "LastName", "Company", "QBench_Id__c") == [("person7@labs.example.org", "Ruiz 7", "Lab 1", "7")]
    assert salesforce.sandbox.org.records("Contact") == [] == salesforce.sandbox.org.records("Account")
    assert salesforce.outcomes(CONTACT) == {7: AS_LEAD}
    assert salesforce.outcomes(LEAD) == {7: ("created", None)}


def test_unchanged_lead_costs_no_write(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    salesforce.load(spec, LEAD)
    assert "write" not in salesforce.calls
    assert salesforce.outcomes(LEAD) == {7: ("unchanged", None)}


def test_edit_in_qbench_reaches_the_lead(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    staged(salesforce, spec, contact(7, 200, of=1, last_name="Ruiz-Soto"))
    loaded(salesforce, spec)
    assert leads(salesforce, "LastName") == [("Ruiz-Soto",)]


def test_customers_new_name_reaches_the_company_of_its_leads_in_its_hour(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    salesforce.stage(spec, ACCOUNT, customer(1, 900_000, customer_name="Lab One"))
    of_its_hour = Window(since=900_000, until=900_001)
    salesforce.normalize(spec, LEAD, window=of_its_hour)
    taken = {each: salesforce.load(spec, each, window=of_its_hour).replanned for each in (ACCOUNT, CONTACT, LEAD)}
    assert (leads(salesforce, "Company"), taken) == ([("Lab One",)], {ACCOUNT: 0, CONTACT: 0, LEAD: 1})
    assert salesforce.load(spec, LEAD, window=of_its_hour).replanned == 0


def test_only_contacts_that_meet_the_rule_go_as_leads(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    made(salesforce, spec, contact(7, of=1, status="prospect"), contact(8, of=1, status="CUSTOMER"), contact(9, of=1))
    assert salesforce.outcomes(CONTACT) == {7: AS_LEAD, 8: ("created", None), 9: ("created", None)}
    assert salesforce.outcomes(LEAD) == {7: ("created", None), 8: AS_CONTACT, 9: AS_CONTACT}
    assert salesforce.emails() == ["person8@labs.example.org", "person9@labs.example.org"]


def test_contact_that_meets_the_rule_later_stays_a_contact_and_a_lead_that_does_not_any_more_a_lead(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    made(salesforce, spec, contact(7, of=1, status="PROSPECT"), contact(8, of=1))
    before = links(salesforce)
    staged(salesforce, spec, contact(7, 200, of=1, last_name="Now"), contact(8, 200, of=1, status="PROSPECT", last_name="Then"))
    loaded(salesforce, spec)
    assert links(salesforce) == before
    assert leads(salesforce, "LastName") == [("Now",)]
    assert salesforce.values(CONTACT, "LastName") == ["Then"]


def test_where_no_contact_goes_as_a_lead_any_more_contacts_are_made_and_leads_stay_as_they_are(salesforce: Bench) -> None:
    made(salesforce, leading(salesforce), contact(7, of=1))
    spec = salesforce.spec(settings={"contacts_as": "contact"}, contacts={name: value for name, value in MAPPED.items() if name != "lead"})
    salesforce.stage(spec, CONTACT, contact(7, 200, of=1, last_name="Now"))
    loaded(salesforce, spec)
    assert (leads(salesforce, "LastName"), salesforce.values(CONTACT, "LastName")) == ([("Ruiz 7",)], ["Now"])


def test_contact_that_the_crm_has_is_linked_and_no_lead_is_made(salesforce: Bench) -> None:
    spec = leading(salesforce)
    there = salesforce.add(CONTACT, {"LastName": "Ruiz", "Email": "person7@labs.example.org"})
    made(salesforce, spec, contact(7, of=1))
    assert leads(salesforce, "Id") == []
    assert links(salesforce) == [("contact", 7, there, "live")]
    assert salesforce.outcomes(LEAD) == {7: AS_CONTACT}


def test_contact_that_the_crm_has_is_no_lead_though_its_customer_is_not_there(salesforce: Bench) -> None:
    spec = leading(salesforce)
    salesforce.add(CONTACT, {"LastName": "Ruiz", "Email": "person7@labs.example.org"})
    staged(salesforce, spec, contact(7, of=1))
    salesforce.load(spec, CONTACT)
    salesforce.load(spec, LEAD)
    assert leads(salesforce, "Id") == []
    assert salesforce.outcomes(CONTACT) == {7: ("deferred", "CustomerNotYetSyncedException")}


def test_open_lead_that_the_crm_has_is_linked_and_a_converted_one_passed_over(salesforce: Bench) -> None:
    spec = leading(salesforce)
    org = salesforce.sandbox.org
    dead = org.add("Lead", {"LastName": "Ruiz", "Company": "Old", "Email": "person8@labs.example.org"})
    _, former = org.convert_lead(dead)
    org.update("Contact", former, {"Email": "elsewhere@labs.example.org"})
    there = org.add("Lead", {"LastName": "Ruiz", "Company": "Theirs", "Email": "person7@labs.example.org"})
    ids = made(salesforce, spec, contact(7, of=1), contact(8, of=1))
    assert ids[7] == there
    assert ids[8] != dead


@pytest.mark.parametrize("content", [{"email_address": None}, {"status": "X"}])
def test_contact_that_may_not_sync_is_no_lead(salesforce: Bench, content: dict[str, Any]) -> None:
    spec = leading(salesforce, contacts={**MAPPED, "only": {"field": "status", "is_not": "X"}})
    made(salesforce, spec, contact(7, of=1, **content))
    assert leads(salesforce, "Id") == []


def test_of_two_contacts_with_one_email_one_becomes_a_lead(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1), contact(8, of=1, email_address="person7@labs.example.org"))
    assert len(leads(salesforce, "Id")) == 1
    assert set(salesforce.outcomes(LEAD).values()) == {("created", None), AS_CONTACT}


def test_link_moves_to_the_contact_that_a_lead_became_and_nothing_is_written_to_the_lead(salesforce: Bench) -> None:
    spec = leading(salesforce)
    org = salesforce.sandbox.org
    org.edits_converted_leads = True
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    _, became = org.convert_lead(lead, carried={"QBench_Id__c": "QBench_Id__c"})
    staged(salesforce, spec, contact(7, 200, of=1, last_name="Ruiz-Soto"))
    salesforce.load(spec, CONTACT)
    salesforce.load(spec, LEAD)
    assert links(salesforce) == [("contact", 7, became, "live")]
    assert leads(salesforce, "LastName") == [("Ruiz 7",)]
    salesforce.load(spec, CONTACT)
    assert salesforce.values(CONTACT, "LastName") == ["Ruiz-Soto"]
    assert salesforce.outcomes(CONTACT) == {7: ("updated", None)}
    salesforce.load(spec, LEAD)
    assert salesforce.outcomes(LEAD) == {7: AS_CONTACT}
    assert len(org.records("Contact")) == len(org.records("Lead")) == 1


@pytest.mark.parametrize("scope", ["recent", "full"])
def test_check_of_links_follows_a_conversion_and_the_contact_gets_its_key(salesforce: Bench, scope: Scope) -> None:
    spec = leading(salesforce)
    ids = made(salesforce, spec, contact(7, of=1), contact(8, of=1, email_address="other@labs.example.org"))
    _, became = salesforce.sandbox.org.convert_lead(ids[7])
    counts = checked(salesforce, spec, scope=scope).reports[-1].counts
    assert (counts["checked"], counts["converted"]) == (2 if scope == "full" else 1, 1)
    assert links(salesforce) == [("contact", 7, became, "live"), ("lead", 8, ids[8], "live")]
    loaded(salesforce, spec)
    assert salesforce.values(CONTACT, "QBench_Id__c") == ["7"]
    assert salesforce.outcomes(CONTACT)[7] == ("updated", None)


def test_hourly_check_of_leads_in_order_asks_one_question_of_each_object(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    assert checked(salesforce, spec, scope="recent").reports[-1].counts["checked"] == 0
    # Account, Contact, Lead.
    assert salesforce.calls["read"] == 3


def test_contact_stays_in_the_account_that_people_converted_it_into(salesforce: Bench) -> None:
    spec = leading(salesforce)
    org = salesforce.sandbox.org
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    theirs = org.add("Account", {"Name": "Theirs"})
    org.convert_lead(lead, account_id=theirs)
    checked(salesforce, spec)
    loaded(salesforce, spec)
    assert [row["AccountId"] for row in org.records("Contact")] == [theirs]


def test_account_that_a_conversion_made_becomes_that_of_a_customer_without_one(salesforce: Bench) -> None:
    spec = leading(salesforce)
    salesforce.stage(spec, ACCOUNT, customer(1))
    staged(salesforce, spec, contact(7, of=1))
    salesforce.load(spec, CONTACT)
    salesforce.load(spec, LEAD)
    [(lead,)] = leads(salesforce, "Id")
    account, _ = salesforce.sandbox.org.convert_lead(lead)
    checked(salesforce, spec)
    assert salesforce.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = 'account'") == [(1, account)]
    loaded(salesforce, spec)
    assert len(salesforce.sandbox.org.records("Account")) == 1


def test_conversion_into_a_contact_that_another_holds_is_a_conflict_that_names_both(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    org = salesforce.sandbox.org
    [lead] = made(salesforce, spec, contact(7, of=1, status="PROSPECT"), contact(8, of=1)).values()
    [held] = [row["Id"] for row in org.records("Contact")]
    org.convert_lead(lead, contact_id=held)
    assert checked(salesforce, spec).reports[-1].counts["conflict"] == 1
    assert links(salesforce) == [("contact", 8, held, "live"), ("lead", 7, lead, "conflict")]
    assert reason(salesforce, LEAD) == f"{lead} was converted into {held}, which is linked to QBench id 8"
    staged(salesforce, spec, contact(7, 200, of=1, status="PROSPECT", last_name="New"))
    loaded(salesforce, spec)
    assert salesforce.outcomes(LEAD)[7] == ("skipped", "LinkConflictException")
    assert leads(salesforce, "LastName") == [("Ruiz 7",)]
    assert salesforce.values(CONTACT, "LastName") == ["Ruiz 8"]


def test_converted_lead_that_carries_the_key_is_followed_though_no_link_is_known(salesforce: Bench) -> None:
    spec = leading(salesforce)
    [lead] = made(salesforce, spec, contact(7, of=1)).values()
    _, became = salesforce.sandbox.org.convert_lead(lead)
    salesforce.sandbox.org.update("Contact", became, {"Email": "elsewhere@labs.example.org"})
    salesforce.rows("DELETE FROM crm_pipeline.link RETURNING 1")
    loaded(salesforce, spec)
    assert links(salesforce) == [("contact", 7, became, "live")]
    assert len(salesforce.sandbox.org.records("Lead")) == 1


def test_lead_that_became_no_contact_and_one_that_became_a_person_account_are_conflicts() -> None:
    converted = CONVERTED.build(
        {
            "crm_id": ["L1", "L2", "L3"],
            "contact_crm_id": [None, "C2", "C3"],
            "account_crm_id": [None, "A2", "A3"],
            "person": [False, True, False],
        }
    )
    rows = converted.assign(qbench_id=[1, 2, 3], origin="created", parent_qbench_id=None)
    found = judged(rows, HOLDERS.empty(), contacts=LINKS.empty(), integration="acme")
    assert found["obstacle"].astype(object).where(found["obstacle"].notna(), None).tolist() == [
        "L1 was converted, and into no contact",
        "L2 was converted into C2, which is a person account",
        None,
    ]


def test_lead_whose_contact_was_deleted_in_qbench_stays_and_is_written_no_more(salesforce: Bench) -> None:
    spec = leading(salesforce)
    made(salesforce, spec, contact(7, of=1))
    with salesforce.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE crm_pipeline.raw_record SET deleted = true, version = 200 WHERE record_type = 'contact'")
    for record_type in (CONTACT, LEAD):
        salesforce.normalize(spec, record_type, window=EVERYTHING)
    loaded(salesforce, spec)
    assert salesforce.outcomes(LEAD) == {7: ("skipped", "DeletedInQBenchException")}
    assert len(salesforce.sandbox.org.records("Lead")) == 1


def test_a_thousand_leads_cost_five_writes(salesforce: Bench) -> None:
    spec = leading(salesforce)
    salesforce.stage(spec, ACCOUNT, customer(1))
    staged(salesforce, spec, *(contact(number, of=1) for number in range(1, 1_001)))
    salesforce.load(spec, CONTACT)
    assert "write" not in salesforce.calls
    salesforce.load(spec, LEAD)
    assert salesforce.calls["write"] == 5
    assert len(salesforce.sandbox.org.records("Lead")) == 1_000


def test_preview_shows_leads_before_their_contacts_are_loaded(salesforce: Bench) -> None:
    spec = leading(salesforce, PROSPECTS)
    salesforce.stage(spec, ACCOUNT, customer(1))
    staged(salesforce, spec, contact(7, of=1, status="PROSPECT"), contact(8, of=1))
    with closing(salesforce.connect(spec)) as crm:
        state = salesforce.order(spec, ACCOUNT).state
        preview = Preview(store=salesforce.store, crm=crm, accounts=PlannedAccounts(state))
        found = {each: preview.forecast(salesforce.order(spec, each), EVERYTHING).planned for each in spec.records_in("salesforce")}
    assert {reason: tally.sample_ids for reason, tally in found[LEAD].items()} == {("create", None): [7], AS_CONTACT: [8]}
    assert salesforce.sandbox.org.records("Lead") == []


def test_lead_that_a_duplicate_rule_takes_for_a_contact_is_refused_by_its_id_unless_the_yaml_allows_it(salesforce: Bench) -> None:
    with_person_rules(salesforce)
    spec = leading(salesforce, contacts=WITHOUT_MATCH)
    there = salesforce.add(CONTACT, {"LastName": "Ruiz", "Email": "person7@labs.example.org"})
    made(salesforce, spec, contact(7, of=1))
    assert salesforce.outcomes(LEAD) == {7: ("skipped", "ExistingRecordException")}
    assert reason(salesforce, LEAD) == f"code: DUPLICATES_DETECTED; matches Contact {there}"
    loaded(salesforce, salesforce.spec(settings={"contacts_as": "lead", "allow_duplicates": "all"}, contacts=WITHOUT_MATCH))
    assert leads(salesforce, "Email") == [("person7@labs.example.org",)]


def test_contact_that_a_duplicate_rule_takes_for_a_lead_is_refused_by_its_id(salesforce: Bench) -> None:
    with_person_rules(salesforce)
    spec = leading(salesforce, PROSPECTS, contacts=WITHOUT_MATCH)
    there = salesforce.sandbox.org.add("Lead", {"LastName": "Ruiz", "Company": "Theirs", "Email": "person7@labs.example.org"})
    made(salesforce, spec, contact(7, of=1))
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "ExistingRecordException")}
    assert reason(salesforce, CONTACT) == f"code: DUPLICATES_DETECTED; matches Lead {there}"


@pytest.mark.parametrize("auto_assign", [None, False, {"leads": False}, {"contacts": False}])
def test_assignment_rules_run_for_leads_unless_the_yaml_says_no(salesforce: Bench, auto_assign: object) -> None:
    org = salesforce.sandbox.org
    org.assigned_owner["Lead"] = lambda _row: org.person_id
    spec = salesforce.spec(settings={"contacts_as": "lead", "auto_assign": auto_assign}, contacts=MAPPED)
    made(salesforce, spec, contact(7, of=1))
    assert leads(salesforce, "OwnerId") == [(org.user_id if auto_assign in (False, {"leads": False}) else org.person_id,)]
