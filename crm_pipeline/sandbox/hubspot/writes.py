"""May this record be written, and writing it: the checks of one new or changed record, and what its row then says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.associations import Label
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import LIFECYCLE_STAGE
from crm_pipeline.sandbox.hubspot.records import Claim, Record, RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Refusal
from crm_pipeline.sandbox.obstacles import in_the_way


@dataclass(frozen=True, slots=True)
class Write:
    """One input that may be written: the record as it is (blank for a new one), and the changes in the form they are kept in."""

    record: Record
    changes: Mapping[str, str]
    sent: tuple[str, ...]
    new: bool
    associations: tuple[tuple[str, tuple[Label, ...]], ...] = ()
    trace_id: str | None = None


def plan_create(
    portal: HubSpotPortal,
    store: RecordStore,
    entry: Mapping[str, Any],
    claims: Mapping[Claim, str],
    *,
    echoed: tuple[str, ...] | None = None,
) -> Write:
    """Check a new record, whose ``properties`` were read; ``echoed`` are those that its row shows. Raises Refusal."""
    raw: dict[str, str] = entry["properties"]
    changes = _checked(portal, store, raw)
    if store.type.required_any and not any(changes.get(name) for name in store.type.required_any):
        raise refusals.required_properties(store.type.singular, store.type.required_any)
    record = Record(store.new_id(), {}, portal.clock(), portal.clock())
    _check_claims(portal, store, record, changes, claims)
    _check_obstacles(portal, store, changes)
    associations = tuple(_association(portal, store, item) for item in entry.get("associations") or [])
    return Write(record, changes, tuple(raw) if echoed is None else echoed, new=True, associations=associations)


def plan_update(portal: HubSpotPortal, store: RecordStore, entry: Mapping[str, Any], record: Record, claims: Mapping[Claim, str]) -> Write:
    """Check changes of a record. Raises Refusal."""
    raw: dict[str, str] = entry["properties"]
    changes = _without_steps_back(store, record, _checked(portal, store, raw))
    _check_claims(portal, store, record, changes, claims)
    _check_obstacles(portal, store, {**record.properties, **changes})
    return Write(record, changes, tuple(raw), new=False)


def carry_out(portal: HubSpotPortal, store: RecordStore, write: Write) -> dict[str, Any]:
    """Write one checked input and return its row: the properties sent and HubSpot's own."""
    visible = portal.clock() + portal.index_lag_seconds
    record = store.live.get(write.record.id, write.record)
    written = portal.write(store, record, write.changes, visible=visible)
    for other, labels in write.associations:
        contact, company = (written.id, other) if store.type.name == "contacts" else (other, written.id)
        portal.link(contact, company, types=[label.contact_to_company for label in labels], visible=visible)
    row = portal.show(store, store.live[written.id], write.sent)
    if portal.echo_trace_ids and write.trace_id is not None:
        row["objectWriteTraceId"] = write.trace_id
    return row


def label_of(portal: HubSpotPortal, from_object: str, spec: Any) -> Label:
    """The label that an association spec names. Raises Refusal."""
    if not isinstance(spec, dict):
        raise refusals.invalid_json("Cannot deserialize value of type `AssociationSpec`")
    category, type_id = spec.get("associationCategory"), spec.get("associationTypeId")
    label = portal.graph.label(from_object, category=str(category), type_id=type_id) if isinstance(type_id, int) else None
    if label is None:
        named = f"{category}={type_id}"
        raise Refusal(
            400,
            "One or more associations are invalid",
            context={"associationSpec": [named], "INVALID_ASSOCIATION_TYPE_ID": [f"{named} is not a valid association definition id"]},
        )
    return label


def invalid_object(store: RecordStore, record_id: str) -> Refusal:
    """An association with a record that is not there."""
    kind = store.type.singular.upper()
    return Refusal(
        400,
        "One or more associations are invalid",
        context={"INVALID_OBJECT_IDS": [f"{kind}={record_id} is not valid"], "objectId": [record_id], "objectType": [kind]},
    )


def _checked(portal: HubSpotPortal, store: RecordStore, raw: Mapping[str, str]) -> dict[str, str]:
    changes, problems = portal.checked(store.type, raw)
    if problems:
        raise refusals.invalid_values(problems, portal_id=portal.portal_id)
    for name in raw:
        sensitivity = store.properties[name].sensitivity
        scope = f"crm.objects.{store.type.name}.{sensitivity}.write.v2"
        if sensitivity != "non_sensitive" and scope not in portal.scopes:
            raise refusals.missing_scopes([scope])
    return changes


def _without_steps_back(store: RecordStore, record: Record, changes: dict[str, str]) -> dict[str, str]:
    """The changes without a lifecycle stage before the record's: HubSpot keeps the later one and says nothing."""
    stages = [option.value for option in store.properties[LIFECYCLE_STAGE].options]
    now, wanted = record.properties.get(LIFECYCLE_STAGE), changes.get(LIFECYCLE_STAGE)
    if now in stages and wanted in stages and stages.index(wanted) < stages.index(now):
        return {name: value for name, value in changes.items() if name != LIFECYCLE_STAGE}
    return changes


def _check_claims(
    portal: HubSpotPortal, store: RecordStore, record: Record, changes: Mapping[str, str], claims: Mapping[Claim, str]
) -> None:
    """Refuse unique values that another record holds, or that another input of this batch takes.

    A value that an earlier input gives up in the same batch is still held: assumed.
    """
    for name, value in store.claims(changes):
        holder = store.holder(name, value) or claims.get((name, value))
        if holder in (None, record.id):
            continue
        if name == "email":
            raise refusals.already_exists(store.type.title, str(holder))
        coordinates = f"portalId={portal.portal_id}, objectTypeId={store.type.type_id}, propertyName={name}, value={value}"
        message = f"Cannot set PropertyValueCoordinates{{{coordinates}}} on {record.id}. {holder} already has that value."
        problem = refusals.Problem(name, "CONFLICTING_UNIQUE_VALUE", message)
        raise refusals.invalid_values([problem], portal_id=portal.portal_id)


def _check_obstacles(portal: HubSpotPortal, store: RecordStore, properties: Mapping[str, str]) -> None:
    if obstacle := in_the_way(portal.obstacles, store.type.name, properties):
        raise Refusal(400, "it stands in the way of this record", category=obstacle.code)


def _association(portal: HubSpotPortal, store: RecordStore, item: Any) -> tuple[str, tuple[Label, ...]]:
    """An inline association: the other record's id and the labels. Raises Refusal for what does not exist."""
    if not isinstance(item, dict) or not isinstance(item.get("to"), dict) or not isinstance(item.get("types"), list):
        raise refusals.invalid_json("Cannot deserialize value of type `PublicAssociationsForObject`")
    other = portal.stores["companies" if store.type.name == "contacts" else "contacts"]
    to_id = str(item["to"].get("id"))
    labels = tuple(label_of(portal, store.type.name, spec) for spec in item["types"])
    if to_id not in other.live:
        raise invalid_object(other, to_id)
    return to_id, labels
