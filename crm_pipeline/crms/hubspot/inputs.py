"""What a write sends: per row the action it needs and its input, with every name by which an answer may speak of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.batch import Write
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.reading import HUBSPOT_DEFINED, MERGED_IDS, PRIMARY
from crm_pipeline.crms.hubspot.wire import to_wire
from crm_pipeline.errors import (
    DeletedInCrmException,
    EmailTakenException,
    ExistingRecordException,
    ParentNotFoundException,
    RecordError,
    RecordRefusedException,
)
from crm_pipeline.letters import lowered
from crm_pipeline.model import Verb

UNLABELLED = 279
"""Association type contact to company without a label (source: HubSpot's associations guide)."""

ASSOCIATION_TYPES: tuple[Mapping[str, object], ...] = tuple(
    {"associationCategory": HUBSPOT_DEFINED, "associationTypeId": kind} for kind in (UNLABELLED, PRIMARY)
)
"""How a contact is associated with its account: plainly, and as its primary company."""

STANDARD_LABELS = frozenset({(HUBSPOT_DEFINED, UNLABELLED), (HUBSPOT_DEFINED, PRIMARY)})
"""What an association carries without any label of the users' own, as category and type."""

NATURAL_NAMES: Mapping[str, str] = {COMPANIES.name: "name", CONTACTS.name: "email"}
"""By object, the property by which a record created without a key is recognized in the answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """A batch endpoint, whether it may be called again blindly, and what its refusals mean for a record."""

    verb: Literal["update", "upsert", "create"]
    repeatable: bool
    id_name: str
    not_found: type[RecordError]
    email_taken: type[RecordError]


UPDATE = Action("update", repeatable=True, id_name="id", not_found=DeletedInCrmException, email_taken=EmailTakenException)
UPSERT = Action("upsert", repeatable=True, id_name="key", not_found=RecordRefusedException, email_taken=ExistingRecordException)
CREATE = Action("create", repeatable=False, id_name="", not_found=ParentNotFoundException, email_taken=ExistingRecordException)
ACTIONS: Mapping[str, Action] = MappingProxyType({Verb.UPDATE: UPDATE, Verb.UPSERT: UPSERT, Verb.CREATE: CREATE})


@dataclass(frozen=True, slots=True)
class Input:
    """One row on its way. ``names``: every name by which the answer may speak of it, such as ``trace:…`` and ``id:…``."""

    position: int
    trace: str
    names: frozenset[str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    parent_crm_id: str | None

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties it sends."""
        sent: Mapping[str, str] = self.body["properties"]
        return sent

    def wire(self) -> dict[str, Any]:
        """The input as it is sent. Its trace id makes HubSpot refuse single rows instead of the whole batch."""
        return {**self.body, "objectWriteTraceId": self.trace}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a batch needs: nothing, for the ``idle`` rows (CRM id by position), and else the inputs of each action."""

    idle: Mapping[int, str | None]
    by_action: Mapping[Action, Sequence[Input]]


def inputs_of(crm_object: CrmObject, writes: Iterable[Write], *, key_name: str | None) -> Inputs:
    """What each row of a batch needs.

    A row with an id is updated by it and carries its key along; one without an id is upserted by its key or, without a
    key, created with its association. A row with an id and nothing to send needs no call; a key is something to send when
    the row is to be linked.
    """
    idle: dict[int, str | None] = {}
    inputs: dict[Action, list[Input]] = {UPDATE: [], UPSERT: [], CREATE: []}
    for position, (qbench_id, operation, verb, crm_id, own_key, parent, payload) in enumerate(writes):
        key = own_key if key_name is not None else None
        if verb is None or (crm_id is not None and not payload and (key is None or operation != "link")):
            idle[position] = crm_id
            continue
        action = ACTIONS[verb]
        properties = {name: to_wire(value) for name, value in payload.items()}
        if key is not None and key_name is not None:
            properties[key_name] = key
        trace = f"qbench-{qbench_id}-{position}"
        inputs[action].append(
            Input(
                position=position,
                trace=trace,
                names=frozenset(_names(action, trace, properties, crm_id=crm_id, key=key, natural=NATURAL_NAMES[crm_object.name])),
                body=_body(action, properties, crm_id=crm_id, key=key, key_name=key_name, parent=parent),
                parent_crm_id=parent,
            )
        )
    return Inputs(idle, inputs)


def rounds(inputs: Iterable[Input]) -> list[list[Input]]:
    """The inputs in as few requests as keep the names within each distinct: HubSpot refuses a request that names one twice."""
    requests: list[list[Input]] = []
    taken: list[set[str]] = []
    for one in inputs:
        place = next((number for number, names in enumerate(taken) if names.isdisjoint(one.names)), len(requests))
        if place == len(requests):
            requests.append([])
            taken.append(set())
        requests[place].append(one)
        taken[place] |= one.names
    return requests


def names_of(result: Mapping[str, Any], crm_object: CrmObject, *, key_name: str | None) -> Iterator[str]:
    """Every name by which a result says whose it is, surest first; the trace id is not promised in answers."""
    yield f"trace:{result.get('objectWriteTraceId')}"
    properties = result.get("properties") or {}
    if key_name:
        yield f"key:{lowered(str(properties.get(key_name)))}"
    yield f"id:{result.get('id')}"
    for merged in str(properties.get(MERGED_IDS) or "").split(";"):
        if merged.strip():
            yield f"id:{merged.strip()}"
    yield f"natural:{str(properties.get(NATURAL_NAMES[crm_object.name]) or '').strip().casefold()}"


def _names(action: Action, trace: str, properties: Mapping[str, str], *, crm_id: str | None, key: str | None, natural: str) -> list[str]:
    own = f"natural:{properties.get(natural, '').strip().casefold()}"
    return [
        f"trace:{trace}",
        *([f"id:{crm_id}"] if crm_id is not None else []),
        *([f"key:{lowered(key)}"] if key is not None else []),
        *([own] if action is CREATE and own != "natural:" else []),
    ]


def _body(
    action: Action, properties: Mapping[str, str], *, crm_id: str | None, key: str | None, key_name: str | None, parent: str | None
) -> dict[str, Any]:
    if action is UPDATE:
        return {"id": crm_id, "properties": properties}
    if action is UPSERT:
        return {"id": key, "idProperty": key_name, "properties": properties}
    associations = [] if parent is None else [{"to": {"id": parent}, "types": list(ASSOCIATION_TYPES)}]
    return {"properties": properties, "associations": associations}
