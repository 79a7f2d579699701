"""A contact whose customers QBench does not tell, or a record that its lists do not show, keeps no other away and follows by itself."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.orchestration.conftest import Verdicts, World, failures, metadata_of, numbers, own_world, verdicts_of
from crm_pipeline_tests.orchestration.test_open_records import Said, said_now
from crm_pipeline_tests.tenants import BEFORE_START, FEW_FIELDS, FIRST, IN_SECOND, SECOND, attributes

NEW, LINKED, SOUND, LATER = 1, 2, 3, 4
UNLISTED = 5
"""A customer that no list of QBench's shows in the first two hours."""

HOURS = [FIRST, SECOND, "2026-11-01-02:00", "2026-11-01-03:00"]

each_crm = pytest.mark.parametrize("crm", ["salesforce", "hubspot"])
UNKNOWN = ("failed", "CustomersUnknownException")

InCrm = dict[str, dict[str, tuple[str, str | None]]]
"""By CRM and email of a contact: its last name and the name of its account."""


@dataclass(frozen=True)
class Story:
    """Four hours of a tenant whose lists do not name customers.

    In the first, QBench fails on the customers of a new contact, in the second also on those of one that is linked and was edited; in the
    third it tells both, in the last nothing happens. ``asked``: in each, the contacts whose customers were asked for.
    """

    runs: list[dg.ExecuteInProcessResult]
    said: list[Said]
    in_crm: list[InCrm]
    asked: list[set[str]]
    checks: Verdicts


def in_crm(world: World) -> InCrm:
    org, portal = world.sandbox.org, world.sandbox.portal
    accounts = {record["Id"]: record["Name"] for record in org.records("Account")}
    names = {record["id"]: record["properties"]["name"] for record in portal.records("companies")}
    companies = {contact: names.get(company) for contact, company, _ in portal.associations()}
    return {
        "salesforce": {record["Email"]: (record["LastName"], accounts.get(str(record["AccountId"]))) for record in org.records("Contact")},
        "hubspot": {
            record["properties"]["email"]: (record["properties"]["lastname"], companies.get(record["id"]))
            for record in portal.records("contacts")
        },
    }


@pytest.fixture(scope="module")
def story(postgres: str) -> Story:
    with own_world(postgres) as world:
        sandbox = world.sandbox
        tenant = sandbox.tenant
        tenant.customers_form = "absent"
        spec = IntegrationSpec.model_validate({"name": "acme", **attributes(sandbox), **FEW_FIELDS})

        def add(number: int, *, at: int) -> None:
            tenant.add_customer(id=number, customer_name=f"Lab {number}", at=at)
            person = {"first_name": "Ana", "last_name": f"Ruiz {number}", "phone": "5125550102"}
            tenant.add_contact(id=number, customer_ids=[number], email_address=f"a{number}@example.org", **person, at=at)

        def fails(number: int) -> None:
            sandbox.faults.add(Fault(service="qbench", path=f"/contacts/{number}/customers$", status=500, times=None))

        for number in (NEW, LINKED, SOUND):
            add(number, at=BEFORE_START)
        tenant.add_customer(id=UNLISTED, customer_name="Lab 5", at=BEFORE_START)
        tenant.unshowable.add(("customers", UNLISTED))
        runs, said, seen, asked = [], [], [], []
        for hour in HOURS:
            if hour == FIRST:
                fails(NEW)
            elif hour == SECOND:
                add(LATER, at=IN_SECOND)
                tenant.edit_contact(LINKED, last_name="Edited", at=IN_SECOND)
                fails(LINKED)
            else:
                sandbox.faults.clear()
                tenant.unshowable.clear()
            sandbox.journal.clear()
            runs.append(world.dagster.run(spec, hour))
            said.append(said_now())
            seen.append(in_crm(world))
            calls = [call.path for call in sandbox.journal.calls("qbench")]
            asked.append({path.split("/")[-2] for path in calls if path.endswith("/customers") and "/contacts/" in path})
        return Story(runs, said, seen, asked, verdicts_of(world.dagster, runs[1]))


def test_every_run_is_green(story: Story) -> None:
    assert [failures(run) for run in story.runs] == [{}] * len(HOURS)


@each_crm
def test_the_other_contacts_arrive(story: Story, crm: str) -> None:
    assert story.said[0][crm, "contact", SOUND] == story.said[1][crm, "contact", LATER] == ("created", None)


@each_crm
def test_a_contact_of_unknown_customers_is_not_taken_for_one_without(story: Story, crm: str) -> None:
    assert story.said[0][crm, "contact", NEW] == story.said[1][crm, "contact", NEW] == UNKNOWN
    assert story.said[1][crm, "contact", LINKED] == UNKNOWN


@each_crm
def test_what_is_linked_stays_as_it_is(story: Story, crm: str) -> None:
    assert story.in_crm[1][crm]["a2@example.org"] == story.in_crm[0][crm]["a2@example.org"] == ("Ruiz 2", "Lab 2")


def test_it_is_told_by_its_id(story: Story) -> None:
    assert [metadata_of(run, "qbench", "contacts").get("customers_unknown_ids") for run in story.runs] == ["1", "1, 2", None, None]


@pytest.mark.parametrize("load", ["salesforce/contacts", "hubspot/contacts"])
def test_a_check_is_not_green_meanwhile(story: Story, load: str) -> None:
    verdict = story.checks[load, "no_failed_records"]
    assert (verdict.passed, numbers(verdict)["CustomersUnknownException"]) == (False, 2)


@each_crm
def test_both_follow_in_the_run_in_which_qbench_tells_their_customers(story: Story, crm: str) -> None:
    assert (story.said[2][crm, "contact", NEW], story.said[2][crm, "contact", LINKED]) == (("created", None), ("updated", None))
    assert story.in_crm[2][crm]["a1@example.org"] == ("Ruiz 1", "Lab 1")
    assert story.in_crm[2][crm]["a2@example.org"] == ("Edited", "Lab 2")


def test_what_is_known_is_not_asked_for_again(story: Story) -> None:
    assert story.asked == [{"1", "2", "3"}, {"1", "2", "4"}, {"1", "2"}, set()]


def test_a_record_that_is_not_listed_is_told_by_its_time(story: Story) -> None:
    verdict = story.checks["qbench/customers", "window_complete"]
    assert (verdict.passed, verdict.severity, numbers(verdict)["records_not_listed"]) == (False, dg.AssetCheckSeverity.WARN, 1)
    assert "customers updated from 2026-10-3" in (verdict.description or "")


@each_crm
def test_a_record_that_is_not_listed_follows_once_it_is(story: Story, crm: str) -> None:
    assert [said.get((crm, "account", UNLISTED)) for said in story.said[:3]] == [None, None, ("created", None)]
