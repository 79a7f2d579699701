"""A contact's account: on a match, and when its customer changes (docs/rules.md, 18 to 20)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, CONTACT, CRM_FIELDS, LEAN_CONTACT_MAP, Bench, Stories, contact, customer
from crm_pipeline_tests.sync.loading.stages import sent, stages

WITHOUT, OF_OTHER, CHANGES_CUSTOMER, LABELLED, TO_MOVE, REFUSED = range(11, 17)
"""Contacts. The CRM has the first two and the last two by their emails, all but the first with an account that is not their
customer's; the others are synced, and their customer changes from 1 to 2."""

OWN_LABEL = "Lab manager"


def add_person(bench: Bench, number: int, *, account: str | None) -> str:
    """A contact that a user of the CRM made, with the email of QBench's."""
    name = CRM_FIELDS[bench.crm, CONTACT]
    return bench.add(CONTACT, {name["last_name"]: "Ruiz", name["email"]: f"person{number}@labs.example.org"}, account=account)


Accounts = tuple[str | None, set[str]]
"""A contact's main account, and those beside it."""


def accounts_of(bench: Bench, person: str) -> Accounts:
    if bench.crm == "salesforce":
        account: str | None = bench.sandbox.org.record("Contact", person)["AccountId"]
        return account, set()
    held = {company: types for one, company, types in bench.sandbox.portal.associations() if one == person}
    main = next((company for company, types in held.items() if 1 in types), None)
    return main, set(held) - {main}


@dataclass(frozen=True)
class Loaded:
    """A load of matched contacts and of contacts whose customer changed, twice; one load that moves, and one that refuses.

    By QBench id of the contacts: their ids in the CRM, their accounts there, their latest outcomes and reasons.
    """

    crm: str
    ours: dict[int, str]
    other: str
    people: dict[int, str]
    first: dict[str, int]
    again: dict[str, int]
    accounts: dict[int, Accounts]
    outcomes: dict[int, tuple[str, str | None]]
    reasons: dict[int, str | None]
    linked: set[int]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def loaded(request: pytest.FixtureRequest, stories: Stories) -> Loaded:
    with stories(request.param) as bench:
        spec = bench.spec(contacts=BY_EMAIL)
        moving, refusing = (bench.spec(contacts={**BY_EMAIL, "on_other_account": policy}) for policy in ("move", "refuse"))
        ours, other = bench.given(spec, ACCOUNT, customer(1), customer(2)), bench.add_account("Other")
        people = {WITHOUT: add_person(bench, WITHOUT, account=None)}
        people |= {number: add_person(bench, number, account=other) for number in (OF_OTHER, TO_MOVE, REFUSED)}
        people |= bench.given(spec, CONTACT, contact(CHANGES_CUSTOMER, of=1), contact(LABELLED, of=1))
        if bench.crm == "hubspot":
            label = bench.sandbox.portal.add_association_label(OWN_LABEL).contact_to_company
            bench.sandbox.portal.associate(people[LABELLED], ours[1], types=(label,))

        bench.stage(spec, CONTACT, contact(WITHOUT, of=1), contact(OF_OTHER, of=1))
        bench.stage(spec, CONTACT, contact(TO_MOVE, 300, of=1), contact(REFUSED, 400, of=1))
        bench.stage(spec, CONTACT, contact(CHANGES_CUSTOMER, 200, of=2), contact(LABELLED, 200, of=2))
        first = dict(bench.load(spec, CONTACT, window=Window(since=None, until=300)).outcomes)
        bench.load(moving, CONTACT, window=Window(since=300, until=400))
        bench.load(refusing, CONTACT, window=Window(since=400, until=500))
        told = bench.rows("SELECT qbench_id, outcome, error_type, reason FROM crm_pipeline.outcome WHERE record_type = 'contact'")
        again = dict(bench.load(spec, CONTACT, window=Window(since=None, until=300)).outcomes)
        return Loaded(
            crm=bench.crm,
            ours=ours,
            other=other,
            people=people,
            first=first,
            again=again,
            accounts={number: accounts_of(bench, person) for number, person in people.items()},
            outcomes={number: (outcome, error_type) for number, outcome, error_type, _ in told},
            reasons={number: reason for number, _, _, reason in told},
            linked={number for (number,) in bench.rows("SELECT qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'")},
        )


def test_a_matched_contact_without_an_account_gets_ours(loaded: Loaded) -> None:
    assert loaded.accounts[WITHOUT] == (loaded.ours[1], set())
    assert (loaded.outcomes[WITHOUT], loaded.reasons[WITHOUT]) == (("linked", None), None)


def test_a_matched_contact_of_another_account_stays_there_and_belongs_to_ours_too_where_it_can(loaded: Loaded) -> None:
    ours, other = loaded.ours[1], loaded.other
    assert loaded.accounts[OF_OTHER] == (other, set() if loaded.crm == "salesforce" else {ours})
    assert loaded.outcomes[OF_OTHER] == ("linked", None)
    assert loaded.reasons[OF_OTHER] == f"not_pushed: account ({ours} wanted, {other} kept)"


