"""Links are compared with the CRM: merges, deletions, restored records, lost keys and other accounts (docs/rules.md, 27 to 29)."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.errors import ServiceError, StoreError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.links.check import LinkCheck, LinkReport, Scope
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.explaining import explaining
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, CRM_FIELDS, OBJECTS, Bench, Stories, Sugar, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, stages

NOW = Window(since=900, until=1_000)
"""The window of a later run, in which nothing changed."""

CHANGED = Window(since=200, until=201)
"""The window of what changed in QBench since the links were made."""

Links = dict[int, tuple[str, str, str | None]]
"""CRM id, status and merged_into by QBench id."""

Outcomes = dict[int, tuple[str, str | None]]
"""Outcome and error type by QBench id."""

Findings = dict[int, set[str]]
"""What a check found, by QBench id; records about which there was nothing to say are missing."""

REPORT, RECREATE, UNLINK = LinkPolicy(), LinkPolicy(when_deleted="recreate"), LinkPolicy(when_deleted="unlink")


def reports(bench: Bench, spec: IntegrationSpec, *, scope: Scope = "full", policy: LinkPolicy = REPORT) -> list[LinkReport]:
    """What a check reports; ``bench.calls`` tells what it cost."""
    with closing(bench.connect(spec)) as crm:
        orders = [bench.order(spec, record_type, run_id="check") for record_type in spec.records]
        job = LinkCheck(orders, policy=policy, store=bench.store, crm=crm)
        job.run(scope)
        bench.calls = crm.calls.snapshot()
    return job.reports


def check(bench: Bench, spec: IntegrationSpec, *, scope: Scope = "full", policy: LinkPolicy = REPORT) -> dict[RecordType, dict[str, int]]:
    """What a check counted, by record type."""
    told = reports(bench, spec, scope=scope, policy=policy)
    return {report.record_type: {name: count for name, count in report.counts.items() if count} for report in told}


def findings(bench: Bench, spec: IntegrationSpec, *, scope: Scope = "full", policy: LinkPolicy = REPORT) -> dict[RecordType, Findings]:
    """What a check found about each record, by record type."""
    told = {}
    for report in reports(bench, spec, scope=scope, policy=policy):
        told[report.record_type] = found = defaultdict[int, set[str]](set)
        for name, ids in report.samples.items():
            assert len(ids) == report.counts[name], f"more {name} than the report has samples of"
            for qbench_id in ids:
                found[qbench_id].add(name)
    return {record_type: dict(found) for record_type, found in told.items()}


def accounts_only(bench: Bench, number: int, *, external_keys: bool = True) -> IntegrationSpec:
    """Customers 1, 2 … in the CRM, of an integration without contacts."""
    spec = bench.spec(contacts=None, external_keys=external_keys)
    bench.given(spec, ACCOUNT, *(customer(each) for each in range(1, number + 1)))
    return spec


def synced(bench: Bench, *, customers: int) -> IntegrationSpec:
    """Customers 1, 2 …, each with one contact 11, 12 …, in the CRM."""
    spec = bench.spec()
    bench.given(spec, ACCOUNT, *(customer(number) for number in range(1, customers + 1)))
    bench.given(spec, CONTACT, *(contact(10 + number, of=number) for number in range(1, customers + 1)))
    return spec


def links(bench: Bench, record_type: RecordType = ACCOUNT) -> Links:
    rows = bench.rows(f"SELECT qbench_id, crm_id, status, merged_into FROM crm_pipeline.link WHERE record_type = '{record_type}'")
    return {qbench_id: (crm_id, status, merged) for qbench_id, crm_id, status, merged in rows}


def linked(bench: Bench, qbench_id: int, record_type: RecordType = ACCOUNT) -> str:
    return links(bench, record_type)[qbench_id][0]


def delete(bench: Bench, crm_id: str, record_type: RecordType = ACCOUNT) -> None:
    name = OBJECTS[bench.crm, record_type]
    if isinstance(bench, Sugar):
        bench.site.delete(name, crm_id)
    elif bench.crm == "salesforce":
        bench.sandbox.org.delete(name, crm_id)
    else:
        bench.sandbox.portal.archive(name, crm_id)


def restore(bench: Bench, crm_id: str, record_type: RecordType = ACCOUNT) -> None:
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        bench.sandbox.org.undelete(name, crm_id)
    else:
        bench.sandbox.portal.restore(name, crm_id)


def merge(bench: Bench, winner: str, loser: str, record_type: RecordType = ACCOUNT) -> str:
    """Merge two records and return the id of what they are now."""
    name = OBJECTS[bench.crm, record_type]
    if isinstance(bench, Sugar):
        bench.site.merge(name, winner, loser)
        return winner
    if bench.crm == "salesforce":
        bench.sandbox.org.merge(name, winner, [loser])
        return winner
    return bench.sandbox.portal.merge(name, winner, loser)


def records(bench: Bench, record_type: RecordType) -> dict[str, dict[str, Any]]:
    """The fields of the CRM's records by CRM id."""
    name = OBJECTS[bench.crm, record_type]
    if isinstance(bench, Sugar):
        return {record["id"]: record for record in bench.site.records(name)}
    if bench.crm == "salesforce":
        return {record["Id"]: record for record in bench.sandbox.org.records(name)}
    return {record["id"]: record["properties"] for record in bench.sandbox.portal.records(name)}


def edit(bench: Bench, crm_id: str, values: dict[str, Any], record_type: RecordType = ACCOUNT) -> None:
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        bench.sandbox.org.update(name, crm_id, values)
    else:
        bench.sandbox.portal.update(name, crm_id, {field: value or "" for field, value in values.items()})


def key_field(bench: Bench) -> str:
    return "QBench_Id__c" if bench.crm == "salesforce" else "qbench_id"


def name_field(bench: Bench) -> str:
    return CRM_FIELDS[bench.crm, ACCOUNT]["name"]


