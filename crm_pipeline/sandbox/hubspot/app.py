"""HubSpot over HTTP: which path means what, who may call, and how often.

Two path families, both published: ``v3`` (with v4 for associations) and the dated ``2026-03``. Any other is 404.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crm_pipeline.sandbox.hubspot import batches, linking, refusals, schema, search, singles
from crm_pipeline.sandbox.hubspot.limits import RateRefusal
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import BY_NAME
from crm_pipeline.sandbox.hubspot.records import RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal


@dataclass(frozen=True, slots=True)
class Family:
    """The prefixes of one generation of paths."""

    objects: str
    associations: str
    properties: str
    owners: str
    account: str
    removal_has_body: bool


FAMILIES = (
    Family(
        objects="/crm/v3/objects",
        associations="/crm/v4/associations",
        properties="/crm/v3/properties",
        owners="/crm/v3/owners",
        account="/account-info/v3",
        removal_has_body=False,
    ),
    Family(
        objects="/crm/objects/2026-03",
        associations="/crm/associations/2026-03",
        properties="/crm/properties/2026-03",
        owners="/crm/owners/2026-03",
        account="/account-info/2026-03",
        removal_has_body=True,
    ),
)
LARGEST_OWNER_PAGE = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    portal: HubSpotPortal
    path: str
    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    characters: int

    @property
    def store(self) -> RecordStore:
        """The records of the object in the path. Raises Refusal."""
        return self._store("object")

    @property
    def direction(self) -> linking.Direction:
        """The two objects in the path. Raises Refusal."""
        return linking.Direction(self.portal, self._store("left"), self._store("right"))

    def _store(self, part: str) -> RecordStore:
        name = self.parts[part]
        if name not in BY_NAME:
            raise refusals.unknown_object(name)
        return self.portal.store(name)


Handler = Callable[[Asked], Answer]


def hubspot_app(portal: HubSpotPortal) -> Starlette:
    """The portal's HTTP face."""
    return Starlette(
        routes=[route for family in FAMILIES for route in _routes(portal, family)],
        exception_handlers={404: _no_such_path, 405: _no_such_path},
    )


def _routes(portal: HubSpotPortal, family: Family) -> list[Route]:
    """The paths of a family; the fixed ones stand before those that hold an id."""

    def at(method: str, path: str, handler: Handler, *, needs: str | None = None, locks: bool = False) -> Route:
        return Route(path, _endpoint(portal, handler, needs=needs, locks=locks), methods=[method])

    objects, one = f"{family.objects}/{{object}}", f"{family.objects}/{{object}}/{{id}}"
    pairs, properties = f"{family.associations}/{{left}}/{{right}}", f"{family.properties}/{{object}}"
    read, write = "objects.read", "objects.write"
    removed = _as_it_is if family.removal_has_body else _without_body
    return [
        at("POST", f"{objects}/batch/read", _batch_read, needs=read),
        at("POST", f"{objects}/batch/create", lambda asked: batches.create(asked.portal, asked.store, asked.body), needs=write, locks=True),
        at("POST", f"{objects}/batch/update", lambda asked: batches.update(asked.portal, asked.store, asked.body), needs=write, locks=True),
        at("POST", f"{objects}/batch/upsert", lambda asked: batches.upsert(asked.portal, asked.store, asked.body), needs=write, locks=True),
        at("POST", f"{objects}/batch/archive", lambda asked: batches.archive(asked.portal, asked.store, asked.body), needs=write),
        at("POST", f"{objects}/search", _search, needs=read),
        at("POST", f"{objects}/merge", lambda asked: singles.merge(asked.portal, asked.store, asked.body), needs=write),
        at("GET", objects, lambda asked: singles.listing(asked.portal, asked.store, asked.query, path=asked.path), needs=read),
        at("POST", objects, lambda asked: singles.create(asked.portal, asked.store, asked.body), needs=write),
        at("GET", one, lambda asked: singles.read(asked.portal, asked.store, asked.parts["id"], asked.query), needs=read),
        at("PATCH", one, _update, needs=write),
        at("DELETE", one, lambda asked: singles.archive(asked.portal, asked.store, asked.parts["id"]), needs=write),
        at("POST", f"{pairs}/batch/create", lambda asked: linking.create(asked.direction, asked.body), needs=write),
        at("POST", f"{pairs}/batch/associate/default", lambda asked: linking.associate_default(asked.direction, asked.body), needs=write),
        at("POST", f"{pairs}/batch/read", lambda asked: linking.read(asked.direction, asked.body), needs=read),
        at("POST", f"{pairs}/batch/archive", lambda asked: removed(linking.archive(asked.direction, asked.body)), needs=write),
        at(
            "POST", f"{pairs}/batch/labels/archive", lambda asked: removed(linking.archive_labels(asked.direction, asked.body)), needs=write
        ),
        at("GET", f"{pairs}/labels", lambda asked: linking.labels(asked.direction), needs=read),
        at("GET", properties, lambda asked: schema.listing(asked.store, asked.query), needs="schemas.read"),
        at("POST", properties, lambda asked: schema.create(asked.portal, asked.store, asked.body), needs="schemas.write"),
        at("GET", f"{properties}/{{name}}", lambda asked: schema.read(asked.store, asked.parts["name"], asked.query), needs="schemas.read"),
        at("GET", family.owners, _owners, needs="objects.owners.read"),
        at("GET", f"{family.owners}/", _owners, needs="objects.owners.read"),
        at("GET", f"{family.owners}/{{id}}", _owner, needs="objects.owners.read"),
        at("GET", f"{family.account}/details", _details),
    ]


