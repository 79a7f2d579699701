"""The single-row resources: ``sobjects/{object}`` and its records by id or external id."""

from __future__ import annotations

from typing import Any

from crm_pipeline.sandbox.salesforce import describe
from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse, table_named
from crm_pipeline.sandbox.salesforce.errors import CallError, RowError, not_found
from crm_pipeline.sandbox.salesforce.fields import FieldSpec
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.query import attributes
from crm_pipeline.sandbox.salesforce.saving import Record, decode
from crm_pipeline.sandbox.salesforce.table import Row, Table
from crm_pipeline.sandbox.salesforce.values import normal_form, shown


def list_objects(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """GET sobjects."""
    return ApiResponse(
        200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [describe.brief(spec, request.base) for spec in org.objects()]}
    )


def object_info(org: SalesforceOrg, request: ApiRequest, name: str) -> ApiResponse:
    """GET sobjects/{object}."""
    return ApiResponse(200, {"objectDescribe": describe.brief(table_named(org, name).spec, request.base), "recentItems": []})


def describe_object(org: SalesforceOrg, request: ApiRequest, name: str) -> ApiResponse:
    """GET sobjects/{object}/describe."""
    spec = table_named(org, name).spec
    denied = {right for object_name, right in org.denied if object_name == spec.name}
    return ApiResponse(200, describe.full(spec, request.base, objects=org.objects(), denied=denied))


def create_row(org: SalesforceOrg, request: ApiRequest, name: str) -> ApiResponse:
    """POST sobjects/{object}."""
    table = table_named(org, name)
    record = decode(org, table.spec, request.object_body())
    record_id = request.saver(org, table).create(record)
    return _created(request, table, record_id)


def read_row(org: SalesforceOrg, request: ApiRequest, name: str, record_id: str) -> ApiResponse:
    """GET sobjects/{object}/{id}."""
    table = table_named(org, name)
    return ApiResponse(200, _shown(table, _by_id(table, record_id), request))


def update_row(org: SalesforceOrg, request: ApiRequest, name: str, record_id: str) -> ApiResponse:
    """PATCH sobjects/{object}/{id}."""
    table = table_named(org, name)
    record = decode(org, table.spec, request.object_body())
    if record.id is not None:
        raise CallError(400, "INVALID_FIELD", "The Id field should not be specified in the sobject data.", fields=())
    row = _by_id(table, record_id)
    request.saver(org, table).update(Record(row["Id"], record.values, record.parents, record.problem))
    return ApiResponse(204)


def delete_row(org: SalesforceOrg, request: ApiRequest, name: str, record_id: str) -> ApiResponse:
    """DELETE sobjects/{object}/{id}."""
    table = table_named(org, name)
    request.saver(org, table).delete(_by_id(table, record_id)["Id"])
    return ApiResponse(204)


def read_by_key(org: SalesforceOrg, request: ApiRequest, name: str, key: str, value: str) -> ApiResponse:
    """GET sobjects/{object}/{external id field}/{value}."""
    table = table_named(org, name)
    found = _by_key(table, _key_field(table, key), value)
    if not found:
        raise not_found()
    if len(found) > 1:
        return ApiResponse(300, _choices(request, table, found))
    return ApiResponse(200, _shown(table, found[0], request))


def upsert_by_key(org: SalesforceOrg, request: ApiRequest, name: str, key: str, value: str) -> ApiResponse:
    """PATCH sobjects/{object}/{external id field}/{value}: 201 created, 200 updated, 300 where several records match."""
    table = table_named(org, name)
    field = _key_field(table, key)
    record = decode(org, table.spec, request.object_body())
    if record.id is not None or field.name in record.values:
        named = "Id" if record.id is not None else field.name
        raise CallError(400, "INVALID_FIELD", f"The {named} field should not be specified in the sobject data.", fields=(named,))
    found = _by_key(table, field, value)
    if len(found) > 1:
        return ApiResponse(300, _choices(request, table, found))
    keyed = Record(None, {**record.values, field.name: normal_form(field, value)}, record.parents, record.problem)
    record_id, created = request.saver(org, table).upsert(keyed, field)
    return _created(request, table, record_id, created=created)


def _created(request: ApiRequest, table: Table, record_id: str, *, created: bool | None = None) -> ApiResponse:
    body: dict[str, Any] = {"id": record_id, "success": True, "errors": []}
    if created is not None:
        body["created"] = created
    location = f"{request.base}/sobjects/{table.spec.name}/{record_id}"
    return ApiResponse(200 if created is False else 201, body, {"Location": location})


def _by_id(table: Table, record_id: str) -> Row:
    known = canonical(record_id)
    if known is None or not known.startswith(table.spec.key_prefix):
        message = f"Provided external ID field does not exist or is not accessible: {record_id}"
        raise CallError(404, "NOT_FOUND", message)
    row = table.rows.get(known)
    if row is None:
        raise not_found()
    if row.get("IsDeleted"):
        raise RowError("ENTITY_IS_DELETED", "entity is deleted").as_call_error()
    return row


def _key_field(table: Table, name: str) -> FieldSpec:
    field = table.spec.by_lower_name.get(name.lower())
    if field is None or not field.external_id:
        raise CallError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {name}")
    return field


def _by_key(table: Table, field: FieldSpec, value: str) -> list[Row]:
    return table.find(field, normal_form(field, value)) if value else []


def _choices(request: ApiRequest, table: Table, rows: list[Row]) -> list[str]:
    return [f"{request.base}/sobjects/{table.spec.name}/{row['Id']}" for row in rows]


def _shown(table: Table, row: Row, request: ApiRequest) -> dict[str, Any]:
    names = [name for name in request.params.get("fields", "").split(",") if name] or [
        name for name, field in table.spec.fields.items() if field.visible
    ]
    fields = [table.spec.by_lower_name.get(name.strip().lower()) for name in names]
    if None in fields:
        raise CallError(400, "INVALID_FIELD", f"No such column '{names[fields.index(None)]}' on entity '{table.spec.name}'")
    return {
        "attributes": attributes(table.spec, row, request.base),
        **{field.name: shown(field, row) for field in fields if field is not None},
    }
