"""The properties endpoints: list, read, create."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import FIELD_TYPES, LARGEST_NUMBER_OF_UNIQUE_PROPERTIES, Option, Property
from crm_pipeline.sandbox.hubspot.records import RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal

REQUIRED = ("name", "label", "type", "fieldType", "groupName")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def listing(store: RecordStore, query: Mapping[str, str]) -> Answer:
    """Every property; sensitive ones only where ``dataSensitivity`` asks for them."""
    sensitivity = query.get("dataSensitivity", "non_sensitive")
    archived = query.get("archived") == "true"
    return Answer(
        {"results": [prop.as_json() for prop in store.properties.values() if prop.sensitivity == sensitivity and prop.archived == archived]}
    )


def read(store: RecordStore, name: str, query: Mapping[str, str]) -> Answer:
    """One property."""
    prop = store.properties.get(name)
    if prop is None or prop.sensitivity != query.get("dataSensitivity", "non_sensitive"):
        raise refusals.not_found(f"Property {name} does not exist")
    return Answer(prop.as_json())


def create(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """A property of the user's own; ``hasUniqueValue`` is settled here for ever, and at most ten have it."""
    prop = _property(store, body)
    if prop.name in store.properties:
        raise Refusal(409, f"A property named '{prop.name}' already exists.", category="OBJECT_ALREADY_EXISTS")
    if prop.unique and len(store.unique) >= LARGEST_NUMBER_OF_UNIQUE_PROPERTIES:
        raise Refusal(400, f"An object cannot have more than {LARGEST_NUMBER_OF_UNIQUE_PROPERTIES} unique properties")
    portal.add_property(store.type.name, prop)
    return Answer(prop.as_json(), 201)


def _property(store: RecordStore, body: Any) -> Property:
    if not isinstance(body, dict):
        raise refusals.invalid_json("Cannot deserialize the body")
    for member in REQUIRED:
        if not isinstance(body.get(member), str) or not body[member]:
            raise refusals.missing_member(member)
    if not _NAME.fullmatch(body["name"]):
        raise Refusal(400, "A property's name must start with a letter and hold lower-case letters, digits and underscores")
    if body["fieldType"] not in FIELD_TYPES.get(body["type"], ()):
        raise Refusal(400, f"fieldType {body['fieldType']} does not go with type {body['type']}")
    if body["groupName"] not in {prop.group for prop in store.properties.values()}:
        raise Refusal(400, f"Property group {body['groupName']} does not exist")
    unique = body.get("hasUniqueValue") is True
    if unique and body["type"] not in ("string", "number"):
        raise Refusal(400, f"Values of type {body['type']} cannot be unique")
    return Property(
        name=body["name"],
        label=body["label"],
        type=body["type"],
        field_type=body["fieldType"],
        group=body["groupName"],
        options=tuple(_option(option) for option in body.get("options") or []),
        unique=unique,
        hidden=body.get("hidden") is True,
        hubspot_defined=False,
        description=str(body.get("description") or ""),
        sensitivity=body.get("dataSensitivity", "non_sensitive"),
    )


def _option(raw: Any) -> Option:
    for member in ("label", "value", "hidden", "displayOrder"):
        if not isinstance(raw, dict) or member not in raw:
            raise refusals.missing_member(f"options.{member}")
    return Option(raw["label"], raw["value"], raw["hidden"], raw["displayOrder"])
