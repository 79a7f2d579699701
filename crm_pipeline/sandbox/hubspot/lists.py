"""The endpoints of lists (segments): by id, by name, all of them, their members, the lists of records, and what changes them.

Members by the specification: pages of at most 250 in the order of record ids; by join order the newest first (seen live,
where the specification says otherwise). A list's name is found whatever its case. The object is named by its type id only.
Filters over HTTP are not understood here: active lists are made with ``HubSpotPortal.lists``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.batches import complete, read_inputs
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import OBJECT_TYPES
from crm_pipeline.sandbox.hubspot.records import RecordStore, timestamp
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal
from crm_pipeline.sandbox.hubspot.segments import Membership, Segment

LARGEST_MEMBER_PAGE = 250
LARGEST_LIST_PAGE = 500
PROCESSING_TYPES = frozenset({"MANUAL", "DYNAMIC", "SNAPSHOT"})
BY_TYPE_ID: Mapping[str, str] = {object_type.type_id: object_type.name for object_type in OBJECT_TYPES}

Change = Literal["add", "remove", "add-and-remove"]


def read(portal: HubSpotPortal, list_id: str, query: Mapping[str, str]) -> Answer:
    """One list, or one that was deleted, by its id."""
    return Answer({"list": _shown(portal, _found(portal, list_id), query)})


def read_named(portal: HubSpotPortal, type_id: str, name: str, query: Mapping[str, str]) -> Answer:
    """One list by its name and object."""
    store, found = _store(portal, type_id), portal.lists.named(name)
    if found is None or found.store is not store:
        raise refusals.not_found("No list has this name")
    return Answer({"list": _shown(portal, found, query)})


def read_many(portal: HubSpotPortal, list_ids: Sequence[str], query: Mapping[str, str]) -> Answer:
    """The lists of these ids; those that are deleted or unknown are left out."""
    return Answer({"lists": [_shown(portal, one, query) for one in portal.lists.current() if one.id in list_ids]})


def create(portal: HubSpotPortal, body: Any) -> Answer:
    """A static list without members."""
    body = _object(body)
    for member in ("name", "objectTypeId", "processingType"):
        if not isinstance(body.get(member), str) or not body[member]:
            raise refusals.missing_member(member)
    store = _store(portal, body["objectTypeId"])
    if body["processingType"] != "MANUAL":
        raise Refusal(400, "This stand-in makes lists with filters for its users only")
    if portal.lists.named(body["name"]) is not None:
        raise Refusal(400, "A list with this name already exists")
    made = _found(portal, portal.lists.add(body["name"], store.type.name))
    return Answer({"list": _shown(portal, made, {})})


def delete(portal: HubSpotPortal, list_id: str) -> Answer:
    """A list is deleted, and can be restored for 90 days."""
    portal.lists.delete(_found(portal, list_id).id)
    return Answer(status=204)


def restore(portal: HubSpotPortal, list_id: str) -> Answer:
    """A deleted list comes back, unless its name is taken meanwhile (assumed)."""
    try:
        portal.lists.restore(list_id)
    except KeyError:
        raise refusals.not_found("No deleted list has this id") from None
    except ValueError:
        raise Refusal(400, "A list with this name already exists") from None
    return Answer(status=204)


def search(portal: HubSpotPortal, body: Any) -> Answer:
    """The lists whose names hold the words of ``query``, in the order of their ids; deleted ones are not found (seen live)."""
    body = _object(body)
    offset, count = body.get("offset", 0), body.get("count", 20)
    if not isinstance(count, int) or not 0 < count <= LARGEST_LIST_PAGE or not isinstance(offset, int) or offset < 0:
        raise Refusal(400, f"The count must be between 1 and {LARGEST_LIST_PAGE}")
    kinds = body.get("processingTypes") or PROCESSING_TYPES
    if not set(kinds) <= PROCESSING_TYPES:
        raise Refusal(400, "One or more processing types do not exist")
    words = str(body.get("query") or "").lower().split()
    found = [
        one
        for one in portal.lists.current()
        if one.processing in kinds
        and body.get("objectTypeId") in (None, one.store.type.type_id)
        and (not body.get("listIds") or one.id in body["listIds"])
        and all(word in one.name.lower() for word in words)
    ]
    shown = [{**_shown(portal, one, {}), "additionalProperties": _figures(one)} for one in found[offset : offset + count]]
    end = offset + len(shown)
    return Answer({"offset": end, "hasMore": end < len(found), "lists": shown, "total": len(found)})


def members(portal: HubSpotPortal, list_id: str, query: Mapping[str, str], *, by_join: bool = False) -> Answer:
    """A page of a list's members, after a record id or before one."""
    limit = query.get("limit", "100")
    if not limit.isdigit() or not 0 < int(limit) <= LARGEST_MEMBER_PAGE:
        raise Refusal(400, f"The limit must be between 1 and {LARGEST_MEMBER_PAGE}")
    held = _members(portal, list_id)
    descending = by_join or ("after" not in query and "before" in query)
    ids = sorted(held, key=lambda one: (held[one].last if by_join else 0, int(one)), reverse=descending)
    start = query.get("after") or query.get("before")
    if start is not None:
        ids = _behind(ids, held, start, by_join=by_join, descending=descending)
    page = ids[: int(limit)]
    answer: dict[str, Any] = {
        "results": [{"recordId": one, "membershipTimestamp": timestamp(held[one].last)} for one in page],
        "total": len(held),
    }
    if len(ids) > len(page):
        turned = "before" if descending and not by_join else "after"
        answer["paging"] = {"prev" if turned == "before" else "next": {turned: _token(page[-1], held, by_join=by_join)}}
    return Answer(answer)


