"""``crm-pipeline explain``: whom it finds, what it says of each, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.schemas import RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_calls import begin_calls
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.links.check import LinkCheck
from crm_pipeline_tests.commands.conftest import Desk, _desk, own_desk, written
from crm_pipeline_tests.orchestration.conftest import writes
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench, contact, customer
from crm_pipeline_tests.sync.returning.home import BOTH, NOON, home
from crm_pipeline_tests.tenants import IN_SECOND, attributes

LATER = IN_SECOND + 60


@pytest.fixture(scope="module")
def desk(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Records in the situations that one load into Salesforce brings about; HubSpot was never loaded. No test changes that."""
    with own_desk(postgres, tmp_path_factory.mktemp("project")) as desk:
        bench, spec = desk.bench, desk.spec
        eco, nameless = customer(1, IN_SECOND, customer_name="Eco Labs"), customer(2, IN_SECOND, customer_name=None)
        bench.stage(spec, ACCOUNT, eco, nameless, customer(3, IN_SECOND), customer(4, IN_SECOND))
        bench.stage(
            spec,
            CONTACT,
            contact(7, IN_SECOND, of=1, last_name="Ruiz"),
            contact(8, IN_SECOND, of=2),
            contact(9, IN_SECOND, of=1, email_address=None),
            contact(10, IN_SECOND, of=1, email_address="shared@labs.example.org"),
            contact(11, IN_SECOND, of=1, email_address="Shared@labs.example.org"),
            contact(12, IN_SECOND, of=5),
            contact(14, IN_SECOND, of=1, email_address="another.person7@labs.example.org"),
            contact(13, IN_SECOND, of=1, last_name="R" * 81),
            contact(15, IN_SECOND, of=1, first_name="Ada", last_name="Okafor"),
            contact(16, IN_SECOND, of=1, first_name=None, last_name="Okafor"),
        )
        for record_type in (ACCOUNT, CONTACT):
            bench.load(spec, record_type, window=EVERYTHING)
        bench.stage(spec, ACCOUNT, customer(3, LATER, customer_name="Lab three"), customer(5, LATER))
        gone = pd.DataFrame([(4, LATER, {"customer_name": "Lab 4"})], columns=["qbench_id", "version", "content"])
        with bench.store.transaction() as connection:
            stage_raw(connection, spec.name, ACCOUNT, frame=RAW.build(gone).assign(deleted=True))
        bench.sandbox.journal.clear()
        yield desk


def explained(desk: Desk, *words: str, crm: str = "salesforce") -> tuple[int, dict[str, Any]]:
    """The exit code of ``explain``, and what it says of the one CRM, the record around it under ``record``."""
    result = desk.type("explain", *words, "--crm", crm, "--json")
    told = json.loads(result.stdout)
    [part] = told.pop("crms")
    return result.exit_code, {**part, "record": told}


SITUATIONS = {
    "synced": (("1", "account"), 0, "synced", "It is in Salesforce as an account, as QBench has it. It was made there 20"),
    "wrong by itself": (("2", "account"), 3, "failed", "The customer has no value in the field mapped to name (customer_name)."),
    "changed since": (
        ("3", "account"),
        3,
        "waiting",
        "It changed in QBench (2026-11-01 01:02 UTC) and no load to Salesforce has taken that yet.",
    ),
    "deleted": (("4", "account"), 0, "left out", "It was deleted in QBench; what Salesforce has stays there and is not changed any more."),
    "never loaded": (("5", "account"), 3, "waiting", "It was read from QBench, and no load has taken it to Salesforce yet."),
    "kept back by its customer": (("8", "contact"), 0, "left out", "customer 2: the customer has no value in the field mapped to name"),
    "waits for its customer": (("12", "contact"), 3, "waiting", "The contact's customer is not in this CRM yet (customer 5)."),
    "second of an address": (("11", "contact"), 3, "failed", "is the one that syncs (it is QBench id 10's)."),
    "refused value": (("13", "contact"), 3, "failed", "A value is longer than the CRM field holds (LastName)."),
}


