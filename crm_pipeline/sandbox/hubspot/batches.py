"""The batch endpoints of an object: read, create, update, upsert, archive.

Partial failure as seen live: without a unique ``objectWriteTraceId`` on every input, one refused input refuses the whole
batch and nothing is written; with them the answer is 207, the refused ones in ``errors`` with
``context.objectWriteTraceId``. Ids that lead nowhere are an ``OBJECT_NOT_FOUND`` entry of a 207 either way. Results come
out of input order. An upsert by email knows no partial failure ("partial upserts are not supported", read as that: assumed).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.records import Claim, Record, RecordStore, timestamp
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal
from crm_pipeline.sandbox.hubspot.values import read_properties
from crm_pipeline.sandbox.hubspot.writes import Write, carry_out, plan_create, plan_update

LARGEST_BATCH = 100
LARGEST_BATCH_WITH_HISTORY = 50


class NotFound(Exception):
    """The id of an input leads to no record."""


class Left(Exception):
    """An input that the answer passes over without a word."""


def read(portal: HubSpotPortal, store: RecordStore, body: Any, *, archived: bool) -> Answer:
    """Records by id or by a unique property; 207 with one OBJECT_NOT_FOUND entry where some are missing.

    Properties that are asked for with their history are not among the plain ones unless they are asked for there too (seen live).
    """
    inputs = read_inputs(body)
    if inputs is None:
        return complete([], at=portal.clock())
    for member in ("properties", "propertiesWithHistory"):
        if not isinstance(body.get(member), list):
            raise refusals.missing_member(member)
    history = body["propertiesWithHistory"]
    if history and len(inputs) > LARGEST_BATCH_WITH_HISTORY:
        raise refusals.too_many_histories(LARGEST_BATCH_WITH_HISTORY)
    id_property = body.get("idProperty")
    check_id_property(portal, store, id_property)
    ids = distinct_ids(inputs, folded=id_property == "email")
    source = store.bin if archived else store.live
    names = body["properties"] or ([] if history else store.type.default_properties)
    found: dict[str, Record] = {}
    missing = []
    for record_id in ids:
        target = _identified(store, record_id, id_property, archived=archived)
        if target not in source and portal.batch_read_follows_merges and id_property is None:
            target = store.resolve(record_id)
        if target in source:
            found[target] = source[target]
        else:
            missing.append(record_id)
    errors = [refusals.missing_objects(store.type.singular, missing)] if missing else []
    rows = [portal.show(store, record, names) for record in found.values()]
    for row, record in zip(rows, found.values(), strict=True):
        row |= {"propertiesWithHistory": portal.show_history(store, record, history)} if history else {}
    return complete(rows, at=portal.clock(), errors=errors)


def create(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """New records, with associations to existing ones."""

    inputs = read_inputs(body)
    if inputs is None:
        return complete([], at=portal.clock(), status=201)
    for entry in inputs:
        if not isinstance(entry.get("associations"), list):
            raise refusals.missing_member("associations")
    _check_size(inputs)

    def plan(entry: dict[str, Any], claims: Mapping[Claim, str]) -> Write:
        return plan_create(portal, store, entry, claims)

    return _run(portal, store, inputs, plan, operation="create", status=201)


def update(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """Changes of records by id; of contacts also by a unique property of the users' own."""
    inputs = read_inputs(body)
    if inputs is None:
        return complete([], at=portal.clock())
    for entry in inputs:
        id_property = entry.get("idProperty")
        if id_property is not None and (store.type.name == "companies" or id_property == "email"):
            raise refusals.not_unique(store.type.type_id, str(id_property), portal_id=portal.portal_id)
        check_id_property(portal, store, id_property)
    distinct_ids(inputs)

    def plan(entry: dict[str, Any], claims: Mapping[Claim, str]) -> Write:
        record_id = _identified(store, entry["id"], entry.get("idProperty"), archived=False)
        if record_id in store.merged:
            raise Left
        if record_id not in store.live:
            raise NotFound
        return plan_update(portal, store, entry, store.live[record_id], claims)

    return _run(portal, store, inputs, plan, operation="update")