def _endpoint(portal: HubSpotPortal, handler: Handler, *, needs: str | None, locks: bool) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        headers: dict[str, str] = {}
        with portal.lock:
            try:
                _authenticate(portal, request.headers.get("authorization", ""))
                headers = _admit(portal, request)
                _check_scopes(portal, request.path_params, needs)
                answer = _locked(portal, _read(portal, request, raw), handler) if locks else handler(_read(portal, request, raw))
            except RateRefusal as refusal:
                return JSONResponse(refusal.body(), refusal.status, headers=refusal.headers)
            except Refusal as refusal:
                return JSONResponse(refusal.body(), refusal.status, headers=headers)
        if answer.body is None:
            return Response(status_code=answer.status, headers=headers)
        return JSONResponse(answer.body, answer.status, headers=headers)

    return endpoint


def _read(portal: HubSpotPortal, request: Request, raw: bytes) -> Asked:
    body = None
    if request.method in ("POST", "PATCH", "PUT"):
        try:
            body = json.loads(raw)
        except ValueError:
            raise refusals.invalid_json("Unexpected content") from None
    characters = len(raw.decode("utf-8", "replace"))
    return Asked(portal, request.url.path, request.path_params, request.query_params, body, characters)


def _authenticate(portal: HubSpotPortal, header: str) -> None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or token.strip() != portal.token:
        raise refusals.unauthenticated()


def _admit(portal: HubSpotPortal, request: Request) -> dict[str, str]:
    if request.url.path.endswith("/search"):
        portal.limits.admit_search(per_second=portal.search_calls, daily=portal.daily_calls)
        return {}
    return portal.limits.admit(burst=portal.burst_calls, daily=portal.daily_calls)


def _check_scopes(portal: HubSpotPortal, parts: Mapping[str, str], needs: str | None) -> None:
    """What a call needs, ``objects.read``, as a scope of each object in its path; the schema is also read with the objects' scope."""
    if needs is None:
        return
    family, _, right = needs.partition(".")
    objects = [parts[part] for part in ("object", "left", "right") if part in parts]
    wanted = [f"crm.{family}.{BY_NAME[name].name}.{right}" for name in objects if name in BY_NAME] if objects else [f"crm.{needs}"]
    for scope in wanted:
        accepted = [scope, scope.replace("schemas", "objects")] if right == "read" else [scope]
        if portal.scopes.isdisjoint(accepted):
            raise refusals.missing_scopes(sorted(set(accepted)))


def _locked(portal: HubSpotPortal, asked: Asked, handler: Handler) -> Answer:
    """A batch write, unless the last one of this object was too short ago."""
    name = asked.store.type.name
    now = portal.ticks()
    if portal.lock_seconds and now < portal.locked_until.get(name, now):
        raise Refusal(423, f"Too many writes to {name} at once; the records are locked", category="LOCKED")
    answer = handler(asked)
    portal.locked_until[name] = portal.ticks() + portal.lock_seconds
    return answer


def _as_it_is(answer: Answer) -> Answer:
    return answer


def _without_body(_answer: Answer) -> Answer:
    return Answer(status=204)


def _batch_read(asked: Asked) -> Answer:
    return batches.read(asked.portal, asked.store, asked.body, archived=asked.query.get("archived") == "true")


def _search(asked: Asked) -> Answer:
    return search.search(asked.portal, asked.store, asked.body, characters=asked.characters)


def _update(asked: Asked) -> Answer:
    return singles.update(asked.portal, asked.store, asked.parts["id"], asked.query, asked.body)


def _owners(asked: Asked) -> Answer:
    archived = asked.query.get("archived") == "true"
    limit, start = asked.query.get("limit", "100"), asked.query.get("after") or "0"
    if not limit.isdigit() or not 0 < int(limit) <= LARGEST_OWNER_PAGE or not start.isdigit():
        raise Refusal(400, f"The limit must be between 1 and {LARGEST_OWNER_PAGE}")
    email = asked.query.get("email")
    owners = [owner for owner in asked.portal.owners if owner["archived"] == archived and email in (None, owner["email"])]
    end = int(start) + int(limit)
    answer: dict[str, Any] = {"results": owners[int(start) : end]}
    if end < len(owners):
        answer["paging"] = {"next": {"after": str(end)}}
    return Answer(answer)


def _owner(asked: Asked) -> Answer:
    archived = asked.query.get("archived") == "true"
    found = next((owner for owner in asked.portal.owners if owner["id"] == asked.parts["id"] and owner["archived"] == archived), None)
    if found is None:
        raise refusals.not_found()
    return Answer(found)


def _details(asked: Asked) -> Answer:
    now = datetime.fromtimestamp(asked.portal.clock(), UTC).astimezone(ZoneInfo(asked.portal.time_zone))
    offset = now.utcoffset()
    return Answer(
        {
            "portalId": asked.portal.portal_id,
            "accountType": "STANDARD",
            "timeZone": asked.portal.time_zone,
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": f"{now:%z}"[:3] + ":" + f"{now:%z}"[3:],
            "utcOffsetMilliseconds": int(offset.total_seconds() * 1000) if offset is not None else 0,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        }
    )


async def _no_such_path(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    message = "The requested resource could not be found" if status == 404 else "HTTP method not allowed"
    return JSONResponse({"status": "error", "message": message}, status)
