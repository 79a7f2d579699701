"""What a database of an earlier version says of its records once it is upgraded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import OUTCOMES, RAW, normalized_schema
from crm_pipeline.store import migrations
from crm_pipeline.store.bases import save_digests
from crm_pipeline.store.crm_state import Attempt, Backoff, CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.field_names import number_of
from crm_pipeline.store.finding import by_words
from crm_pipeline.store.ledger import link_faults
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.link_digests import digest_in
from crm_pipeline.store.normalized_records import normalized_by_id, stage_normalized
from crm_pipeline.store.open_rows import due_ids, open_rows
from crm_pipeline.store.raw_records import raw_contents, stage_raw
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.store.stories import Key, story_of
from crm_pipeline.store.waiting import ids_to_plan_again
from crm_pipeline.sync.order import objects_of
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import own_database

BEFORE_STATE_DIGESTS, BEFORE_OBJECTS, BEFORE_WAITS_FOR, BEFORE_TALLIES, BEFORE_ONE_PLACE = "0008", "0016", "0019", "0026", "0029"
BEFORE_FIELD_NAMES, BEFORE_PACKED, BEFORE_ATTEMPTS, BEFORE_PACKED_FIELDS, BEFORE_BYTES = "0032", "0035", "0036", "0037", "0039"
BEFORE_TOLD = "0040"
CRMS = ("salesforce", "hubspot")
BACKOFF = Backoff(first_seconds=60, factor=2, longest_seconds=600, attempts=3, own_first_seconds={}, never_given_up=[])

STAGED = """
INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, fields, mapping_digest)
VALUES ('acme', 'account', :id, 10, jsonb_build_object('name', 'Acme'), 'of before')
"""
DECIDED = """
INSERT INTO crm_pipeline.outcome (integration, crm, record_type, qbench_id, version, outcome, retryable, run_id, attempts)
VALUES ('acme', :crm, 'account', :id, 10, 'created', false, 'run', 0)
"""
TOLD = """
INSERT INTO crm_pipeline.outcome_history (integration, crm, record_type, qbench_id, version, outcome, retryable, run_id)
VALUES ('acme', 'salesforce', 'account', 1, 10, 'created', false, 'run')
"""

LINKED = """
INSERT INTO crm_pipeline.link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, digests, status)
VALUES ('acme', 'salesforce', 'contact', 1, 'org', '003', 'created', 10, '{}', 'live')
"""
FILES = "SELECT pg_relation_filenode('crm_pipeline.link'), pg_relation_filenode('crm_pipeline.intent')"
KEPT = {1: {"Name": 2**62, "Email": -1}, 2: {"Email": 5}, 3: {}}
KEEP = """
INSERT INTO crm_pipeline.link AS link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, digests, status)
VALUES ('acme', 'salesforce', 'contact', :id, 'org', 'crm id ' || :id, 'created', 10, :digests, 'live')
ON CONFLICT (integration, crm, record_type, qbench_id) DO UPDATE SET digests = excluded.digests
"""
KEEP_NUMBERS = """
WITH named AS (INSERT INTO crm_pipeline.field_names (id, names) VALUES (:fields, :names) ON CONFLICT DO NOTHING)
INSERT INTO crm_pipeline.link AS link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, field_digests, status)
VALUES ('acme', 'salesforce', 'contact', :id, 'org', 'crm id ' || :id, 'created', 10, :numbers, 'live')
ON CONFLICT (integration, crm, record_type, qbench_id) DO UPDATE SET digests = '{}', field_digests = excluded.field_digests
"""

SEEN = "SELECT count(*) FROM pg_stats_ext_exprs WHERE statistics_name = 'st_normalized_record_email' AND n_distinct IS NOT NULL"

UPGRADE_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('crm_pipeline.outcome' AS regclass)"

BEGUN = "INSERT INTO crm_pipeline.organization (integration, service, org_id) VALUES ('acme', 'qbench', 'org')"
READ = """
INSERT INTO crm_pipeline.raw_record (integration, record_type, qbench_id, version, content)
VALUES ('acme', 'account', 1, 10, jsonb_build_object('id', 1, 'name', 'Acme'))
"""
RAW_FILE = "SELECT pg_relation_filenode('crm_pipeline.raw_record')"

WAITS = """
INSERT INTO crm_pipeline.outcome (integration, crm, record_type, qbench_id, version, outcome, waits_on, retryable, run_id, attempts)
VALUES ('acme', 'salesforce', 'contact', :id, 10, 'skipped', :waits_on, false, 'run', 0)
"""
AS_LEAD, AS_CONTACT = "SyncsAsLeadException", "SyncsAsContactException"
BOTH = """
INSERT INTO crm_pipeline.normalized_record
  (integration, record_type, qbench_id, version, customer_id, fields, mapping_digest, state_digest)
