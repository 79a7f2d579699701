"""What the organization says of itself: objects, fields, limits and API versions as JSON."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from crm_pipeline.sandbox.salesforce.fields import ID_TYPES, TEXT_TYPES, FieldSpec, ObjectSpec

# The SOAP type of each field type; texts are xsd:string, ids tns:ID.
_SOAP_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "int": "xsd:int",
        "double": "xsd:double",
        "boolean": "xsd:boolean",
        "datetime": "xsd:dateTime",
        "date": "xsd:date",
        "address": "urn:address",
        "anyType": "xsd:anyType",
    }
)


def brief(spec: ObjectSpec, base: str, *, denied: Container[str] = ()) -> dict[str, Any]:
    """An object without its fields, as in the list of all objects; ``denied``: what of create and edit the user may not."""
    url = f"{base}/sobjects/{spec.name}"
    return {
        "name": spec.name,
        "label": spec.label,
        "labelPlural": spec.label_plural,
        "keyPrefix": spec.key_prefix,
        "custom": spec.name.endswith("__c"),
        "createable": spec.writeable and "create" not in denied,
        "updateable": spec.writeable and "edit" not in denied,
        "deletable": spec.writeable,
        "undeletable": spec.writeable,
        "mergeable": spec.mergeable,
        "queryable": True,
        "retrieveable": True,
        "searchable": True,
        "replicateable": True,
        "urls": {"sobject": url, "describe": f"{url}/describe", "rowTemplate": f"{url}/{{ID}}"},
    }


def full(spec: ObjectSpec, base: str, *, objects: Iterable[ObjectSpec], denied: Container[str] = ()) -> dict[str, Any]:
    """An object with the fields that the user may see."""
    return {
        **brief(spec, base, denied=denied),
        "fields": [_field(field) for field in spec.fields.values() if field.visible],
        "recordTypeInfos": [
            {
                "active": True,
                "available": True,
                "defaultRecordTypeMapping": True,
                "developerName": "Master",
                "master": True,
                "name": "Master",
                "recordTypeId": "012000000000000AAA",
            }
        ],
        "childRelationships": [
            {"childSObject": child.name, "field": field.name, "relationshipName": None, "cascadeDelete": field.name == "AccountId"}
            for child in objects
            for field in child.fields.values()
            if spec.name in field.reference_to
        ],
    }


def limits(*, used: int, maximum: int) -> dict[str, Any]:
    """What is left of the daily limits; those that the stand-in does not count are left out."""
    return {"DailyApiRequests": {"Max": maximum, "Remaining": max(0, maximum - used)}}


def versions(oldest: int, latest: int) -> list[dict[str, str]]:
    """The API versions that the organization serves."""
    return [
        {"label": f"API {number}.0", "url": f"/services/data/v{number}.0", "version": f"{number}.0"} for number in range(oldest, latest + 1)
    ]


def _field(field: FieldSpec) -> dict[str, Any]:
    filterable = field.filterable
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "soapType": "tns:ID" if field.type in ID_TYPES else _SOAP_TYPES.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3 if field.type in TEXT_TYPES else field.length,
        "digits": field.digits if field.type == "int" else 0,
        "precision": field.digits if field.type == "double" else 0,
        "scale": 0,
        "createable": field.createable,
        "updateable": field.updateable,
        "nillable": field.nillable,
        "defaultedOnCreate": field.defaulted_on_create,
        "defaultValue": field.default,
        "externalId": field.external_id,
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "idLookup": field.id_lookup or field.external_id,
        "nameField": field.name == "Name",
        "custom": field.custom,
        "calculated": field.formula is not None,
        "filterable": filterable,
        "sortable": filterable,
        "groupable": filterable and field.type not in ("double", "datetime"),
        "restrictedPicklist": field.restricted_picklist,
        "dependentPicklist": False,
        "controllerName": None,
        "picklistValues": [
            {"active": True, "defaultValue": value == field.default, "label": value, "validFor": None, "value": value}
            for value in field.picklist
        ],
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship_name,
        "polymorphicForeignKey": False,
        "permissionable": field.nillable and field.type != "id",
        "deprecatedAndHidden": False,
    }