def account_of(bench: Bench, contact_id: str) -> str | None:
    if isinstance(bench, Sugar):
        return next(iter(bench.site.accounts_of(contact_id)), None)
    if bench.crm == "salesforce":
        account: str | None = bench.sandbox.org.record("Contact", contact_id)["AccountId"]
        return account
    return next((company for person, company, types in bench.sandbox.portal.associations() if person == contact_id and 1 in types), None)


def give_account(bench: Bench, contact_id: str, account_id: str) -> None:
    if bench.crm == "salesforce":
        edit(bench, contact_id, {"AccountId": account_id}, CONTACT)
    else:
        bench.sandbox.portal.associate(contact_id, account_id)


def later(bench: Bench, spec: IntegrationSpec, record_type: RecordType = ACCOUNT) -> dict[str, int]:
    """The outcomes of a later load in whose window nothing changed."""
    return dict(bench.load(spec, record_type, window=NOW).outcomes)


@dataclass(frozen=True)
class Moment:
    """The links, the latest outcomes and the CRM's records at one time of a story.

    ``accounts``: name and external key by CRM id; ``emails`` and ``account_of``: of contacts, by CRM id.
    """

    links: dict[RecordType, Links]
    outcomes: dict[RecordType, Outcomes]
    accounts: dict[str, tuple[str, str | None]]
    emails: dict[str, str]
    account_of: dict[str, str | None]

    @property
    def names(self) -> list[str]:
        """The names of the CRM's accounts."""
        return sorted(name for name, _ in self.accounts.values())

    def linked(self, qbench_id: int, record_type: RecordType = ACCOUNT) -> str:
        """The CRM id of a record."""
        return self.links[record_type][qbench_id][0]

    def account_of_contact(self, qbench_id: int) -> str | None:
        """The CRM id of the account that a contact has there."""
        return self.account_of[self.linked(qbench_id, CONTACT)]


def now(bench: Bench) -> Moment:
    accounts, contacts = (records(bench, record_type) for record_type in (ACCOUNT, CONTACT))
    return Moment(
        links={record_type: links(bench, record_type) for record_type in (ACCOUNT, CONTACT)},
        outcomes={record_type: bench.outcomes(record_type) for record_type in (ACCOUNT, CONTACT)},
        accounts={crm_id: (fields[name_field(bench)], fields.get(key_field(bench))) for crm_id, fields in accounts.items()},
        emails={crm_id: fields[CRM_FIELDS[bench.crm, CONTACT]["email"]] for crm_id, fields in contacts.items()},
        account_of={crm_id: account_of(bench, crm_id) for crm_id in contacts},
    )


# --- what a check finds, and what loads make of it

MERGED, WINS, LOSES, TO_ANOTHERS, OTHER_KEY, KEY_TAKEN, UNTOUCHED = range(1, 8)
"""Customers, each with a contact. The first was merged into a record that nobody holds, the second with the third, the fourth
into a record that carries another key."""

OF_LOSER, NEW_OF_LOSER, MOVED, GONE = 13, 23, 15, 16
"""Contacts, the second new in QBench; the last was deleted in the CRM, and restored later."""


@dataclass(frozen=True)
class Meddled:
    """Links whose records users of the CRM merged, edited and deleted: a first check, and a second one; loads of what changed in
    QBench; a last check after one record was restored, and loads after it.
    """

    before: Moment
    by_hand: str
    anothers: str
    other_account: str
    found: dict[RecordType, Findings]
    stored: list[tuple[Any, ...]]
    checked: Moment
    loads_without_change: list[dict[str, int]]
    found_again: dict[RecordType, Findings]
    contact_load: LoadReport
    loaded: Moment
    found_restored: Findings
    loads_of_restored: list[dict[str, int]]
    restored: Moment


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def meddled(request: pytest.FixtureRequest, stories: Stories) -> Meddled:
    with stories(request.param) as bench:
        spec = synced(bench, customers=UNTOUCHED)
        before, key = now(bench), key_field(bench)

        by_hand = merge(bench, bench.add_account("Made by hand"), before.linked(MERGED))
        edit(bench, by_hand, {key: None})
        merge(bench, before.linked(WINS), before.linked(LOSES))
        anothers = merge(bench, bench.add(ACCOUNT, {name_field(bench): "Another's", key: "other-9"}), before.linked(TO_ANOTHERS))
        edit(bench, before.linked(OTHER_KEY), {key: "other-8"})
        edit(bench, before.linked(KEY_TAKEN), {key: None})
        edit(bench, bench.add_account("A clone"), {key: str(KEY_TAKEN)})
        other_account = bench.add_account("Another")
        give_account(bench, before.linked(MOVED, CONTACT), other_account)
        delete(bench, before.linked(GONE, CONTACT), CONTACT)

        found = findings(bench, spec)
        stored = bench.rows("SELECT scope, counts ->> 'deleted' FROM crm_pipeline.link_check WHERE record_type = 'contact'")
        checked = now(bench)
        loads_without_change = [later(bench, spec, record_type) for record_type in (ACCOUNT, CONTACT)]
        found_again = findings(bench, spec)

        bench.stage(spec, ACCOUNT, *(customer(number, 200, customer_name=f"Renamed {number}") for number in (MERGED, LOSES, TO_ANOTHERS)))
        changed = (contact(number, 200, of=of, last_name="Renamed") for number, of in ((OF_LOSER, LOSES), (GONE, KEY_TAKEN)))
        bench.stage(spec, CONTACT, contact(NEW_OF_LOSER, 200, of=LOSES), *changed)
        bench.load(spec, ACCOUNT, window=CHANGED)
        contact_load = bench.load(spec, CONTACT, window=CHANGED)
        loaded = now(bench)

        restore(bench, before.linked(GONE, CONTACT), CONTACT)
        found_restored = findings(bench, spec, scope="recent")[CONTACT]
        loads_of_restored = [later(bench, spec, CONTACT) for _ in range(2)]
        return Meddled(
            before=before,
            by_hand=by_hand,
            anothers=anothers,
            other_account=other_account,
            found=found,
            stored=stored,
            checked=checked,
            loads_without_change=loads_without_change,
            found_again=found_again,
            contact_load=contact_load,
            loaded=loaded,
            found_restored=found_restored,
            loads_of_restored=loads_of_restored,
            restored=now(bench),
        )


