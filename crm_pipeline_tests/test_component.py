"""A defs.yaml becomes an integration, or is refused with file, line, what is wrong and what would be right."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
import yaml
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster.components.core.package_entry import discover_package_objects
from dagster_shared.serdes import serialize_value
from dagster_shared.serdes.objects import EnvRegistryKey
from pydantic import ValidationError

import crm_pipeline
from crm_pipeline.component import CrmIntegration
from crm_pipeline.configuration.problems import problems_of, without_credentials
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationAttributes, IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline_tests.integration_projects import COMPLETE, COMPLETE_ASSETS, Project, complete_with, line_of

REPOSITORY = Path(crm_pipeline.__file__).parents[1]
SECRET = "Zq81-never-to-be-seen"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    package = "host_" + re.sub(r"\W", "_", tmp_path.name)
    monkeypatch.syspath_prepend(tmp_path)
    yield Project.create(tmp_path, package)
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[module]


def asset_keys(definitions: dg.Definitions) -> list[str]:
    return sorted(key.to_user_string() for key in definitions.resolve_all_asset_keys())


# What is accepted


def test_complete_yaml_loads_as_it_stands_in_the_design(project: Project) -> None:
    project.write("acme", COMPLETE.read_text())
    definitions = project.load()
    dg.Definitions.validate_loadable(definitions)
    assert asset_keys(definitions) == [f"acme/{asset}" for asset in COMPLETE_ASSETS]


def test_several_integrations_share_a_code_location(project: Project) -> None:
    for name in ("acme", "acme_uk"):
        project.write(name, COMPLETE.read_text())
    definitions = project.load()
    dg.Definitions.validate_loadable(definitions)
    assert asset_keys(definitions) == [f"{name}/{asset}" for name in ("acme", "acme_uk") for asset in COMPLETE_ASSETS]


def test_missing_credentials_do_not_keep_the_location_from_loading(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r"env: (\w+)", COMPLETE.read_text()):
        monkeypatch.delenv(variable, raising=False)
    project.write("acme", COMPLETE.read_text())
    dg.Definitions.validate_loadable(project.load())


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition:DeprecationWarning")  # Dagster's own, when it makes the snapshot
def test_credentials_stand_in_no_definition_or_snapshot(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r"env: (\w+)", COMPLETE.read_text()):
        monkeypatch.setenv(variable, SECRET)
    project.write("acme", COMPLETE.read_text())
    definitions = project.load()
    snapshot = serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))
    assert "acme__" in snapshot
    assert SECRET not in snapshot


def test_templates_are_filled_in_outside_credentials(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_REGION", "DE")
    project.write("acme", complete_with(("default_region: US", 'default_region: "{{ env.LAB_REGION }}"')))
    assert loaded(project).default_region == "DE"


def test_contacts_may_be_left_out(project: Project) -> None:
    project.write("acme", COMPLETE.read_text().split("  contacts:")[0])
    assert asset_keys(project.load()) == [f"acme/{asset}" for asset in COMPLETE_ASSETS if not asset.endswith("contacts")]


@pytest.mark.parametrize("address_type", ["{constant: SHIPPING}", "kind_of_address"])
def test_addresses_of_two_types_are_accepted(project: Project, address_type: str) -> None:
    addresses = f"[{{street_1: address}}, {{city: city_name, address_type: {address_type}}}]"
    project.write("acme", complete_with(("address: {street_1: address, ", f"address: {addresses}  # {{")))
    assert len(loaded(project).accounts.map.addresses) == 2


def test_text_that_looks_like_a_number_stays_text(project: Project) -> None:
    project.write("acme", complete_with(("group_name  ", '{constant: "0123"}')))
    assert loaded(project).accounts.map.direct["salesforce.Lab_Tier__c"].constant == "0123"


def loaded(project: Project) -> CrmIntegration:
    tree = project.load().component_tree
    assert tree is not None
    return tree.load_component("acme", CrmIntegration)


# What is refused


def translated(translation: str) -> tuple[str, str]:
    return "  active: true", f"  translation: {translation}\n  active: true"


CREDENTIAL = "a credential is never written here"
DESCRIPTION = "attributes.accounts.map.description"
UNSTORABLE = "holds a character that no CRM or database takes"


def described(more: str) -> tuple[str, str]:
    return "description: comments", f"description: {{from: comments, {more}}}"


def creates(create: str) -> tuple[str, str]:
    return "  accounts:\n", f"  accounts:\n    from_crm: {{create: {create}}}\n"


ALLOWED_TO_WRITE = ("    url: https://acme.qbench.net", "    url: https://acme.qbench.net\n    writes: true")

REFUSED = {
    "a field's name with a NUL": (("description: comments", r'description: "comm\0ents"'), DESCRIPTION, UNSTORABLE),
    "a field's name with half of a pair": (("description: comments", r'description: "comm\ud83eents"'), DESCRIPTION, UNSTORABLE),
    "a key with a NUL": (
        ("description: comments", r'"salesforce.X\0__c": comments'),
        r"attributes.accounts.map.salesforce.X\x00__c",
        UNSTORABLE,
    ),
    "a value with a NUL": (
        ("description: comments", r'description: {constant: "La\0b"}'),
        f"{DESCRIPTION}.constant",
        UNSTORABLE,
    ),
    "a direction that is none": (
        described("direction: sideways"),
        f"{DESCRIPTION}.direction",
        "must be one of: 'to_crm', 'from_crm' or 'both'",
    ),
    "a direction of one CRM that is none": (
        described("direction: {hubspot: sideways}"),
        f"{DESCRIPTION}.direction.hubspot",
        "must be one of: 'to_crm', 'from_crm' or 'both'",
    ),
    "a rule that is none": (described("rule: earlier"), f"{DESCRIPTION}.rule", "must be `later`, or name whose value stands"),
    "two preferred": (described("rule: {prefer: [hubspot, salesforce]}"), f"{DESCRIPTION}.rule.prefer", "only one side can be preferred"),
    "rule of one direction": (described("rule: {prefer: qbench}"), f"{DESCRIPTION}.rule.prefer", "a rule decides between two changes"),
    "a direction that QBench is not open to": (
        described("direction: both"),
        f"{DESCRIPTION}.direction",
        "it writes into QBench, which `qbench.writes: true` must allow",
    ),
    "creates that QBench is not open to": (
        creates("{}"),
        "attributes.accounts.from_crm.create",
        "it writes into QBench, which `qbench.writes: true` must allow",
    ),
    "QBench open to no direction": (ALLOWED_TO_WRITE, "attributes.qbench.writes", "no mapping has a `direction` that brings anything back"),
    "unknown key": (("first_load: manual", "frist_load: manual"), "attributes.frist_load", "did you mean `first_load`?"),
    "unknown key far below": (("policy: if_blank", "polcy: if_blank"), "attributes.accounts.map.industry.polcy", "did you mean `policy`?"),
    "unknown key of a service": (("url: https", "ulr: https"), "attributes.qbench.ulr", "did you mean `url`?"),
    "unknown CRM": (("    hubspot:\n", "    hubsport:\n"), "attributes.crms.hubsport", "did you mean `hubspot`?"),
    "missing key": (('  start: "2026-11-01T00:00Z"', "  #"), "attributes.start", "this key is missing"),
    "missing credential": (("      token: {env: HUBSPOT_TOKEN}", "     "), "attributes.crms.hubspot.token", "this key is missing"),
    "text instead of true": (("active: true", 'active: "maybe"'), "attributes.active", "must be true or false"),
    "number instead of text": (("name: customer_name", "name: 12"), "attributes.accounts.map.name", "YAML reads this as a number"),
    "NO instead of text": (("default_region: US", "default_region: NO"), "attributes.default_region", "put it in quotes"),
    "NO where anything goes": (("is: ACTIVE", "is: NO"), "attributes.accounts.only.all[0].is", "put it in quotes"),
    "leading zero": (("is: ACTIVE", "is: 01234"), "attributes.accounts.only.all[0].is", "another number than it looks"),
    "clock time": (("is: ACTIVE", "is: 12:30"), "attributes.accounts.only.all[0].is", "another number than it looks"),
    "list instead of text": (("name: customer_name", "name: [a, b]"), "attributes.accounts.map.name", "must be text or a table"),
    "text instead of table": (
        ("only: {all: [{field: status, is: ACTIVE}]}", "only: ACTIVE"),
        "attributes.accounts.only",
        "must be a table",
    ),
    "no value": (("description: comments", "description:"), "attributes.accounts.map.description", "there is no value behind this key"),
    "a key twice": (("description: comments", "name: comments"), "attributes.accounts.map.name", "stands here twice"),
    "word outside the choice": (("policy: if_blank", "policy: sometimes"), "attributes.accounts.map.industry.policy", "'if_blank'"),
    "unknown normalized field": (("website: website", "web_site: website"), "attributes.accounts.map.web_site", "did you mean `website`?"),
    "unknown normalized field to sync on": (
        ("{name: {salesforce: Name", "{nmae: {salesforce: Name"),
        "attributes.accounts.sync_on[0].nmae",
        "unknown normalized field; did you mean `name`?",
    ),
    "no mapping for name": (("      name: customer_name\n", ""), "attributes.accounts.map", "no mapping for `name`"),
    "no mapping for email": (("      email: email_address\n", ""), "attributes.contacts.map", "no mapping for `email`"),
    "field of a CRM that is not fed": (
        ("salesforce.Lab_Tier__c", "pipedrive.Lab_Tier__c"),
        "attributes.accounts.map.pipedrive.Lab_Tier__c",
        "`pipedrive` is no CRM of this integration",
    ),
    "no field behind a CRM's name": (
        ("salesforce.Lab_Tier__c:", "salesforce.:"),
        "attributes.accounts.map.salesforce.",
        "write `salesforce.<field>`",
    ),
    "two addresses of the default type": (
        ("address: {street_1: address, ", "address: [{street_1: address}, {city: city_name}]  # {"),
        "attributes.accounts.map.address[1]",
        "an address before this one is the BILLING address",
    ),
    "two addresses of one constant type": (
        (
            "address: {street_1: address, ",
            "address: [{city: a, address_type: {constant: SHIPPING}}, {city: b, address_type: {constant: shipping}}]  # {",
        ),
        "attributes.accounts.map.address[1]",
        "an address before this one is the SHIPPING address",
    ),
    "match key of a CRM that is not fed": (
        ("{email: {salesforce: Email", "{email: {pipedrive: Email"),
        "attributes.contacts.sync_on[0].email.pipedrive",
        "`pipedrive` is no CRM of this integration",
    ),
    "owner in a CRM that is not fed": (
        ("  contacts:\n", "    owner: [{pipedrive: someone}]\n  contacts:\n"),
        "attributes.accounts.owner[0].pipedrive",
        "`pipedrive` is no CRM of this integration",
    ),
    "owner rule that names nobody": (
        ("  contacts:\n", "    owner: [{only: {field: status, is: VIP}}]\n  contacts:\n"),
        "attributes.accounts.owner[0]",
        "names a user per CRM",
    ),
    "owner both by rule and by map": (
        (
            "      salesforce.Lab_Tier__c: group_name      # a CRM field outside the normalized model\n",
            "      salesforce.OwnerId: {constant: x}\n    owner: [{salesforce: someone}]\n",
        ),
        "attributes.accounts.owner[0].salesforce",
        "keep one of the two",
    ),
    "bad cron": (('schedule: "5 * * * *"', 'schedule: "5 * * *"'), "attributes.schedule", "no cron expression"),
    "cron with seconds": (('schedule: "5 * * * *"', 'schedule: "5 * * * * *"'), "attributes.schedule", "no cron expression"),
    "start within an hour": (("T00:00Z", "T00:30Z"), "attributes.start", "whole hour in UTC"),
    "start elsewhere": (("T00:00Z", "T00:00+01:00"), "attributes.start", "whole hour in UTC"),
    "start without zone": (("T00:00Z", "T00:00"), "attributes.start", "whole hour in UTC"),
    "unknown region": (("default_region: US", "default_region: UK"), "attributes.default_region", "US or GB"),
    "secret in plain text": (("{env: HUBSPOT_TOKEN}", SECRET), "attributes.crms.hubspot.token", CREDENTIAL),
    "secret as a template": (("{env: HUBSPOT_TOKEN}", '"{{ env.HUBSPOT_TOKEN }}"'), "attributes.crms.hubspot.token", CREDENTIAL),
    "secret as a variable's name": (("{env: HUBSPOT_TOKEN}", f"{{env: {SECRET}}}"), "attributes.crms.hubspot.token", CREDENTIAL),
    "secret as a key": (("{env: HUBSPOT_TOKEN}", f"{{{SECRET}}}"), "attributes.crms.hubspot.token", CREDENTIAL),
    "unknown key of the translation": (translated("{grup_name: crm}"), "attributes.translation.grup_name", "did you mean `group_name`?"),
    "translation of what the integration works by": (translated("{deps: [other]}"), "attributes.translation.deps", "known here: key,"),
    "translation with an unknown variable": (
        translated('{key: "{{ props.crm }}"}'),
        "attributes.translation",
        "`props` (integration, service",
    ),
    "translation with an owner that is none": (
        translated(f"{{owners: [{SECRET}]}}"),
        "attributes.translation",
        "an owner an e-mail address",
    ),
    **{
        f"translation to a key with {name}": (
            translated(f'{{key: "lab{mark}/{{{{ props.service }}}}/{{{{ props.object }}}}"}}'),
            "attributes.translation",
            "a key is letters, digits, _, - and . between /",
        )
        for name, mark in {"a space": " s", "an apostrophe": "'s", "a letter of another alphabet": "ł"}.items()
    },
    "translation to one key for all": (translated("{key: crm}"), "attributes.translation", "put `{{ props.service }}` and"),
    "translation to keys whose steps have one name": (
        translated("{key: \"{{ ['a', 'b__c'] if props.upkeep else ['a__b', 'c'] }}\"}"),
        "attributes.translation",
        "one key to several assets",
    ),
    "limit on what comes back where nothing does": (
        ("  crms:\n", "  from_crms: {most_changed: 5}\n  crms:\n"),
        "attributes.from_crms",
        "no mapping has a `direction` that brings anything back",
    ),
    "list that limits what comes back from a CRM that keeps none": (
        ("      domain: acme.my", "      receive: {only_in_list: Lab customers}\n      domain: acme.my"),
        "attributes.crms.salesforce.receive.only_in_list",
        "Salesforce keeps no lists; write `receive: true`, or false",
    ),
    "list of a CRM that keeps none": (
        ("only: {all: [{field: status, is: ACTIVE}]}", "only: {crm_list: {salesforce: Lab customers}}"),
        "attributes.accounts.only.crm_list.salesforce",
        "Salesforce keeps no lists; leave salesforce out",
    ),
    "template without a value": (("name: customer_name", 'name: "{{ nobody }}"'), "attributes.accounts.map.name", "gives no value"),
}


@pytest.mark.parametrize("direction", ["both", "{salesforce: from_crm}"])
def test_what_comes_back_has_assets_of_its_own_by_crm(project: Project, direction: str) -> None:
    project.write("acme", complete_with(ALLOWED_TO_WRITE, described(f"direction: {direction}")))
    keys = {key.to_user_string() for key in project.load().resolve_asset_graph().get_all_asset_keys()}
    crms = {"salesforce", "hubspot"} if direction == "both" else {"salesforce"}
    assert {key for key in keys if "_from_" in key} == {f"acme/qbench/customers_from_{crm}" for crm in crms}


@pytest.mark.parametrize(
    ("create", "problem"),
    [
        ("{}", "create: a record is made of what comes back from one CRM, `name` at least; give these `direction: both`"),
        (
            "{only: {field: status, is: ACTIVE}}",
            "create.only: `status` is no field of a CRM of which records are made; write `<crm>.<field>`",
        ),
        ("{only: {crm_list: {hubspot: Customers}}}", "create.only: names no field; a list of the CRM goes into `only`"),
    ],
)
def test_create_in_qbench_that_cannot_work_is_refused(project: Project, create: str, problem: str) -> None:
    project.write("acme", complete_with(ALLOWED_TO_WRITE, creates(create)))
    assert problem in project.refusal()


def test_create_in_qbench_without_ever_reading_it_whole_is_refused(project: Project) -> None:
    project.write("acme", complete_with(creates("{}"), ("first_load: manual", "first_load: none")))
    assert "first_load: with `none` QBench is never read whole" in project.refusal()


LEADS: tuple[tuple[str, str], ...] = (
    ("  contacts:\n", "  contacts:\n    lead:\n      map: {email: email_address, last_name: last_name}\n"),
    ("    salesforce:\n", "    salesforce:\n      contacts_as: lead\n"),
)
"""What makes leads of the contacts in the complete YAML: how, and where."""


def test_leads_have_assets_of_their_own_in_the_crms_that_take_some(project: Project) -> None:
    project.write("acme", complete_with(*LEADS))
    graph = project.load().resolve_asset_graph()
    nodes = {node.key.to_user_string(): {key.to_user_string() for key in node.parent_keys} for node in graph.asset_nodes}
    assert {key for key in nodes if "leads" in key} == {"acme/normalized/leads", "acme/salesforce/leads"}
    assert nodes["acme/normalized/leads"] == {"acme/qbench/contacts", "acme/qbench/customers"}
    assert nodes["acme/salesforce/leads"] == {"acme/normalized/leads", "acme/salesforce/contacts"}
    assert "acme/salesforce/leads" in nodes["acme/salesforce/links"] & nodes["acme/salesforce/resync"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (LEADS[:1], "contacts.lead: no CRM takes contacts as leads; give salesforce"),
        (LEADS[1:], "crms.salesforce.contacts_as: nothing says how contacts become leads; write `contacts: {lead: {map"),
        ((LEADS[0], ("    hubspot:\n", "    hubspot:\n      contacts_as: lead\n")), "crms.hubspot.contacts_as: unknown key"),
        ((*LEADS, ("last_name: last_name}", "hubspot.x: last_name}")), "contacts.lead.map.hubspot.x: `hubspot` is no CRM"),
        (
            (*LEADS, ("last_name: last_name}", "last_name: {from: last_name, direction: both}}")),
            "contacts.lead.map.last_name.direction: what people change in leads does not come back",
        ),
        (
            (LEADS[0], (LEADS[1][0], f"{LEADS[1][0]}      contacts_as: {{lead: {{only: {{crm_list: {{hubspot: x}}}}}}}}\n")),
            "crms.salesforce.contacts_as.lead.only: names no field of QBench",
        ),
    ],
    ids=["no crm", "no map", "a crm without leads", "another crm's field", "a direction", "a list"],
)
def test_leads_that_cannot_work_are_refused(project: Project, changes: tuple[tuple[str, str], ...], problem: str) -> None:
    project.write("acme", complete_with(*changes))
    assert problem in project.refusal()


@pytest.mark.parametrize("direction", ["to_crm", "{salesforce: to_crm}"])
def test_direction_that_everything_has_anyway_may_be_written_out(project: Project, direction: str) -> None:
    project.write(
        "acme",
        complete_with(
            described(f"direction: {direction}, rule: later"), (ALLOWED_TO_WRITE[0], f"{ALLOWED_TO_WRITE[0]}\n    writes: false")
        ),
    )
    dg.Definitions.validate_loadable(project.load())


@pytest.mark.parametrize(("change", "key", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_yaml_is_refused_once_with_key_and_remedy_and_without_its_values(
    project: Project, change: tuple[str, str], key: str, message: str
) -> None:
    project.write("acme", complete_with(change))
    refusal = project.refusal()
    told = dict(line.split(": ", 2)[1:] for line in refusal.splitlines()[1:])
    assert message in told.pop(key)
    # A misspelt key is also missing under its right name.
    assert not told or "unknown key" in message or "did you mean" in message
    for never in (SECRET, "FieldSource", "input_value", "Input should be", "pydantic"):
        assert never not in refusal


def test_refusal_names_file_and_line_of_each_problem_in_the_order_of_the_file(project: Project) -> None:
    changes = (
        ("first_load: manual", "first_load: never"),
        ("phone_number: phone", "phone_number: 7"),
        ("email: email_address", "email: true"),
    )
    file = project.write("acme", complete_with(*changes))
    told = [line.split(": ", 1)[0] for line in project.refusal().splitlines()[1:]]
    assert told == [f"{file}:{line_of(file, fragment)}" for fragment in ("first_load:", "phone_number:", "email: true")]


def test_no_crm_at_all_is_refused(project: Project) -> None:
    before, _, rest = COMPLETE.read_text().partition("  crms:\n")
    _, _, after = rest.partition("  accounts:\n")
    project.write("acme", before + "  crms: {}\n  accounts:\n" + after)
    assert f"no CRM is configured; give at least one of: {', '.join(crm_kinds())}" in project.refusal()


def test_yaml_without_attributes_is_refused(project: Project) -> None:
    project.write("acme", "type: crm_pipeline.CrmIntegration\n")
    assert "attributes.qbench: this key is missing" in project.refusal()


def test_second_document_in_a_file_is_refused(project: Project) -> None:
    project.write("acme", f"{COMPLETE.read_text()}---\n{COMPLETE.read_text()}")
    assert "give each integration a folder of its own" in project.refusal()


@pytest.mark.parametrize(("name", "proposal"), [("Acme-Labs", "acme_labs"), ("acme.uk", "acme_uk"), ("a" * 32, "a" * 31)])
def test_name_that_cannot_be_one_is_refused_with_a_proposal(project: Project, name: str, proposal: str) -> None:
    project.write(name, COMPLETE.read_text())
    refusal = project.refusal()
    assert f"`{name}` cannot be one" in refusal
    assert f"for example `{proposal}`" in refusal


def test_two_folders_of_one_name_are_refused(project: Project) -> None:
    project.write("eu/acme", COMPLETE.read_text())
    project.write("us/acme", COMPLETE.read_text())
    assert "has the same name; rename one of the two folders" in project.refusal()


# What tools see


def keys_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for owner in (schema, *schema["$defs"].values()):
        for key, described in owner.get("properties", {}).items():
            yield f"{owner['title']}.{key}", described


def test_every_key_has_a_description_and_an_example_in_the_schema() -> None:
    model = CrmIntegration.get_model_cls()
    assert model is not None
    keys = dict(keys_of(model.model_json_schema()))
    assert {"WrittenAttributes.accounts", "QBenchSettings.url", "AccountMap.name", "EnvVariable.env"} <= set(keys)
    assert [key for key, described in keys.items() if not described.get("description") or not described.get("examples")] == []


def with_secrets(value: Any) -> Iterator[Any]:
    """The attributes, several times for every place in them: with a secret there, alone and within tables and lists."""
    yield from (SECRET, {"env": f"{SECRET}!"}, {"misspelt": SECRET}, [SECRET])
    if isinstance(value, dict):
        yield {**value, "misspelt": SECRET}
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for changed in with_secrets(below):
            yield {**value, key: changed} if isinstance(value, dict) else [*value[:key], changed, *value[key + 1 :]]


def test_secret_in_any_place_of_the_yaml_is_repeated_by_no_refusal() -> None:
    schema = jsonschema.Draft202012Validator(CrmIntegration.get_model_cls().model_json_schema())  # type: ignore[union-attr]
    refused = 0
    for attributes in with_secrets(yaml.safe_load(COMPLETE.read_text())["attributes"]):
        # `dg check` shows the lines around each fault of the schema, so that it must find none.
        assert schema.is_valid(attributes)
        try:
            IntegrationAttributes.model_validate(attributes)
        except ValidationError as error:
            refused += 1
            problems = without_credentials(problems_of(error, model=IntegrationAttributes, raw=attributes), model=IntegrationAttributes)
            said = [problem.message for problem in problems]
            assert said
            assert SECRET not in str(said), attributes
    assert refused > 100


def test_every_crm_of_the_package_has_its_key_in_the_schema() -> None:
    model = CrmIntegration.get_model_cls()
    assert model is not None
    assert list(model.model_json_schema()["$defs"]["Crms"]["properties"]) == list(crm_kinds())


def test_component_is_registered_for_dagsters_tools() -> None:
    entry_points = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"]
    (module,) = entry_points["dagster_dg_cli.registry_modules"].values()
    assert discover_package_objects([module])[EnvRegistryKey(namespace="crm_pipeline", name="CrmIntegration")] is CrmIntegration


# In Python


def test_spec_gives_record_types_and_crms_in_a_fixed_order(project: Project) -> None:
    project.write("acme", COMPLETE.read_text())
    component = loaded(project)
    assert list(component.records) == [RecordType.ACCOUNT, RecordType.CONTACT]
    configured = component.crms.configured
    assert list(configured) == [crm for crm in crm_kinds() if crm in configured] != [*configured][:1]


def test_name_of_a_spec_keeps_to_the_pattern(project: Project) -> None:
    project.write("acme", COMPLETE.read_text())
    component = loaded(project)
    attributes = {key: getattr(component, key) for key in CrmIntegration.model_fields}
    with pytest.raises(ValueError, match="String should match pattern"):
        IntegrationSpec(name="Not-A-Name", **attributes)
