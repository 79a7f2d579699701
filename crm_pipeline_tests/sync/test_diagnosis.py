"""What is told of a CRM before anything is loaded: a healthy one, and each lack in turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.diagnosis import Finding
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.sync.diagnosis import crm_findings
from crm_pipeline_tests.sync.conftest import LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench, Sugar

Lack = Callable[[Bench], Any]


def found(bench: Bench, **overrides: Any) -> list[Finding]:
    """The findings of the bench's CRM, asked with a new client."""
    spec = bench.spec(**overrides)
    orders = [spec.order(bench.crm, record, run_id="doctor") for record in spec.records_in(bench.crm).values()]
    with closing(bench.connect(spec)) as crm:
        return list(crm_findings(orders, crm, store=bench.store))


def bad(findings: list[Finding]) -> list[Finding]:
    """What is not as it should be, but for HubSpot's switch that nobody can read."""
    return [one for one in findings if one.level != "ok" and one.subject != "company creation"]


def require(findings: list[Finding], *, level: str, subject: str, said: str, remedy: str) -> None:
    """One thing, and nothing else, is told with what to do."""
    (one,) = bad(findings)
    assert (one.level, one.subject) == (level, subject)
    assert said in one.text
    assert remedy in one.remedy


def test_healthy_crm_has_no_problem(bench: Bench) -> None:
    findings = found(bench)
    assert bad(findings) == []
    assert {one.area for one in findings} == {bench.crm}


def test_nothing_is_written_by_looking(bench: Bench) -> None:
    found(bench)
    asked = {(call.method, call.path) for call in bench.sandbox.journal.calls() if call.service == bench.crm}
    posts = {path for method, path in asked if method == "POST" and not path.endswith(("/token", "/access-token-info"))}
    assert posts == set()
    assert {method for method, _ in asked} <= {"GET", "POST"}


def hide_phone(bench: Bench) -> None:
    bench.sandbox.org.hide_field("Account", "Phone")


def no_key(bench: Bench) -> None:
    bench.sandbox.org.hide_field("Contact", "QBench_Id__c")


def number_key(bench: Bench) -> None:
    bench.sandbox.org.change_field("Account", "QBench_Id__c", type="double")


def key_not_unique(bench: Bench) -> None:
    bench.sandbox.org.change_field("Account", "QBench_Id__c", unique=False)


def locked_field(bench: Bench) -> None:
    bench.sandbox.org.change_field("Account", "Description", createable=False, updateable=False)


def one_more_required(bench: Bench) -> None:
    bench.sandbox.org.add_field("Account", name="Region__c", type="string", length=10, nillable=False)


def may_not_create(bench: Bench) -> None:
    bench.sandbox.org.denied.add(("Account", "create"))


def sees_what_is_shared(bench: Bench) -> None:
    org = bench.sandbox.org
    (permission,) = [one["Id"] for one in org.records("ObjectPermissions") if one["SobjectType"] == "Contact"]
    org.update("ObjectPermissions", permission, {"PermissionsViewAllRecords": False})


def no_contacts(bench: Bench) -> None:
    bench.sandbox.org.denied.add(("Contact", "read"))


def rule(bench: Bench) -> None:
    bench.sandbox.org.add_duplicate_rule(DuplicateRule("Contact", ("Email",), name="Standard_Contact_Duplicate_Rule"))


def few_calls(bench: Bench) -> None:
    bench.sandbox.org.api_calls = 90_000


@pytest.mark.parametrize(
    ("lack", "level", "subject", "said", "remedy"),
    [
        (hide_phone, "problem", "account: Phone", "is not visible to the integration's user", "give the integration's user access"),
        (no_key, "problem", "contact: QBench_Id__c", "the external key QBench_Id__c does not exist", "crm-pipeline provision"),
        (number_key, "problem", "account: QBench_Id__c", "must be a text field", "name another field as external_key"),
        (key_not_unique, "problem", "account: QBench_Id__c", "it is not unique", "name another field as external_key"),
        (locked_field, "problem", "account: Description", "cannot be written", "give access to it"),
        (
            one_more_required,
            "warning",
            "account: Region__c",
            "nothing is mapped to it",
            "map a field or a constant to salesforce.Region__c",
        ),
        (may_not_create, "problem", "Account: rights", "may not create records", "permission set with read, create, edit"),
        (
            sees_what_is_shared,
            "warning",
            "Contact: View All",
            "only the records that are shared",
            "a permission set with View All on Contact",
        ),
        (no_contacts, "problem", "Contact", "NOT_FOUND", "access to the object"),
        (rule, "warning", "Contact: duplicate rule", "Standard_Contact_Duplicate_Rule is active", "allow_duplicates"),
        (few_calls, "warning", "daily calls", "daily calls are left", "find out what else calls there"),
    ],
)
def test_what_salesforce_lacks_is_told_with_its_remedy(
    lack: Lack, level: str, subject: str, said: str, remedy: str, salesforce: Bench
) -> None:
    lack(salesforce)
    require(found(salesforce), level=level, subject=subject, said=said, remedy=remedy)


