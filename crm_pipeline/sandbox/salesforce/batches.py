"""The sObject Collections: many records in one call, answered row by row in the order of the request.

Limits (reference: sObject Collections): 200 records to write, 2,000 to retrieve, records of at most ten runs of one type.
``allOrNone`` is false unless asked for. Assumed, because the vendor documents no code: an id named twice in one update
refuses all its rows with DUPLICATE_VALUE, as a twice-named external id does in an upsert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse, table_named
from crm_pipeline.sandbox.salesforce.errors import CallError, RowError
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.query import attributes
from crm_pipeline.sandbox.salesforce.saving import Record, Saver, decode
from crm_pipeline.sandbox.salesforce.table import Table
from crm_pipeline.sandbox.salesforce.values import shown

MOST_WRITTEN = 200
MOST_RETRIEVED = 2_000
MOST_RETRIEVED_BY_URL = 800
MOST_RUNS_OF_TYPE = 10

Save = Callable[[Saver, Record], dict[str, Any]]
Row = tuple[Saver, Record]


def create_many(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """POST composite/sobjects."""
    return _answer(org, request, _rows(org, request), _create)


def update_many(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """PATCH composite/sobjects."""
    rows = _rows(org, request)
    ids = [canonical(record.id) or record.id for _, record in rows]
    return _answer(org, request, _refuse_repeated(rows, ids, "Duplicate Id specified"), _update)


def upsert_many(org: SalesforceOrg, request: ApiRequest, name: str, key: str) -> ApiResponse:
    """PATCH composite/sobjects/{object}/{external id field}."""
    table = table_named(org, name)
    field = table.spec.by_lower_name.get(key.lower())
    if field is None or not field.external_id:
        message = f"Field name provided, {key} is not an External ID or indexed field for {table.spec.name}"
        raise CallError(400, "INVALID_FIELD", message)
    rows = _rows(org, request, only=table)
    values = [field.fold(record.values.get(field.name)) for _, record in rows]

    def upsert(saver: Saver, record: Record) -> dict[str, Any]:
        record_id, created = saver.upsert(record, field)
        return {**_saved(record_id), "created": created}

    return _answer(org, request, _refuse_repeated(rows, values, "Duplicate external id specified"), upsert)


def delete_many(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """DELETE composite/sobjects?ids=…&allOrNone=…"""
    ids = [record_id for record_id in request.params.get("ids", "").split(",") if record_id]
    _limit(len(ids), MOST_WRITTEN)
    tables = {spec.key_prefix: table_named(org, spec.name) for spec in org.objects()}
    rows = [(request.saver(org, tables.get(record_id[:3], tables["001"])), Record(record_id)) for record_id in ids]
    return _answer(org, request, rows, _delete, all_or_none=request.params.get("allOrNone", "").lower() == "true")


def retrieve_many(org: SalesforceOrg, request: ApiRequest, name: str) -> ApiResponse:
    """POST composite/sobjects/{object} with ids and fields, or GET with both in the URL; null for a record that is not there."""
    if request.method == "GET":
        most = MOST_RETRIEVED_BY_URL
        asked: Mapping[str, Any] = {part: value.split(",") for part, value in request.params.items()}
    else:
        most, asked = MOST_RETRIEVED, request.object_body()
    ids, names = asked.get("ids"), asked.get("fields")
    if not isinstance(ids, list) or not isinstance(names, list) or not ids or not names:
        raise CallError(400, "MISSING_ARGUMENT", "ids and fields are required")
    _limit(len(ids), most)
    table = table_named(org, name)
    fields = [table.spec.by_lower_name.get(str(field).lower()) for field in names]
    if None in fields:
        raise CallError(400, "INVALID_FIELD", f"No such column '{names[fields.index(None)]}' on entity '{table.spec.name}'")
    found = [table.live(canonical(record_id) or "") for record_id in ids]
    return ApiResponse(
        200,
        [
            None
            if row is None
            else {"attributes": attributes(table.spec, row, request.base), **{field.name: shown(field, row) for field in fields if field}}
            for row in found
        ],
    )


def _create(saver: Saver, record: Record) -> dict[str, Any]:
    return _saved(saver.create(record))


def _update(saver: Saver, record: Record) -> dict[str, Any]:
    return _saved(saver.update(record))


def _delete(saver: Saver, record: Record) -> dict[str, Any]:
    return _saved(saver.delete(record.id))


def _saved(record_id: str) -> dict[str, Any]:
    return {"id": record_id, "success": True, "errors": []}


def _rows(org: SalesforceOrg, request: ApiRequest, *, only: Table | None = None) -> list[Row]:
    """The call's records, decoded; raises CallError where the call as a whole is malformed or too large."""
    records = request.object_body().get("records")
    if not isinstance(records, list) or not records:
        raise CallError(400, "JSON_PARSER_ERROR", "records: a list of records is required")
    _limit(len(records), MOST_WRITTEN)
    types = [_type_of(record) for record in records]
    if sum(1 for _ in groupby(types)) > MOST_RUNS_OF_TYPE:
        message = f"Cannot have more than {MOST_RUNS_OF_TYPE} chunks in a single operation. Please rearrange the data to reduce chunking."
        raise CallError(400, "LIMIT_EXCEEDED", message)
    savers: dict[str, Saver] = {}
    rows = []
    for name, record in zip(types, records, strict=True):
        table = org.table(name)
        if table is None or (only is not None and table is not only):
            expected = only.spec.name if only else "the organization"
            raise CallError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported here: expected one of {expected}")
        saver = savers.setdefault(name, request.saver(org, table))
        rows.append((saver, decode(org, table.spec, record)))
    return rows


