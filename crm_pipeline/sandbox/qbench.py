"""QBench's API v2 over a tenant in memory, as strict as its documentation and what was observed of live tenants.

Source of every rule: the reference page on QBench (its article, its OpenAPI 3.0.3 document, and observations of public clients). Where
those leave room, the stricter reading is taken and marked [assumed].
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crm_pipeline.sandbox.dating import Dated
from crm_pipeline.sandbox.qbench_access import API, TOKEN_FORMS, Refused, Throttle, check_token, give_token, refused
from crm_pipeline.sandbox.qbench_lists import (
    PAGE_PARAMETERS,
    PARAMETERS,
    Keys,
    page,
    read_choice,
    read_numbers,
    read_query,
    selected,
    shown,
)
from crm_pipeline.sandbox.qbench_relations import link, live_id, unlink
from crm_pipeline.sandbox.qbench_writes import read_array, write
from crm_pipeline.sandbox.tenant import Kind, Limits, QBenchTenant, Record

__all__ = ["Limits", "QBenchTenant", "qbench_app"]

Handler = Callable[[Request], Any]


def qbench_app(tenant: QBenchTenant) -> Starlette:
    """The tenant's API: tokens, lists, single records, writes, QBench's own links, and the probe for changes (v1)."""
    routes = [Route(path, partial(give_token, tenant), methods=["POST"]) for path in TOKEN_FORMS]
    routes += _record_routes(tenant, kind="customers", probe="customer")
    routes += _record_routes(tenant, kind="contacts", probe="contact")
    routes.append(_route(tenant, "DELETE", f"{API}/customers/{{id:int}}/contacts/{{contact_id:int}}", partial(unlink, tenant)))
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Dated, clock=lambda: tenant.clock() + tenant.clock_ahead),
            Middleware(Throttle, tenant=tenant),
        ],
        exception_handlers={Refused: _show_refusal, HTTPException: _show_http_error},  # type: ignore[dict-item]  # of narrower type
    )


def _record_routes(tenant: QBenchTenant, *, kind: Kind, probe: str) -> list[Route]:
    other: Kind = "contacts" if kind == "customers" else "customers"
    table: list[tuple[str, str, Handler]] = [
        ("GET", f"{API}/{kind}", partial(_list, tenant, kind)),
        ("POST", f"{API}/{kind}", partial(write, tenant, kind, "create")),
        ("PATCH", f"{API}/{kind}", partial(write, tenant, kind, "update")),
        ("GET", f"{API}/{kind}/{{id:int}}", partial(_read, tenant, kind)),
        ("DELETE", f"{API}/{kind}/{{id:int}}", partial(_delete, tenant, kind)),
        ("GET", f"{API}/{kind}/{{id:int}}/{other}", partial(_list_related, tenant, kind)),
        ("POST", f"{API}/{kind}/{{id:int}}/{other}", partial(link, tenant, kind)),
        ("GET", f"{API}/integrations/{{integration:int}}/{kind}", partial(_list_links, tenant, kind)),
        ("POST", f"{API}/integrations/{{integration:int}}/{kind}", partial(_create_links, tenant, kind)),
        ("GET", f"/qbench/api/v1/updates/{probe}/{{since:int}}", partial(_updates, tenant, kind)),
    ]
    return [_route(tenant, method, path, handler) for method, path, handler in table]


def _route(tenant: QBenchTenant, method: str, path: str, handler: Handler) -> Route:
    return Route(path, _answering(tenant, handler, call=f"{method} {path.removeprefix(API).replace(':int', '')}"), methods=[method])


def _answering(tenant: QBenchTenant, handler: Handler, *, call: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        check_token(tenant, request)
        if call in tenant.not_granted:
            raise refused(403, "forbidden", "the API client may not make this call")
        if tenant.on_request is not None:
            tenant.on_request(request.url.path, dict(request.query_params))
        answer = handler(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return endpoint


async def _show_refusal(_request: Request, error: Refused) -> Response:
    return JSONResponse(dict(error.body), status_code=error.status)


async def _show_http_error(request: Request, error: HTTPException) -> Response:
    return await _show_refusal(request, refused(error.status_code, "http_error", error.detail))


def _list(tenant: QBenchTenant, kind: Kind, request: Request) -> Record:
    query = read_query(request, allowed=PARAMETERS[kind])
    with tenant.lock:
        keys, first = selected(tenant, kind, query)
        descending = read_choice(query, "sort_order", ("ASC", "DESC")) == "DESC" and not tenant.ignore_sort
        order: Literal["up", "down"] = "down" if descending else "up"
        return page(query, keys, lambda key: shown(tenant, kind, key[-1]), first=first, order=order, longest=tenant.longest_page)


def _read(tenant: QBenchTenant, kind: Kind, request: Request) -> Record:
    with tenant.lock:
        record_id: int = request.path_params["id"]
        if not (tenant.answers_deleted and record_id in tenant.tables[kind].deleted_at):
            record_id = live_id(tenant, kind, request.path_params["id"])
        return {"data": shown(tenant, kind, record_id)}


def _list_related(tenant: QBenchTenant, kind: Kind, request: Request) -> Record:
    query = read_query(request, allowed=PAGE_PARAMETERS)
    with tenant.lock:
        record_id = live_id(tenant, kind, request.path_params["id"])
        if kind == "contacts":
            return page(query, [(key,) for key in tenant.live_customers_of(record_id)], lambda key: shown(tenant, "customers", key[0]))
        return page(query, [(key,) for key in tenant.live_contacts_of(record_id)], lambda key: shown(tenant, "contacts", key[0]))


def _delete(tenant: QBenchTenant, kind: Kind, request: Request) -> Response:
    delete = tenant.delete_customer if kind == "customers" else tenant.delete_contact
    with tenant.lock:
        delete(live_id(tenant, kind, request.path_params["id"]))
    return Response(status_code=204)


def _list_links(tenant: QBenchTenant, kind: Kind, request: Request) -> Record:
    query = read_query(request, allowed=PAGE_PARAMETERS | {"entity_ids[]"})
    asked = read_numbers(query, "entity_ids[]")
    with tenant.lock:
        links = tenant.integration_links[kind]
        keys: Keys = [key for key in links if key[0] == request.path_params["integration"] and (not asked or key[1] in asked)]
        return page(query, keys, lambda key: _link(key[1], links[key[0], key[1]]))


async def _create_links(tenant: QBenchTenant, kind: Kind, request: Request) -> Response:
    rows = await read_array(request, longest=tenant.habits.longest_array)
    integration = request.path_params["integration"]
    with tenant.lock:
        known = tenant.tables[kind].rows
        if not all(row.get("entity_id") in known and row.get("integration_vendor_id") for row in rows):
            raise refused(400, "bad_request", "entity_id and integration_vendor_id are required")
        for row in rows:
            tenant.integration_links[kind][integration, row["entity_id"]] = str(row["integration_vendor_id"])
    return JSONResponse({"data": [_link(row["entity_id"], row["integration_vendor_id"]) for row in rows]}, status_code=201)


def _link(entity_id: int, vendor_id: Any) -> Record:
    """A link as QBench spells it in its answers."""
    return {"entity_id": entity_id, "integraton_vendor_id": vendor_id}


def _updates(tenant: QBenchTenant, kind: Kind, request: Request) -> Record:
    since = request.path_params["since"]
    with tenant.lock:
        table = tenant.tables[kind]
        keys = table.by_update("live")
        first = bisect_left(keys, (since,) if tenant.last_updated_bound == ">=" else (since + 1,))
        return {"deleted": [key for key, at in table.deleted_at.items() if at >= since], "updated": [key[1] for key in keys[first:]]}