def test_record_merged_into_one_that_nobody_holds_is_linked_to_the_winner(meddled: Meddled) -> None:
    assert "relinked" in meddled.found[ACCOUNT][MERGED]
    assert meddled.checked.links[ACCOUNT][MERGED] == (meddled.by_hand, "live", None)


def test_relinking_leaves_the_winners_values_alone_but_gives_it_the_key_that_the_merge_lost(meddled: Meddled) -> None:
    assert meddled.found[ACCOUNT][MERGED] == {"relinked", "key_lost"}
    assert meddled.checked.accounts[meddled.by_hand] == ("Made by hand", str(MERGED))
    assert meddled.loads_without_change == [{}, {}]
    assert meddled.loaded.outcomes[ACCOUNT][MERGED] == ("updated", None)
    assert meddled.loaded.accounts[meddled.by_hand] == (f"Renamed {MERGED}", str(MERGED))


def test_rule_27_the_loser_of_two_merged_synced_accounts_is_a_conflict(meddled: Meddled) -> None:
    winner, loser = meddled.checked.linked(WINS), meddled.before.linked(LOSES)
    assert "conflict" not in meddled.found[ACCOUNT].get(WINS, set())
    assert meddled.found[ACCOUNT][LOSES] == {"conflict"}
    assert meddled.checked.accounts[winner] == (f"Lab {WINS}", str(WINS))
    assert meddled.checked.links[ACCOUNT][WINS] == (winner, "live", None)
    assert meddled.checked.links[ACCOUNT][LOSES] == (loser, "conflict", winner)
    assert meddled.checked.outcomes[ACCOUNT][LOSES] == ("skipped", "LinkConflictException")


def test_rule_27_the_loser_is_not_written_any_more_and_its_contacts_use_the_winner(meddled: Meddled) -> None:
    assert meddled.loaded.outcomes[ACCOUNT][LOSES] == ("skipped", "LinkConflictException")
    assert f"Renamed {LOSES}" not in meddled.loaded.names
    outcomes = meddled.loaded.outcomes[CONTACT]
    assert (outcomes[NEW_OF_LOSER], outcomes[OF_LOSER]) == (("created", None), ("updated", None))
    assert {meddled.loaded.account_of_contact(number) for number in (NEW_OF_LOSER, OF_LOSER)} == {meddled.loaded.linked(WINS)}


def test_winner_that_carries_another_key_is_a_conflict_and_never_overwritten(meddled: Meddled) -> None:
    assert meddled.found[ACCOUNT][TO_ANOTHERS] == {"conflict"}
    assert meddled.loaded.accounts[meddled.anothers] == ("Another's", "other-9")
    assert f"Renamed {TO_ANOTHERS}" not in meddled.loaded.names


def test_another_key_on_a_linked_record_is_reported_and_left_alone(meddled: Meddled) -> None:
    assert meddled.found[ACCOUNT][OTHER_KEY] == {"other_key"}
    assert meddled.checked.accounts[meddled.before.linked(OTHER_KEY)] == (f"Lab {OTHER_KEY}", "other-8")


def test_key_that_another_record_took_is_counted_and_nothing_else_is_written(meddled: Meddled) -> None:
    assert meddled.found[ACCOUNT][KEY_TAKEN] == {"key_lost", "key_refused"}
    assert meddled.checked.links[ACCOUNT][KEY_TAKEN] == (meddled.before.linked(KEY_TAKEN), "live", None)


def test_contact_that_someone_gave_another_account_is_reported_and_stays_there(meddled: Meddled) -> None:
    assert meddled.found[CONTACT][MOVED] == {"other_account"}
    assert meddled.checked.account_of_contact(MOVED) == meddled.other_account


def test_nothing_is_found_about_records_that_nobody_touched(meddled: Meddled) -> None:
    assert UNTOUCHED not in meddled.found[ACCOUNT]
    assert set(meddled.found[CONTACT]) == {MOVED, GONE}


def test_the_next_check_finds_only_what_people_must_put_right(meddled: Meddled) -> None:
    assert meddled.found_again == {
        ACCOUNT: {OTHER_KEY: {"other_key"}, KEY_TAKEN: {"key_lost", "key_refused"}},
        CONTACT: {MOVED: {"other_account"}},
    }


def test_what_was_found_last_is_stored_with_its_counts(meddled: Meddled) -> None:
    assert meddled.stored == [("full", "1")]


def test_rule_28_report_skips_the_deleted_record_and_sends_nothing(meddled: Meddled) -> None:
    assert meddled.found[CONTACT][GONE] == {"deleted"}
    assert meddled.checked.outcomes[CONTACT][GONE] == ("skipped", "DeletedInCrmException")
    assert meddled.loads_without_change == [{}, {}]
    assert meddled.contact_load.samples == {"DeletedInCrmException": [GONE]}
    assert f"person{GONE}@labs.example.org" not in meddled.loaded.emails.values()


def test_restored_record_is_live_again_and_takes_what_it_missed(meddled: Meddled) -> None:
    assert meddled.found_restored[GONE] == {"restored"}
    assert meddled.loads_of_restored == [{"updated": 1}, {}]
    assert meddled.restored.outcomes[CONTACT][GONE] == ("updated", None)
    assert meddled.restored.links[CONTACT][GONE] == (meddled.before.linked(GONE, CONTACT), "live", None)


