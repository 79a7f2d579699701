"""What people changed in a CRM, brought home into QBench."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from crm_pipeline.errors import ServiceUnavailableError, StoreError, TooManyChangesError
from crm_pipeline.mapping.digests import digests
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.crm_records import pend, pending_crm_ids
from crm_pipeline.store.link_digests import digest_in
from crm_pipeline.store.open_calls import open_accounts
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.selection import Open
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench
from crm_pipeline_tests.sync.returning.home import BOTH, DESCRIPTION, EVERYTHING_CHANGED, MINUTE, NOON, Home, home

AT_NOON = ["2026-11-02T12:00:00+00:00", 0]


def one_customer(bench: Bench, *, accounts: Mapping[str, object] = DESCRIPTION) -> tuple[Home, str]:
    """A customer whose description is ``old`` on both sides, and its id in the CRM."""
    house = home(bench, accounts=accounts)
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", at=1_000)
    return house, house.linked()[1]


def customers(bench: Bench, count: int) -> tuple[Home, dict[int, str]]:
    house = home(bench)
    for number in range(1, count + 1):
        house.tenant.add_customer(id=number, customer_name=f"Lab {number}", comments="old", at=1_000)
    return house, house.linked()


# What is brought


def test_what_a_person_changed_in_the_crm_stands_in_qbench_and_costs_one_patch(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "new")
    report = house.hour()

    assert house.comments() == "new"
    assert (report.changed, report.outcomes, report.fields, house.calls["write"]) == (1, {"updated": 1}, {"comments": 1}, 1)
    assert house.outcome(crm_id) == ("updated", None, "written: comments")


def test_what_was_brought_is_agreed_on_and_stands_since_the_persons_edit(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "new")
    house.hour()
    [[sent, seen]] = house.bases()["bases"].values()

    assert sent == seen
    assert house.since() == {"comments": AT_NOON}
    assert bench.rows("SELECT bringing, late FROM crm_pipeline.raw_record") == [(None, True)]
    again = house.hour()
    assert (again.verdicts, house.calls["write"], house.conflicts()) == ({"agreed": 1}, 0, [])


def test_answers_that_come_once_the_lock_is_lost_are_not_kept_and_what_was_written_is_known_again(
    salesforce: Bench, database_url: str
) -> None:
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, "new")
    held = Fault(service="qbench", method="PATCH", kind="hold", until=threading.Event())
    salesforce.sandbox.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        hour = threads.submit(house.hour)
        await_that(lambda: held not in salesforce.sandbox.faults.open(), "the write is under way")
        end_lock_holders(database_url)
        assert held.until is not None
        held.until.set()
        with pytest.raises(StoreError, match="the connection that held this lock is gone"):
            hour.result()
    assert salesforce.rows("SELECT outcome FROM crm_pipeline.change_outcome") == []
    house.hour()
    assert (house.comments(), house.calls["write"]) == ("new", 0)


def test_what_was_brought_is_not_sent_back(salesforce: Bench) -> None:
    """The link keeps it as sent."""
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, "new")
    house.hour()
    sent = int(digests(pd.DataFrame({"Description": ["new"]}, dtype="str")).iloc[0, 0])
    kept = digest_in("link", "'Description'")
    assert salesforce.rows(f"SELECT {kept} FROM crm_pipeline.link") == [(sent,)]
    report = salesforce.load(house.spec, ACCOUNT)

    assert report.outcomes == {"unchanged": 1}
    assert salesforce.calls.get("write", 0) == 0


def test_edit_comes_home_though_the_last_to_write_to_the_record_were_we(bench: Bench) -> None:
    """A person edits one field, we write another one: the CRM names us and our time, for both."""
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "new")
    house.tenant.edit_customer(1, customer_name="Lab One")
    house.extract()
    assert bench.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED).outcomes == {"updated": 1}
    house.hour()

    assert (house.comments(), bench.names(), house.conflicts()) == ("new", ["Lab One"], [])


def test_contacts_come_home_like_customers(bench: Bench) -> None:
    house = home(bench, accounts={}, contacts={"last_name": {"from": "last_name", **BOTH}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", at=1_000)
    house.tenant.add_contact(id=7, customer_ids=[1], first_name="Ana", last_name="Ruiz", email_address="ana@labs.example.org", at=1_000)
    ids = house.linked(CONTACT)
    house.edit(ids[7], {"LastName" if bench.crm == "salesforce" else "lastname": "Ruiz-Ortega"}, record_type=CONTACT)
    report = house.hour(CONTACT)

    assert (report.changed, house.calls["write"]) == (1, 1)
    assert house.tenant.contact(7)["last_name"] == "Ruiz-Ortega"


def test_contact_that_moved_to_another_account_in_the_crm_is_told_and_stays_with_its_customer(bench: Bench) -> None:
    house = home(bench, contacts={"last_name": {"from": "last_name", **BOTH}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", at=1_000)
    house.tenant.add_contact(id=7, customer_ids=[1], first_name="Ana", last_name="Ruiz", email_address="ana@labs.example.org", at=1_000)
    [own], [crm_id] = house.linked().values(), house.linked(CONTACT).values()
    other = bench.add_account("Elsewhere")
    seen = []
    for name, account in (("Ruiz A", None), ("Ruiz B", other), ("Ruiz C", own)):
        if bench.crm == "salesforce":
            house.edit(crm_id, {"LastName": name, "AccountId": account}, record_type=CONTACT)
        else:
            house.edit(crm_id, {"lastname": name}, record_type=CONTACT)
            if account:
                bench.sandbox.portal.associate(crm_id, account, types=(1,))
        seen.append((house.hour(CONTACT).moved, house.outcome(crm_id)[2]))

    written = "written: last_name"
    assert seen == [(1, f"{written}; other_account: none"), (1, f"{written}; other_account: {other}"), (0, written)]
    assert house.tenant.customer_ids[7] == (1,)


def test_contact_whose_account_is_still_to_be_sent_has_moved_nowhere(hubspot: Bench) -> None:
    house = home(hubspot, contacts={"last_name": {"from": "last_name", **BOTH}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", at=1_000)
    house.tenant.add_contact(id=7, customer_ids=[1], first_name="Ana", last_name="Ruiz", email_address="ana@labs.example.org", at=1_000)
    [_], [crm_id] = house.linked().values(), house.linked(CONTACT).values()
    with hubspot.store.transaction() as connection:
        open_accounts(connection, hubspot.order(house.spec, CONTACT).state, ids=[7])
    house.edit(crm_id, {"lastname": "Ruiz A"}, record_type=CONTACT)
    assert (house.hour(CONTACT).moved, house.outcome(crm_id)[2]) == (0, "written: last_name")


def test_only_the_field_that_changed_is_written(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={**DESCRIPTION, "name": {"from": "customer_name", **BOTH}})
    house.describe(crm_id, "new")
    house.tenant.edit_customer(1, customer_name="Lab One")
    house.hour()

    assert (house.comments(), house.tenant.customer(1)["customer_name"]) == ("new", "Lab One")


def test_field_whose_name_holds_a_comma_is_told_where_qbench_drops_it(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={"description": {"from": "Tier, current", **BOTH}})
    house.describe(crm_id, "new")
    house.hour()
    assert house.outcome(crm_id) == ("failed", "NotTakenByQBenchException", 'fields: "Tier, current"')


def test_records_over_several_frames_and_calls_all_come_home(salesforce: Bench) -> None:
    house, ids = customers(salesforce, 53)
    for crm_id in ids.values():
        house.describe(crm_id, f"new of {crm_id}")
    house.read()
    report = house.bring(policy=ReturnPolicy(most_changed_share=1), frame_rows=20)

    assert (report.rows, report.changed, house.calls["write"]) == (53, 53, 2)
    assert [house.comments(number) for number in ids] == [f"new of {crm_id}" for crm_id in ids.values()]


def test_hour_without_a_change_makes_no_call(bench: Bench) -> None:
    house, _ = one_customer(bench)

    assert house.bring().rows == 0
    assert (house.calls.total(), house.crm_calls.total()) == (0, 0)


def test_stamps_that_move_without_a_change_write_nothing(bench: Bench) -> None:
    house, ids = customers(bench, 12)
    touched = bench.sandbox.org if bench.crm == "salesforce" else bench.sandbox.portal
    touched.touch("Account" if bench.crm == "salesforce" else "companies")
    report = house.hour()

    assert (report.outcomes, report.to_change, house.calls.total()) == ({"unchanged": len(ids)}, 0, 0)
    assert house.crm_calls.keys() <= {"describe", "sign_in"}, "what was read of the window is not read again"


@pytest.mark.parametrize("shown", ["  old \r\n", "old\n"])
def test_what_differs_only_in_the_way_it_is_written_writes_nothing(salesforce: Bench, shown: str) -> None:
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, shown)

    assert house.hour().verdicts == {"agreed": 1}
    assert house.calls.total() == 0


def test_corrected_capital_letter_travels(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "Old")
    house.hour()

    assert house.comments() == "Old"


def test_text_that_the_crm_holds_a_part_of_stays_whole_in_qbench(salesforce: Bench) -> None:
    """Cut for a field of 255 characters; ten rounds later it is whole still, and an edit there is told as one that loses the rest."""
    long = "x" * 299 + "y"
    house = home(salesforce, accounts={"salesforce.Site": {"from": "comments", **BOTH, "on_invalid": "truncate"}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments=long, at=1_000)
    crm_id = house.linked()[1]
    for minute in range(10):
        salesforce.sandbox.org.touch("Account", at=NOON + minute * MINUTE)
        assert house.hour().to_change == 0
    assert house.comments() == long
    house.edit(crm_id, {"Site": "short"}, NOON + 10 * MINUTE)
    house.hour()
    assert house.comments() == "short"
    assert house.conflicts() == [("Site", "crm", "only change")]


def test_switching_the_way_back_on_writes_nothing_and_the_first_edit_then_flows(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "another")
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET bases = NULL"))
    assert (house.hour().verdicts, house.calls.total()) == ({"kept": 1}, 0)
    assert (house.hour().verdicts, house.calls.total()) == ({"drift": 1}, 0), "what was accepted is no edit the next time it is read"
    house.describe(crm_id, "newer", NOON + MINUTE)
    house.hour()

    assert house.comments() == "newer"


@pytest.mark.parametrize(("mapping", "left"), [({}, "old"), ({"clear": True}, None)])
def test_emptied_field_empties_qbench_only_where_the_mapping_clears(bench: Bench, mapping: dict[str, bool], left: str | None) -> None:
    house, crm_id = one_customer(bench, accounts={"description": {"from": "comments", **BOTH, **mapping}})
    house.describe(crm_id, None)
    house.hour()

    assert house.comments() == left


# Conflicts


def test_edit_that_extraction_has_not_seen_yet_is_decided_about_before_the_write(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={"description": {"from": "comments", **BOTH, "rule": {"prefer": "qbench"}}})
    house.describe(crm_id, "theirs")
    house.read()
    house.tenant.edit_customer(1, comments="ours")
    report = house.bring()

    assert (house.comments(), house.calls["write"]) == ("ours", 0)
    assert house.conflicts() == [("Description", "qbench", "preferred side")]
    assert (report.conflicts, house.outcome(crm_id)[2]) == ({"qbench": 1}, "conflict, the value of qbench stands: Description")
    assert salesforce.load(house.spec, ACCOUNT).outcomes == {"updated": 1}
    assert [row["Description"] for row in salesforce.sandbox.org.records("Account")] == ["ours"]


@pytest.mark.parametrize(("crm_edit", "winner"), [(3 * MINUTE, "crm"), (-3 * MINUTE, "qbench")])
def test_the_later_of_two_edits_of_a_field_stands_and_an_edit_of_another_field_stays(
    bench: Bench, crm_edit: timedelta, winner: str
) -> None:
    """The name at 12:00 here, and three minutes later or earlier there; the phone later than both."""
    house, crm_id = one_customer(bench, accounts={**DESCRIPTION, "phone_number": {"from": "phone", **BOTH}})
    house.tenant.edit_customer(1, comments="ours", at=int(NOON.timestamp()))
    house.extract()
    house.tenant.edit_customer(1, phone="512 555 0100", at=int((NOON + 8 * MINUTE).timestamp()))
    house.extract()
    house.describe(crm_id, "theirs", NOON + crm_edit)
    house.hour()

    assert house.comments() == ("theirs" if winner == "crm" else "ours")
    assert house.tenant.customer(1)["phone"] == "512 555 0100"
    [(_, told, evidence)] = house.conflicts()
    assert (told, evidence) == (winner, "record stamp" if bench.crm == "salesforce" else "field history")


@pytest.mark.parametrize(("later", "winner", "evidence"), [(80, "crm", "record stamp"), (20, "qbench", "tie")])
def test_edits_are_ordered_by_true_time_whatever_the_clocks_show_and_what_is_too_near_is_qbenchs(
    salesforce: Bench, later: int, winner: str, evidence: str
) -> None:
    """QBench's clock is 90 seconds ahead and tells whole minutes, Salesforce's is a minute behind: the later edit seems the earlier one."""
    house, crm_id = one_customer(salesforce)
    house.tenant.clock_ahead, house.tenant.stamp_seconds, salesforce.sandbox.org.clock_ahead = 90, 60, -60
    house.tenant.edit_customer(1, comments="ours", at=int(NOON.timestamp()))
    house.extract()
    house.describe(crm_id, "theirs", NOON + timedelta(seconds=later))
    house.hour()

    assert house.comments() == ("theirs" if winner == "crm" else "ours")
    assert house.conflicts() == [("Description", winner, evidence)]


def test_record_that_is_edited_whenever_it_is_to_be_written_is_tried_again_later(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={"description": {"from": "comments", **BOTH, "rule": {"prefer": "salesforce"}}})
    house.describe(crm_id, "theirs")
    house.read()
    edits = iter(range(10))

    def edit(path: str, query: Mapping[str, str]) -> None:
        if "/customers" in path:
            house.tenant.edit_customer(1, customer_name=f"Lab {next(edits)}")

    house.tenant.on_request = edit
    report = house.bring()
    house.tenant.on_request = None

    assert (report.errors, report.retryable, house.comments()) == ({"ChangedMeanwhileException": 1}, 1, "old")


# Gates


def test_record_without_a_link_is_counted_and_has_no_outcome(bench: Bench) -> None:
    house, _ = one_customer(bench)
    stranger = house.add(ACCOUNT, {"Name" if bench.crm == "salesforce" else "name": "Stranger"}, at=NOON)
    report = house.hour()

    assert (report.unlinked, house.outcome(stranger), house.calls.total()) == (1, (), 0)


def test_record_that_the_filter_leaves_out_stays_as_it_is_until_it_is_back(salesforce: Bench) -> None:
    accounts = {"map": {"name": "customer_name"}, "only": {"field": "group_name", "in": ["A"]}}
    house = home(salesforce, settings={"accounts": accounts})
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", group_name="A", at=1_000)
    crm_id = house.linked()[1]
    house.tenant.edit_customer(1, group_name="B", at=2_000)
    house.extract()
    house.describe(crm_id, "new")
    assert house.hour().errors == {"FilteredOutException": 1}
    assert house.comments() == "old"
    house.tenant.edit_customer(1, group_name="A", at=3_000)
    house.extract()
    assert house.bring(selection=Open()).others == 1
    assert house.comments() == "new"


@pytest.mark.parametrize(("status", "error"), [("deleted", "DeletedInCrmException"), ("conflict", "LinkConflictException")])
def test_record_whose_link_is_not_live_waits_for_it(salesforce: Bench, status: str, error: str) -> None:
    """Deleted and restored, or merged and given back."""
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, "new")
    set_status(salesforce, status)
    assert (house.hour().errors, house.calls.total()) == ({error: 1}, 0)
    set_status(salesforce, "live")
    house.bring(selection=Open())

    assert house.comments() == "new"


def break_off(bench: Bench, *, after: bool, skip: int = 0) -> None:
    """QBench goes away with a write, which it carries out (``after``) or not; ``skip`` writes get through."""
    bench.sandbox.faults.add(Fault(service="qbench", method="PATCH", kind="drop_after" if after else "drop_before", skip=skip, times=None))
    bench.sandbox.faults.add(Fault(service="qbench", method="GET", path="customers$", times=None))


def set_status(bench: Bench, status: str) -> None:
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET status = :status, updated_at = now()"), {"status": status})


def test_record_that_was_deleted_in_qbench_meanwhile_is_not_written(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, "new")
    house.tenant.delete_customer(1)

    assert house.hour().errors == {"DeletedInQBenchException": 1}
    assert house.calls["write"] == 0
    assert house.outcome(crm_id)[1] == "DeletedInQBenchException"


def test_the_winner_of_a_merge_brings_its_own_values_and_the_loser_nothing(salesforce: Bench) -> None:
    house, ids = customers(salesforce, 2)
    house.describe(ids[1], "of the loser")
    house.read()
    salesforce.sandbox.org.merge("Account", ids[2], [ids[1]], at=NOON)
    house.describe(ids[2], "of the winner", NOON + MINUTE)
    with salesforce.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET status = 'conflict', merged_into = :to WHERE qbench_id = 1"), {"to": ids[2]})
    house.hour()

    assert (house.comments(1), house.comments(2)) == ("old", "of the winner")


# Readings


def test_reading_of_before_our_last_write_says_nothing_and_the_record_is_read_again(bench: Bench) -> None:
    """Staged, then a load wrote, then only this run is made again: nothing is turned back."""
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "stale")
    house.read()
    house.describe(crm_id, "old", NOON + MINUTE)
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET touched_at = now() + interval '1 second'"))
        connection.execute(text("UPDATE crm_pipeline.crm_record SET read_at = now() - interval '1 minute'"))
        connection.execute(text("UPDATE crm_pipeline.link SET touched_at = now() - interval '1 second'"))
    report = house.bring()

    assert (report.read_again, report.verdicts, house.comments()) == (1, {"agreed": 1}, "old")


def test_field_that_was_mapped_after_the_reading_is_read_and_not_taken_for_blank(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET bases = NULL"))
    house.describe(crm_id, "another")
    house.read()
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.crm_record SET fields = '{}'"))
    assert (house.bring().read_again, house.comments()) == (1, "old")
    assert (house.bring().verdicts, house.comments()) == ({"drift": 1}, "old")


def test_pending_record_is_looked_at_whatever_its_stamp_and_then_no_more(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "new")
    state = bench.order(house.spec, ACCOUNT).state
    with bench.store.transaction() as connection:
        pend(connection, state, crm_ids=[crm_id])
    assert house.bring(selection=Open()).changed == 1
    assert house.comments() == "new"
    with bench.store.transaction() as connection:
        assert pending_crm_ids(connection, state) == []


def test_record_that_the_crm_fails_to_show_holds_up_no_other_and_is_tried_again(bench: Bench) -> None:
    house, ids = customers(bench, 2)
    state = bench.order(house.spec, ACCOUNT).state
    for crm_id in ids.values():
        house.describe(crm_id, "new")
    with bench.store.transaction() as connection:
        pend(connection, state, crm_ids=list(ids.values()))
    bench.sandbox.faults.add(Fault(service=bench.crm, naming=ids[1], times=None, status=500))
    report = house.bring(selection=Open())

    assert (report.errors, report.retryable) == ({"CrmFailsOnRecordException": 1}, 1)
    assert (house.comments(1), house.comments(2)) == ("old", "new")


# Values that QBench does not take


def test_value_that_qbench_cannot_hold_is_named_and_both_sides_stay(salesforce: Bench) -> None:
    accounts = {**DESCRIPTION, "name": {"from": "customer_name", **BOTH}}
    house, crm_id = one_customer(salesforce, accounts=accounts)
    house.edit(crm_id, {"Description": "x" * 2_001, "Name": "Lab One"})
    report = house.hour()

    assert (house.comments(), house.tenant.customer(1)["customer_name"]) == ("old", "Lab One")
    assert house.outcome(crm_id) == (
        "failed",
        "NotFitForQBenchException",
        "written: customer_name; not taken: Description (too_long)",
    )
    assert (report.changed, report.verdicts) == (1, {"to_qbench": 1, "not_taken": 1})


def test_field_that_qbench_drops_is_tried_once_and_not_every_hour(salesforce: Bench) -> None:
    house = home(salesforce, accounts={"salesforce.Site": {"from": "misspelt", **BOTH}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", at=1_000)
    crm_id = house.linked()[1]
    house.edit(crm_id, {"Site": "here"})
    assert house.hour().errors == {"NotTakenByQBenchException": 1}
    again = house.hour()
    assert (again.errors, again.to_change, house.calls.total()) == ({"NotTakenByQBenchException": 1}, 0, 0)
    house.tenant.add_field("customers", "misspelt")
    with salesforce.store.transaction() as connection:
        pend(connection, salesforce.order(house.spec, ACCOUNT).state, crm_ids=[crm_id])
    assert house.bring(selection=Open()).outcomes == {"updated": 1}
    assert house.tenant.customer(1)["misspelt"] == "here"


def test_row_that_qbench_refuses_holds_up_no_other(salesforce: Bench) -> None:
    house, ids = customers(salesforce, 3)
    house.tenant.habits.unique = {"customers": frozenset({"comments"}), "contacts": frozenset()}
    house.describe(ids[1], "taken")
    house.hour()
    for number in (2, 3):
        house.describe(ids[number], "taken" if number == 2 else "free", NOON + MINUTE)
    report = house.hour()

    assert (house.comments(2), house.comments(3)) == ("old", "free")
    assert report.errors == {"RefusedByQBenchException": 1}
    assert house.hour().to_change == 0


# Too many, and to and fro


def test_too_many_changes_stop_the_run_before_the_first_write(salesforce: Bench) -> None:
    house, ids = customers(salesforce, 9)
    for crm_id in list(ids.values())[:6]:
        house.describe(crm_id, "loaded")
    house.read()
    with pytest.raises(TooManyChangesError, match="would change 6 customers in QBench, and 5 are the most"):
        house.bring()
    assert (house.calls.total(), {house.comments(number) for number in ids}) == (0, {"old"})
    report = house.bring(policy=ReturnPolicy(most_changed_share=1))
    assert (report.to_change, report.limit, report.changed) == (6, 9, 6)


def test_field_that_goes_to_and_fro_is_held_and_named(salesforce: Bench) -> None:
    """Automation in the CRM writes one word, automation in QBench the other."""
    house, crm_id = one_customer(salesforce)
    for turn in range(4):
        house.describe(crm_id, f"CRM {turn}", datetime.now(UTC) + turn * MINUTE)
        report = house.hour()
        house.tenant.edit_customer(1, comments=f"QBench {turn}")
        house.extract()
        salesforce.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED)
    assert (report.errors, report.retryable, report.changed) == ({"PingPongException": 1}, 1, 0)
    assert house.outcome(crm_id)[2] == "not taken: Description (ping_pong)"


def test_field_that_people_change_often_in_the_crm_alone_is_not_held(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce)
    for turn in range(5):
        house.describe(crm_id, f"edit {turn}", NOON + turn * MINUTE)
        house.hour()

    assert house.comments() == "edit 4"


def test_field_is_not_held_because_another_one_of_its_record_is_sent_often(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={**DESCRIPTION, "name": {"from": "customer_name", **BOTH}})
    for turn in range(5):
        house.describe(crm_id, f"edit {turn}", datetime.now(UTC) + turn * MINUTE)
        house.hour()
        house.tenant.edit_customer(1, customer_name=f"Lab {turn}")
        house.extract()
        salesforce.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED)

    assert (house.comments(), salesforce.names()) == ("edit 4", ["Lab 4"])


# Breaking off


def test_write_whose_answer_is_lost_is_known_again_and_dated_by_the_persons_edit(bench: Bench) -> None:
    house, crm_id = one_customer(bench)
    house.describe(crm_id, "new")
    break_off(bench, after=True)
    with pytest.raises(ServiceUnavailableError):
        house.hour()
    bench.sandbox.faults.clear()
    house.extract()
    report = house.hour()

    assert (house.comments(), house.since(), house.calls["write"]) == ("new", {"comments": AT_NOON}, 0)
    assert (report.verdicts, house.conflicts()) == ({"agreed": 1}, [])


def test_write_whose_answer_is_lost_is_known_again_where_qbench_moves_no_date(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce)
    house.tenant.habits.touches = False
    house.describe(crm_id, "new")
    break_off(salesforce, after=True)
    with pytest.raises(ServiceUnavailableError):
        house.hour()
    salesforce.sandbox.faults.clear()

    assert house.hour().verdicts == {"agreed": 1}
    assert (house.comments(), house.since(), house.calls["write"]) == ("new", {"comments": AT_NOON}, 0)


def test_run_that_broke_off_before_the_write_is_followed_by_one_that_makes_it_and_tells_nothing_twice(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts={"description": {"from": "comments", **BOTH, "rule": {"prefer": "salesforce"}}})
    house.tenant.edit_customer(1, comments="ours", at=2_000)
    house.extract()
    house.describe(crm_id, "theirs")
    break_off(salesforce, after=False)
    with pytest.raises(ServiceUnavailableError):
        house.hour()
    salesforce.sandbox.faults.clear()
    assert (house.comments(), house.conflicts()) == ("ours", [("Description", "crm", "preferred side")])
    house.hour()

    assert (house.comments(), len(house.conflicts())) == ("theirs", 1)


def test_newer_edit_in_qbench_after_a_lost_answer_is_not_undone(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce)
    house.describe(crm_id, "new")
    break_off(salesforce, after=True)
    with pytest.raises(ServiceUnavailableError):
        house.hour()
    salesforce.sandbox.faults.clear()
    house.tenant.edit_customer(1, comments="newest")
    house.extract()
    house.hour()

    assert house.comments() == "newest"


def test_batches_that_were_written_before_the_one_that_broke_off_are_stored(salesforce: Bench) -> None:
    house, ids = customers(salesforce, 53)
    for crm_id in ids.values():
        house.describe(crm_id, "new")
    house.read()
    break_off(salesforce, after=False, skip=1)
    with pytest.raises(ServiceUnavailableError):
        house.bring(policy=ReturnPolicy(most_changed_share=1))
    assert salesforce.rows("SELECT count(*) FROM crm_pipeline.change_outcome WHERE outcome = 'updated'") == [(50,)]
    salesforce.sandbox.faults.clear()
    report = house.bring(policy=ReturnPolicy(most_changed_share=1))

    assert (report.changed, house.calls["write"]) == (3, 1)


def test_writes_of_several_calls_whose_answers_nobody_stored_are_known_again(salesforce: Bench) -> None:
    """The run ends between the last call and the storing of what all of them were answered."""
    house, ids = customers(salesforce, 53)
    for crm_id in ids.values():
        house.describe(crm_id, "new")
    house.read()
    everybody = ReturnPolicy(most_changed_share=1)
    with salesforce.store.transaction() as connection:
        connection.execute(text("ALTER TABLE crm_pipeline.change_outcome ADD CONSTRAINT none CHECK (outcome <> 'updated')"))
    with pytest.raises(IntegrityError):
        house.bring(policy=everybody)
    with salesforce.store.transaction() as connection:
        connection.execute(text("ALTER TABLE crm_pipeline.change_outcome DROP CONSTRAINT none"))
    assert {house.comments(number) for number in ids} == {"new"}
    house.extract()
    report = house.bring(policy=everybody)

    assert (report.verdicts, house.calls["write"], house.conflicts()) == ({"agreed": 53}, 0, [])
    assert [house.since(number) for number in (1, 53)] == [{"comments": AT_NOON}] * 2


# Side by side


def test_page_that_was_read_before_the_write_never_replaces_its_answer(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce)
    house.tenant.habits.touches = False
    house.describe(crm_id, "new")
    house.read()
    asked, go_on = threading.Event(), threading.Event()

    def wait(path: str, query: Mapping[str, str]) -> None:
        asked.set()

    house.tenant.on_request = wait
    salesforce.sandbox.faults.add(Fault(service="qbench", method="GET", path="customers$", kind="hold", until=go_on))
    extraction = threading.Thread(target=house.extract)
    extraction.start()
    assert asked.wait(10)
    house.tenant.on_request = None
    bringing = threading.Thread(target=house.bring)
    bringing.start()
    while salesforce.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == []:
        assert bringing.is_alive()
    go_on.set()
    extraction.join(10)
    bringing.join(10)

    assert salesforce.rows("SELECT crm_pipeline.unpacked(content) ->> 'comments' FROM crm_pipeline.raw_record") == [("new",)]


def test_nothing_that_people_can_read_holds_a_value(salesforce: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="crm_pipeline")
    house, ids = customers(salesforce, 4)
    house.tenant.edit_customer(1, comments="SECRET-ours")
    house.describe(ids[1], "SECRET-theirs")
    house.describe(ids[2], "SECRET-brought")
    house.describe(ids[3], "SECRET" * 500)
    salesforce.sandbox.faults.add(Fault(service="qbench", method="PATCH", status=400, body={"message": "SECRET-brought"}, times=None))
    house.extract()
    report = house.hour()

    assert sum(report.outcomes.values()) == 4
    assert "SECRET" not in caplog.text
    for table in ("change_outcome", "change_history"):
        assert "SECRET" not in str(salesforce.rows(f"SELECT * FROM crm_pipeline.{table}"))
    assert report.conflicts.total() == 1
