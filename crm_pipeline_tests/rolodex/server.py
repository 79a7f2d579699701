"""A stand-in for Rolodex: firms and people in memory, served over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TOKEN = "rolodex-token"
KEY = "qbench_id"
GRADES = ("gold", "silver")

Record = dict[str, Any]


def _field(name: str, kind: str = "text", *, length: int | None = 500, required: bool = False, key: bool = False) -> dict[str, Any]:
    options = [[grade, grade.title()] for grade in GRADES] if kind == "choice" else []
    return {
        **{"name": name, "label": name.title(), "type": kind, "length": length, "creatable": True, "updatable": True},
        **{"required": required, "unique": key, "external_key": key, "restricted": kind == "choice", "options": options},
    }


FIELDS: Mapping[str, list[dict[str, Any]]] = {
    "firms": [
        _field("name", required=True),
        *(_field(name) for name in ("notes", "phone", "street", "country")),
        _field("city", length=40),
        _field("headcount", "integer", length=None),
        _field("grade", "choice"),
        _field(KEY, key=True),
    ],
    "people": [
        _field("email", "email", required=True),
        *(_field(name) for name in ("first", "phone")),
        _field("last", length=40),
        _field("grade", "choice"),
        _field(KEY, key=True),
    ],
}


class Rolodex:
    """What the organization holds; ``records`` by object and id, ``bin`` what was deleted."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {"firms": {}, "people": {}}
        self.bin: dict[str, Record] = {}
        self._last = 0

    def add(self, name: str, values: Mapping[str, Any], firm_id: str | None = None) -> str:
        """A new record's id."""
        self._last += 1
        crm_id = f"r{self._last:06}"
        self.records[name][crm_id] = {"id": crm_id, "values": dict(values), "firm_id": firm_id, "created": time.time()}
        return crm_id

    def delete(self, name: str, crm_id: str) -> None:
        """Put a record into the bin."""
        self.bin[crm_id] = self.records[name].pop(crm_id)

    def restore(self, name: str, crm_id: str) -> None:
        """Take a record out of the bin."""
        self.records[name][crm_id] = self.bin.pop(crm_id)

    def save(self, name: str, asked: Record) -> Record:
        """Create or update one record; an error leaves all as it was."""
        values, held = asked["values"], self.records[name]
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
        fields = {field["name"]: field for field in FIELDS[name]}
        for field, value in values.items():
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


def rolodex_app(rolodex: Rolodex) -> Starlette:
    """The API."""

    def answers(request: Request, **content: Any) -> JSONResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "who are you?"}, status_code=401)
        return JSONResponse(content)

    async def me(request: Request) -> JSONResponse:
        return answers(request, organization="rolodex-1")

    async def fields(request: Request) -> JSONResponse:
        return answers(request, fields=FIELDS[request.path_params["name"]])

    async def read(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        return answers(request, records=[held[crm_id] for crm_id in asked["ids"] if crm_id in held])

    async def find(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        wanted = {value.lower() for value in asked["values"]}
        return answers(request, records=[one for one in held.values() if str(one["values"].get(asked["field"], "")).lower() in wanted])

    async def scan(request: Request) -> JSONResponse:
        held, asked = rolodex.records[request.path_params["name"]], await request.json()
        rows = [one for crm_id, one in sorted(held.items()) if crm_id > asked["after"] and one["values"].get(asked["field"])]
        return answers(request, records=rows[: asked["rows"]])

    async def save(request: Request) -> JSONResponse:
        asked = await request.json()
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answers(request)
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