def test_rule_27_of_two_links_that_lead_to_one_record_nobody_holds_the_older_follows_and_the_other_once_that_is_gone(
    hubspot: Bench,
) -> None:
    spec = accounts_only(hubspot, 2, external_keys=False)
    by_hand, loser = hubspot.add_account("Made by hand"), linked(hubspot, 2)
    winner = merge(hubspot, merge(hubspot, by_hand, loser), linked(hubspot, 1))
    assert check(hubspot, spec)[ACCOUNT] == {"checked": 2, "relinked": 1, "conflict": 1}
    assert links(hubspot) == {1: (winner, "live", None), 2: (loser, "conflict", winner)}
    hubspot.rows("DELETE FROM crm_pipeline.link WHERE record_type = 'account' AND qbench_id = 1 RETURNING 1")
    assert check(hubspot, spec, scope="recent")[ACCOUNT] == {"checked": 1, "relinked": 1}
    assert links(hubspot) == {2: (winner, "live", None)}


def test_rule_27_a_deleted_customer_lets_the_loser_of_a_merge_have_the_record(bench: Bench) -> None:
    spec = accounts_only(bench, 2)
    bench.sandbox.portal.preserve_primary_id = True
    winner = merge(bench, linked(bench, 1), linked(bench, 2))
    check(bench, spec)
    assert links(bench)[2][1:] == ("conflict", winner)
    bench.rows("UPDATE crm_pipeline.raw_record SET deleted = true WHERE record_type = 'account' AND qbench_id = 1 RETURNING 1")
    edit(bench, winner, {key_field(bench): None})
    assert check(bench, spec, scope="recent")[ACCOUNT]["relinked"] == 1
    assert links(bench) == {2: (winner, "live", None)}


@dataclass(frozen=True)
class Minted:
    """Synced companies, and contacts, merged into records of new ids, without and with external keys."""

    before: Moment
    ids: dict[str, str]
    found: dict[RecordType, Findings]
    checked: Moment
    again: dict[RecordType, Findings]
    loaded: Moment


@pytest.fixture(scope="module", params=[False, True], ids=["without keys", "with keys"])
def minted(request: pytest.FixtureRequest, stories: Stories) -> Minted:
    with stories("hubspot") as bench:
        spec = bench.spec(external_keys=request.param)
        bench.given(spec, ACCOUNT, *(customer(number) for number in (1, 2, 5, 6, 7)), *(customer(n, customer_name="Twins") for n in (3, 4)))
        bench.given(spec, CONTACT, contact(11, of=1), contact(12, of=2), contact(15, of=5), contact(17, of=7))
        before = now(bench)
        ids = {
            "second first": merge(bench, before.linked(2), before.linked(1)),
            "same name": merge(bench, before.linked(4), before.linked(3))
            if not request.param
            else merge(bench, before.linked(3), before.linked(4)),
            "chain": merge(bench, before.linked(7), merge(bench, before.linked(6), before.linked(5))),
            "contacts": merge(bench, before.linked(12, CONTACT), before.linked(11, CONTACT), CONTACT),
        }
        found, checked = findings(bench, spec, scope="recent"), now(bench)
        again = findings(bench, spec)
        bench.stage(spec, ACCOUNT, *(customer(number, 200, customer_name=f"Renamed {number}") for number in range(1, 8)))
        bench.stage(spec, CONTACT, contact(21, 200, of=1), contact(25, 200, of=5))
        bench.load(spec, ACCOUNT, window=CHANGED)
        bench.load(spec, CONTACT, window=CHANGED)
        return Minted(before, ids, found, checked, again, now(bench))


def test_rule_27_the_link_of_the_primary_follows_to_a_new_id_and_the_other_is_a_conflict(minted: Minted) -> None:
    links, ids = minted.checked.links[ACCOUNT], minted.ids
    assert (links[2], links[1][1:]) == ((ids["second first"], "live", None), ("conflict", ids["second first"]))
    assert (links[7], links[6][1:], links[5][1:]) == (
        (ids["chain"], "live", None),
        ("conflict", ids["chain"]),
        ("conflict", ids["chain"]),
    )


def test_rule_27_where_values_do_not_tell_the_primary_the_older_link_follows(minted: Minted) -> None:
    links, ids = minted.checked.links[ACCOUNT], minted.ids
    assert (links[3], links[4][1:]) == ((ids["same name"], "live", None), ("conflict", ids["same name"]))


def test_rule_27_holds_for_contacts_too(minted: Minted) -> None:
    links, ids = minted.checked.links[CONTACT], minted.ids
    assert (links[12], links[11][1:]) == ((ids["contacts"], "live", None), ("conflict", ids["contacts"]))


def test_rule_27_a_second_check_finds_nothing_new_and_the_losers_contacts_use_the_winner(minted: Minted) -> None:
    assert minted.again == {ACCOUNT: {}, CONTACT: {}}
    renamed = {name for name in minted.loaded.names if name.startswith("Renamed")}
    assert renamed == {"Renamed 2", "Renamed 3", "Renamed 7"}
    assert minted.loaded.account_of_contact(21) == minted.ids["second first"]
    assert minted.loaded.account_of_contact(25) == minted.ids["chain"]


def test_rule_29_a_load_that_meets_the_loser_first_lets_the_primary_follow(hubspot: Bench) -> None:
    spec = accounts_only(hubspot, 2, external_keys=False)
    winner = merge(hubspot, linked(hubspot, 1), linked(hubspot, 2))
    hubspot.stage(spec, ACCOUNT, customer(2, 200, customer_name="Not to be written"))
    hubspot.load(spec, ACCOUNT, window=CHANGED)
    assert {number: link[1:] for number, link in links(hubspot).items()} == {1: ("live", None), 2: ("conflict", winner)}
    assert (hubspot.names(), hubspot.outcomes()[2]) == (["Lab 1"], ("skipped", "LinkConflictException"))


# --- what is done about deletions


@dataclass(frozen=True)
class Recreated:
    """A contact (11) and an account (2) that were deleted, and then a contact (22) new to that account: a check, and loads in turn.

    Another one (12) was in that account from the beginning, and is looked at by a check in the end.
    """

    before: Moment
    found: dict[RecordType, Findings]
    first_contact_load: dict[str, int]
    between: Moment
    account_load: dict[str, int]
    last_contact_load: dict[str, int]
    found_again: dict[RecordType, Findings]
    after: Moment