def _type_of(record: Any) -> str:
    named = record.get("attributes") if isinstance(record, dict) else None
    if not isinstance(named, dict) or not isinstance(named.get("type"), str):
        raise CallError(400, "INVALID_INPUT", "Each record must contain an attributes map with a value for type")
    return str(named["type"])


def _limit(count: int, most: int) -> None:
    if count > most:
        raise CallError(400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {most} records into this call")


def _refuse_repeated(rows: list[Row], names: list[Any], message: str) -> list[Row]:
    """The rows with a problem on each whose name occurs more than once."""
    counts = Counter(name for name in names if isinstance(name, str | int | float))
    return [
        (saver, replace(record, problem=record.problem or RowError("DUPLICATE_VALUE", f"{message}: {name}")))
        if isinstance(name, str | int | float) and counts[name] > 1
        else (saver, record)
        for (saver, record), name in zip(rows, names, strict=True)
    ]


def _answer(org: SalesforceOrg, request: ApiRequest, rows: list[Row], save: Save, *, all_or_none: bool | None = None) -> ApiResponse:
    if all_or_none is None:
        all_or_none = request.object_body().get("allOrNone") is True
    with org.savepoint() as undo:
        results = [_result(org, saver, record, save) for saver, record in rows]
        if all_or_none and not all(result["success"] for result in results):
            undo()
            results = [_rolled_back() if result["success"] else result for result in results]
    return ApiResponse(200, results)


def _result(org: SalesforceOrg, saver: Saver, record: Record, save: Save) -> dict[str, Any]:
    try:
        return save(saver, record)
    except RowError as error:
        return _failed(error, named=org.duplicates_named_in_collections)


def _failed(error: RowError, *, named: bool) -> dict[str, Any]:
    shown_error: dict[str, Any] = {"statusCode": error.code, "message": error.message, "fields": list(error.fields)}
    if error.duplicate_result is not None and named:
        shown_error["duplicateResult"] = error.duplicate_result
    return {"success": False, "errors": [shown_error]}


def _rolled_back() -> dict[str, Any]:
    message = "Record rolled back because not all records were valid and the request was using AllOrNone header"
    return _failed(RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", message), named=False)
