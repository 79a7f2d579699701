"""The endpoints for one record, and the list of all: read, create, change, delete, merge."""

from __future__ import annotations

from itertools import islice
from typing import Any

from starlette.datastructures import QueryParams

from crm_pipeline.sandbox.hubspot import linking, refusals
from crm_pipeline.sandbox.hubspot.batches import check_id_property
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal
from crm_pipeline.sandbox.hubspot.values import read_properties
from crm_pipeline.sandbox.hubspot.writes import carry_out, plan_create, plan_update

LARGEST_PAGE = 100
LARGEST_PAGE_WITH_HISTORY = 50
"""Documented as smaller than without; the number that an integrator asks for."""


def listing(portal: HubSpotPortal, store: RecordStore, query: QueryParams, *, path: str) -> Answer:
    """A page of all records in the order of their ids; ``after`` is the next page's first id."""
    limit, start = query.get("limit", "10"), query.get("after") or "0"
    largest = LARGEST_PAGE_WITH_HISTORY if query.get("propertiesWithHistory") else LARGEST_PAGE
    if not limit.isdigit() or not 0 < int(limit) <= largest:
        raise Refusal(400, f"The limit must be between 1 and {largest}")
    if not start.isdigit():
        raise Refusal(400, "Invalid value for after")
    records = list(islice(store.listed(start=int(start), archived=query.get("archived") == "true"), int(limit) + 1))
    answer: dict[str, Any] = {"results": [_shown(portal, store, record, query) for record in records[: int(limit)]]}
    if len(records) > int(limit):
        after = records[-1].id
        answer["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com{path}?limit={limit}&after={after}"}}
    return Answer(answer)


def read(portal: HubSpotPortal, store: RecordStore, record_id: str, query: QueryParams) -> Answer:
    """One record by its id, by one that was merged into it, or by a unique property."""
    if query.get("archived") == "true":
        if record_id not in store.bin:
            raise refusals.not_found()
        return Answer(_shown(portal, store, store.bin[record_id], query))
    return Answer(_shown(portal, store, _live(portal, store, record_id, query), query))


def create(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """One new record."""
    entry = _entry(body)
    if not isinstance(entry.get("associations"), list):
        raise refusals.missing_member("associations")
    return Answer(carry_out(portal, store, plan_create(portal, store, entry, {})), 201)


def update(portal: HubSpotPortal, store: RecordStore, record_id: str, query: QueryParams, body: Any) -> Answer:
    """Changes of one record; unlike the batch it follows merges (documented)."""
    record = _live(portal, store, record_id, query)
    return Answer(carry_out(portal, store, plan_update(portal, store, _entry(body), record, {})))


def archive(portal: HubSpotPortal, store: RecordStore, record_id: str) -> Answer:
    """One record to the bin; 204 whether it was there or not."""
    store.archive(record_id, at=portal.clock(), visible=portal.clock() + portal.index_lag_seconds)
    return Answer(status=204)


def merge(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """Two records into one."""
    ids = [body.get(name) if isinstance(body, dict) else None for name in ("primaryObjectId", "objectIdToMerge")]
    for name, record_id in zip(("primaryObjectId", "objectIdToMerge"), ids, strict=True):
        if not isinstance(record_id, str):
            raise refusals.missing_member(name)
        if store.resolve(record_id) not in store.live:
            raise refusals.not_found()
    primary, secondary = (store.resolve(str(record_id)) for record_id in ids)
    if primary == secondary:
        raise Refusal(400, "Cannot merge an object with itself")
    merged = portal.merge(store.type.name, primary, secondary)
    return Answer(portal.show(store, store.live[merged], list(store.type.default_properties)))


def delete_for_privacy(portal: HubSpotPortal, store: RecordStore, body: Any) -> Answer:
    """A contact without a copy; an address that nobody has is refused for ever from then on (documented).

    Only contacts have this (specification). An id that leads nowhere is 404: assumed.
    """
    if store.type.name != "contacts":
        raise Refusal(404, "The requested resource could not be found", category=None)
    if not isinstance(body, dict) or not isinstance(body.get("objectId"), str):
        raise refusals.missing_member("objectId")
    wanted, by = body["objectId"], body.get("idProperty")
    check_id_property(portal, store, by)
    found = store.holder(by, wanted) if by is not None else store.resolve(wanted)
    if found is not None and (found in store.live or found in store.bin):
        portal.delete_for_privacy("contacts", found, visible=portal.clock() + portal.index_lag_seconds)
    elif by == "email":
        portal.block_email(wanted)
    else:
        raise refusals.not_found()
    return Answer(status=204)


def _entry(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise refusals.invalid_json("Cannot deserialize the body")
    return {**body, "properties": read_properties(body.get("properties"))}


def _live(portal: HubSpotPortal, store: RecordStore, record_id: str, query: QueryParams) -> Record:
    id_property = query.get("idProperty")
    check_id_property(portal, store, id_property)
    found = store.resolve(record_id) if id_property is None else store.holder(id_property, record_id)
    if found not in store.live:
        raise refusals.not_found()
    return store.live[found]


def _shown(portal: HubSpotPortal, store: RecordStore, record: Record, query: QueryParams) -> dict[str, Any]:
    """A record as asked for; unlike in a batch, properties with their history are among the plain ones too (seen live)."""
    history = _names(query, "propertiesWithHistory")
    shown = portal.show(store, record, [*_names(query, "properties"), *history] or store.type.default_properties)
    if history:
        shown["propertiesWithHistory"] = portal.show_history(store, record, history)
    associations = linking.inline(portal, store, record.id, _names(query, "associations"))
    if associations:
        shown["associations"] = associations
    return shown


def _names(query: QueryParams, member: str) -> list[str]:
    """The names that a member of the query lists, by commas or by coming several times: clients send either."""
    return [name for part in query.getlist(member) for name in part.split(",") if name]