@pytest.fixture(scope="module")
def recreated(stories: Stories) -> Recreated:
    with stories("hubspot") as bench:
        spec = synced(bench, customers=2)
        before = now(bench)
        delete(bench, before.linked(11, CONTACT), CONTACT)
        delete(bench, before.linked(2))
        found = findings(bench, spec, policy=RECREATE)
        bench.stage(spec, CONTACT, contact(22, 950, of=2))
        first_contact_load, between = later(bench, spec, CONTACT), now(bench)
        account_load, last_contact_load = later(bench, spec), later(bench, spec, CONTACT)
        found_again = findings(bench, spec, scope="recent", policy=RECREATE)
        return Recreated(before, found, first_contact_load, between, account_load, last_contact_load, found_again, now(bench))


def test_rule_28_recreate_syncs_the_deleted_record_with_the_next_load(recreated: Recreated) -> None:
    assert recreated.found == {ACCOUNT: {2: {"deleted", "forgotten"}}, CONTACT: {11: {"deleted", "forgotten"}}}
    assert recreated.between.outcomes[CONTACT][11] == ("created", None)
    assert sorted(recreated.between.emails.values()) == ["person11@labs.example.org", "person12@labs.example.org"]
    assert recreated.between.linked(11, CONTACT) != recreated.before.linked(11, CONTACT)


def test_contacts_of_a_deleted_account_follow_once_it_is_there_again(recreated: Recreated) -> None:
    assert recreated.between.outcomes[CONTACT][22] == ("skipped", "CustomerNotSyncedException")
    assert (recreated.account_load, recreated.last_contact_load) == ({"created": 1}, {"created": 1})
    assert recreated.after.account_of_contact(22) == recreated.after.linked(2) != recreated.before.linked(2)


def test_contact_that_outlived_its_account_gets_the_one_that_is_made_in_its_place(recreated: Recreated) -> None:
    assert recreated.between.account_of_contact(12) is None
    assert recreated.found_again == {ACCOUNT: {}, CONTACT: {12: {"account_lost"}}}
    assert recreated.after.account_of_contact(12) == recreated.after.linked(2)


def test_rule_28_unlink_syncs_the_deleted_record_once_it_changes_in_qbench(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 1)
    delete(salesforce, linked(salesforce, 1))
    for _ in range(2):
        check(salesforce, spec, policy=UNLINK)
        assert later(salesforce, spec) == {}
    salesforce.load(spec, ACCOUNT)
    assert salesforce.names() == []
    salesforce.stage(spec, ACCOUNT, customer(1, 950, customer_name="Renamed"))
    assert check(salesforce, spec, scope="recent", policy=UNLINK)[ACCOUNT]["forgotten"] == 1
    assert later(salesforce, spec) == {"created": 1}


def test_more_than_the_limit_gone_at_once_is_reported_only_whatever_the_policy(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 8)
    for qbench_id in range(1, 7):
        delete(salesforce, linked(salesforce, qbench_id))
    assert check(salesforce, spec, policy=UNLINK)[ACCOUNT] == {"checked": 8, "deleted": 6, "too_many": 6}
    salesforce.stage(spec, ACCOUNT, *(customer(number, 950, customer_name="Renamed") for number in range(1, 7)))
    assert check(salesforce, spec, policy=UNLINK)[ACCOUNT] == {"checked": 8, "too_many": 6}
    salesforce.load(spec, ACCOUNT, window=NOW)
    assert len(salesforce.names()) == 2
    restore(salesforce, linked(salesforce, 1))
    assert check(salesforce, spec, policy=UNLINK)[ACCOUNT] == {"checked": 8, "restored": 1, "forgotten": 5}
    salesforce.load(spec, ACCOUNT, window=NOW)
    assert len(salesforce.names()) == 8


# --- what a check looks at


@dataclass(frozen=True)
class InOrder:
    """120 links that are in order: a recent check, the first of all, and a full one; and a recent one after a merge (1) and a deletion (2).

    The calls are those that read or wrote records.
    """

    crm: str
    recent: dict[RecordType, dict[str, int]]
    recent_calls: Counter[str]
    full: dict[RecordType, dict[str, int]]
    full_calls: Counter[str]
    full_statements: list[str]
    found: Findings


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def in_order(request: pytest.FixtureRequest, stories: Stories) -> InOrder:
    with stories(request.param) as bench:
        spec = accounts_only(bench, 120)
        recent, recent_calls = check(bench, spec, scope="recent"), Counter(bench.calls)
        with explaining() as explained:
            full, full_calls = check(bench, spec), Counter(bench.calls)
        statements = [each.statement for each in explained]
        merge(bench, bench.add_account("Made by hand"), linked(bench, 1))
        delete(bench, linked(bench, 2))
        return InOrder(bench.crm, recent, recent_calls, full, full_calls, statements, findings(bench, spec, scope="recent")[ACCOUNT])


def test_full_check_reads_the_links_in_full_batches_and_writes_nothing(in_order: InOrder) -> None:
    assert in_order.full == {ACCOUNT: {"checked": 120}}
    assert in_order.full_calls["read"] == {"salesforce": 1, "hubspot": 2}[in_order.crm]
    assert "write" not in in_order.full_calls


def test_full_check_reads_no_digests_of_links_about_which_there_is_nothing_to_say(in_order: InOrder) -> None:
    of_links = [statement for statement in in_order.full_statements if "FROM crm_pipeline.link " in statement]
    assert of_links
    assert not [statement for statement in of_links if "digests" in statement]


def test_recent_check_of_links_in_order_reads_none_of_them(in_order: InOrder) -> None:
    assert in_order.recent == {ACCOUNT: {}}
    assert in_order.recent_calls["read"] == 1, "the question what was merged or deleted"


def test_recent_check_finds_what_was_merged_since_the_last_one(in_order: InOrder) -> None:
    # HubSpot gives the merged record the key of both, if one has none.
    assert in_order.found[1] == {"salesforce": {"relinked", "key_lost"}, "hubspot": {"relinked"}}[in_order.crm]