@pytest.mark.parametrize(("record", "code", "condition", "sentence"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_sentence_says_what_became_of_the_record(desk: Desk, record: tuple[str, str], code: int, condition: str, sentence: str) -> None:
    qbench_id, record_type = record
    found, told = explained(desk, qbench_id, "--record-type", record_type)
    assert (found, told["to_crm"]["condition"]) == (code, condition), told
    assert sentence in told["to_crm"]["sentence"]


@pytest.mark.parametrize("asked", ["person7@labs.example.org", "PERSON7@LABS.EXAMPLE.ORG", "ana ruiz", "7", "crm id"])
def test_a_record_is_found_by_any_of_its_names(desk: Desk, asked: str) -> None:
    [(crm_id,)] = desk.bench.rows("SELECT crm_id FROM crm_pipeline.link WHERE qbench_id = 7")
    _, told = explained(desk, crm_id if asked == "crm id" else asked)
    assert (told["record"]["record_type"], told["record"]["qbench_id"], told["crm_id"]) == ("contact", 7, crm_id)


def test_both_pages_the_link_and_the_history_are_told(desk: Desk) -> None:
    _, told = explained(desk, "7")
    sandbox = desk.bench.sandbox
    assert told["record"]["page"] == f"{sandbox.qbench_url}/contact?id=7"
    assert told["page"] == f"{sandbox.salesforce_url}/lightning/r/Contact/{told['crm_id']}/view"
    assert (told["link"]["origin"], told["link"]["status"]) == ("created", "live")
    [event] = told["history"]
    assert (event["direction"], event["outcome"], event["run_id"]) == ("to_crm", "created", "run")


def test_what_waits_says_for_what_and_what_is_to_be_done(desk: Desk) -> None:
    _, told = explained(desk, "12")
    assert told["to_crm"]["waits"] == "customer 5 to come into the CRM"
    assert told["to_crm"]["remedy"] == "Nothing: the contact follows once the customer is synced."


def test_every_crm_is_told_of_and_the_worst_decides_the_exit_code(desk: Desk) -> None:
    result = desk.type("explain", "7")
    assert result.exit_code == 3
    for words in ("Salesforce, contact: synced", "HubSpot, contact: waiting"):
        assert words in result.output


def test_names_and_values_are_shown_on_demand_only(desk: Desk) -> None:
    assert "Ruiz" not in desk.type("explain", "7").output
    assert "contact 7 of customer 1, Ana Ruiz person7@labs.example.org" in desk.type("explain", "7", "--values").output


def test_several_records_are_listed_and_none_is_explained(desk: Desk) -> None:
    result = desk.type("explain", "shared@labs.example.org")
    assert result.exit_code == 1
    assert "acme: contact 10 of customer 1" in result.output
    assert "acme: contact 11 of customer 1" in result.output
    assert "several records are meant" in result.output
    as_json = desk.type("explain", "shared@labs.example.org", "--json")
    assert [record["qbench_id"] for record in json.loads(as_json.stdout)["records"]] == [10, 11]


def test_a_whole_name_goes_before_names_that_hold_it(desk: Desk) -> None:
    assert explained(desk, "lab 4")[1]["record"]["qbench_id"] == 4
    assert desk.type("explain", "lab").exit_code == 1


def test_who_has_only_a_last_name_does_not_hide_those_who_bear_it_too(desk: Desk) -> None:
    listed = json.loads(desk.type("explain", "Okafor", "--json").stdout)
    assert [record["qbench_id"] for record in listed["records"]] == [15, 16]
    assert explained(desk, "Ada Okafor")[1]["record"]["qbench_id"] == 15


def test_an_unknown_record_is_told_with_how_far_was_read(desk: Desk) -> None:
    for asked in ("999", "nobody@labs.example.org", "person_@labs.example.org"):
        result = desk.type("explain", asked, "--record-type", "contact")
        assert result.exit_code == 1
        assert f"{asked} is not known" in result.output
        assert "QBench has no such contact in what was read" in result.output
        assert "were read: contacts to 2026-11-01 01:01 UTC" in result.output


def test_the_state_alone_is_asked(desk: Desk) -> None:
    desk.bench.sandbox.journal.clear()
    desk.type("explain", "7", "--values")
    assert desk.bench.sandbox.journal.calls() == []


def test_what_would_be_sent_now_is_told_by_fields_and_on_demand_by_values(desk: Desk) -> None:
    _, told = explained(desk, "3", "--record-type", "account", "--live")
    assert told["would_send"] == {"operation": "update", "reason": None, "fields": ["Name"], "error": None}
    _, told = explained(desk, "3", "--record-type", "account", "--live", "--values")
    assert told["would_send"]["values"] == {"Name": "Lab three"}
    _, told = explained(desk, "2", "--record-type", "account", "--live")
    assert (told["would_send"]["operation"], told["would_send"]["reason"]) == ("skipped", "NoNameForCustomerException")
    assert writes(desk.bench.sandbox) == []


def test_what_is_asked_for_by_a_wrong_name_is_told(desk: Desk) -> None:
    result = desk.type("explain", "7", "--crm", "salesfroce")
    assert (result.exit_code, "did you mean `salesforce`?" in result.output) == (1, True)


def test_what_is_not_settled_is_told_and_a_record_without_a_link_leads_to_those_that_could_be_it(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    bench = Bench(sandbox, store, "salesforce")
    spec = bench.spec(external_keys=False, accounts=BY_NAME)
    first, second = (bench.add_account("Twice") for _ in range(2))
    bench.stage(spec, ACCOUNT, customer(1, customer_name="Twice"))
    bench.load(spec, ACCOUNT)
    bench.stage(spec, ACCOUNT, customer(2))
    state = bench.order(spec, ACCOUNT).state
    with store.transaction() as connection:
        state.save_intents(connection, org_id=bench.org_id, run_id="run", ids=[2], sent=pd.Series([{"Name": "Lab 2"}]))
        begin_calls(connection, state, calls=[0], ids=[2], contents=[2], parents=[None], lasts=timedelta(hours=1))
    with _desk(bench, tmp_path) as desk:
        _, alone = explained(desk, first)
        _, ambiguous = explained(desk, "1")
        _, unsettled = explained(desk, "2")
    assert alone["record"]["qbench_id"] is None
    assert alone["notes"] == ["What became of 1 record of QBench names it, as one to be linked with or in the way: ask about 1."]
    assert ambiguous["to_crm"]["sentence"] == f"More than one record could be meant ({first}, {second})."
    assert ambiguous["notes"] == []
    assert [note.partition(" (")[0].partition(", until")[0] for note in unsettled["notes"]] == [
        "An attempt to make it in Salesforce",
        "Salesforce may still carry out an earlier write",
    ]


def test_a_record_that_was_merged_away_is_told_with_the_one_that_won(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    bench = Bench(sandbox, store, "hubspot")
    crm_ids = bench.given(bench.spec(), ACCOUNT, customer(1), customer(2))
    merged = sandbox.portal.merge("companies", crm_ids[2], crm_ids[1])
    with _desk(bench, tmp_path) as desk:
        orders = [bench.order(bench.spec(), ACCOUNT)]
        with closing(bench.connect(bench.spec())) as crm:
            LinkCheck(orders, policy=bench.spec().links, store=store, crm=crm).run("full")
        code, lost = explained(desk, "1", crm="hubspot")
        _, won = explained(desk, "2", crm="hubspot")
        shown = desk.type("explain", "1", "--crm", "hubspot").output
    assert (code, lost["to_crm"]["condition"], lost["to_crm"]["error_type"]) == (3, "failed", "LinkConflictException")
    assert (lost["link"]["merged_into"], lost["link"]["merged_into_qbench_id"]) == (merged, 2)
    assert (won["crm_id"], won["to_crm"]["condition"]) == (merged, "synced")
    assert "that of QBench id 2" in shown


def test_of_a_contact_that_goes_as_a_lead_the_lead_is_told(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    bench, contacts_as = Bench(sandbox, store, "salesforce"), {"contacts_as": "lead"}
    contacts = {"map": LEAN_CONTACT_MAP, "lead": {"map": {"email": "email_address", "last_name": "last_name"}}}
    spec = bench.spec(settings=contacts_as, contacts=contacts)
    bench.stage(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=1, email_address=None))
    bench.normalize(spec, RecordType.LEAD, window=EVERYTHING)
    for record_type in spec.records_in("salesforce"):
        bench.load(spec, record_type)
    crms = attributes(sandbox)["crms"]
    with _desk(bench, tmp_path, crms={**crms, "salesforce": crms["salesforce"] | contacts_as}, contacts=contacts) as desk:
        _, told = explained(desk, "7")
        assert (told["record_type"], told["to_crm"]["condition"]) == ("lead", "synced")
        assert told["to_crm"]["sentence"].startswith("It is in Salesforce as a lead, as QBench has it.")
        assert explained(desk, told["crm_id"])[1]["record"]["qbench_id"] == 7
        _, kept_back = explained(desk, "8")
        assert (kept_back["record_type"], kept_back["to_crm"]["error_type"]) == ("contact", "NoEmailForContactException")
        assert explained(desk, "8", "--record-type", "lead")[1] == kept_back, "whatever it is asked for as, what counts is told"
        without = dict(written(sandbox))
        del without["attributes"]["contacts"]
        desk.file.write_text(yaml.safe_dump(without))
        assert "the integration sends no such records" in desk.type("explain", "7").output


def test_changes_that_came_home_their_conflicts_and_those_that_cannot_are_told(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    house = home(Bench(sandbox, store, "salesforce"))
    for number in (1, 2):
        house.tenant.add_customer(id=number, customer_name=f"Lab {number}", comments="old", at=1_000)
    ids = house.linked()
    house.describe(ids[1], "new")
    house.describe(ids[2], "x" * 2_001)
    stranger = house.add(ACCOUNT, {"Name": "Stranger"}, at=NOON)
    house.read()
    house.bring()
    accounts = {"map": {**LEAN_ACCOUNT_MAP, "description": {"from": "comments", **BOTH}}}
    qbench = attributes(sandbox)["qbench"] | {"writes": True}
    with _desk(house.bench, tmp_path, accounts=accounts, qbench=qbench) as desk:
        brought, refused, unlinked = (explained(desk, asked)[1] for asked in (ids[1], ids[2], stranger))
    assert brought["from_crm"]["condition"] == "synced"
    assert "written into QBench: comments" in brought["notes"]
    assert (refused["from_crm"]["condition"], refused["from_crm"]["error_type"]) == ("failed", "NotFitForQBenchException")
    assert refused["from_crm"]["sentence"].endswith("(not taken: Description (too_long)).")
    assert unlinked["from_crm"]["condition"] == "left out"
    assert (unlinked["record"]["qbench_id"], unlinked["crm_id"], unlinked["to_crm"]) == (None, stranger, None)
