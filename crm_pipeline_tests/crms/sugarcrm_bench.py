"""SugarCRM on the bench."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import KIND, SugarSettings
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sandbox.sugarcrm import Field, SugarSite
from crm_pipeline.testing.bench import Bench, FieldNames, Request
from crm_pipeline_tests.tenants import SHORT_WAITS

KEY = "qbench_id_c"
TIERS = ("Gold", "Silver")
FIELDS = {
    RecordType.ACCOUNT: FieldNames(
        match="name",
        text="description",
        short="billing_address_city",
        short_length=100,
        choice="lab_tier_c",
        option=TIERS[0],
        required={},
        number="sites_c",
    ),
    RecordType.CONTACT: FieldNames(
        match="email1",
        text="first_name",
        short="last_name",
        short_length=100,
        choice="lab_tier_c",
        option=TIERS[0],
        required={"last_name": "Lovelace"},
    ),
    RecordType.LEAD: FieldNames(
        match="email1",
        text="first_name",
        short="last_name",
        short_length=100,
        choice="lab_tier_c",
        option=TIERS[0],
        required={"last_name": "Lovelace", "account_name": "Laboratory"},
    ),
}
SAVES = Request("POST", "#set_entries$")


def open_bench(sandbox: Sandbox) -> Bench:
    """The site with a field for the key and a choice field in each module."""
    site = sandbox.site
    assert site is not None
    for crm_object in ("Accounts", "Contacts", "Leads"):
        site.add_field(crm_object, Field(name=KEY, length=255, source="custom"))
        site.add_choice(crm_object, "lab_tier_c", *TIERS)
    site.add_field("Accounts", Field(name="sites_c", type="int", length=11, source="custom"))

    def connect(**settings: Any) -> Crm:
        return connect_sugarcrm(sandbox, **settings)

    return Bench(
        kind=KIND,
        faults=sandbox.faults,
        journal=sandbox.journal,
        key=KEY,
        connect=connect,
        fields=FIELDS,
        add=lambda record_type, values: site.add(KIND.usual(record_type).name, values),
        records=lambda record_type: _records(site, record_type),
        delete=lambda record_type, crm_id: site.delete(KIND.usual(record_type).name, crm_id),
        restore=lambda record_type, crm_id: site.restore(KIND.usual(record_type).name, crm_id),
        merge=lambda record_type, winner, loser: _merged(site, record_type, winner, loser),
        parent=lambda crm_id: next(iter(site.accounts_of(crm_id)), None),
        secret="SUGARCRM_PASSWORD",
        keyed_create=lambda _: SAVES,
        plain_create=lambda _: SAVES,
        update=lambda _: SAVES,
        edit=lambda record_type, crm_id, values: _edit(site, record_type, crm_id, values),
        convert=site.convert_lead,
    )


def connect_sugarcrm(sandbox: Sandbox, **settings: Any) -> Crm:
    """An adapter on the stand-in; keywords replace settings."""
    given = {
        "url": sandbox.sugarcrm_url,
        "user": {"env": "SUGARCRM_USER_NAME"},
        "password": {"env": "SUGARCRM_PASSWORD"},
        "external_key": KEY,
        "limits": {"calls": 1000},
        "attempts": 2,
        "timeout_seconds": 60,
        "waits": SHORT_WAITS,
    }
    return KIND.connect(SugarSettings.model_validate({**given, **settings}), "demo")


def _records(site: SugarSite, record_type: RecordType) -> list[dict[str, Any]]:
    """The records as people see them, without HTML's codes; a field without a value is None."""
    shown = site.records(KIND.usual(record_type).name)
    return [{name: unescape(value) or None for name, value in record.items()} for record in shown]


def _merged(site: SugarSite, record_type: RecordType, winner: str, loser: str) -> str:
    site.merge(KIND.usual(record_type).name, winner, loser)
    return winner


def _edit(site: SugarSite, record_type: RecordType, crm_id: str, values: Mapping[str, object]) -> None:
    site.update(KIND.usual(record_type).name, crm_id, {name: "" if value is None else value for name, value in values.items()})
