"""What the state keeps per CRM: links, outcomes and intents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import LINKS, OUTCOMES
from crm_pipeline.store.crm_state import Attempt, Backoff, CrmState
from crm_pipeline.store.database import Store

ACCOUNTS = CrmState("acme", "salesforce", RecordType.ACCOUNT)
CONTACTS = CrmState("acme", "salesforce", RecordType.CONTACT)
BACKOFF = Backoff(
    first_seconds=60,
    factor=2,
    longest_seconds=600,
    attempts=3,
    own_first_seconds={"RecordHeldException": 300},
    never_given_up=["ServiceFailedException", "RecordHeldException"],
)
BETA = CrmState("beta", "salesforce", RecordType.ACCOUNT)


def link(qbench_id: int, crm_id: str, version: int = 5, **more: Any) -> pd.DataFrame:
    row = {"qbench_id": qbench_id, "crm_id": crm_id, "origin": "created", "version": version, "digests": {"Name": 2**62}, "status": "live"}
    return LINKS.build(pd.DataFrame([{**row, **more}], columns=LINKS.names))


def save(store: Store, links: pd.DataFrame, state: CrmState = ACCOUNTS, *, org_id: str = "org") -> None:
    with store.transaction() as connection:
        state.save_links(connection, org_id=org_id, links=links)


def stored(store: Store, *ids: int, state: CrmState = ACCOUNTS) -> list[tuple[Any, ...]]:
    with store.transaction() as connection:
        frame = state.links(connection, ids=list(ids))
    return [(row.qbench_id, row.crm_id, row.version) for row in frame.itertuples()]


def outcome(qbench_id: int, name: str, version: int = 5, **more: Any) -> pd.DataFrame:
    row = {"qbench_id": qbench_id, "version": version, "outcome": name, "retryable": False, **more}
    return OUTCOMES.build(pd.DataFrame([row], columns=OUTCOMES.names))


def report(store: Store, outcomes: pd.DataFrame, state: CrmState = ACCOUNTS, *, backoff: Backoff = BACKOFF) -> list[int]:
    with store.transaction() as connection:
        return state.save_outcomes(connection, outcomes=outcomes, attempt=Attempt("run", "2026-11-01-00:00", backoff))


def query(store: Store, statement: str) -> list[tuple[Any, ...]]:
    with store.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_a_link_comes_back_as_it_was_stored(store: Store) -> None:
    save(store, link(7, "003", parent_qbench_id=41), CONTACTS)
    with store.transaction() as connection:
        (row,) = CONTACTS.links(connection, ids=[7, 8]).itertuples()
    assert (row.crm_id, row.origin, row.version, row.digests, row.parent_qbench_id, row.status) == (
        "003", "created", 5, {"Name": 2**62}, 41, "live",
    )  # fmt: skip


def test_an_older_link_never_replaces_a_newer_one(store: Store) -> None:
    save(store, link(1, "001", version=9))
    save(store, link(1, "002", version=8))
    assert stored(store, 1) == [(1, "001", 9)]
    save(store, link(1, "003", version=9))
    assert stored(store, 1) == [(1, "003", 9)]


def test_links_of_other_integrations_crms_and_record_types_are_kept_apart(store: Store) -> None:
    save(store, link(1, "001"))
    save(store, link(1, "002"), BETA)
    save(store, link(1, "003"), CONTACTS)
    assert (stored(store, 1), stored(store, 1, state=BETA), stored(store, 1, state=CONTACTS)) == (
        [(1, "001", 5)],
        [(1, "002", 5)],
        [(1, "003", 5)],
    )


@pytest.mark.parametrize(("qbench_id", "state"), [(2, ACCOUNTS), (1, BETA)], ids=["in the integration", "over integrations"])
def test_the_database_itself_refuses_that_two_records_share_a_crm_record(store: Store, qbench_id: int, state: CrmState) -> None:
    save(store, link(1, "001"))
    with pytest.raises(IntegrityError):
        save(store, link(qbench_id, "001"), state)
    save(store, link(qbench_id, "001"), state, org_id="another org")


def test_holders_are_found_over_all_integrations_of_an_organization(store: Store) -> None:
    save(store, link(1, "001"))
    save(store, link(4, "004"), BETA)
    save(store, link(5, "005"), BETA, org_id="another org")
    with store.transaction() as connection:
        found = ACCOUNTS.holders(connection, org_id="org", crm_ids=["001", "004", "005", "006"])
    assert sorted(found.itertuples(index=False, name=None)) == [("001", "acme", 1), ("004", "beta", 4)]


def test_the_latest_outcome_is_kept_and_every_other_is_history(store: Store) -> None:
    report(store, outcome(1, "created"))
    report(store, outcome(1, "unchanged"))
    report(store, outcome(1, "updated", version=6))
    assert query(store, "SELECT outcome FROM crm_pipeline.outcome") == [("updated",)]
    assert query(store, "SELECT outcome FROM crm_pipeline.every_outcome ORDER BY id") == [("created",), ("updated",)]


def test_an_outcome_goes_to_the_history_as_it_was_when_another_one_replaces_it(store: Store) -> None:
    told = "outcome, version, reason, run_id, partition_key, at"
    report(store, outcome(1, "created", reason="email: none"))
    before = query(store, f"SELECT {told} FROM crm_pipeline.every_outcome")
    assert before[0][:5] == ("created", 5, "email: none", "run", "2026-11-01-00:00")
    assert query(store, "SELECT * FROM crm_pipeline.outcome_history") == []
    report(store, outcome(1, "updated", version=6))
    assert query(store, f"SELECT {told} FROM crm_pipeline.outcome_history") == before


def test_an_outcome_that_waits_for_nothing_and_repeats_the_latest_is_told_once(store: Store) -> None:
    for _ in range(2):
        report(store, outcome(1, "skipped", error_type="InactiveException"))
    assert query(store, "SELECT outcome FROM crm_pipeline.every_outcome") == [("skipped",)]


def test_an_older_version_s_outcome_is_history_only(store: Store) -> None:
    report(store, outcome(1, "updated", version=6))
    report(store, outcome(1, "failed", version=5))
    report(store, outcome(1, "unchanged", version=5))
    assert query(store, "SELECT outcome FROM crm_pipeline.outcome") == [("updated",)]
    assert query(store, "SELECT outcome FROM crm_pipeline.outcome_history") == [("failed",)]
    assert query(store, "SELECT count(*) FROM crm_pipeline.every_outcome") == [(2,)]


def locked(version: int = 5) -> pd.DataFrame:
    return outcome(1, "failed", version, retryable=True, error_type="RecordLockedException", waits_on="time", reason="account 7")


def test_tries_in_a_row_are_counted_until_one_ends_otherwise(store: Store) -> None:
    counted = []
    for tried in (locked(), locked(), outcome(1, "failed"), locked()):
        report(store, tried)
        counted += query(store, "SELECT attempts FROM crm_pipeline.outcome")
    assert counted == [(1,), (2,), (0,), (1,)]


def test_each_wait_for_the_next_try_is_longer_up_to_the_longest(store: Store) -> None:
    patient = replace(BACKOFF, attempts=99)
    waits = []
    for _ in range(6):
        report(store, locked(), backoff=patient)
        waits += query(store, "SELECT extract(epoch FROM next_attempt_at - at)::int FROM crm_pipeline.outcome")
    assert waits == [(60,), (120,), (240,), (480,), (600,), (600,)]


def test_what_failed_once_too_often_is_given_up_and_says_so(store: Store) -> None:
    assert [report(store, locked()) for _ in range(3)] == [[], [], [1]]
    columns = "outcome, retryable, waits_on, reason, next_attempt_at"
    assert query(store, f"SELECT {columns} FROM crm_pipeline.outcome") == [
        ("failed", False, "record", "account 7; given up after 3 attempts", None)
    ]


def test_what_was_given_up_starts_anew_with_a_new_version(store: Store) -> None:
    for _ in range(3):
        report(store, locked())
    assert report(store, locked(version=6)) == []
    assert query(store, "SELECT attempts, retryable FROM crm_pipeline.outcome") == [(1, True)]


@pytest.mark.parametrize("error_type", ["ServiceFailedException", "RecordHeldException"])
def test_what_says_nothing_about_the_record_or_may_last_uses_up_no_try(store: Store, error_type: str) -> None:
    patient = locked().assign(error_type=error_type)
    assert [report(store, patient) for _ in range(20)] == [[]] * 20
    assert [report(store, locked()) for _ in range(3)] == [[], [], [1]]


def test_an_error_with_a_first_wait_of_its_own_begins_with_that_one(store: Store) -> None:
    waits = []
    for _ in range(3):
        report(store, locked().assign(error_type="RecordHeldException"))
        waits += query(store, "SELECT extract(epoch FROM next_attempt_at - at)::int FROM crm_pipeline.outcome")
    assert waits == [(300,), (600,), (600,)]


def test_an_intent_is_open_until_it_is_closed_and_keeps_what_was_sent_first(store: Store) -> None:
    with store.transaction() as connection:
        for name in ("First", "Second"):
            ACCOUNTS.save_intents(connection, org_id="org", run_id="run", ids=[1], sent=pd.Series([{"Name": name}]))
        (intent,) = ACCOUNTS.open_intents(connection).itertuples()
        assert (intent.qbench_id, intent.sent) == (1, {"Name": "First"})
        assert CONTACTS.open_intents(connection).empty
        ACCOUNTS.close_intents(connection, ids=[1])
        assert ACCOUNTS.open_intents(connection).empty


def test_links_and_intents_keep_the_object_that_their_record_is_in(store: Store) -> None:
    save(store, pd.concat([link(1, "a", object="Lead"), link(2, "b")], ignore_index=True), CONTACTS)
    with store.transaction() as connection:
        CONTACTS.save_intents(connection, org_id="org", run_id="run", ids=[3, 4], sent=pd.Series([{}, {}]), objects=["Lead", None])
        frames = [CONTACTS.links(connection, ids=[1, 2]), CONTACTS.open_intents(connection)]
    kept = {row.qbench_id: row.object for frame in frames for row in frame.itertuples() if not pd.isna(row.object)}
    assert kept == {1: "Lead", 3: "Lead"}
    save(store, link(1, "c", version=6), CONTACTS)
    assert query(store, "SELECT crm_id, object FROM crm_pipeline.link WHERE qbench_id = 1") == [("c", None)]


def test_records_of_two_crms_whose_organizations_have_one_id_are_told_apart(store: Store) -> None:
    other = replace(ACCOUNTS, crm="rolodex")
    save(store, link(1, "7"), ACCOUNTS)
    save(store, link(2, "7"), other)
    with store.transaction() as connection:
        holders = [state.holders(connection, org_id="org", crm_ids=["7"])["qbench_id"].tolist() for state in (ACCOUNTS, other)]
    assert holders == [[1], [2]]


def test_frames_of_no_rows_store_nothing(store: Store) -> None:
    save(store, LINKS.empty())
    report(store, OUTCOMES.empty())
    assert query(store, "SELECT 1 FROM crm_pipeline.link UNION ALL SELECT 1 FROM crm_pipeline.outcome") == []


def test_an_outcome_that_says_the_same_is_not_written_again(store: Store) -> None:
    for name in ("created", "unchanged"):
        report(store, outcome(1, name))
    written = "SELECT xmin::text, ctid::text, at FROM crm_pipeline.outcome"
    before = query(store, written)
    report(store, outcome(1, "unchanged"))
    assert query(store, written) == before
    report(store, outcome(1, "unchanged", state_digest=7))
    assert query(store, written) != before


def test_an_outcome_that_waits_keeps_when_it_was_looked_at_last_and_tells_the_history_once(store: Store) -> None:
    skipped = outcome(1, "skipped", error_type="LinkConflictException", waits_on="link")
    report(store, skipped)
    (before,) = query(store, "SELECT at FROM crm_pipeline.outcome")
    for _ in range(2):
        report(store, skipped)
    (after,) = query(store, "SELECT at FROM crm_pipeline.outcome")
    assert after > before
    assert query(store, "SELECT at FROM crm_pipeline.every_outcome") == [before]
    report(store, outcome(1, "created"))
    assert query(store, "SELECT outcome FROM crm_pipeline.every_outcome ORDER BY id") == [("skipped",), ("created",)]


def test_a_try_that_fails_as_the_one_before_is_counted_and_told(store: Store) -> None:
    for _ in range(2):
        report(store, locked())
    assert query(store, "SELECT attempts, next_attempt_at > now() FROM crm_pipeline.outcome") == [(2, True)]
    assert query(store, "SELECT count(*) FROM crm_pipeline.every_outcome") == [(2,)]


def test_link_and_outcome_of_a_new_contact_take_336_bytes(store: Store) -> None:
    contacts = CrmState("bench", "hubspot", RecordType.CONTACT)
    digests = {f"field {number}": -number for number in range(1, 10)}
    save(store, link(7, "70000000001", digests=digests, parent_qbench_id=41), contacts, org_id="44000123")
    report(store, outcome(7, "created", state_digest=1), contacts)
    # As a row takes them on disk: up to the next eight bytes.
    of_row = "SELECT (pg_column_size({0}.*) + 7) / 8 * 8 FROM crm_pipeline.{0}"
    assert [query(store, of_row.format(table)) for table in ("link", "outcome")] == [[(224,)], [(112,)]]
