"""HubSpot over HTTP: which path means what, who may call, and how often.

Two path families, both published: ``v3`` (with v4 for associations) and the dated ``2026-03``. Any other is 404.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crm_pipeline.sandbox.hubspot import batches, linking, lists, refusals, schema, search, singles
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
    lists: str
    account: str
    removal_has_body: bool


FAMILIES = (
    Family(
        objects="/crm/v3/objects",
        associations="/crm/v4/associations",
        properties="/crm/v3/properties",
        owners="/crm/v3/owners",
        lists="/crm/v3/lists",
        account="/account-info/v3",
        removal_has_body=False,
    ),
    Family(
        objects="/crm/objects/2026-03",
        associations="/crm/associations/2026-03",
        properties="/crm/properties/2026-03",
        owners="/crm/owners/2026-03",
        lists="/crm/lists/2026-03",
        account="/account-info/2026-03",
        removal_has_body=True,
    ),
)
LARGEST_OWNER_PAGE = 500
TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    portal: HubSpotPortal
    path: str
    parts: Mapping[str, str]
    query: QueryParams
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
        routes=[
            Route(TOKEN_INFO, _endpoint(portal, _token_info, needs=()), methods=["POST"]),
            *(route for family in FAMILIES for route in (*_routes(portal, family), *_list_routes(portal, family))),
        ],
        exception_handlers={404: _no_such_path, 405: _no_such_path},
    )


def _routes(portal: HubSpotPortal, family: Family) -> list[Route]:
    """The paths of a family, all but those of lists; the fixed ones stand before those that hold an id."""

    def at(method: str, path: str, handler: Handler, *, needs: str | None = None, locks: bool = False) -> Route:
        return Route(path, _endpoint(portal, handler, needs=() if needs is None else (needs,), locks=locks), methods=[method])

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
        at(
            "POST",
            f"{objects}/gdpr-delete",
            lambda asked: singles.delete_for_privacy(asked.portal, asked.store, asked.body),
            needs=write,
        ),
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


def _list_routes(portal: HubSpotPortal, family: Family) -> list[Route]:
    """The paths of lists; whoever changes one needs both scopes, whoever makes one needs the one for writing (specification)."""

    def at(method: str, path: str, handler: Handler, *needs: str) -> Route:
        return Route(f"{family.lists}{path}", _endpoint(portal, handler, needs=needs), methods=[method])

    read, write, one = "lists.read", "lists.write", "/{id}"
    named, member = "/object-type-id/{kind}/name/{name:path}", f"{one}/memberships"
    return [
        *(at("GET", slash, _lists, read) for slash in ("", "/")),
        *(at("POST", slash, lambda asked: lists.create(asked.portal, asked.body), write) for slash in ("", "/")),
        at("POST", "/search", lambda asked: lists.search(asked.portal, asked.body), read),
        at("POST", "/records/memberships/batch/read", lambda asked: lists.lists_of_many(asked.portal, asked.body), read),
        at(
            "GET",
            "/records/{kind}/{record}/memberships",
            lambda asked: lists.lists_of(asked.portal, asked.parts["kind"], asked.parts["record"]),
            read,
        ),
        at("GET", named, lambda asked: lists.read_named(asked.portal, asked.parts["kind"], asked.parts["name"], asked.query), read),
        at("GET", one, lambda asked: lists.read(asked.portal, asked.parts["id"], asked.query), read),
        at("DELETE", one, lambda asked: lists.delete(asked.portal, asked.parts["id"]), read, write),
        at("PUT", f"{one}/restore", lambda asked: lists.restore(asked.portal, asked.parts["id"]), read, write),
        at("GET", member, lambda asked: lists.members(asked.portal, asked.parts["id"], asked.query), read),
        at("GET", f"{member}/join-order", _joined, read),
        at("DELETE", member, lambda asked: lists.clear(asked.portal, asked.parts["id"]), read, write),
        at("PUT", f"{member}/add", lambda asked: lists.change(asked.portal, asked.parts["id"], asked.body, how="add"), read, write),
        at("PUT", f"{member}/remove", lambda asked: lists.change(asked.portal, asked.parts["id"], asked.body, how="remove"), read, write),
        at("PUT", f"{member}/add-and-remove", _joined_and_left, read, write),
    ]


def _endpoint(portal: HubSpotPortal, handler: Handler, *, needs: tuple[str, ...], locks: bool = False) -> Callable[[Request], Any]:
    def answer(request: Request, raw: bytes) -> Response:
        headers: dict[str, str] = {}
        try:
            _authenticate(portal, request.headers.get("authorization", ""))
            headers = _admit(portal, request)
            for need in needs:
                _check_scopes(portal, request.path_params, need)
            for store in portal.stores.values():
                store.empty_bin(portal.clock())
            asked = _read(portal, request, raw)
            answered = _locked(portal, asked, handler) if locks else handler(asked)
        except RateRefusal as refusal:
            return JSONResponse(refusal.body(), refusal.status, headers=refusal.headers)
        except Refusal as refusal:
            return JSONResponse(refusal.body(), refusal.status, headers=headers)
        if answered.body is None:
            return Response(status_code=answered.status, headers=headers)
        return JSONResponse(answered.body, answered.status, headers=headers)

    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        with portal.lock:
            answered = answer(request, raw)
            answered.headers["Date"] = formatdate(portal.clock(), usegmt=True)
        return answered

    return endpoint


def _read(portal: HubSpotPortal, request: Request, raw: bytes) -> Asked:
    body = None
    if raw or request.method in ("POST", "PATCH"):
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
    if request.url.path.endswith("/search") and "object" in request.path_params:
        portal.limits.admit_search(per_second=portal.search_calls, daily=portal.daily_calls)
        return {}
    return portal.limits.admit(burst=portal.burst_calls, daily=portal.daily_calls)


def _check_scopes(portal: HubSpotPortal, parts: Mapping[str, str], needs: str) -> None:
    """What a call needs, ``objects.read``, as a scope of each object in its path; the schema is also read with the objects' scope."""
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


def _lists(asked: Asked) -> Answer:
    return lists.read_many(asked.portal, asked.query.getlist("listIds"), asked.query)


def _joined(asked: Asked) -> Answer:
    return lists.members(asked.portal, asked.parts["id"], asked.query, by_join=True)


def _joined_and_left(asked: Asked) -> Answer:
    return lists.change(asked.portal, asked.parts["id"], asked.body, how="add-and-remove")


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


def _token_info(asked: Asked) -> Answer:
    """The scopes of a private app's token. What a service key is answered is not documented: 404 (assumed)."""
    portal = asked.portal
    if not isinstance(asked.body, dict) or not isinstance(asked.body.get("tokenKey"), str):
        raise refusals.missing_member("tokenKey")
    if portal.app_id is None or asked.body["tokenKey"] != portal.token:
        raise refusals.not_found("There is no private app with this token")
    return Answer({"userId": 1, "hubId": portal.portal_id, "appId": int(portal.app_id), "scopes": sorted(portal.scopes)})


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