def test_recent_check_finds_what_was_deleted_since_the_last_one_only_where_the_crm_tells(in_order: InOrder) -> None:
    assert in_order.found.get(2) == {"salesforce": {"deleted"}, "hubspot": None}[in_order.crm]


# --- while loading

MET_DELETED, MET_MERGED, MET_WINNER, MET_LOSER, IN_PLACE, MERGED_AWAY, DELETED_AWAY = range(1, 8)
"""Customers; the last two do not change, but have a new contact each."""

OF_MERGED, OF_DELETED = 16, 17


@dataclass(frozen=True)
class Met:
    """A load of changed accounts that are all there; then loads that meet what users deleted and merged meanwhile, before any check.

    ``calls``: of the first load; ``account_loads``: of windows without changes, before and after the check.
    """

    crm: str
    calls: dict[str, int]
    before: Moment
    winner: str
    merged_away: str
    loaded: Moment
    account_loads: list[dict[str, int]]
    found: Findings
    after: Moment


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def met(request: pytest.FixtureRequest, stories: Stories) -> Met:
    with stories(request.param) as bench:
        spec = bench.spec()
        bench.given(spec, ACCOUNT, *(customer(number) for number in range(MET_DELETED, DELETED_AWAY + 1)))
        bench.stage(spec, ACCOUNT, *(customer(number, 150, comments="Changed") for number in (MET_DELETED, MET_MERGED)))
        bench.load(spec, ACCOUNT, window=Window(since=150, until=151))
        calls, before = bench.calls, now(bench)

        delete(bench, before.linked(MET_DELETED))
        delete(bench, before.linked(DELETED_AWAY))
        winner = merge(bench, bench.add_account("Made by hand"), before.linked(MET_MERGED))
        merged_away = merge(bench, bench.add_account("Made by hand too"), before.linked(MERGED_AWAY))
        bench.sandbox.portal.preserve_primary_id = True
        merge(bench, before.linked(MET_WINNER), before.linked(MET_LOSER))

        changed = (MET_DELETED, MET_MERGED, MET_LOSER, IN_PLACE)
        bench.stage(spec, ACCOUNT, *(customer(number, 200, customer_name=f"Renamed {number}") for number in changed))
        bench.stage(spec, CONTACT, contact(OF_MERGED, 200, of=MERGED_AWAY), contact(OF_DELETED, 200, of=DELETED_AWAY))
        bench.load(spec, ACCOUNT, window=CHANGED)
        bench.load(spec, CONTACT, window=CHANGED)
        loaded, load_before_check = now(bench), later(bench, spec)
        found = findings(bench, spec, scope="recent")[ACCOUNT]
        account_loads = [load_before_check, later(bench, spec)]
        later(bench, spec, CONTACT)
        return Met(bench.crm, calls, before, winner, merged_away, loaded, account_loads, found, now(bench))


def test_a_load_whose_records_are_there_asks_nothing_about_their_links(met: Met) -> None:
    assert met.calls["write"] == 1
    assert "read" not in met.calls


def test_rule_29_a_load_that_meets_a_deleted_record_makes_no_second_one(met: Met) -> None:
    outcomes = met.loaded.outcomes[ACCOUNT]
    assert (outcomes[MET_DELETED], outcomes[IN_PLACE]) == (("skipped", "DeletedInCrmException"), ("updated", None))
    assert f"Renamed {IN_PLACE}" in met.loaded.names
    assert not {f"Lab {MET_DELETED}", f"Renamed {MET_DELETED}"} & set(met.loaded.names)
    assert met.found[MET_DELETED] == {"deleted"}
    assert met.account_loads == [{}, {}]
    assert met.after.names == met.loaded.names


def test_rule_29_a_load_that_meets_a_merged_record_updates_the_winner_at_once(met: Met) -> None:
    assert met.loaded.outcomes[ACCOUNT][MET_MERGED] == ("updated", None)
    assert met.loaded.links[ACCOUNT][MET_MERGED] == (met.winner, "live", None)
    assert met.loaded.accounts[met.winner] == (f"Renamed {MET_MERGED}", str(MET_MERGED))


def test_rule_29_a_load_never_writes_over_a_winner_that_is_another_records(met: Met) -> None:
    winner, loser = met.before.linked(MET_WINNER), met.before.linked(MET_LOSER)
    assert met.loaded.outcomes[ACCOUNT][MET_LOSER] == ("skipped", "LinkConflictException")
    assert met.loaded.links[ACCOUNT][MET_WINNER] == (winner, "live", None)
    assert met.loaded.links[ACCOUNT][MET_LOSER] == (loser, "conflict", winner)
    assert met.loaded.accounts[winner] == (f"Lab {MET_WINNER}", str(MET_WINNER))


def test_rule_29_without_external_keys_a_winner_that_is_another_records_is_not_written_over_either(hubspot: Bench) -> None:
    spec = accounts_only(hubspot, 2, external_keys=False)
    hubspot.sandbox.portal.preserve_primary_id = True
    winner, loser = linked(hubspot, 1), linked(hubspot, 2)
    merge(hubspot, winner, loser)
    hubspot.stage(spec, ACCOUNT, customer(2, 200, customer_name="Not to be written"))
    hubspot.load(spec, ACCOUNT, window=CHANGED)
    assert hubspot.outcomes()[2] == ("skipped", "LinkConflictException")
    assert links(hubspot) == {1: (winner, "live", None), 2: (loser, "conflict", winner)}
    assert hubspot.names() == ["Lab 1"]


def test_rule_29_a_contact_whose_account_was_merged_away_follows_in_the_same_load(met: Met) -> None:
    assert met.loaded.outcomes[CONTACT][OF_MERGED] == ("created", None)
    assert met.loaded.links[ACCOUNT][MERGED_AWAY] == (met.merged_away, "live", None)
    assert met.loaded.account_of_contact(OF_MERGED) == met.merged_away