VALUES ('acme', :record_type, :id, 10, :customer, '{}', 'of before', 5)
"""
WAITS_FOR_ITS_OTHER_HALF = """
INSERT INTO crm_pipeline.outcome
  (integration, crm, record_type, qbench_id, version, outcome, error_type, waits_on, retryable, run_id, attempts, state_digest, at)
VALUES ('acme', 'salesforce', :record_type, :id, 10, 'skipped', :error_type, 'link', false, 'run', 0, 5, now() + CAST(:later AS interval))
"""
LINKED_SINCE = """
INSERT INTO crm_pipeline.link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, digests, status)
VALUES ('acme', 'salesforce', :record_type, :id, 'org', 'crm id ' || :id, 'created', 10, '{}', 'live')
"""
DELETED = """
INSERT INTO crm_pipeline.raw_record (integration, record_type, qbench_id, version, content, deleted)
VALUES ('acme', 'account', :id, 10, '{}', true)
"""

IN_ONE_COLUMN = {1: None, 2: "link", 3: "customer:41", 4: "holder:0035:x", 5: "email:7"}
IN_TWO = [(1, None, None), (2, "link", None), (3, "customer", "41"), (4, "holder", "0035:x"), (5, "email", "7")]


@contextmanager
def of_version(url: str, version: str) -> Iterator[Connection]:
    """A connection to the database, brought back to an earlier version."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])))
    config.set_main_option("path_separator", "os")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, version)
        yield connection
    engine.dispose()


@pytest.fixture
def upgraded(postgres: str) -> Iterator[Store]:
    """Customers 1 to 4 named Acme that an earlier version created in two CRMs, in a database that is upgraded at first use."""
    with own_database(postgres) as url:
        with of_version(url, BEFORE_STATE_DIGESTS) as connection:
            for number in range(1, 5):
                connection.execute(text(STAGED), {"id": number})
                for crm in CRMS:
                    connection.execute(text(DECIDED), {"id": number, "crm": crm})
        store = Store(url)
        yield store
        store.close()


def normalize(store: Store, *ids: int, name: str = "Acme", mapping: str = "of now", version: int = 10) -> None:
    """Stage these customers as normalizing them anew does."""
    rows = pd.DataFrame({"qbench_id": ids, "version": version, "name": name})
    with store.transaction() as connection:
        frame = normalized_schema(RecordType.ACCOUNT).build(rows)
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest=mapping)


def open_ids(store: Store) -> list[list[int]]:
    """What is open in each CRM, of which nothing is undecided."""
    found = []
    for crm in CRMS:
        state = CrmState("acme", crm, RecordType.ACCOUNT)
        with store.transaction() as connection:
            found.append(due_ids(connection, state, window=EVERYTHING))
            assert int(open_rows(connection, state)["renewed"].sum()) == len(found[-1])
    return found


def test_run_that_uses_one_table_and_wants_another_goes_on_while_the_upgrade_waits_for_it(postgres: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_BYTES):
            pass
        with psycopg.connect(url) as run, closing(Store(url)) as store, ThreadPoolExecutor(1) as thread:
            run.execute("SELECT FROM crm_pipeline.outcome FOR UPDATE")
            upgrade = thread.submit(store.migrate)
            await_that(lambda: run.execute(UPGRADE_WAITS).fetchone() == (1,), "the upgrade waits")
            run.execute("SELECT FROM crm_pipeline.link FOR UPDATE")
            run.commit()
            upgrade.result()


def test_upgrade_makes_no_record_open(upgraded: Store) -> None:
    assert open_ids(upgraded) == [[], []]
    normalize(upgraded, 1, 2, 3, 4)
    assert open_ids(upgraded) == [[], []], "the upgrade normalizes all customers anew"


