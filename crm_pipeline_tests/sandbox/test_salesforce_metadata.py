"""The stand-in's custom fields and permissions: strict as the vendor, and a field is hidden until somebody shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import Rest, rest_of

TOOLING = "tooling/sobjects/CustomField"
TEXT = {"label": "Tier", "type": "Text", "length": 20}


@pytest.fixture
def rest() -> Iterator[Rest]:
    with rest_of(SalesforceOrg()) as opened:
        yield opened


def made(rest: Rest, name: str = "Account.Tier__c", **metadata: Any) -> Any:
    rest.org.customizes = True
    return rest.call("POST", TOOLING, json={"FullName": name, "Metadata": {**TEXT, **metadata}})


def names(rest: Rest) -> set[str]:
    return {field["name"] for field in rest.call("GET", "sobjects/Account/describe").json()["fields"]}


def test_a_field_is_seen_once_a_permission_set_of_the_user_shows_it(rest: Rest) -> None:
    assert made(rest).status_code == 201
    assert "Tier__c" not in names(rest)
    parent = rest.call("POST", "sobjects/PermissionSet", json={"Name": "Lab", "Label": "Lab"}).json()["id"]
    permission = {
        "ParentId": parent,
        "SobjectType": "Account",
        "Field": "Account.Tier__c",
        "PermissionsRead": True,
        "PermissionsEdit": True,
    }
    assert rest.call("POST", "sobjects/FieldPermissions", json=permission).status_code == 201
    assert "Tier__c" not in names(rest)
    assert (
        rest.call("POST", "sobjects/PermissionSetAssignment", json={"AssigneeId": rest.org.user_id, "PermissionSetId": parent}).status_code
        == 201
    )
    assert "Tier__c" in names(rest)
    assert rest.call("POST", "sobjects/FieldPermissions", json=permission).json()[0]["errorCode"] == "DUPLICATE_VALUE"


@pytest.mark.parametrize(
    ("name", "metadata", "code"),
    [
        ("Account.Tier", {}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Account.Tier__c", {"label": ""}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Account.Tier__c", {"length": 300}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Account.Tier__c", {"type": "Checkbox", "unique": True}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Nothing.Tier__c", {}, "INVALID_TYPE"),
    ],
)
def test_a_field_that_cannot_be_is_refused(name: str, metadata: dict[str, Any], code: str, rest: Rest) -> None:
    refused = made(rest, name, **metadata)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, code)


def test_a_field_is_made_once_and_only_by_who_may(rest: Rest) -> None:
    assert rest.call("POST", TOOLING, json={"FullName": "Account.Tier__c", "Metadata": TEXT}).status_code == 403
    made(rest)
    assert made(rest).json()[0]["errorCode"] == "DUPLICATE_DEVELOPER_NAME"


def test_rights_on_objects_show_in_describe_and_in_what_is_refused(rest: Rest) -> None:
    rest.org.denied |= {("Account", "create"), ("Contact", "read")}
    described = rest.call("GET", "sobjects/Account/describe").json()
    assert (described["createable"], described["updateable"]) == (False, True)
    assert rest.call("POST", "sobjects/Account", json={"Name": "Lab"}).json()[0]["errorCode"] == "INVALID_TYPE_FOR_OPERATION"
    assert rest.call("GET", "sobjects/Contact/describe").status_code == 404


def test_duplicate_rules_are_shown_to_who_sees_the_set_up(rest: Rest) -> None:
    rest.org.add_duplicate_rule(DuplicateRule("Account", ("Name",), name="Names"))
    soql = {"q": "SELECT Id, DeveloperName, SobjectType FROM DuplicateRule WHERE IsActive = true"}
    (rule,) = rest.call("GET", "query", params=soql).json()["records"]
    assert (rule["DeveloperName"], rule["SobjectType"]) == ("Names", "Account")
    rest.org.views_setup = False
    assert rest.call("GET", "query", params=soql).json()[0]["errorCode"] == "INVALID_TYPE"