def test_recent_check_looks_at_an_account_that_a_contact_could_not_be_given(met: Met) -> None:
    assert met.loaded.outcomes[CONTACT][OF_DELETED] == ("skipped", "CustomerNotSyncedException")
    assert met.found[DELETED_AWAY] == {"deleted"}


@pytest.mark.parametrize(
    ("bench", "external_keys"),
    [("salesforce", True), ("hubspot", False)],
    ids=["salesforce, with keys", "hubspot, without"],
    indirect=["bench"],
)
def test_rule_29_contacts_follow_accounts_that_change_between_the_loads(bench: Bench, *, external_keys: bool) -> None:
    spec = bench.spec(external_keys=external_keys)
    bench.given(spec, ACCOUNT, *(customer(number) for number in range(1, 7)))
    bench.given(spec, CONTACT, contact(10, of=5), contact(16, of=6))
    bench.sandbox.portal.preserve_primary_id = True
    winner, synced_winner = merge(bench, bench.add_account("Made by hand"), linked(bench, 1)), linked(bench, 3)
    merge(bench, synced_winner, linked(bench, 2))
    delete(bench, linked(bench, 4))
    moved = contact(10, 200, of=1, last_name="Moved")
    bench.stage(
        spec, CONTACT, moved, *(contact(10 + number, 200, of=number) for number in (1, 2, 4)), contact(16, 200, of=6, last_name="New")
    )
    bench.load(spec, CONTACT, window=CHANGED)
    after = now(bench)
    assert after.outcomes[CONTACT] == {
        10: ("updated", None),
        11: ("created", None),
        12: ("created", None),
        14: ("skipped", "CustomerNotSyncedException"),
        16: ("updated", None),
    }
    assert [after.account_of_contact(number) for number in (10, 11, 12)] == [winner, winner, synced_winner]
    assert after.links[ACCOUNT][2][1:] == ("conflict", synced_winner)
    assert after.outcomes[ACCOUNT][2] == ("skipped", "LinkConflictException")
    check(bench, spec, scope="recent")
    assert later(bench, spec, CONTACT) == {}


@pytest.mark.parametrize(
    ("bench", "noticed"),
    [("salesforce", True), ("hubspot", False)],
    ids=["salesforce, noticed", "hubspot, not noticed"],
    indirect=["bench"],
)
def test_an_account_restored_after_its_contacts_met_it_deleted_gets_them(bench: Bench, *, noticed: bool) -> None:
    spec = bench.spec()
    bench.given(spec, ACCOUNT, customer(1))
    gone = linked(bench, 1)
    delete(bench, gone)
    bench.stage(spec, CONTACT, contact(11, 200, of=1))
    bench.load(spec, CONTACT, window=CHANGED)
    if noticed:
        check(bench, spec, scope="recent")
        later(bench, spec, CONTACT)
    restore(bench, gone)
    check(bench, spec, scope="recent")
    later(bench, spec, CONTACT)
    assert now(bench).account_of_contact(11) == gone
    assert later(bench, spec, CONTACT) == {}


# --- what an end gives back

ALONE, KEPT, GIVEN_AWAY, OF_ANOTHER = 11, 12, 13, 14
"""Contacts: one that is deleted and restored itself, two of an account that is, the second of which is given another, and one untouched."""


@pytest.mark.parametrize("restores_associations", [False, True], ids=["associations are lost", "associations come back"])
def test_a_restored_record_gets_the_account_or_the_contacts_back_that_nobody_gave_away(
    hubspot: Bench, *, restores_associations: bool
) -> None:
    hubspot.sandbox.portal.restores_associations = restores_associations
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    hubspot.given(spec, CONTACT, *(contact(number, of=1 if number in {KEPT, GIVEN_AWAY} else 2) for number in range(ALONE, OF_ANOTHER + 1)))
    before, elsewhere = now(hubspot), hubspot.add_account("Elsewhere")
    delete(hubspot, before.linked(1))
    delete(hubspot, before.linked(ALONE, CONTACT), CONTACT)
    assert findings(hubspot, spec) == {ACCOUNT: {1: {"deleted"}}, CONTACT: {ALONE: {"deleted"}}}
    give_account(hubspot, before.linked(GIVEN_AWAY, CONTACT), elsewhere)
    restore(hubspot, before.linked(1))
    restore(hubspot, before.linked(ALONE, CONTACT), CONTACT)
    found = findings(hubspot, spec, scope="recent")
    lost = set() if restores_associations else {"account_lost"}
    assert found[ACCOUNT] == {1: {"restored"}}
    assert {number: found[CONTACT].get(number, set()) for number in range(ALONE, OF_ANOTHER + 1)} == {
        ALONE: {"restored", *lost},
        KEPT: lost,
        GIVEN_AWAY: {"other_account"},
        OF_ANOTHER: set(),
    }
    assert hubspot.calls.get("associate", 0) == (0 if restores_associations else 1)
    after = now(hubspot)
    assert {number: after.account_of_contact(number) for number in range(ALONE, OF_ANOTHER + 1)} == {
        **{number: before.account_of_contact(number) for number in (ALONE, KEPT, OF_ANOTHER)},
        GIVEN_AWAY: elsewhere,
    }
    assert findings(hubspot, spec) == {ACCOUNT: {}, CONTACT: {GIVEN_AWAY: {"other_account"}}}
    assert later(hubspot, spec, CONTACT) == {"unchanged": 1}, "the restored contact, which waited"