@pytest.mark.parametrize(
    ("policy", "main", "beside"),
    [("keep", "other", {"ours"}), ("refuse", "other", {"ours"}), ("move", "ours", set())],
)
def test_a_contact_that_an_earlier_load_linked_but_gave_no_account_is_treated_as_one_that_is_being_linked(
    hubspot: Bench, policy: str, main: str, beside: set[str]
) -> None:
    spec = hubspot.spec(contacts={**BY_EMAIL, "on_other_account": policy})
    account = {"ours": hubspot.given(spec, ACCOUNT, customer(1))[1], "other": hubspot.add_account("Other")}
    person = add_person(hubspot, WITHOUT, account=None)
    hubspot.stage(spec, CONTACT, contact(WITHOUT, of=1))
    for down in (Fault(path="associations/.*create", times=None, status=503), Fault(path="account-info", skip=1, times=None, status=503)):
        hubspot.sandbox.faults.add(down)
    with pytest.raises(ServiceUnavailableError):
        hubspot.load(spec, CONTACT)
    assert hubspot.rows("SELECT origin FROM crm_pipeline.link WHERE record_type = 'contact'") == [("matched",)]
    hubspot.sandbox.faults.clear()
    hubspot.sandbox.portal.associate(person, account["other"])
    hubspot.load(spec, CONTACT)
    assert accounts_of(hubspot, person) == (account[main], {account[name] for name in beside})
    assert hubspot.rows("SELECT id FROM crm_pipeline.open_call") == []


@pytest.mark.parametrize("policy", ["keep", "refuse"])
def test_an_account_that_a_create_without_an_answer_gave_is_left_where_the_customer_is_another_by_now(
    salesforce: Bench, policy: str
) -> None:
    spec = salesforce.spec(contacts={"map": LEAN_CONTACT_MAP, "on_other_account": policy})
    accounts = salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    with stages(salesforce, spec, CONTACT) as load:
        sent(load, load.plan(7))
    salesforce.stage(spec, CONTACT, contact(7, 200, of=2))
    assert salesforce.load(spec, CONTACT).outcomes == {"linked": 1}
    assert salesforce.rows("SELECT reason FROM crm_pipeline.outcome WHERE record_type = 'contact'") == [(None,)]
    (person,) = salesforce.sandbox.org.records("Contact")
    assert person["AccountId"] == accounts[2]


def test_a_matched_contact_of_another_account_moves_where_the_yaml_says_so(loaded: Loaded) -> None:
    assert loaded.accounts[TO_MOVE] == (loaded.ours[1], set())
    assert (loaded.outcomes[TO_MOVE], loaded.reasons[TO_MOVE]) == (("linked", None), None)


def test_a_matched_contact_of_another_account_is_not_linked_where_the_yaml_refuses_it(loaded: Loaded) -> None:
    assert loaded.accounts[REFUSED] == (loaded.other, set())
    assert loaded.outcomes[REFUSED] == ("skipped", "OtherAccountException")
    assert loaded.reasons[REFUSED] == f"ids: {loaded.people[REFUSED]}, {loaded.other}"
    assert REFUSED not in loaded.linked


def test_a_contact_whose_customer_changed_moves_to_the_new_account(loaded: Loaded) -> None:
    assert loaded.outcomes[CHANGES_CUSTOMER] == ("updated", None)
    assert loaded.accounts[CHANGES_CUSTOMER] == (loaded.ours[2], set())


def test_a_former_account_with_labels_of_the_users_own_is_kept_and_reported(loaded: Loaded) -> None:
    # Only HubSpot has labels.
    kept = {"salesforce": set(), "hubspot": {loaded.ours[1]}}[loaded.crm]
    told = {"salesforce": None, "hubspot": f"not_pushed: account {loaded.ours[1]} is kept beside the new one, for its labels"}[loaded.crm]
    assert loaded.outcomes[LABELLED] == ("updated", None)
    assert (loaded.accounts[LABELLED], loaded.reasons[LABELLED]) == ((loaded.ours[2], kept), told)


def test_what_a_load_made_of_contacts_and_accounts_is_unchanged_for_the_next(loaded: Loaded) -> None:
    assert (loaded.first, loaded.again) == ({"linked": 2, "updated": 2}, {"unchanged": 4})


def test_a_move_that_broke_off_is_finished_by_the_next_load(hubspot: Bench) -> None:
    spec = hubspot.spec()
    accounts = hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    person = hubspot.given(spec, CONTACT, contact(7, of=1))[7]
    hubspot.stage(spec, CONTACT, contact(7, 200, of=2))
    hubspot.sandbox.faults.add(Fault(path="/associations/.*/create", status=503, service="hubspot"))
    assert hubspot.load(spec, CONTACT).retryable == 1
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1,)]
    hubspot.load(spec, CONTACT)
    assert accounts_of(hubspot, person) == (accounts[2], set())
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(2,)]


@pytest.mark.parametrize(
    ("bench", "read"), [("salesforce", "/composite/sobjects/Contact$"), ("hubspot", "/contacts/batch/read$")], indirect=["bench"]
)
def test_a_match_whose_account_could_not_be_read_is_linked_by_the_next_load(bench: Bench, read: str) -> None:
    spec = bench.spec(contacts=BY_EMAIL)
    bench.given(spec, ACCOUNT, customer(1))
    person = add_person(bench, 7, account=None)
    bench.stage(spec, CONTACT, contact(7, of=1))
    # The look-up by email before it reads HubSpot's in the same way.
    bench.sandbox.faults.add(Fault(kind="bend", path=read, skip=int(bench.crm == "hubspot"), bend=lambda _: {}))
    assert bench.load(spec, CONTACT).retryable == 1
    assert bench.outcomes(CONTACT) == {7: ("failed", "CrmFailsOnRecordException")}
    bench.load(spec, CONTACT)
    assert bench.outcomes(CONTACT) == {7: ("linked", None)}
    assert accounts_of(bench, person)[0] is not None