def upsert(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """Create or update by a unique property; rows say which in ``new``. Knows no associations."""
    inputs = read_inputs(body)
    if inputs is None:
        return complete([], at=portal.clock())
    for entry in inputs:
        if not isinstance(entry.get("idProperty"), str):
            raise refusals.missing_member("idProperty")
        check_id_property(portal, store, entry["idProperty"])
    by_email = any(entry["idProperty"] == "email" for entry in inputs)
    distinct_ids(inputs, folded=by_email)

    def plan(entry: dict[str, Any], claims: Mapping[Claim, str]) -> Write:
        name, value = entry["idProperty"], entry["id"]
        holder = store.holder(name, value)
        if holder in store.live:
            return plan_update(portal, store, entry, store.live[holder], claims)
        if holder is not None:
            raise refusals.already_exists(store.type.title, holder)
        sent = {"properties": {name: value, **entry["properties"]}}
        return plan_create(portal, store, sent, claims, echoed=tuple(entry["properties"]))

    return _run(portal, store, inputs, plan, operation="upsert", all_or_nothing=by_email)


def archive(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """Records to the bin; ids that lead nowhere are passed over."""
    inputs = read_inputs(body)
    for record_id in distinct_ids(inputs or []):
        store.archive(record_id, at=portal.clock(), visible=portal.clock() + portal.index_lag_seconds)
    return Answer(status=204)


def read_inputs(body: Any) -> list[dict[str, Any]] | None:
    """The inputs of a batch body; None where the member is missing, which HubSpot answers as an empty success."""
    if not isinstance(body, dict):
        raise refusals.invalid_json("Cannot deserialize the body")
    inputs = body.get("inputs")
    if inputs is None:
        return None
    if not isinstance(inputs, list) or not all(isinstance(entry, dict) for entry in inputs):
        raise refusals.invalid_json("Cannot deserialize value of type `java.util.ArrayList` from the value of `inputs`")
    return inputs


def distinct_ids(inputs: list[dict[str, Any]], *, limit: int = LARGEST_BATCH, folded: bool = False) -> list[str]:
    """The ids of the inputs. Raises Refusal where one is missing or no text, comes twice, or there are too many."""
    _check_size(inputs, limit)
    ids = []
    for entry in inputs:
        if not isinstance(entry.get("id"), str):
            raise refusals.missing_member("id")
        ids.append(entry["id"])
    counted = Counter(record_id.lower() if folded else record_id for record_id in ids)
    twice = [record_id for record_id, count in counted.items() if count > 1]
    if twice:
        raise refusals.duplicate_ids(twice)
    return ids


def check_id_property(portal: HubSpotPortal, store: RecordStore, name: Any) -> None:
    """Refuse to identify records by a property that is not unique; ``email`` of contacts is."""
    if name is None or (name == "email" and store.type.name == "contacts"):
        return
    prop = store.properties.get(name) if isinstance(name, str) else None
    if prop is None or not prop.unique:
        raise refusals.not_unique(store.type.type_id, str(name), portal_id=portal.portal_id)


def complete(rows: list[dict[str, Any]], *, at: float, errors: list[dict[str, Any]] | None = None, status: int = 200) -> Answer:
    """A batch answer: its rows in another order than they came, and 207 where there are errors."""
    now = timestamp(at)
    body: dict[str, Any] = {"status": "COMPLETE", "results": _shuffled(rows), "startedAt": now, "completedAt": now}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Answer(body, 207 if errors else status)


def _run(
    portal: HubSpotPortal,
    store: RecordStore,
    inputs: list[dict[str, Any]],
    plan: Callable[[dict[str, Any], Mapping[Claim, str]], Write],
    *,
    operation: str,
    status: int = 200,
    all_or_nothing: bool = False,
) -> Answer:
    """Check every input, then write those that passed: all or none of them unless trace ids tell them apart."""
    inputs = [{**entry, "properties": read_properties(entry.get("properties"))} for entry in inputs]
    by_row = _has_unique_trace_ids(inputs) and operation in portal.row_errors and not all_or_nothing
    claims: dict[Claim, str] = {}
    writes: list[Write] = []
    errors: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for entry in inputs:
        try:
            write = plan(entry, claims)
        except Refusal as refusal:
            if not by_row or refusal.status == 403:
                raise
            errors.append(refusal.row(objectWriteTraceId=[entry["objectWriteTraceId"]]))
        except NotFound:
            missing.append(entry)
        except Left:
            continue
        else:
            claims |= dict.fromkeys(store.claims(write.changes), write.record.id)
            writes.append(Write(write.record, write.changes, write.sent, write.new, write.associations, entry.get("objectWriteTraceId")))
    if missing:
        errors.append(_missing(store, missing))
    rows = [{**carry_out(portal, store, write), **({"new": write.new} if operation == "upsert" else {})} for write in writes]
    return complete(rows, at=portal.clock(), errors=errors, status=status)


def _missing(store: RecordStore, entries: list[dict[str, Any]]) -> dict[str, Any]:
    error = refusals.missing_objects(store.type.singular, [entry["id"] for entry in entries])
    traces = [entry["objectWriteTraceId"] for entry in entries if entry.get("objectWriteTraceId")]
    if traces:
        error["context"]["objectWriteTraceId"] = traces
    return error


def _has_unique_trace_ids(inputs: list[dict[str, Any]]) -> bool:
    traces = [entry.get("objectWriteTraceId") for entry in inputs]
    return all(isinstance(trace, str) and trace for trace in traces) and len(set(traces)) == len(traces)


def _check_size(inputs: list[dict[str, Any]], limit: int = LARGEST_BATCH) -> None:
    if len(inputs) > limit:
        raise refusals.too_many_inputs(limit)


def _identified(store: RecordStore, value: str, id_property: str | None, *, archived: bool) -> str:
    """The record id that an input means; one that no record has where the property leads nowhere."""
    if id_property is None:
        return value
    if not archived:
        return store.holder(id_property, value) or ""
    return next((record.id for record in store.bin.values() if record.properties.get(id_property) == value), "")


def _shuffled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in another order, the same for the same number of them."""
    order = list(range(len(rows)))
    random.Random(len(rows)).shuffle(order)
    if order == sorted(order):
        order.reverse()
    return [rows[position] for position in order]