def test_record_that_the_upgrade_reads_in_another_way_is_open(upgraded: Store) -> None:
    normalize(upgraded, 1, 2, 3)
    normalize(upgraded, 4, name="Acme Labs")
    assert open_ids(upgraded) == [[4], [4]]


def test_mapping_that_changes_after_the_upgrade_makes_its_records_open(upgraded: Store) -> None:
    normalize(upgraded, 1, 2)
    normalize(upgraded, 2, mapping="of tomorrow")
    assert open_ids(upgraded) == [[2], [2]]


def test_links_of_before_are_in_the_usual_objects_and_their_tables_are_not_written_anew(postgres: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_OBJECTS) as connection:
            connection.execute(text(LINKED))
            before = connection.execute(text(FILES)).one()
        with closing(Store(url)) as store, store.transaction() as connection:
            state = CrmState("acme", "salesforce", RecordType.CONTACT)
            [(crm_object, rows)] = objects_of(state, state.links(connection, ids=[1])["object"])
            assert (crm_object.name, rows.tolist()) == ("Contact", [True])
            assert connection.execute(text(FILES)).one() == before


def test_what_stands_before_the_tallies_is_tallied_counted_and_doubted(postgres: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_TALLIES) as connection:
            for number in (1, 2):
                connection.execute(text(STAGED), {"id": number})
            connection.execute(text(DECIDED), {"id": 1, "crm": "salesforce"})
            connection.execute(text(LINKED))
        with closing(Store(url)) as store, store.transaction() as connection:
            state = CrmState("acme", "salesforce", RecordType.ACCOUNT)
            assert open_rows(connection, state)["undecided"].tolist() == [1]
            assert link_faults(connection, state)["synced_without_link"] == 1
            assert count_links(connection, CrmState("acme", "salesforce", RecordType.CONTACT)) == 1


@pytest.mark.parametrize("when", ["before the upgrade", "by a run that goes on behind it"])
def test_history_tells_each_outcome_once_whichever_version_stored_it(postgres: str, when: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_ONE_PLACE) as connection:
            if when == "before the upgrade":
                store_as_before(connection)
        with closing(Store(url)) as store, store.transaction() as connection:
            if when == "by a run that goes on behind it":
                store_as_before(connection)
            said = OUTCOMES.build(
                {"qbench_id": [1, 2], "version": [11, 11], "outcome": ["updated", "created"], "retryable": [False, False]}
            )
            state = CrmState("acme", "salesforce", RecordType.ACCOUNT)
            state.save_outcomes(connection, outcomes=said, attempt=Attempt("run", None, BACKOFF))
            told = "SELECT qbench_id, outcome FROM crm_pipeline.{} ORDER BY 1, 2"
            every = [(1, "created"), (1, "updated"), (2, "created")]
            assert [tuple(row) for row in connection.execute(text(told.format("every_outcome")))] == every
            assert [tuple(row) for row in connection.execute(text(told.format("outcome_history")))] == every[:1]
        with of_version(url, BEFORE_ONE_PLACE) as connection:
            assert [tuple(row) for row in connection.execute(text(told.format("outcome_history")))] == every


def store_as_before(connection: Connection) -> None:
    """An outcome as the version before stores it: as the latest, and in the history."""
    connection.execute(text(DECIDED), {"id": 1, "crm": "salesforce"})
    connection.execute(text(TOLD))


def keep_digests(connection: Connection, kept: Mapping[int, Mapping[str, int]], *, version: str) -> None:
    """Links as that version stores them."""
    for number, digests in kept.items():
        if version == BEFORE_FIELD_NAMES:
            connection.execute(text(KEEP), {"id": number, "digests": json.dumps(digests)})
        else:
            names = [*digests]
            fields = number_of(names)
            numbers = [fields, *digests.values()] if digests else None
            connection.execute(text(KEEP_NUMBERS), {"id": number, "fields": fields, "names": names, "numbers": numbers})


def email_digests(connection: Connection) -> dict[int, int | None]:
    """What statements find of one field, by QBench id."""
    digest = digest_in("link", "'Email'")
    return {row[0]: row[1] for row in connection.execute(text(f"SELECT qbench_id, {digest} FROM crm_pipeline.link"))}


