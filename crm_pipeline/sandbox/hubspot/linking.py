"""The association endpoints between contacts and companies, in both directions.

Bodies by the published specification: typed create answers 201 or 207, ``associate/default`` always 200 with its errors
inside, read 200 or 207; removal has an empty answer in v4 and a body in the dated family. Error entries of a create carry
the context seen for single ones (assumed for batches).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.associations import HUBSPOT_LABELS, Label
from crm_pipeline.sandbox.hubspot.batches import complete, distinct_ids, read_inputs
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import BY_NAME
from crm_pipeline.sandbox.hubspot.records import RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal
from crm_pipeline.sandbox.hubspot.writes import invalid_object, label_of

LARGEST_READ = 1_000
LARGEST_PAGE = 500
"""Associations of one record in one answer; assumed."""


@dataclass(frozen=True, slots=True)
class Direction:
    """The two objects of a path, from left to right."""

    portal: HubSpotPortal
    left: RecordStore
    right: RecordStore

    def pair(self, from_id: str, to_id: str) -> tuple[str, str]:
        """Contact and company of an input."""
        return (from_id, to_id) if self.left.type.name == "contacts" else (to_id, from_id)

    def others(self, from_id: str) -> list[tuple[str, set[int]]]:
        """The live records associated with one, with their types from the contact's side."""
        graph = self.portal.graph
        if self.left.type.name == "contacts":
            pairs = list(graph.companies(from_id).items())
        else:
            pairs = [(contact, graph.companies(contact)[from_id]) for contact in graph.contacts(from_id)]
        return [(other, types) for other, types in pairs if other in self.right.live]

    def link(self, from_id: str, to_id: str, *, types: Iterable[int]) -> None:
        """Associate a pair."""
        self.portal.link(*self.pair(from_id, to_id), types=types, visible=self._visible)

    def unlink(self, from_id: str, to_id: str, *, types: Iterable[int] | None = None) -> None:
        """Remove some types of a pair, or the pair."""
        self.portal.unlink(*self.pair(from_id, to_id), types=types, visible=self._visible)

    @property
    def _visible(self) -> float:
        return self.portal.clock() + self.portal.index_lag_seconds

    def check(self, from_id: str, to_id: str) -> None:
        """Refuse a pair of which one is not there; merged-away ids are not (assumed)."""
        for store, record_id in ((self.left, from_id), (self.right, to_id)):
            if record_id not in store.live:
                raise invalid_object(store, record_id)


def create(direction: Direction, body: Any) -> Answer:
    """Associate pairs under the labels of their inputs; again is fine."""
    rows, errors = [], []
    for entry in _pairs(direction, body):
        from_id, to_id = _ends(entry)
        try:
            labels = _labels(direction, entry)
            direction.check(from_id, to_id)
        except Refusal as refusal:
            errors.append(refusal.row())
            continue
        direction.link(from_id, to_id, types=[label.contact_to_company for label in labels])
        rows.append(
            {
                "fromObjectTypeId": direction.left.type.type_id,
                "fromObjectId": from_id,
                "toObjectTypeId": direction.right.type.type_id,
                "toObjectId": to_id,
                "labels": [label.label for label in labels if label.label is not None],
            }
        )
    return complete(rows, at=direction.portal.clock(), errors=errors, status=201)


def associate_default(direction: Direction, body: Any) -> Answer:
    """Associate pairs without a label: always 200, whatever is inside."""
    rows, errors = [], []
    for entry in _pairs(direction, body):
        from_id, to_id = _ends(entry)
        try:
            direction.check(from_id, to_id)
        except Refusal as refusal:
            errors.append(refusal.row())
            continue
        direction.link(from_id, to_id, types=())
        for start, end, store in ((from_id, to_id, direction.left), (to_id, from_id, direction.right)):
            spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": HUBSPOT_LABELS[0].type_id(store.type.name)}
            rows.append({"from": {"id": start}, "to": {"id": end}, "associationSpec": spec})
    answer = complete(rows, at=direction.portal.clock(), errors=errors)
    return Answer(answer.body, 200)


