"""HubSpot on the bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS, KIND, HubSpotSettings
from crm_pipeline.crms.hubspot.paths import PATHS, PathFamily
from crm_pipeline.crms.hubspot.wire import LONGEST_TEXT
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.hubspot.properties import BY_NAME, external_key
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.bench import Bench, FieldNames, Request
from crm_pipeline_tests.tenants import SHORT_WAITS

KEY = "qbench_id"
FIELDS = {
    RecordType.ACCOUNT: FieldNames(
        match="name",
        text="description",
        short="city",
        short_length=LONGEST_TEXT,
        choice="industry",
        option="BIOTECHNOLOGY",
        required={},
        number="numberofemployees",
    ),
    RecordType.CONTACT: FieldNames(
        match="email",
        text="firstname",
        short="lastname",
        short_length=LONGEST_TEXT,
        choice="lifecyclestage",
        option="lead",
        required={},
    ),
}


def open_bench(sandbox: Sandbox, *, path_family: PathFamily = "v3") -> Bench:
    """A portal with the unique property ``qbench_id`` on both objects, under one family of paths."""
    portal = sandbox.portal
    paths = PATHS[path_family]
    # The suite's intents say that they are older than they are, so search must know what was written just now.
    portal.index_lag_seconds = 0.0
    portal.scopes |= {"crm.lists.read"}
    for crm_object in (COMPANIES, CONTACTS):
        portal.add_property(crm_object.name, external_key(BY_NAME[crm_object.name], KEY))

    def connect(**settings: Any) -> Crm:
        return connect_hubspot(sandbox, **{"path_family": path_family, **settings})

    def add(record_type: RecordType, values: Mapping[str, object]) -> str:
        return portal.add(KIND.usual(record_type).name, {name: str(value) for name, value in values.items()})

    def edit(record_type: RecordType, crm_id: str, values: Mapping[str, object]) -> None:
        portal.update(KIND.usual(record_type).name, crm_id, {name: str(value) for name, value in values.items()})

    def make_list(record_type: RecordType, name: str, crm_ids: Sequence[str]) -> None:
        portal.lists.join(portal.lists.add(name, KIND.usual(record_type).name), *crm_ids)

    def records(record_type: RecordType) -> list[dict[str, Any]]:
        return [{**record["properties"], "id": record["id"]} for record in portal.records(KIND.usual(record_type).name)]

    def delete(record_type: RecordType, crm_id: str) -> None:
        portal.archive(KIND.usual(record_type).name, crm_id)

    def restore(record_type: RecordType, crm_id: str) -> None:
        portal.restore(KIND.usual(record_type).name, crm_id)

    def merge(record_type: RecordType, winner: str, loser: str) -> str:
        return portal.merge(KIND.usual(record_type).name, winner, loser)

    def parent(crm_id: str) -> str | None:
        return primary_company(sandbox, crm_id)

    def batch(verb: str, record_type: RecordType) -> Request:
        return Request("POST", f"{paths.batch(KIND.usual(record_type).name, verb)}$")

    return Bench(
        kind=KIND,
        faults=sandbox.faults,
        journal=sandbox.journal,
        key=KEY,
        connect=connect,
        fields=FIELDS,
        add=add,
        records=records,
        delete=delete,
        restore=restore,
        merge=merge,
        parent=parent,
        secret="HUBSPOT_TOKEN",
        keyed_create=lambda record_type: batch("upsert", record_type),
        plain_create=lambda record_type: batch("create", record_type),
        update=lambda record_type: batch("update", record_type),
        edit=edit,
        make_list=make_list,
    )


def connect_hubspot(sandbox: Sandbox, **settings: Any) -> Crm:
    """An adapter on the stand-in; keywords replace settings."""
    given = {
        "url": sandbox.hubspot_url,
        "token": {"env": "HUBSPOT_TOKEN"},
        "external_key": KEY,
        "attempts": 2,
        "timeout_seconds": 60,
        "waits": SHORT_WAITS,
    }
    return KIND.connect(HubSpotSettings.model_validate({**given, **settings}), "demo")


def primary_company(sandbox: Sandbox, contact_id: str) -> str | None:
    """A contact's primary company, as the portal holds it."""
    return next((company for contact, company, types in sandbox.portal.associations() if contact == contact_id and 1 in types), None)