@pytest.mark.parametrize("version", [BEFORE_FIELD_NAMES, BEFORE_BYTES])
def test_links_keep_their_digests_through_the_upgrade_and_back_without_being_written_anew(postgres: str, version: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, version) as connection:
            keep_digests(connection, KEPT, version=version)
            before = connection.execute(text(FILES)).one()
        state = CrmState("acme", "salesforce", RecordType.CONTACT)
        with closing(Store(url)) as store, store.transaction() as connection:
            assert connection.execute(text(FILES)).one() == before
            links = state.links(connection, ids=[*KEPT]).sort_values("qbench_id", ignore_index=True)
            assert dict(zip(links["qbench_id"], links["digests"], strict=True)) == KEPT
            assert email_digests(connection) == {1: -1, 2: 5, 3: None}
            save_digests(connection, state, links=links.assign(digests=pd.Series([{"Email": 4}] * len(KEPT), dtype=object)))
            assert email_digests(connection) == dict.fromkeys(KEPT, 4)
            now = {1: {"Name": 2**62}, 2: {"Email": 6, "Phone": 7}, 3: {}}
            state.save_links(connection, org_id="org", links=links.assign(digests=pd.Series([*now.values()], dtype=object)))
            links = state.links(connection, ids=[*KEPT])
            assert dict(zip(links["qbench_id"], links["digests"], strict=True)) == now
            assert email_digests(connection) == {1: None, 2: 6, 3: None}
        with of_version(url, BEFORE_FIELD_NAMES) as connection:
            back = connection.execute(text("SELECT qbench_id, digests FROM crm_pipeline.link")).all()
            assert {row[0]: row[1] for row in back} == now


@pytest.mark.parametrize("version", [BEFORE_FIELD_NAMES, BEFORE_BYTES])
def test_digests_hold_that_a_run_of_the_version_before_writes_into_a_link_behind_the_upgrade(postgres: str, version: str) -> None:
    with own_database(postgres) as url:
        state = CrmState("acme", "salesforce", RecordType.CONTACT)
        with closing(Store(url)) as store, store.transaction() as connection:
            keep_digests(connection, KEPT, version=version)
            links = state.links(connection, ids=[*KEPT])
            state.save_links(connection, org_id="org", links=links)
            later = {1: {"Name": 3}, 2: {"Email": 8}}
            keep_digests(connection, later, version=version)
            links = state.links(connection, ids=[*later])
            assert dict(zip(links["qbench_id"], links["digests"], strict=True)) == later
            assert email_digests(connection) == {1: None, 2: 8, 3: None}


def stage_customer(store: Store, number: int) -> dict[int, str]:
    """Stage a customer, and say how each of them is kept."""
    record = pd.DataFrame({"qbench_id": [number], "version": [10], "content": [{"id": number, "name": "Acme"}]})
    with store.transaction() as connection:
        stage_raw(connection, "acme", RecordType.ACCOUNT, frame=RAW.build(record))
        kinds = connection.execute(text("SELECT qbench_id, jsonb_typeof(content) FROM crm_pipeline.raw_record"))
        return {row[0]: row[1] for row in kinds}


def test_records_stay_documents_while_a_run_of_the_version_before_may_read_them_and_are_documents_again_behind_the_way_back(
    postgres: str,
) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_PACKED) as connection:
            connection.execute(text(BEGUN))
            before = connection.execute(text(RAW_FILE)).scalar_one()
        with closing(Store(url)) as store:
            with store.transaction() as connection:
                connection.execute(text(READ))
                assert connection.execute(text(RAW_FILE)).scalar_one() == before
            assert stage_customer(store, 2) == {1: "object", 2: "object"}
            with store.transaction() as connection:
                connection.execute(text("UPDATE crm_pipeline.format SET since = since - interval '7 days'"))
            assert stage_customer(store, 3) == {1: "object", 2: "object", 3: "array"}
            contents = {number: {"id": number, "name": "Acme"} for number in (1, 2, 3)}
            with store.transaction() as connection:
                assert raw_contents(connection, "acme", RecordType.ACCOUNT, ids=[1, 2, 3]) == contents
        with of_version(url, BEFORE_PACKED) as connection:
            back = connection.execute(text("SELECT qbench_id, content FROM crm_pipeline.raw_record")).all()
            assert {row[0]: row[1] for row in back} == contents


