"""The commands where contacts go as leads: each names leads as it does accounts and contacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline_tests.commands.conftest import Desk, _desk
from crm_pipeline_tests.orchestration.conftest import writes
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.test_leads import LEAD, MAPPED, leading
from crm_pipeline_tests.tenants import attributes

OF_LEADS = ("--integration", "acme", "--crm", "salesforce", "--record-type", "lead")
LINKS = "SELECT record_type, qbench_id, crm_id, origin FROM crm_pipeline.link WHERE record_type <> 'account'"


@pytest.fixture
def desk(sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path) -> Iterator[Desk]:
    """The command line on an integration whose contacts go as leads, with one of them staged."""
    bench, crms = Bench(sandbox, store, "salesforce"), attributes(sandbox)["crms"]
    spec = leading(bench)
    bench.stage(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1))
    bench.normalize(spec, LEAD, window=EVERYTHING)
    crms["salesforce"]["contacts_as"] = "lead"
    with _desk(bench, tmp_path, crms={"salesforce": crms["salesforce"]}, contacts=MAPPED) as desk:
        yield desk


def test_plan_shows_leads_beside_the_contacts_that_go_as_leads(desk: Desk) -> None:
    told = {part["record_type"]: [(row["operation"], row["reason"]) for row in part["plan"]] for part in desk.json("plan")}
    assert told[RecordType.LEAD] == [("create", None)]
    assert told[RecordType.CONTACT] == [("skipped", "SyncsAsLeadException")]
    assert writes(desk.bench.sandbox) == []


def test_leads_are_sent_again_by_their_contacts_ids(desk: Desk) -> None:
    for record_type in (CONTACT, LEAD):
        desk.bench.load(leading(desk.bench), record_type)
    org = desk.bench.sandbox.org
    [lead] = org.records("Lead")
    org.update("Lead", lead["Id"], {"LastName": "By Hand"})
    result = desk.type("resync", *OF_LEADS, "--force", "--ids", "7")
    assert (result.exit_code, "acme → salesforce leads: 1 updated" in result.output) == (0, True), result.output
    assert [row["LastName"] for row in org.records("Lead")] == ["Ruiz 7"]


def test_links_of_leads_are_made_by_hand_shown_and_removed(desk: Desk) -> None:
    lead = desk.bench.sandbox.org.add("Lead", {"LastName": "Ruiz", "Company": "Theirs"})
    desk.bench.load(leading(desk.bench), CONTACT)
    made = desk.type("link", "make", *OF_LEADS, "--id", "7", "--crm-id", lead)
    assert (made.exit_code, desk.bench.rows(LINKS)) == (0, [("lead", 7, lead, "manual")]), made.output
    desk.bench.load(leading(desk.bench), LEAD)
    assert [(row["Id"], row["LastName"]) for row in desk.bench.sandbox.org.records("Lead")] == [(lead, "Ruiz 7")]
    shown = desk.type("link", "show", *OF_LEADS, "--id", "7")
    assert (shown.exit_code, lead in shown.output) == (0, True), shown.output
    removed = desk.type("link", "remove", *OF_LEADS, "--id", "7")
    assert (removed.exit_code, desk.bench.rows(LINKS)) == (0, []), removed.output
