"""What of a mapping cannot come back is refused when the YAML is read: at its key, with what is wrong and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.configuration.problems import dotted
from crm_pipeline.mapping.refusals import entries_back, refusals
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.qbench.fields import KEPT_BY_QBENCH
from crm_pipeline_tests.mapping.builders import account_spec, contact_spec

BOTH: dict[str, Any] = {"direction": "both"}
KEYS = {"hubspot": "qbench_id", "salesforce": "QBench_Id__c"}
ADDRESS = {"street_1": "address", "city": "city_name", "country": "country_name"}


def told(spec: RecordSpec, keys: dict[str, str | None] | None = None) -> dict[str, str]:
    found = refusals(spec, external_keys=KEYS if keys is None else keys, kept=KEPT_BY_QBENCH[spec.record_type])
    return {dotted(problem.path): problem.message for problem in found}


ACCEPTED: dict[str, dict[str, Any]] = {
    "nothing asked": {},
    "both, by every rule": {
        "description": {"from": "comments", **BOTH},
        "website": {"from": "website", **BOTH, "rule": {"prefer": "salesforce"}},
        "industry": {"from": "industry", **BOTH, "rule": {"prefer": "qbench"}},
    },
    "one way each per CRM": {"industry": {"from": "industry", "direction": {"salesforce": "from_crm", "hubspot": "to_crm"}}},
    "a CRM that is not named is sent to": {"industry": {"from": "industry", "direction": {"salesforce": "from_crm"}}},
    "one CRM fills, the other too and is told": {
        "industry": {"from": "industry", "direction": {"salesforce": "from_crm", "hubspot": "both"}}
    },
    "a field of one CRM": {"salesforce.Lab_Tier__c": {"from": "group_name", "direction": "from_crm", "clear": True}},
    "an address": {"address": {**ADDRESS, **BOTH, "rule": {"prefer": "salesforce"}}},
    "an address that fills blanks": {"address": {**ADDRESS, **BOTH, "policy": "if_blank"}},
    "a phone with its type": {
        "phone_number": {"from": "phone", **BOTH},
        "phone_number_type": {"from": "kind", "translate": {"office": "WORK"}},
    },
    "a phone of one type": {"phone_number": {"from": "phone", **BOTH}, "phone_number_type": {"constant": "MAIN"}},
    "a translation to and fro": {
        "industry": {"from": "industry", **BOTH, "translate": {"Food": "Food & Beverage", "food": "Food & Beverage"}}
    },
    "words for a blank": {"industry": {"from": "industry", **BOTH, "translate": {"n/a": "", "none": " "}}},
    "a name": {"name": {"from": "customer_name", **BOTH, "rule": {"prefer": "salesforce"}}},
    "one QBench field that is also sent elsewhere": {
        "description": {"from": "comments", **BOTH},
        "salesforce.Notes__c": "comments",
    },
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_mapping_that_has_a_way_back_is_accepted(case: str) -> None:
    assert told(account_spec(ACCEPTED[case])) == {}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "constant": ({"industry": {"constant": "Lab", **BOTH}}, "map.industry.constant", "a constant takes nothing that comes back"),
    "constant, from one CRM": (
        {"industry": {"constant": "Lab", "direction": {"hubspot": "from_crm"}}},
        "map.industry.constant",
        "a constant takes nothing",
    ),
    "take": ({"phone_number": {"from": "phone", "take": "first", **BOTH}}, "map.phone_number.take", "would replace them all"),
    "as": ({"hubspot.domain": {"from": "website", "as": "host", **BOTH}}, "map.hubspot.domain.as", "does not make the web address again"),
    "two words become one": (
        {"industry": {"from": "industry", "translate": {"Food": "Food & Beverage", "Drinks": "food & beverage "}, **BOTH}},
        "map.industry.translate",
        "several values of QBench become the same",
    ),
    "the phone's type is not clear": (
        {"phone_number": {"from": "phone", **BOTH}, "phone_number_type": {"from": "kind", "translate": {"a": "WORK", "b": "WORK"}}},
        "map.phone_number_type.translate",
        "several values of QBench become the same",
    ),
    "create_only": ({"industry": {"from": "industry", "policy": "create_only", **BOTH}}, "map.industry.policy", "only `always` goes with"),
    "if_blank": (
        {"salesforce.Tier__c": {"from": "tier", "policy": "if_blank", "direction": "from_crm"}},
        "map.salesforce.Tier__c.policy",
        "only `always` goes with",
    ),
    "never": ({"industry": {"from": "industry", "policy": "never", **BOTH}}, "map.industry.policy", "only `always` goes with"),
    "an address that is never sent": ({"address": {**ADDRESS, "policy": "never", **BOTH}}, "map.address.policy", "neither sends nor takes"),
    "an address made of a constant": (
        {"address": {**ADDRESS, "country": {"constant": "US"}, **BOTH}},
        "map.address.country.constant",
        "a constant takes nothing",
    ),
    "a part of an address with a way of its own": (
        {"address": {**ADDRESS, "city": {"from": "city_name", **BOTH}}},
        "map.address.city.direction",
        "an address is one value; write `direction` at the address itself",
    ),
    "a part of an address with a rule of its own": (
        {"address": [{**ADDRESS, "city": {"from": "city_name", "rule": {"prefer": "qbench"}}}]},
        "map.address[0].city.rule",
        "an address is one value; write `rule` at the address itself",
    ),
    "an address whose type QBench decides": (
        {"address": {**ADDRESS, "address_type": "kind", **BOTH}},
        "map.address.address_type",
        "has one place",
    ),
    "two street lines in one field": (
        {"address": {**ADDRESS, "street_2": "suite", **BOTH}},
        "map.address",
        "Salesforce keeps several of its parts in the one field BillingStreet",
    ),
    "two addresses in one": (
        {"address": [{**ADDRESS, **BOTH}, {"city": "ship_city", "address_type": {"constant": "SHIPPING"}}]},
        "map.address",
        "HubSpot has one address for both",
    ),
    "a phone's type with a way of its own": (
        {"phone_number": "phone", "phone_number_type": {"from": "kind", **BOTH}},
        "map.phone_number_type.direction",
        "write `direction` at `phone_number`",
    ),
    "an id": (
        {"salesforce.Parent__c": {"from": "parent_customer_id", **BOTH}},
        "map.salesforce.Parent__c.from",
        "QBench keeps this field itself",
    ),
    "a time": ({"salesforce.Seen__c": {"from": "last_updated", **BOTH}}, "map.salesforce.Seen__c.from", "QBench keeps this field itself"),
    "a list in an address": ({"address": {**ADDRESS, "city": "tags", **BOTH}}, "map.address.city.from", "QBench keeps this field itself"),
    "the external key": (
        {"salesforce.qbench_id__c": {"from": "code", **BOTH}},
        "map.salesforce.qbench_id__c",
        "Salesforce's `external_key`",
    ),
    "a name that is never sent": (
        {"name": {"from": "customer_name", "direction": {"hubspot": "from_crm"}}},
        "map.name.direction",
        "HubSpot makes no record without its name; write `both`",
    ),
    "a name in its own field that is never sent": (
        {"salesforce.Name": {"from": "legal_name", "direction": "from_crm"}},
        "map.salesforce.Name.direction",
        "Salesforce makes no record without its Name",
    ),
    "a name that may be emptied": (
        {"name": {"from": "customer_name", "clear": True, **BOTH}},
        "map.name.clear",
        "there is no record without it, on either side",
    ),
    "two fields of a CRM into one": (
        {"description": {"from": "comments", **BOTH}, "salesforce.Notes__c": {"from": "comments", "direction": "from_crm"}},
        "map.salesforce.Notes__c",
        "Salesforce brings its QBench field back from Description already",
    ),
    "two parts of an address into one": (
        {"address": {"city": "place", "state": "place", **BOTH}},
        "map.address",
        "brings its QBench field back from",
    ),
    "two CRMs that never learn of each other": (
        {"industry": {"from": "industry", "direction": "from_crm"}},
        "map.industry.direction",
        "for example `{hubspot: from_crm, salesforce: to_crm}`, or write `both`",
    ),
    "two CRMs' own fields into one": (
        {
            "hubspot.about_us": {"from": "notes", "direction": "from_crm"},
            "salesforce.Notes__c": {"from": "notes", "direction": "from_crm"},
        },
        "map.salesforce.Notes__c.direction",
        "several CRMs would fill one QBench field and never learn of each other: hubspot, salesforce",
    ),
    "no direction at all": ({"industry": {"from": "industry", "direction": {}}}, "map.industry.direction", "names no CRM"),
    "direction of a CRM that is none": (
        {"industry": {"from": "industry", "direction": {"salesfroce": "both"}}},
        "map.industry.direction.salesfroce",
        "did you mean `salesforce`?",
    ),
    "direction of another CRM": (
        {"salesforce.Tier__c": {"from": "tier", "direction": {"hubspot": "both"}}},
        "map.salesforce.Tier__c.direction.hubspot",
        "a field of another CRM; leave `hubspot` out",
    ),
    "rule of a CRM that is none": (
        {"industry": {"from": "industry", **BOTH, "rule": {"prefer": "hubsport"}}},
        "map.industry.rule.prefer",
        "did you mean `hubspot`?",
    ),
    "rule of a CRM that this does not go to and fro": (
        {"industry": {"from": "industry", "direction": {"salesforce": "both"}, "rule": {"prefer": "hubspot"}}},
        "map.industry.rule.prefer",
        "prefer one of: salesforce, qbench",
    ),
    "rule of another CRM": (
        {"salesforce.Tier__c": {"from": "tier", **BOTH, "rule": {"prefer": "hubspot"}}},
        "map.salesforce.Tier__c.rule.prefer",
        "prefer one of: salesforce, qbench",
    ),
    "rule of what goes one way": (
        {"industry": {"from": "industry", "rule": {"prefer": "qbench"}}},
        "map.industry.rule.prefer",
        "goes one way only",
    ),
    "rule of what only comes back": (
        {"salesforce.Tier__c": {"from": "tier", "direction": "from_crm", "rule": {"prefer": "salesforce"}}},
        "map.salesforce.Tier__c.rule.prefer",
        "goes one way only",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mapping_without_a_way_back_is_refused_at_its_key(case: str) -> None:
    mapping, path, fragment = REFUSED[case]
    problems = told(account_spec(mapping))
    assert list(problems) == [path]
    assert fragment in problems[path]


@pytest.mark.parametrize(
    ("mapping", "path", "fragment"),
    [
        (
            {"email": {"from": "email_address", "direction": {"salesforce": "from_crm"}}},
            "map.email.direction",
            "makes no record without its Email",
        ),
        (
            {"last_name": {"from": "last_name", "direction": {"hubspot": "from_crm"}}},
            "map.last_name.direction",
            "makes no record without its lastname",
        ),
        ({"email": {"from": "email_address", "take": "first", **BOTH}}, "map.email.take", "would replace them all"),
        ({"first_name": {"from": "customers", **BOTH}}, "map.first_name.from", "QBench keeps this field itself, as it does id"),
        ({"phone": {"from": "phone", "direction": "from_crm"}}, "map.phone.direction", "several CRMs would fill one QBench field"),
    ],
)
def test_contacts_are_refused_likewise(mapping: dict[str, Any], path: str, fragment: str) -> None:
    problems = told(contact_spec(mapping))
    assert list(problems) == [path]
    assert fragment in problems[path]


def test_one_crm_alone_may_fill_what_two_may_not() -> None:
    spec = account_spec({"industry": {"from": "industry", "direction": "from_crm"}})
    assert told(spec, {"salesforce": None}) == {}
    assert set(told(spec)) == {"map.industry.direction"}


def test_crm_that_writes_texts_in_its_own_way_brings_nothing_back() -> None:
    spec = account_spec({"description": {"from": "comments", **BOTH}, "website": {"from": "website", "direction": {"salesforce": "both"}}})
    found = refusals(spec, external_keys=KEYS, kept=(), altering=["hubspot"])
    assert [(dotted(problem.path), problem.message.split(";")[1]) for problem in found] == [
        ("map.description.direction", " write `{hubspot: to_crm}`")
    ]


def test_street_lines_that_a_crm_keeps_apart_come_back() -> None:
    spec = account_spec({"address": {**ADDRESS, "street_2": "suite", "direction": {"hubspot": "both"}}})
    assert told(spec) == {}


def test_entries_that_bring_something_back_are_named_by_their_places() -> None:
    spec = account_spec(
        {
            "description": {"from": "comments", **BOTH},
            "website": {"from": "website", "direction": {"salesforce": "to_crm"}},
            "salesforce.Tier__c": {"from": "tier", "direction": "from_crm"},
            "address": [ADDRESS, {"city": "ship", "address_type": {"constant": "SHIPPING"}, "direction": {"salesforce": "both"}}],
        }
    )
    assert [dotted(path) for path in entries_back(spec, KEYS)] == ["map.description", "map.salesforce.Tier__c", "map.address[1]"]
