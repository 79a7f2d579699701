"""Contacts whose rules look at their customer follow it, whoever changes what while others normalize."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import RAW, normalized_schema
from crm_pipeline.store.customers_seen import begin_look, save_look
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.extracting.normalizing import normalize_named, normalize_staged
from crm_pipeline_tests.sync.extracting.test_normalizing import KEYS

CUSTOMER, CONTACT = 41, 7
PLAIN = IntegrationSpec.model_validate(KEYS)
RULED = IntegrationSpec.model_validate({**KEYS, "contacts": {**KEYS["contacts"], "only": {"field": "customer.group_name", "is": "Gold"}}})
NO_RECORDS = Window(since=1_000, until=1_001)

REFUSING = """
CREATE FUNCTION crm_pipeline.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;
CREATE TRIGGER refusing BEFORE INSERT OR UPDATE ON crm_pipeline.normalized_record FOR EACH ROW EXECUTE FUNCTION crm_pipeline.refuse()
"""
ADMITTING = "DROP FUNCTION crm_pipeline.refuse CASCADE"
A_DAY_PASSES = [
    "UPDATE crm_pipeline.raw_record SET read_at = read_at - interval '1 day'",
    "UPDATE crm_pipeline.customers_seen SET until = until - interval '1 day'",
]


def execute(store: Store, *statements: str) -> None:
    with store.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def read(store: Store, record_type: RecordType, number: int, **content: Any) -> None:
    frame = RAW.build(pd.DataFrame({"qbench_id": [number], "version": [5], "content": [content]}))
    with store.transaction() as connection:
        stage_raw(connection, "acme", record_type, frame=frame)


def normalized_again(store: Store, spec: IntegrationSpec = RULED, *, window: Window = NO_RECORDS) -> int:
    """How many contacts an hour in which none changed normalizes all the same."""
    counts: Counter[str] = Counter()
    normalize_staged(store, "acme", spec.records[RecordType.CONTACT], window=window, reading=spec.reading, counts=counts)
    return counts["again"]


def read_both(store: Store) -> None:
    read(store, RecordType.ACCOUNT, CUSTOMER, group_name="Silver")
    read(store, RecordType.CONTACT, CONTACT, customers=[{"id": CUSTOMER}])


def made_of_the_first_state(connection: Connection) -> None:
    """Stage the contact as a run makes it that saw the customer before it changed."""
    frame = normalized_schema(RecordType.CONTACT).build({"qbench_id": [CONTACT], "version": [5], "customer_id": [CUSTOMER]})
    stage_normalized(connection, "acme", RecordType.CONTACT, frame=frame, mapping_digest="d", revisions=[0], customer_revisions=[0])


@pytest.fixture
def seen(store: Store) -> Store:
    """A customer and its contact, read the day before yesterday, which the contact's rules have seen."""
    read_both(store)
    execute(store, *A_DAY_PASSES)
    normalized_again(store, window=EVERYTHING)
    assert normalized_again(store) == 0
    execute(store, *A_DAY_PASSES)
    return store


def test_a_contact_follows_its_customer_once(seen: Store) -> None:
    read(seen, RecordType.ACCOUNT, CUSTOMER, group_name="Gold")
    assert (normalized_again(seen), normalized_again(seen)) == (1, 0)


def test_a_contact_follows_that_was_being_staged_while_others_looked_for_what_is_out_of_date(store: Store) -> None:
    read_both(store)
    with store.transaction() as connection:
        made_of_the_first_state(connection)
        read(store, RecordType.ACCOUNT, CUSTOMER, group_name="Gold")
        assert normalized_again(store) == 0, "nobody sees it yet"
    assert (normalized_again(store), normalized_again(store)) == (1, 0)


def test_a_contact_follows_in_the_next_run_where_one_broke_off(seen: Store) -> None:
    read(seen, RecordType.ACCOUNT, CUSTOMER, group_name="Gold")
    execute(seen, *A_DAY_PASSES, REFUSING)
    with pytest.raises(DBAPIError, match="disk full"):
        normalized_again(seen)
    execute(seen, ADMITTING)
    assert normalized_again(seen) == 1


def test_a_contact_follows_though_the_server_s_clock_was_set_back(seen: Store) -> None:
    execute(seen, "UPDATE crm_pipeline.customers_seen SET until = now() + interval '1 day'")
    read(seen, RecordType.ACCOUNT, CUSTOMER, group_name="Gold")
    assert normalized_again(seen) == 1, "at once"
    read(seen, RecordType.ACCOUNT, CUSTOMER, group_name="Silver")
    execute(seen, *A_DAY_PASSES)
    assert (normalized_again(seen), normalized_again(seen)) == (1, 0)


def test_the_first_look_sees_all_west_of_greenwich_too(database_url: str) -> None:
    url = make_url(database_url).update_query_dict({"options": "-c timezone=America/Los_Angeles"})
    with closing(Store(url.render_as_string(hide_password=False))) as store:
        read_both(store)
        assert normalized_again(store, window=EVERYTHING) == 0
        read(store, RecordType.ACCOUNT, CUSTOMER, group_name="Gold")
        assert normalized_again(store) == 1


def test_a_contact_is_seen_anew_by_rules_that_were_away_while_it_was_normalized(seen: Store) -> None:
    normalize_named(seen, "acme", PLAIN.records[RecordType.CONTACT], ids=[CONTACT], reading=PLAIN.reading)
    assert (normalized_again(seen), normalized_again(seen)) == (1, 0)


@pytest.mark.parametrize("before", [[], ["DELETE FROM crm_pipeline.customers_seen"]], ids=["a later look", "the first look"])
def test_rules_see_anew_what_was_normalized_without_them_while_they_looked(seen: Store, before: list[str]) -> None:
    execute(seen, *before)
    with seen.transaction() as connection:
        look = begin_look(connection, "acme", RecordType.CONTACT)
    normalize_named(seen, "acme", PLAIN.records[RecordType.CONTACT], ids=[CONTACT], reading=PLAIN.reading)
    with seen.transaction() as connection:
        begin_look(connection, "acme", RecordType.CONTACT)
        save_look(connection, "acme", RecordType.CONTACT, look)
    assert (normalized_again(seen), normalized_again(seen)) == (1, 0)