def change(portal: HubSpotPortal, list_id: str, body: Any, *, how: Change) -> Answer:
    """Put records into a static list, take them out, or both."""
    found = _static(portal, list_id)
    if how == "add-and-remove":
        body = _object(body)
        joining, leaving = _ids(body.get("recordIdsToAdd")), _ids(body.get("recordIdsToRemove"))
    else:
        joining, leaving = (_ids(body), []) if how == "add" else ([], _ids(body))
    answer = {
        "recordsIdsAdded": portal.lists.join(found.id, *joining),
        "recordIdsRemoved": portal.lists.leave(found.id, *leaving),
        "recordIdsMissing": [one for one in (*joining, *leaving) if one not in found.store.live],
    }
    return Answer(answer)


def clear(portal: HubSpotPortal, list_id: str) -> Answer:
    """Take every record out of a static list."""
    found = _static(portal, list_id)
    portal.lists.leave(found.id, *found.members)
    return Answer(status=204)


def lists_of(portal: HubSpotPortal, type_id: str, record_id: str) -> Answer:
    """The lists that one record is in."""
    store = _store(portal, type_id)
    if record_id not in store.live:
        raise refusals.not_found()
    return Answer({"results": _memberships(portal, store, record_id)})


def lists_of_many(portal: HubSpotPortal, body: Any) -> Answer:
    """The lists that each record is in; 207 with one entry for all records that are not there (its shape is assumed)."""
    inputs = read_inputs(body)
    if inputs is None:
        raise refusals.missing_member("inputs")
    if len(inputs) > portal.list_batch_inputs:
        raise refusals.too_many_inputs(portal.list_batch_inputs)
    rows, missing = [], []
    for entry in inputs:
        for member in ("objectTypeId", "recordId"):
            if not isinstance(entry.get(member), str):
                raise refusals.missing_member(member)
        store, record_id = _store(portal, entry["objectTypeId"]), entry["recordId"]
        if record_id in store.live:
            memberships = _memberships(portal, store, record_id)
            rows.append({"objectTypeId": store.type.type_id, "recordId": record_id, "recordListMemberships": memberships})
        else:
            missing.append(record_id)
    errors = [refusals.missing_objects("record", missing)] if missing else []
    return complete(rows, at=portal.clock(), errors=errors)


def _found(portal: HubSpotPortal, list_id: str) -> Segment:
    found = portal.lists.find(list_id)
    if found is None:
        raise refusals.not_found("No list has this id")
    return found


def _static(portal: HubSpotPortal, list_id: str) -> Segment:
    found = _found(portal, list_id)
    if found.deleted is not None:
        raise refusals.not_found("No list has this id")
    if found.processing == "DYNAMIC":
        raise Refusal(400, "Records cannot be added to, or removed from, a list of the processing type DYNAMIC")
    return found


def _store(portal: HubSpotPortal, type_id: str) -> RecordStore:
    if type_id not in BY_TYPE_ID:
        raise refusals.unknown_object(type_id)
    return portal.stores[BY_TYPE_ID[type_id]]


def _shown(portal: HubSpotPortal, one: Segment, query: Mapping[str, str]) -> dict[str, Any]:
    return one.as_json(portal.clock(), filters=query.get("includeFilters") == "true")


def _figures(one: Segment) -> dict[str, str]:
    """What a search tells of a list besides; members without a value are left out, and all are text."""
    figures = {"hs_list_size": str(len(one.members)), "hs_list_reference_count": "0"}
    if one.members:
        figures["hs_last_record_added_at"] = str(int(max(membership.last for membership in one.members.values()) * 1000))
    return figures


def _members(portal: HubSpotPortal, list_id: str) -> Mapping[str, Membership]:
    found = _found(portal, list_id)
    if found.deleted is not None and portal.deleted_list_members == "refused":
        raise refusals.not_found("No list has this id")
    return {} if found.deleted is not None and portal.deleted_list_members == "empty" else found.members


def _behind(ids: Sequence[str], held: Mapping[str, Membership], start: str, *, by_join: bool, descending: bool) -> list[str]:
    """The ids behind the token of the last one that was read, whether that is still there or not."""
    at, _, record_id = start.rpartition("-")
    if not record_id.isdigit() or (by_join and not at.isdigit()):
        raise Refusal(400, "Invalid value for the paging token")

    def place(one: str) -> tuple[int, int]:
        return (int(held[one].last * 1000) if by_join else 0, int(one))

    last = (int(at) if by_join else 0, int(record_id))
    return [one for one in ids if (place(one) < last if descending else place(one) > last)]


def _token(record_id: str, held: Mapping[str, Membership], *, by_join: bool) -> str:
    return f"{int(held[record_id].last * 1000)}-{record_id}" if by_join else record_id


def _memberships(portal: HubSpotPortal, store: RecordStore, record_id: str) -> list[dict[str, Any]]:
    found = [(one, one.members[record_id]) for one in portal.lists.current() if one.store is store and record_id in one.members]
    return [
        {
            "listId": one.id,
            "listVersion": 1,
            "isPublicList": True,
            "firstAddedTimestamp": timestamp(membership.first),
            "lastAddedTimestamp": timestamp(membership.last),
        }
        for one, membership in found
    ]


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise refusals.invalid_json("Cannot deserialize the body")
    return body


def _ids(raw: Any) -> list[str]:
    if not isinstance(raw, Iterable) or isinstance(raw, str | dict) or not all(isinstance(one, str) for one in raw):
        raise refusals.invalid_json("Cannot deserialize value of type `java.util.ArrayList`")
    return list(raw)