def fields_kept(connection: Connection) -> dict[int, str]:
    """How the fields of each normalized customer are kept."""
    kinds = connection.execute(text("SELECT qbench_id, jsonb_typeof(fields) FROM crm_pipeline.normalized_record"))
    return {row[0]: row[1] for row in kinds}


def test_normalized_records_stay_documents_while_a_run_of_the_version_before_may_read_them_and_are_documents_again_behind_the_way_back(
    postgres: str,
) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_PACKED_FIELDS) as connection:
            connection.execute(text(BEGUN))
            connection.execute(text(STAGED), {"id": 1})
        with closing(Store(url)) as store:
            normalize(store, 2)
            with store.transaction() as connection:
                connection.execute(text("UPDATE crm_pipeline.format SET since = since - interval '7 days'"))
            normalize(store, 3)
            with store.transaction() as connection:
                assert fields_kept(connection) == {1: "object", 2: "object", 3: "array"}
                names = normalized_by_id(connection, "acme", RecordType.ACCOUNT, ids=[1, 2, 3])["name"]
                assert names.tolist() == ["Acme"] * 3
                found = by_words(connection, ["acme"], "acme", record_types=[RecordType.ACCOUNT])
                assert [key.qbench_id for key in found] == [1, 2, 3]
            for number in (1, 3):
                stage_customer(store, number)
                with store.transaction() as connection:
                    read = story_of(connection, Key("acme", RecordType.ACCOUNT, number), places=[]).read
                assert read is not None
                assert read.fields == {"name": "Acme"}
        with of_version(url, BEFORE_PACKED_FIELDS) as connection:
            back = connection.execute(text("SELECT qbench_id, fields FROM crm_pipeline.normalized_record")).all()
            assert {row[0]: row[1] for row in back} == {number: {"name": "Acme"} for number in (1, 2, 3)}


def test_planner_knows_how_seldom_addresses_are_shared_at_once_after_the_upgrade_and_back(postgres: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_PACKED_FIELDS) as connection:
            connection.execute(text(STAGED), {"id": 1})
        with closing(Store(url)) as store, store.transaction() as connection:
            assert connection.execute(text(SEEN)).scalar_one() == 1
        with of_version(url, BEFORE_PACKED_FIELDS) as connection:
            assert connection.execute(text(SEEN)).scalar_one() == 1


def decide(store: Store, number: int, outcome: str, version: int) -> None:
    """Store the outcome of a customer, of the hour that its version is called by."""
    said = OUTCOMES.build({"qbench_id": [number], "version": [version], "outcome": [outcome], "retryable": [False]})
    with store.transaction() as connection:
        attempt = Attempt("run of now", f"hour {version}", BACKOFF)
        CrmState("acme", "salesforce", RecordType.ACCOUNT).save_outcomes(connection, outcomes=said, attempt=attempt)


def attempts_told(connection: Connection) -> list[tuple[int, str, str, str | None]]:
    """Which outcomes are told, and of which run and hour."""
    told = "SELECT qbench_id, outcome, run_id, partition_key FROM crm_pipeline.every_outcome ORDER BY 1, id"
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(text(told))]


def test_outcomes_tell_their_run_through_the_upgrade_and_back_and_keep_it_themselves_while_a_version_before_may_read_it(
    postgres: str,
) -> None:
    ids = "SELECT qbench_id, run_id IN ('run', 'run of now'), in_history FROM crm_pipeline.outcome ORDER BY 1"
    with own_database(postgres) as url:
        with of_version(url, BEFORE_ATTEMPTS) as connection:
            connection.execute(text(BEGUN))
            for number in (1, 2):
                connection.execute(text(DECIDED), {"id": number, "crm": "salesforce"})
            connection.execute(text("UPDATE crm_pipeline.outcome SET in_history = false"))
        with closing(Store(url)) as store:
            decide(store, 3, "created", 10)
            with store.transaction() as connection:
                connection.execute(text("UPDATE crm_pipeline.format SET since = since - interval '7 days'"))
            for number, outcome, version in ((2, "updated", 11), (2, "linked", 12), (4, "created", 12)):
                decide(store, number, outcome, version)
            now = [(2, "updated", "hour 11"), (2, "linked", "hour 12"), (3, "created", "hour 10"), (4, "created", "hour 12")]
            of_now = [(number, outcome, "run of now", hour) for number, outcome, hour in now]
            expected = [(1, "created", "run", None), (2, "created", "run", None), *of_now]
            with store.transaction() as connection:
                assert attempts_told(connection) == expected
                as_before, short = (True, False), (False, None)
                kept = [(1, *as_before), (2, *short), (3, *as_before), (4, *short)]
                assert [tuple(row) for row in connection.execute(text(ids))] == kept
                places = [("salesforce", RecordType.ACCOUNT)]
                stories = [story_of(connection, Key("acme", RecordType.ACCOUNT, number), places=places) for number in (1, 2)]
                told = [story.parts[0].latest for story in stories]
                assert [(one.run_id, one.partition_key) for one in told if one] == [("run", None), ("run of now", "hour 12")]
        with of_version(url, BEFORE_ATTEMPTS) as connection:
            assert attempts_told(connection) == expected
            assert [tuple(row[1:]) for row in connection.execute(text(ids))] == [as_before] * 4