def read(direction: Direction, body: Any) -> Answer:
    """The records associated with each, and their labels; 207 with one entry for each that has none."""
    inputs = read_inputs(body) or []
    distinct_ids(inputs, limit=LARGEST_READ)
    rows, errors = [], []
    for entry in inputs:
        others = direction.others(entry["id"]) if entry["id"] in direction.left.live else []
        if not others:
            errors.append(_none_found(direction, entry["id"]))
            continue
        after = str(entry.get("after") or 0)
        if not after.isdigit():
            raise Refusal(400, "Invalid value for after")
        start = int(after)
        row: dict[str, Any] = {
            "from": {"id": entry["id"]},
            "to": [_end(direction, *other) for other in others[start : start + LARGEST_PAGE]],
        }
        if len(others) > start + LARGEST_PAGE:
            row["paging"] = {"next": {"after": str(start + LARGEST_PAGE)}}
        rows.append(row)
    return complete(rows, at=direction.portal.clock(), errors=errors)


def archive(direction: Direction, body: Any) -> Answer:
    """Remove pairs with all their labels; each input names one record and several others."""
    removed = []
    for entry in _sized(direction, body):
        if not isinstance(entry.get("to"), list):
            raise refusals.missing_member("to")
        removed += [_ends({**entry, "to": end}) for end in entry["to"]]
    for from_id, to_id in removed:
        direction.unlink(from_id, to_id)
    return complete([], at=direction.portal.clock())


def archive_labels(direction: Direction, body: Any) -> Answer:
    """Remove the labels of the inputs; removing the unlabelled type removes every label of the pair."""
    removed = [(*_ends(entry), _labels(direction, entry)) for entry in _pairs(direction, body)]
    for from_id, to_id, labels in removed:
        direction.unlink(from_id, to_id, types=[label.contact_to_company for label in labels])
    return complete([], at=direction.portal.clock())


def labels(direction: Direction) -> Answer:
    """The labels that may be used in this direction."""
    return Answer({"results": [_spec(direction, label) for label in direction.portal.graph.labels.values()]})


def inline(portal: HubSpotPortal, store: RecordStore, record_id: str, names: Iterable[str]) -> dict[str, Any]:
    """The ``associations`` of a single read or a list: ids with their named types, one entry for each type."""
    shown: dict[str, Any] = {}
    for name in names:
        if name not in BY_NAME:
            raise refusals.unknown_object(name)
        direction = Direction(portal, store, portal.store(name))
        plain = f"{store.type.singular}_to_{direction.right.type.singular}"
        results = [
            {"id": other, "type": kind}
            for other, types in direction.others(record_id)
            for kind in ([plain] if 1 in types else []) + [f"{plain}_unlabeled"]
        ]
        if results:
            shown[direction.right.type.name] = {"results": results}
    return shown


def _sized(direction: Direction, body: Any) -> list[dict[str, Any]]:
    inputs = read_inputs(body) or []
    if len(inputs) > direction.portal.association_inputs:
        raise refusals.too_many_inputs(direction.portal.association_inputs)
    return inputs


def _pairs(direction: Direction, body: Any) -> list[dict[str, Any]]:
    inputs = _sized(direction, body)
    for entry in inputs:
        _ends(entry)
    return inputs


def _ends(entry: dict[str, Any]) -> tuple[str, str]:
    ends = []
    for name in ("from", "to"):
        end = entry.get(name)
        if not isinstance(end, dict) or not isinstance(end.get("id"), str):
            raise refusals.missing_member(name)
        ends.append(end["id"])
    return ends[0], ends[1]


def _labels(direction: Direction, entry: dict[str, Any]) -> list[Label]:
    if not isinstance(entry.get("types"), list) or not entry["types"]:
        raise refusals.missing_member("types")
    return [label_of(direction.portal, direction.left.type.name, spec) for spec in entry["types"]]


def _end(direction: Direction, record_id: str, types: set[int]) -> dict[str, Any]:
    known = direction.portal.graph.labels
    return {"toObjectId": record_id, "associationTypes": [_spec(direction, known[number]) for number in sorted(types)]}


def _spec(direction: Direction, label: Label) -> dict[str, Any]:
    return {"category": label.category, "typeId": label.type_id(direction.left.type.name), "label": label.label}


def _none_found(direction: Direction, record_id: str) -> dict[str, Any]:
    left, right = direction.left.type.singular, direction.right.type.singular
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {right} is associated with {left} {record_id}.",
        "context": {"fromObjectId": [record_id], "fromObjectType": [left], "toObjectType": [right]},
    }
