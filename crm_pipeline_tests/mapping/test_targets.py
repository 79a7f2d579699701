"""Which way the fields of a mapping go in each CRM, and which of them are sent."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crm_pipeline.integration import IntegrationAttributes
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.mapping.lineage import crm_sources
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.revision import mapping_digest
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import targets
from crm_pipeline_tests.integration_projects import COMPLETE
from crm_pipeline_tests.mapping.builders import account_spec, contact_spec, customer, payload

ADDRESS = {"street_1": "address", "city": "city_name", "country": "country_name"}


def ways(spec: RecordSpec, crm: str) -> dict[str, tuple[Direction, Rule]]:
    return {target.crm_field: (target.direction, target.rule) for target in targets(spec, crm=crm, crm_fields=None)}


# One way, as ever


def test_file_that_asks_for_no_direction_is_the_mapping_that_it_was() -> None:
    attributes = IntegrationAttributes.model_validate(yaml.safe_load(COMPLETE.read_text())["attributes"])
    digests = [mapping_digest(spec, Reading("US", "UTC")) for spec in attributes.records.values()]
    # As the version before directions made them: of another digest every staged record would be normalized again.
    assert digests == ["ae45e3c6e05136ac", "9eb8a36bd79f1ba2"]
    found = {way for spec in attributes.records.values() for crm in ("hubspot", "salesforce") for way in ways(spec, crm).values()}
    assert found == {(Direction.TO_CRM, Rule.LATER)}


def test_default_written_out_is_the_mapping_without_it() -> None:
    written = account_spec({"description": {"from": "comments", "direction": "to_crm", "rule": "later"}})
    assert written.model_dump_json() == account_spec({"description": {"from": "comments"}}).model_dump_json()


@pytest.mark.parametrize("asked", [{"direction": "both"}, {"direction": "from_crm"}, {"direction": "both", "rule": {"prefer": "qbench"}}])
def test_another_direction_or_rule_is_another_mapping(asked: dict[str, Any]) -> None:
    one_way, other = account_spec({"description": {"from": "comments"}}), account_spec({"description": {"from": "comments", **asked}})
    assert mapping_digest(one_way, Reading()) != mapping_digest(other, Reading())


# Directions and rules


def test_direction_holds_for_every_crm_or_for_the_ones_named() -> None:
    spec = account_spec(
        {
            "description": {"from": "comments", "direction": "both"},
            "website": {"from": "website", "direction": {"salesforce": "from_crm"}},
            "hubspot.about_us": {"from": "notes", "direction": "from_crm"},
        }
    )
    both, out, back = ((direction, Rule.LATER) for direction in (Direction.BOTH, Direction.TO_CRM, Direction.FROM_CRM))
    assert ways(spec, "salesforce") == {"Name": out, "Description": both, "Website": back}
    assert ways(spec, "hubspot") == {"name": out, "description": both, "website": out, "about_us": back}


def test_rule_of_a_target_is_said_of_its_own_crm() -> None:
    preferring = {name: {"from": name, "direction": "both", "rule": {"prefer": name}} for name in ("salesforce", "qbench")}
    spec = account_spec(
        {"description": preferring["salesforce"], "website": preferring["qbench"], "industry": {"from": "industry", "direction": "both"}}
    )
    assert ways(spec, "salesforce")["Description"][1] is Rule.PREFER_CRM
    # QBench holds what Salesforce has said.
    assert ways(spec, "hubspot")["description"][1] is Rule.PREFER_QBENCH
    assert [ways(spec, "salesforce")[name][1] for name in ("Website", "Industry")] == [Rule.PREFER_QBENCH, Rule.LATER]


def test_address_and_phone_go_one_way_as_a_whole() -> None:
    spec = contact_spec(
        {
            "phone": {"from": "phone", "direction": "both", "rule": {"prefer": "salesforce"}},
            "phone_number_type": "kind",
            "address": {"street": "street", "city": "city", "country": "country", "direction": "from_crm"},
        }
    )
    found = ways(spec, "salesforce")
    assert {name: found[name] for name in ("Phone", "Fax", "MobilePhone")} == dict.fromkeys(
        ("Phone", "Fax", "MobilePhone"), (Direction.BOTH, Rule.PREFER_CRM)
    )
    assert {way for name, way in found.items() if name.startswith("Mailing")} == {(Direction.FROM_CRM, Rule.LATER)}


def test_field_that_only_comes_back_is_not_sent_nor_said_to_be() -> None:
    spec = account_spec(
        {
            "description": {"from": "comments", "direction": "from_crm", "clear": True},
            "website": {"from": "website", "direction": "both"},
            "phone_number": {"from": "phone", "direction": "from_crm"},
            "address": {**ADDRESS, "direction": "from_crm"},
            "salesforce.Tier__c": {"from": "group_name", "direction": "from_crm"},
        }
    )
    sent = payload(spec, customer(comments="a", website="b", phone="512 555 0101", group_name="c", city_name="Austin", country_name="US"))
    assert list(sent.values.columns) == list(sent.create_values().columns) == list(sent.clears.columns) == ["Name", "Website"]
    assert [target.crm_field for target in sent.targets] == ["Name", "Website"]
    assert list(crm_sources(spec, crm="salesforce")) == ["Name", "Website"]