def say_for_what_they_wait(connection: Connection) -> None:
    """Outcomes as the version before stores them."""
    for number, waits_on in IN_ONE_COLUMN.items():
        connection.execute(text(WAITS), {"id": number, "waits_on": waits_on})


@pytest.mark.parametrize("when", ["before the upgrade", "by a run that goes on behind it"])
def test_what_the_version_before_says_of_waiting_records_is_understood(postgres: str, when: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_WAITS_FOR) as connection:
            if when == "before the upgrade":
                say_for_what_they_wait(connection)
        with closing(Store(url)) as store, store.transaction() as connection:
            if when == "by a run that goes on behind it":
                say_for_what_they_wait(connection)
            said = connection.execute(text("SELECT qbench_id, waits_on, waits_for FROM crm_pipeline.outcome ORDER BY 1"))
            assert [tuple(row) for row in said] == IN_TWO
        with of_version(url, BEFORE_WAITS_FOR) as connection:
            back = connection.execute(text("SELECT qbench_id, waits_on FROM crm_pipeline.outcome")).all()
            assert {row[0]: row[1] for row in back} == IN_ONE_COLUMN


def stage_both(connection: Connection, number: int, *, contact: str, lead: str, customer: int = 41, lead_later: str = "-1 hour") -> None:
    """A contact and the lead that it may be instead, by what was said of each an hour ago."""
    for record_type, error_type, later in (("contact", contact, "-1 hour"), ("lead", lead, lead_later)):
        key = {"record_type": record_type, "id": number}
        connection.execute(text(BOTH), {**key, "customer": customer})
        connection.execute(text(WAITS_FOR_ITS_OTHER_HALF), {**key, "error_type": error_type, "later": later})


def test_contacts_and_leads_that_something_had_changed_for_before_the_upgrade_are_planned_again_and_no_other_is_written(
    postgres: str,
) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_TOLD) as connection:
            for number in (1, 2):
                stage_both(connection, number, contact=AS_LEAD, lead=AS_CONTACT)
            connection.execute(text(LINKED_SINCE), {"record_type": "contact", "id": 2})
            stage_both(connection, 3, contact=AS_LEAD, lead=AS_CONTACT, lead_later="-2 hours")
            stage_both(connection, 4, contact=AS_LEAD, lead=AS_CONTACT, customer=42)
            connection.execute(text(LINKED_SINCE), {"record_type": "account", "id": 42})
            connection.execute(text(DELETED), {"id": 42})
            before = connection.execute(text("SELECT record_type, qbench_id, ctid FROM crm_pipeline.outcome")).all()
        with closing(Store(url)) as store, store.transaction() as connection:
            found = {
                record_type: ids_to_plan_again(connection, CrmState("acme", "salesforce", record_type), holding=[], settings=None)
                for record_type in (RecordType.CONTACT, RecordType.LEAD)
            }
            after = connection.execute(text("SELECT record_type, qbench_id, ctid FROM crm_pipeline.outcome")).all()
        assert found == {RecordType.CONTACT: [2, 4], RecordType.LEAD: [3]}
        assert sorted((row[0], row[1]) for row in {*before} - {*after}) == [("contact", 2), ("contact", 4), ("lead", 3)]
