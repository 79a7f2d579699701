"""Links are compared with the CRM: merges, deletions, restored records, lost keys and other accounts (rules 27 to 29)."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.link_check import LinkCheck, Scope
from crm_pipeline.sync.link_policy import LinkPolicy
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, OBJECTS, Bench, contact, customer

NOW = Window(since=900, until=1_000)
"""The window of a later run, in which nothing changed."""

REPORT, RECREATE, UNLINK = LinkPolicy(), LinkPolicy(when_deleted="recreate"), LinkPolicy(when_deleted="unlink")


def check(bench: Bench, spec: IntegrationSpec, *, scope: Scope = "full", policy: LinkPolicy = REPORT) -> dict[RecordType, dict[str, int]]:
    """What a check found, by record type; ``bench.calls`` tells what it cost."""
    with closing(bench.connect(spec)) as crm:
        orders = [bench.order(spec, record_type, run_id="check") for record_type in spec.records]
        job = LinkCheck(orders, policy=policy, store=bench.store, crm=crm)
        job.run(scope)
        bench.calls = crm.calls.snapshot()
    return {report.record_type: {name: count for name, count in report.counts.items() if count} for report in job.reports}


def synced(bench: Bench, spec: IntegrationSpec | None = None, *, customers: int = 1) -> IntegrationSpec:
    """Customers 1, 2 …, each with one contact 11, 12 …, in the CRM."""
    spec = spec or bench.spec()
    bench.given(spec, ACCOUNT, *(customer(number) for number in range(1, customers + 1)))
    bench.given(spec, CONTACT, *(contact(10 + number, of=number) for number in range(1, customers + 1)))
    return spec


def links(bench: Bench, record_type: RecordType = ACCOUNT) -> dict[int, tuple[str, str, str | None]]:
    """CRM id, status and merged_into by QBench id."""
    rows = bench.rows(f"SELECT qbench_id, crm_id, status, merged_into FROM crm_pipeline.link WHERE record_type = '{record_type}'")
    return {qbench_id: (crm_id, status, merged) for qbench_id, crm_id, status, merged in rows}


def linked(bench: Bench, qbench_id: int, record_type: RecordType = ACCOUNT) -> str:
    return links(bench, record_type)[qbench_id][0]


def delete(bench: Bench, crm_id: str, record_type: RecordType = ACCOUNT) -> None:
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
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
    if bench.crm == "salesforce":
        bench.sandbox.org.merge(name, winner, [loser])
        return winner
    return bench.sandbox.portal.merge(name, winner, loser)


def fields(bench: Bench, crm_id: str, record_type: RecordType = ACCOUNT) -> dict[str, Any]:
    if bench.crm == "salesforce":
        return bench.sandbox.org.record(OBJECTS[bench.crm, record_type], crm_id)
    properties: dict[str, Any] = bench.sandbox.portal.record(OBJECTS[bench.crm, record_type], crm_id)["properties"]
    return properties


def edit(bench: Bench, crm_id: str, values: dict[str, Any], record_type: RecordType = ACCOUNT) -> None:
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        bench.sandbox.org.update(name, crm_id, values)
    else:
        bench.sandbox.portal.update(name, crm_id, {field: value or "" for field, value in values.items()})


def key_field(bench: Bench) -> str:
    return "QBench_Id__c" if bench.crm == "salesforce" else "qbench_id"


def account_of(bench: Bench, contact_id: str) -> str | None:
    if bench.crm == "salesforce":
        account: str | None = bench.sandbox.org.record("Contact", contact_id)["AccountId"]
        return account
    return next((company for person, company, types in bench.sandbox.portal.associations() if person == contact_id and 1 in types), None)


def later(bench: Bench, spec: IntegrationSpec, record_type: RecordType = ACCOUNT) -> dict[str, int]:
    """The outcomes of a later load in whose window nothing changed."""
    return dict(bench.load(spec, record_type, window=NOW).outcomes)


# --- merges


def test_record_merged_into_one_that_nobody_holds_is_linked_to_the_winner(bench: Bench) -> None:
    spec = synced(bench)
    winner = merge(bench, bench.add_account("Made by hand"), linked(bench, 1))
    assert check(bench, spec)[ACCOUNT]["relinked"] == 1
    assert links(bench)[1] == (winner, "live", None)


def test_relinking_leaves_the_winners_values_alone_but_gives_it_the_key_that_the_merge_lost(hubspot: Bench) -> None:
    spec = synced(hubspot)
    winner = merge(hubspot, hubspot.add_account("Made by hand"), linked(hubspot, 1))
    edit(hubspot, winner, {key_field(hubspot): None})
    found = check(hubspot, spec)
    assert (found[ACCOUNT]["relinked"], found[ACCOUNT]["key_lost"]) == (1, 1)
    assert fields(hubspot, winner)[key_field(hubspot)] == "1"
    assert hubspot.names() == ["Made by hand"]
    assert later(hubspot, spec) == {}
    assert check(hubspot, spec) == {ACCOUNT: {"checked": 1}, CONTACT: {"checked": 1}}
    hubspot.stage(spec, ACCOUNT, customer(1, 950, customer_name="Renamed"))
    assert (later(hubspot, spec), hubspot.names()) == ({"updated": 1}, ["Renamed"])


def test_rule_27_the_loser_of_two_merged_synced_accounts_is_a_conflict(bench: Bench) -> None:
    spec = synced(bench, customers=2)
    loser = linked(bench, 2)
    winner = merge(bench, linked(bench, 1), loser)
    assert check(bench, spec)[ACCOUNT]["conflict"] == 1
    assert check(bench, spec) == {ACCOUNT: {"checked": 2}, CONTACT: {"checked": 2}}
    assert links(bench) == {1: (winner, "live", None), 2: (loser, "conflict", winner)}
    assert bench.outcomes()[2] == ("skipped", "LinkConflictException")


def test_rule_27_the_loser_is_not_written_any_more_and_its_contacts_use_the_winner(hubspot: Bench) -> None:
    spec = synced(hubspot, customers=2)
    winner = merge(hubspot, linked(hubspot, 1), linked(hubspot, 2))
    check(hubspot, spec)
    hubspot.stage(spec, ACCOUNT, customer(2, 950, customer_name="Not to be written"))
    hubspot.stage(spec, CONTACT, contact(22, 950, of=2), contact(12, 950, of=2, last_name="Renamed"))
    assert (later(hubspot, spec), hubspot.names()) == ({"skipped": 1}, ["Lab 1"])
    assert later(hubspot, spec, CONTACT) == {"created": 1, "updated": 1}
    assert {account_of(hubspot, crm_id) for crm_id, _, _ in links(hubspot, CONTACT).values()} == {winner}


def test_winner_that_carries_another_key_is_a_conflict_and_never_overwritten(salesforce: Bench) -> None:
    spec = synced(salesforce)
    theirs = salesforce.add(ACCOUNT, {"Name": "Another's", key_field(salesforce): "other-9"})
    winner = merge(salesforce, theirs, linked(salesforce, 1))
    assert check(salesforce, spec)[ACCOUNT] == {"checked": 1, "conflict": 1}
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Not to be written"))
    salesforce.load(spec, ACCOUNT, window=Window(since=200, until=201))
    assert (fields(salesforce, winner)[key_field(salesforce)], salesforce.names()) == ("other-9", ["Another's"])


def test_two_links_that_lead_to_one_record_nobody_holds_are_both_conflicts_until_one_is_left(hubspot: Bench) -> None:
    spec = synced(hubspot, hubspot.spec(external_keys=False), customers=2)
    by_hand = hubspot.add_account("Made by hand")
    winner = merge(hubspot, merge(hubspot, by_hand, linked(hubspot, 1)), linked(hubspot, 2))
    assert check(hubspot, spec)[ACCOUNT]["conflict"] == 2
    hubspot.rows("DELETE FROM crm_pipeline.link WHERE record_type = 'account' AND qbench_id = 2 RETURNING 1")
    assert check(hubspot, spec, scope="recent")[ACCOUNT] == {"checked": 1, "relinked": 1}
    assert links(hubspot) == {1: (winner, "live", None)}


# --- deletions


def test_rule_28_report_skips_the_deleted_record_and_sends_nothing(salesforce: Bench) -> None:
    spec = synced(salesforce)
    delete(salesforce, linked(salesforce, 11, CONTACT), CONTACT)
    assert check(salesforce, spec)[CONTACT]["deleted"] == 1
    assert salesforce.outcomes(CONTACT)[11] == ("skipped", "DeletedInCrmException")
    assert later(salesforce, spec, CONTACT) == {}
    salesforce.stage(spec, CONTACT, contact(11, 200, of=1, last_name="Renamed"))
    assert dict(salesforce.load(spec, CONTACT, window=Window(since=200, until=201)).errors) == {"DeletedInCrmException": 1}
    assert salesforce.emails() == []


def test_rule_28_recreate_syncs_the_deleted_record_with_the_next_load(hubspot: Bench) -> None:
    spec = synced(hubspot)
    gone = linked(hubspot, 11, CONTACT)
    delete(hubspot, gone, CONTACT)
    assert check(hubspot, spec, policy=RECREATE)[CONTACT] == {"checked": 1, "deleted": 1, "forgotten": 1}
    assert later(hubspot, spec, CONTACT) == {"created": 1}
    assert hubspot.emails() == ["person11@labs.example.org"]
    assert linked(hubspot, 11, CONTACT) != gone


def test_rule_28_unlink_syncs_the_deleted_record_once_it_changes_in_qbench(salesforce: Bench) -> None:
    spec = synced(salesforce)
    delete(salesforce, linked(salesforce, 11, CONTACT), CONTACT)
    for _ in range(2):
        check(salesforce, spec, policy=UNLINK)
        assert later(salesforce, spec, CONTACT) == {}
    salesforce.load(spec, CONTACT)
    assert salesforce.emails() == []
    salesforce.stage(spec, CONTACT, contact(11, 950, of=1, last_name="Renamed"))
    assert check(salesforce, spec, scope="recent", policy=UNLINK)[CONTACT]["forgotten"] == 1
    assert later(salesforce, spec, CONTACT) == {"created": 1}


def test_restored_record_is_live_again_and_takes_what_it_missed(hubspot: Bench) -> None:
    spec = synced(hubspot)
    crm_id = linked(hubspot, 11, CONTACT)
    delete(hubspot, crm_id, CONTACT)
    check(hubspot, spec)
    hubspot.stage(spec, CONTACT, contact(11, 200, of=1, last_name="Renamed"))
    hubspot.load(spec, CONTACT, window=Window(since=200, until=201))
    restore(hubspot, crm_id, CONTACT)
    assert check(hubspot, spec, scope="recent")[CONTACT]["restored"] == 1
    assert later(hubspot, spec, CONTACT) == {"updated": 1}
    assert links(hubspot, CONTACT)[11] == (crm_id, "live", None)
    assert later(hubspot, spec, CONTACT) == {}


def test_contacts_of_a_deleted_account_follow_once_it_is_there_again(hubspot: Bench) -> None:
    spec = synced(hubspot)
    gone = linked(hubspot, 1)
    delete(hubspot, gone)
    check(hubspot, spec, policy=RECREATE)
    hubspot.stage(spec, CONTACT, contact(12, 200, of=1))
    assert dict(hubspot.load(spec, CONTACT, window=Window(since=200, until=201)).outcomes) == {"skipped": 1}
    assert later(hubspot, spec) == {"created": 1}
    assert later(hubspot, spec, CONTACT) == {"created": 1}
    assert account_of(hubspot, linked(hubspot, 12, CONTACT)) == linked(hubspot, 1) != gone


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


def accounts_only(bench: Bench, number: int) -> IntegrationSpec:
    spec = bench.spec(contacts=None)
    bench.given(spec, ACCOUNT, *(customer(each) for each in range(1, number + 1)))
    return spec


# --- keys and accounts


def test_another_key_on_a_linked_record_is_reported_and_left_alone(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 1)
    edit(salesforce, linked(salesforce, 1), {key_field(salesforce): "other-9"})
    assert check(salesforce, spec)[ACCOUNT] == {"checked": 1, "other_key": 1}
    assert fields(salesforce, linked(salesforce, 1))[key_field(salesforce)] == "other-9"


def test_key_that_another_record_took_is_counted_and_nothing_else_is_written(bench: Bench) -> None:
    spec = accounts_only(bench, 1)
    edit(bench, linked(bench, 1), {key_field(bench): None})
    edit(bench, bench.add_account("A clone"), {key_field(bench): "1"})
    assert check(bench, spec)[ACCOUNT] == {"checked": 1, "key_lost": 1, "key_refused": 1}
    assert links(bench)[1][1] == "live"


def test_contact_that_someone_gave_another_account_is_reported_and_stays_there(bench: Bench) -> None:
    spec = synced(bench)
    person, other = linked(bench, 11, CONTACT), bench.add_account("Another")
    if bench.crm == "salesforce":
        edit(bench, person, {"AccountId": other}, CONTACT)
    else:
        bench.sandbox.portal.associate(person, other)
    assert check(bench, spec)[CONTACT] == {"checked": 1, "other_account": 1}
    assert account_of(bench, person) == other


# --- cost


def test_full_check_reads_the_links_in_full_batches_and_writes_nothing(bench: Bench) -> None:
    spec = accounts_only(bench, 120)
    assert check(bench, spec)[ACCOUNT] == {"checked": 120}
    assert bench.calls["read"] - (bench.crm == "salesforce") == (1 if bench.crm == "salesforce" else 2)
    assert "write" not in bench.calls


def test_recent_check_of_links_in_order_reads_none_of_them(bench: Bench) -> None:
    spec = accounts_only(bench, 3)
    assert check(bench, spec, scope="recent") == {ACCOUNT: {}}
    assert bench.calls["read"] - (bench.crm == "salesforce") == 1


def test_recent_check_finds_what_was_merged_since_the_last_one(bench: Bench) -> None:
    spec = accounts_only(bench, 3)
    check(bench, spec)
    merge(bench, bench.add_account("Made by hand"), linked(bench, 1))
    assert check(bench, spec, scope="recent")[ACCOUNT] == {"checked": 1, "relinked": 1} | (
        {"key_lost": 1} if bench.crm == "salesforce" else {}
    )


def test_recent_check_of_salesforce_finds_what_was_deleted_since_the_last_one(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 3)
    check(salesforce, spec)
    delete(salesforce, linked(salesforce, 2))
    assert check(salesforce, spec, scope="recent")[ACCOUNT] == {"checked": 1, "deleted": 1}


def test_what_was_found_last_is_stored_with_its_counts(salesforce: Bench) -> None:
    spec = accounts_only(salesforce, 2)
    delete(salesforce, linked(salesforce, 2))
    check(salesforce, spec)
    assert salesforce.rows("SELECT scope, counts ->> 'deleted' FROM crm_pipeline.link_check") == [("full", "1")]


# --- while loading


def test_rule_29_a_load_that_meets_a_deleted_record_makes_no_second_one(bench: Bench) -> None:
    spec = accounts_only(bench, 2)
    delete(bench, linked(bench, 1))
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="One"), customer(2, 200, customer_name="Two"))
    bench.load(spec, ACCOUNT)
    assert bench.outcomes() == {1: ("skipped", "DeletedInCrmException"), 2: ("updated", None)}
    assert bench.names() == ["Two"]
    assert later(bench, spec) == {}
    assert check(bench, spec, scope="recent")[ACCOUNT] == {"checked": 1, "deleted": 1}
    assert later(bench, spec) == {}


def test_rule_29_a_load_that_meets_a_merged_record_updates_the_winner_at_once(bench: Bench) -> None:
    spec = accounts_only(bench, 2)
    winner = merge(bench, bench.add_account("Made by hand"), linked(bench, 1))
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="One"), customer(2, 200, customer_name="Two"))
    bench.load(spec, ACCOUNT)
    assert bench.outcomes() == {1: ("updated", None), 2: ("updated", None)}
    assert (bench.names(), links(bench)[1]) == (["One", "Two"], (winner, "live", None))
    assert fields(bench, winner)[key_field(bench)] == "1"


@pytest.mark.parametrize("external_keys", [True, False])
def test_rule_29_a_load_never_writes_over_a_winner_that_is_another_records(hubspot: Bench, *, external_keys: bool) -> None:
    spec = hubspot.spec(contacts=None, external_keys=external_keys)
    hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    hubspot.sandbox.portal.preserve_primary_id = True
    winner, loser = linked(hubspot, 1), linked(hubspot, 2)
    merge(hubspot, winner, loser)
    hubspot.stage(spec, ACCOUNT, customer(2, 200, customer_name="Not to be written"))
    hubspot.load(spec, ACCOUNT)
    assert hubspot.outcomes()[2] == ("skipped", "LinkConflictException")
    assert links(hubspot) == {1: (winner, "live", None), 2: (loser, "conflict", winner)}
    assert hubspot.names() == ["Lab 1"]


def test_a_load_whose_records_are_there_asks_nothing_about_their_links(bench: Bench) -> None:
    spec = accounts_only(bench, 2)
    bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="One"), customer(2, 200, customer_name="Two"))
    bench.load(spec, ACCOUNT)
    assert bench.calls["write"] == 1
    assert bench.calls.get("read", 0) == (1 if bench.crm == "salesforce" else 0)


def test_contact_whose_account_was_merged_away_follows_after_the_next_check(bench: Bench) -> None:
    spec = synced(bench)
    winner = merge(bench, bench.add_account("Made by hand"), linked(bench, 1))
    bench.stage(spec, CONTACT, contact(12, 200, of=1))
    bench.load(spec, CONTACT, window=Window(since=200, until=201))
    assert bench.outcomes(CONTACT)[12] == ("failed", "ParentNotFoundException")
    assert check(bench, spec, scope="recent")[ACCOUNT]["relinked"] == 1
    later(bench, spec, CONTACT)
    assert account_of(bench, linked(bench, 12, CONTACT)) == winner


def test_recent_check_looks_at_an_account_that_a_contact_could_not_be_given(hubspot: Bench) -> None:
    spec = synced(hubspot)
    check(hubspot, spec)
    delete(hubspot, linked(hubspot, 1))
    assert check(hubspot, spec, scope="recent")[ACCOUNT] == {}
    hubspot.stage(spec, CONTACT, contact(12, 200, of=1))
    hubspot.load(spec, CONTACT, window=Window(since=200, until=201))
    assert check(hubspot, spec, scope="recent")[ACCOUNT] == {"checked": 1, "deleted": 1}