def test_rules_and_permissions_that_the_user_may_not_see_are_no_problem(salesforce: Bench) -> None:
    salesforce.sandbox.org.views_setup = False
    findings = found(salesforce)
    assert bad(findings) == []
    assert sum("without the permission View Setup and Configuration" in one.text for one in findings) == 2


def no_write_scope(bench: Bench) -> None:
    bench.sandbox.portal.scopes -= {"crm.objects.contacts.write"}


def no_property(bench: Bench) -> None:
    del bench.sandbox.portal.store("companies").properties["qbench_id"]


def few_daily_calls(bench: Bench) -> None:
    bench.sandbox.portal.daily_calls = 3


@pytest.mark.parametrize(
    ("lack", "level", "subject", "said", "remedy"),
    [
        (no_write_scope, "problem", "scopes", "lacks crm.objects.contacts.write", "HUBSPOT_TOKEN"),
        (no_property, "problem", "account: qbench_id", "the external key qbench_id does not exist", "crm-pipeline provision"),
        (few_daily_calls, "warning", "daily calls", "of 3 daily calls are left", "find out what else calls there"),
    ],
)
def test_what_hubspot_lacks_is_told_with_its_remedy(lack: Lack, level: str, subject: str, said: str, remedy: str, hubspot: Bench) -> None:
    lack(hubspot)
    require(found(hubspot), level=level, subject=subject, said=said, remedy=remedy)


def test_companies_that_hubspot_makes_itself_are_told_where_no_domain_is_mapped(hubspot: Bench) -> None:
    (told,) = [one for one in found(hubspot) if one.subject == "company creation"]
    assert (told.level, "map hubspot.domain" in told.remedy) == ("warning", True)
    mapped = {"map": {**LEAN_ACCOUNT_MAP, "hubspot.domain": "web_domain"}}
    (told,) = [one for one in found(hubspot, accounts=mapped) if one.subject == "company creation"]
    assert told.level == "ok"


def test_scopes_of_a_service_key_are_not_known_and_no_problem(hubspot: Bench) -> None:
    hubspot.sandbox.portal.app_id = None
    (told,) = [one for one in found(hubspot) if one.subject == "scopes"]
    assert (told.level, "does not tell the scopes" in told.text) == ("ok", True)


def test_owners_and_lists_that_the_yaml_names_are_looked_for(hubspot: Bench) -> None:
    owned = {"map": LEAN_ACCOUNT_MAP, "owner": [{"hubspot": "ana@acme.example"}]}
    require(
        found(hubspot, accounts=owned),
        level="warning",
        subject="account: owner",
        said="ana@acme.example is unknown",
        remedy="until then the owner is left out",
    )
    hubspot.sandbox.portal.scopes |= {"crm.lists.read"}
    listed = {"map": LEAN_CONTACT_MAP, "only": {"crm_list": {"hubspot": "Lab customers"}}}
    (one,) = bad(found(hubspot, contacts=listed))
    assert (one.level, one.subject) == ("problem", "contact: list")


def test_links_of_another_organization_stop_nothing_else_from_being_looked_at(bench: Bench) -> None:
    with bench.store.transaction() as connection:
        require_organization(connection, "acme", bench.crm, org_id="4711")
    require(found(bench), level="problem", subject="links", said="links belong to 4711", remedy="nothing was written")


def test_crm_whose_sign_in_fails_is_one_problem(hubspot: Bench) -> None:
    hubspot.sandbox.portal.token = "another"
    (one,) = found(hubspot)
    assert (one.level, one.subject) == ("problem", "sign-in")


def no_module(bench: Sugar) -> None:
    bench.site.denied.add(("Contacts", "access"))


def may_not_edit(bench: Sugar) -> None:
    bench.site.denied.add(("Accounts", "edit"))


def wrong_password(bench: Sugar) -> None:
    bench.site.password = "another"


@pytest.mark.parametrize(
    ("lack", "subject", "said", "remedy"),
    [
        (no_module, "Contacts: rights", "does not have this module", "enable the module Contacts"),
        (may_not_edit, "Accounts: rights", "may not edit records", "a role with list, view, edit on Accounts"),
        (wrong_password, "sign-in", "refuses the user or the password", "check the variables SUGARCRM_USER_NAME"),
    ],
)
def test_what_sugarcrm_lacks_is_told_with_its_remedy(
    lack: Callable[[Sugar], None], subject: str, said: str, remedy: str, sugar: Sugar
) -> None:
    assert bad(found(sugar)) == []
    lack(sugar)
    require(found(sugar), level="problem", subject=subject, said=said, remedy=remedy)
