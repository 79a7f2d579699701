"""What is counted over the whole ledger, and which faults of links are seen."""

from __future__ import annotations

import time

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import OUTCOMES
from crm_pipeline.store import ledger
from crm_pipeline.store.crm_state import Attempt, Backoff, CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.organizations import require_organization

STATE = CrmState("acme", "salesforce", RecordType.ACCOUNT)
HOUR = 3_600
BACKOFF = Backoff(first_seconds=60, factor=2, longest_seconds=600, attempts=10, own_first_seconds={}, never_given_up=[])


def decide(store: Store, *rows: tuple[int, int, str, str | None, bool], state: CrmState = STATE) -> None:
    frame = OUTCOMES.build(pd.DataFrame(rows, columns=["qbench_id", "version", "outcome", "error_type", "retryable"]))
    with store.transaction() as connection:
        state.save_outcomes(connection, outcomes=frame, attempt=Attempt("run", None, BACKOFF))


def link(store: Store, qbench_id: int, crm_id: str, *, org_id: str = "org", integration: str = "acme") -> None:
    with store.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO crm_pipeline.link "
                "(integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, digests, status) "
                "VALUES (:integration, 'salesforce', 'account', :id, :org, :crm_id, 'created', 1, '{}', 'live')"
            ),
            {"integration": integration, "id": qbench_id, "org": org_id, "crm_id": crm_id},
        )


def faults(store: Store) -> dict[str, int]:
    with store.transaction() as connection:
        return {name: count for name, count in ledger.link_faults(connection, STATE).items() if count}


@pytest.fixture
def sound(store: Store) -> Store:
    """Two records with outcome and link."""
    with store.transaction() as connection:
        require_organization(connection, "acme", "salesforce", org_id="org")
    decide(store, (1, 10, "created", None, False), (2, 10, "unchanged", None, False))
    link(store, 1, "A1")
    link(store, 2, "A2")
    return store


def test_sound_links_have_no_fault(sound: Store) -> None:
    assert faults(sound) == {}


def test_synced_record_without_a_link_is_a_fault(sound: Store) -> None:
    decide(sound, (3, 10, "updated", None, False), (4, 10, "skipped", "NoNameForCustomerException", False))
    assert faults(sound) == {"synced_without_link": 1}


def test_synced_record_that_loses_its_link_is_a_fault_until_it_has_one_again(sound: Store) -> None:
    with sound.transaction() as connection:
        connection.execute(text("DELETE FROM crm_pipeline.link"))
    assert faults(sound) == {"synced_without_link": 2}
    decide(sound, (2, 11, "skipped", "DeletedInCrmException", False))
    assert faults(sound) == {"synced_without_link": 1}
    link(sound, 1, "A1")
    assert faults(sound) == {}


def test_links_are_counted_whatever_moves_or_removes_them(sound: Store) -> None:
    link(sound, 3, "A3", integration="beta")
    link(sound, 4, "A4")
    with sound.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.link SET status = 'source_deleted' WHERE qbench_id = 4"))
        assert count_links(connection, STATE) == 2
        connection.execute(text("DELETE FROM crm_pipeline.link WHERE qbench_id = 1"))
        connection.execute(text("UPDATE crm_pipeline.link SET org_id = 'other' WHERE qbench_id = 2"))
        assert count_links(connection, STATE) == 1
    assert faults(sound)["links_of_no_organization"] == 1


def test_link_to_another_organization_is_a_fault(sound: Store) -> None:
    link(sound, 3, "A3", org_id="other")
    assert faults(sound) == {"links_of_no_organization": 1}


def test_create_that_stays_undecided_for_a_day_is_a_fault(sound: Store) -> None:
    with sound.transaction() as connection:
        STATE.save_intents(connection, org_id="org", run_id="run", ids=[5, 6], sent=pd.Series([{}, {}]))
    assert faults(sound) == {}
    with sound.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.intent SET created_at = now() - interval '25 hours' WHERE qbench_id = 5"))
    assert faults(sound) == {"intents_older_than_a_day": 1}


def test_recent_outcomes_are_counted_by_hour_and_older_ones_left_out(store: Store) -> None:
    decide(store, (1, 10, "created", None, False), (2, 10, "created", None, False), (3, 10, "failed", "RecordLockedException", True))
    with store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.outcome SET at = now() - interval '50 hours' WHERE qbench_id = 1"))
        found = ledger.recent_outcomes(connection, STATE, hours=48)
    assert [(outcome, records) for _, outcome, records in found] == [("created", 1), ("failed", 1)]
    assert {hour % HOUR for hour, _, _ in found} == {0}
    assert all(0 <= time.time() - hour <= HOUR + 60 for hour, _, _ in found)
