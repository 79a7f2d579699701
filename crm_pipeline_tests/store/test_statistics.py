"""What PostgreSQL is told of our tables, so that it plans its joins for the rows that are there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import follow_deletions
from crm_pipeline.store.emails import contenders
from crm_pipeline.store.ledger import link_faults, recent_outcomes
from crm_pipeline.store.out_of_date import ids_to_normalize_again
from crm_pipeline.store.statistics import MANY_ROWS
from crm_pipeline.store.waiting import ids_to_plan_again
from crm_pipeline_tests.explaining import explaining

ACCOUNTS, CONTACTS = (CrmState("acme", "salesforce", record_type) for record_type in (RecordType.ACCOUNT, RecordType.CONTACT))

_INSERT = """
INSERT INTO crm_pipeline.outcome (integration, crm, record_type, qbench_id, version, outcome, retryable, run_id, attempts)
SELECT 'acme', 'salesforce', 'account', number, 1, 'created', false, 'run', 0 FROM generate_series(1, :rows) AS number
"""


@pytest.fixture(autouse=True)
def nobody_else_counts(store: Store) -> Iterator[None]:
    """PostgreSQL's own housekeeping leaves the table alone."""
    with store.transaction() as connection:
        connection.execute(text("ALTER TABLE crm_pipeline.outcome SET (autovacuum_enabled = false)"))
    yield
    with store.transaction() as connection:
        connection.execute(text("ALTER TABLE crm_pipeline.outcome RESET (autovacuum_enabled)"))


_STAGED = """
INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, mapping_digest, fields)
SELECT 'acme', 'contact', number, 1, 'd', jsonb_build_object('email', number || '@example.com') FROM generate_series(1, :rows) AS number
"""
_LINKS = """
INSERT INTO crm_pipeline.link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, digests, status)
SELECT 'acme', 'salesforce', :record_type, number, 'org', :record_type || number, 'created', 1, '{}', 'live'
FROM generate_series(1, :rows) AS number
"""


def insert(store: Store, *, rows: int) -> None:
    with store.transaction() as connection:
        # Otherwise the server counts changed rows up to seconds later.
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.execute(text(_INSERT), {"rows": rows})


def rows_as_planned(store: Store) -> float:
    """How many outcomes PostgreSQL believes there are."""
    with store.transaction() as connection:
        statement = text("SELECT reltuples FROM pg_class WHERE oid = CAST('crm_pipeline.outcome' AS regclass)")
        return float(connection.execute(statement).scalar_one())


@pytest.mark.parametrize("begins_with", ["a load", "what a load takes up", "what is normalized again", "the check of links"])
def test_where_much_is_new_it_is_counted_before_it_is_joined(store: Store, begins_with: str) -> None:
    # Another number than anybody counted before in this database.
    rows = 2 * MANY_ROWS + len(begins_with)
    insert(store, rows=rows)
    with store.transaction() as connection:
        if begins_with == "a load":
            follow_deletions(connection, ACCOUNTS)
        elif begins_with == "what a load takes up":
            ids_to_plan_again(connection, ACCOUNTS, holding=[])
        elif begins_with == "the check of links":
            link_faults(connection, ACCOUNTS)
        else:
            ids_to_normalize_again(connection, "acme", RecordType.ACCOUNT, mapping_digest="d")
    assert rows_as_planned(store) == rows


def test_where_little_is_new_nothing_is_counted(store: Store) -> None:
    insert(store, rows=0)
    with store.transaction() as connection:
        connection.execute(text("ANALYZE crm_pipeline.outcome"))
    insert(store, rows=40)
    with store.transaction() as connection:
        ids_to_plan_again(connection, ACCOUNTS, holding=[])
    assert rows_as_planned(store) == 0


def test_first_links_of_a_record_type_that_nobody_counted_yet_are_found_by_their_qbench_ids(store: Store) -> None:
    emails = [f"{number}@example.com" for number in range(MANY_ROWS)]
    with store.transaction() as connection:
        connection.execute(text(_STAGED), {"rows": 3 * MANY_ROWS})
        connection.execute(text(_LINKS), {"record_type": "account", "rows": 3 * MANY_ROWS})
        connection.execute(text("ANALYZE crm_pipeline.normalized_record, crm_pipeline.link"))
        connection.execute(text(_LINKS), {"record_type": "contact", "rows": MANY_ROWS})
        with explaining() as explained:
            contenders(connection, CONTACTS, emails=emails, email_field="Email", required=["last_name"], unusable=[])
    [(_, nodes)] = explained
    assert {node["Index Name"] for node in nodes if node.get("Relation Name") == "link"} == {"pk_link"}


def test_latest_outcomes_of_the_last_hours_are_found_by_their_time_among_old_ones(store: Store) -> None:
    insert(store, rows=5 * MANY_ROWS)
    with store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.outcome SET in_history = false, at = now() - (100 + qbench_id) * interval '1 hour'"))
        connection.execute(text("ANALYZE crm_pipeline.outcome"))
        with explaining() as explained:
            recent_outcomes(connection, ACCOUNTS, hours=48)
    [(_, nodes)] = explained
    assert {node["Index Name"] for node in nodes if node.get("Relation Name") == "outcome"} == {"ix_outcome_at"}
