"""What a visitor does to a running sandbox: break a service and mend it, edit a record, merge two; asked for at an address of its own.

No stand-in shares it: planned faults do not reach it, and what it is asked stands in no journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm_pipeline.sandbox.faults import Fault, Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sandbox.server import serve
from crm_pipeline.sandbox.sugarcrm import SugarSite

Order = Mapping[str, Any]

WAYS: Mapping[str, Mapping[str, Any]] = MappingProxyType({"down": {"status": 503}, "credentials": {"status": 401}})
"""How a service may be broken, and what it then answers to everything."""


class NotDoneError(Exception):
    """What was asked for cannot be done; the text says why."""


@contextmanager
def controlled(sandbox: Sandbox, *, port: int = 0) -> Iterator[str]:
    """Take orders for this sandbox until the block ends; yields the address. ``port`` 0: any free one. Raises OSError for a taken one."""
    with serve({"control": _app(sandbox)}, ports={"control": port}, journal=Journal(), faults=Faults()) as urls:
        yield urls["control"]


def break_service(sandbox: Sandbox, service: str, *, how: str) -> None:
    """Let a service answer every request with a failure until it is mended."""
    sandbox.faults.clear(service)
    sandbox.faults.add(Fault(service=service, times=None, **WAYS[how]))


def _app(sandbox: Sandbox) -> Starlette:
    orders: Mapping[str, Callable[[Sandbox, Order], Order]] = {"break": _break, "mend": _mend, "edit": _edit, "merge": _merge}
    return Starlette(routes=[Route(f"/{name}", _endpoint(sandbox, order), methods=["POST"]) for name, order in orders.items()])


def _endpoint(sandbox: Sandbox, carry_out: Callable[[Sandbox, Order], Order]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        order = await request.json()
        try:
            return JSONResponse(carry_out(sandbox, order))
        except KeyError as missing:
            return JSONResponse({"error": f"{order['service']} has no {missing.args[0]}"}, status_code=404)
        except (NotDoneError, ValueError) as problem:
            return JSONResponse({"error": str(problem)}, status_code=422)

    return endpoint


def _break(sandbox: Sandbox, order: Order) -> Order:
    break_service(sandbox, order["service"], how=order["how"])
    return order


def _mend(sandbox: Sandbox, order: Order) -> Order:
    sandbox.faults.clear(order["service"])
    return order


def _edit(sandbox: Sandbox, order: Order) -> Order:
    records, record_id, fields = order["object"], order["id"], order["fields"]
    match order["service"]:
        case "qbench" if records == "customers":
            sandbox.tenant.edit_customer(int(record_id), **fields)
        case "qbench" if records == "contacts":
            sandbox.tenant.edit_contact(int(record_id), **fields)
        case "salesforce":
            sandbox.org.update(records, record_id, fields)
        case "hubspot":
            sandbox.portal.update(records, record_id, fields)
        case "sugarcrm":
            _site(sandbox).update(records, record_id, fields)
        case _:
            raise KeyError(records)
    return {**order, "fields": sorted(fields)}


def _merge(sandbox: Sandbox, order: Order) -> Order:
    records, winner, loser = order["object"], order["winner"], order["loser"]
    merged = winner
    match order["service"]:
        case "salesforce":
            sandbox.org.merge(records, winner, [loser])
        case "hubspot":
            merged = sandbox.portal.merge(records, winner, loser)
        case "sugarcrm":
            _site(sandbox).merge(records, winner, loser)
        case _:
            raise NotDoneError("QBench merges no records")
    return {**order, "merged": merged}


def _site(sandbox: Sandbox) -> SugarSite:
    if sandbox.site is None:
        raise NotDoneError("no SugarCRM runs; start the sandbox with --crm sugarcrm")
    return sandbox.site