@pytest.mark.parametrize(
    "path",
    ["objects/contacts/batch/read", "associations/.*/batch/(create|associate)"],
    ids=["when it looks at contacts", "when it gives the account"],
)
def test_a_contact_gets_its_restored_account_back_though_the_check_that_saw_it_broke_off(hubspot: Bench, path: str) -> None:
    hubspot.sandbox.portal.restores_associations = False
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(11, of=1), contact(12, of=1))
    before = now(hubspot)
    delete(hubspot, before.linked(1))
    delete(hubspot, before.linked(12, CONTACT), CONTACT)
    check(hubspot, spec)
    restore(hubspot, before.linked(1))
    restore(hubspot, before.linked(12, CONTACT), CONTACT)
    hubspot.sandbox.faults.add(Fault(service="hubspot", status=401, times=None, path=path))
    with pytest.raises(ServiceError):
        check(hubspot, spec)
    hubspot.sandbox.faults.clear()
    check(hubspot, spec, scope="recent")
    after = now(hubspot)
    assert [after.account_of_contact(number) for number in (11, 12)] == [before.linked(1)] * 2
    assert check(hubspot, spec) == {ACCOUNT: {"checked": 1}, CONTACT: {"checked": 2}}


def test_a_mass_of_deletions_is_held_though_the_check_that_noticed_them_broke_off(salesforce: Bench) -> None:
    policy = LinkPolicy(when_deleted="unlink", most_gone=1)
    spec = accounts_only(salesforce, 3)
    ids = [linked(salesforce, number) for number in (1, 2, 3)]
    edit(salesforce, ids[2], {key_field(salesforce): None})
    for crm_id in ids[:2]:
        delete(salesforce, crm_id)
    salesforce.sandbox.faults.add(Fault(service="salesforce", path="composite/sobjects", method="PATCH", status=401, times=None))
    with pytest.raises(ServiceError):
        check(salesforce, spec, policy=policy)
    salesforce.sandbox.faults.clear()
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    assert check(salesforce, spec, policy=policy)[ACCOUNT]["too_many"] == 2
    assert set(links(salesforce)) == {1, 2, 3}


def test_the_end_of_a_merge_gives_the_loser_its_contacts_back(salesforce: Bench) -> None:
    spec = synced(salesforce, customers=2)
    before = now(salesforce)
    merge(salesforce, before.linked(1), before.linked(2))
    salesforce.stage(spec, ACCOUNT, customer(2, 200, customer_name="Renamed"))
    check(salesforce, spec)
    salesforce.load(spec, ACCOUNT, window=CHANGED)
    assert salesforce.outcomes()[2] == ("skipped", "LinkConflictException")
    assert now(salesforce).account_of_contact(12) == before.linked(1)
    restore(salesforce, before.linked(2))
    assert findings(salesforce, spec, scope="recent") == {ACCOUNT: {2: {"restored"}}, CONTACT: {12: {"account_lost"}}}
    assert (later(salesforce, spec), later(salesforce, spec, CONTACT)) == ({"updated": 1}, {})
    after = now(salesforce)
    assert (after.account_of_contact(11), after.account_of_contact(12)) == (before.linked(1), before.linked(2))
    assert findings(salesforce, spec) == {ACCOUNT: {}, CONTACT: {}}


def test_link_whose_record_the_crm_fails_to_read_is_counted_and_left_alone_and_the_others_are_checked(bench: Bench) -> None:
    spec = accounts_only(bench, 3)
    before = now(bench)
    delete(bench, before.linked(2))
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, holding=before.linked(1), times=None))
    assert findings(bench, spec) == {ACCOUNT: {1: {"unread"}, 2: {"deleted"}}}
    assert now(bench).links[ACCOUNT][1] == before.links[ACCOUNT][1]
    bench.sandbox.faults.clear()
    assert findings(bench, spec) == {ACCOUNT: {}}


def test_rule_27_nobody_follows_to_a_record_whose_values_the_crm_fails_to_show(hubspot: Bench) -> None:
    spec = accounts_only(hubspot, 2, external_keys=False)
    before = now(hubspot)
    merged = merge(hubspot, before.linked(2), before.linked(1))
    hubspot.sandbox.faults.add(Fault(service="hubspot", status=500, holding=f'"{merged}"', times=None))
    assert findings(hubspot, spec) == {ACCOUNT: {1: {"unread"}, 2: {"unread"}}}
    assert now(hubspot).links == before.links
    hubspot.sandbox.faults.clear()
    assert findings(hubspot, spec) == {ACCOUNT: {1: {"conflict"}, 2: {"relinked"}}}


def test_a_paused_crm_gets_its_keys_back_once_it_goes_on(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 1)
    held = salesforce.spec(contacts=None, settings={"send": False})
    [record] = salesforce.sandbox.org.records("Account")
    salesforce.sandbox.org.update("Account", record["Id"], {"QBench_Id__c": None})
    keys = []
    for each in (held, spec):
        assert check(salesforce, each)[ACCOUNT]["key_lost"] == 1
        keys.append(salesforce.sandbox.org.record("Account", record["Id"])["QBench_Id__c"])
    assert keys == [None, "1"]


def test_what_a_check_saw_is_not_kept_once_its_lock_is_lost(salesforce: Bench, database_url: str) -> None:
    spec = synced(salesforce, customers=2)
    gone, before = linked(salesforce, 1), links(salesforce)
    delete(salesforce, gone)
    held = Fault(service="salesforce", kind="hold", until=threading.Event(), naming=gone)
    salesforce.sandbox.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        checking = threads.submit(check, salesforce, spec)
        await_that(lambda: held not in salesforce.sandbox.faults.open(), "the CRM is asked for the links' records")
        end_lock_holders(database_url)
        assert held.until is not None
        held.until.set()
        with pytest.raises(StoreError, match="the connection that held this lock is gone"):
            checking.result()
    assert (links(salesforce), salesforce.rows("SELECT scope FROM crm_pipeline.link_check")) == (before, [])
    assert check(salesforce, spec)[ACCOUNT]["deleted"] == 1


def test_contact_whose_account_is_still_to_be_sent_is_in_no_other_one(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(11, of=1), contact(12, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        batch = load.plan(11, 12)
        people = [{"crm_id": hubspot.add(CONTACT, {"qbench_id": key})} for key in batch.rows["key"]]
        load.storing.written(batch.rows, answers(batch, {**people[0], "parent_sent": True}, people[1]))
    assert findings(hubspot, spec)[CONTACT] == {11: {"other_account"}}
