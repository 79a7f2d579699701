"""A stand-in for Rolodex: firms, people and prospects in memory, served over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TOKEN = "rolodex-token"
KEY = "qbench_id"
GRADES = ("gold", "silver")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What an edition of Rolodex is called, and does with records.

    ``organization``: the id of the one that there is. ``most``: how many records one call may bring. ``unique``: it keeps
    ``qbench_id`` unique; else it has no such field. ``checks``: it refuses values that their fields cannot take. ``as_sent``: texts
    are kept so; else in capitals, with single spaces.
    """

    organization: str = "rolodex-1"
    most: int = 50
    unique: bool = True
    checks: bool = True
    as_sent: bool = True

    def kept(self, name: str, values: Mapping[str, Any]) -> Record:
        """The values as they are kept."""
        texts = set() if self.as_sent else {field["name"] for field in FIELDS[name] if field["type"] == "text" and field["name"] != KEY}
        return {field: " ".join(str(value).upper().split()) if value and field in texts else value for field, value in values.items()}


FULL = Edition()
LIGHT = Edition(organization="light-1", most=2, unique=False, checks=False, as_sent=False)


def _field(name: str, kind: str = "text", *, length: int | None = 500, required: bool = False, key: bool = False) -> dict[str, Any]:
    options = [[grade, grade.title()] for grade in GRADES] if kind == "choice" else []
    return {
        **{"name": name, "label": name.title(), "type": kind, "length": length, "creatable": True, "updatable": True},
        **{"required": required, "unique": key, "external_key": key, "restricted": kind == "choice", "options": options},
    }


_OF_PEOPLE = [
    _field("email", "email", required=True),
    *(_field(name) for name in ("first", "phone")),
    _field("last", length=40),
    _field("grade", "choice"),
    _field(KEY, key=True),
]

FIELDS: Mapping[str, list[dict[str, Any]]] = {
    "firms": [
        _field("name", required=True),
        *(_field(name) for name in ("notes", "phone", "street", "country")),
        _field("city", length=40),
        _field("headcount", "integer", length=None),
        _field("grade", "choice"),
        _field(KEY, key=True),
    ],
    "people": _OF_PEOPLE,
    "prospects": _OF_PEOPLE,
}


class Rolodex:
    """What the organization holds; ``records`` by object and id, ``bin`` what was deleted."""

    def __init__(self, edition: Edition = FULL) -> None:
        self.edition = edition
        self.records: dict[str, dict[str, Record]] = {name: {} for name in FIELDS}
        self.bin: dict[str, Record] = {}
        self._last = 0

    def add(self, name: str, values: Mapping[str, Any], firm_id: str | None = None) -> str:
        """A new record's id."""
        self._last += 1
        crm_id = f"r{self._last:06}"
        self.records[name][crm_id] = {"id": crm_id, "values": self.edition.kept(name, values), "firm_id": firm_id, "created": time.time()}
        return crm_id

    def delete(self, name: str, crm_id: str) -> None:
        """Put a record into the bin."""
        self.bin[crm_id] = self.records[name].pop(crm_id)

    def restore(self, name: str, crm_id: str) -> None:
        """Take a record out of the bin."""
        self.records[name][crm_id] = self.bin.pop(crm_id)

    def fields(self, name: str) -> list[dict[str, Any]]:
        """The object's fields."""
        return [field for field in FIELDS[name] if field["name"] != KEY or self.edition.unique]

    def save(self, name: str, asked: Record) -> Record:
        """Create or update one record; an error leaves all as it was."""
        values, held = self.edition.kept(name, asked["values"]), self.records[name]
        if problem := self._problem(name, values, asked["firm_id"]):
            return problem
        record = held.get(asked["id"]) if asked["id"] else None
        if asked["id"] and record is None:
            return {"error": "gone"}
        if asked["by"]:
            record = next((one for one in held.values() if one["values"].get(asked["by"]) == values[asked["by"]]), None)
        if record is None:
            missing = next((field["name"] for field in FIELDS[name] if field["required"] and not values.get(field["name"])), None)
            return {"error": "missing", "field": missing} if missing else {"id": self.add(name, values, asked["firm_id"]), "created": True}
        if any(one is not record and values.get(KEY) and one["values"].get(KEY) == values[KEY] for one in held.values()):
            return {"error": "taken", "field": KEY}
        record["values"] = {field: value for field, value in {**record["values"], **values}.items() if value is not None}
        record["firm_id"] = asked["firm_id"] or record["firm_id"]
        return {"id": record["id"], "created": False}

    def _problem(self, name: str, values: Record, firm_id: str | None) -> Record | None:
        fields = {field["name"]: field for field in self.fields(name)}
        for field, value in values.items() if self.edition.checks else ():
            if field not in fields:
                return {"error": "no_such_field", "field": field}
            if value is None:
                continue
            if fields[field]["type"] == "choice" and value not in GRADES:
                return {"error": "not_an_option", "field": field}
            if fields[field]["length"] and len(str(value)) > fields[field]["length"]:
                return {"error": "too_long", "field": field}
            if fields[field]["type"] == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(value)):
                return {"error": "not_an_email", "field": field}
        return {"error": "no_such_firm"} if firm_id and firm_id not in self.records["firms"] else None


def compared(value: object) -> str:
    """A value as Rolodex compares it."""
    return " ".join(str(value).lower().split())


def rolodex_app(rolodex: Rolodex) -> Starlette:
    """The API."""

    def answers(request: Request, **content: Any) -> JSONResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "who are you?"}, status_code=401)
        return JSONResponse(content)

    async def me(request: Request) -> JSONResponse:
        return answers(request, organization=rolodex.edition.organization)

    async def fields(request: Request) -> JSONResponse:
        return answers(request, fields=rolodex.fields(request.path_params["name"]))

    async def read(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        return answers(request, records=[held[crm_id] for crm_id in asked["ids"] if crm_id in held])

    async def find(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        wanted = {compared(value) for value in asked["values"]}
        return answers(request, records=[one for one in held.values() if compared(one["values"].get(asked["field"], "")) in wanted])

    async def scan(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        rows = [one for crm_id, one in sorted(held.items()) if crm_id > asked["after"] and one["values"].get(asked["field"])]
        return answers(request, records=rows[: asked["rows"]])

    async def save(request: Request) -> JSONResponse:
        asked = await request.json()
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answers(request)
        if len(asked["records"]) > rolodex.edition.most:
            return JSONResponse({"error": "too many records"}, status_code=413)
        return answers(request, results=[rolodex.save(request.path_params["name"], one) for one in asked["records"]])

    return Starlette(
        routes=[
            Route("/me", me),
            Route("/{name}/fields", fields),
            Route("/{name}/read", read, methods=["POST"]),
            Route("/{name}/find", find, methods=["POST"]),
            Route("/{name}/scan", scan, methods=["POST"]),
            *(Route(f"/{{name}}/{verb}", save, methods=["POST"]) for verb in ("create", "update", "upsert")),
        ]
    )
