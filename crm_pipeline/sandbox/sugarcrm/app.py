"""The site over HTTP: one address for all methods, a form, and answers of status 200 also for errors.

Source: SuiteCRM documentation, "API v4.1"; a GET, a call without a method and broken ``rest_data`` were seen on SuiteCRM 7.14.6.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from crm_pipeline.sandbox.dating import Dated
from crm_pipeline.sandbox.sugarcrm.core import SiteCore
from crm_pipeline.sandbox.sugarcrm.errors import ApiError, Crash, DatabaseFailure
from crm_pipeline.sandbox.sugarcrm.methods import call, rows_of

HELP = "<html><head><title>REST v4_1</title></head><body>Web services: call a method.</body></html>"


def sugarcrm_app(site: SiteCore) -> Starlette:
    """The ASGI app of one site: REST v4_1 and nothing else."""

    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def rest(request: Request) -> Response:
        form = await _form(request)
        if request.method != "POST" or not form.get("method"):
            return HTMLResponse(HELP)
        method, arguments = form["method"], _arguments(form)
        async with turns[str(arguments[0]) if arguments else ""]:
            with site.lock:
                answer = _answer(site, method, arguments, form=form, cookie=request.cookies.get("PHPSESSID"))
            if method.startswith("set_entr"):
                await asyncio.sleep(site.row_seconds * rows_of(method, arguments))
            return answer

    return Starlette(
        routes=[Route(site.path, rest, methods=["GET", "POST"])],
        middleware=[Middleware(Dated, clock=lambda: site.clock())],
    )


async def _form(request: Request) -> Mapping[str, str]:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        async with request.form() as parts:
            return {name: value for name, value in parts.items() if isinstance(value, str)}
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


def _answer(site: SiteCore, method: str, arguments: Sequence[Any], *, form: Mapping[str, str], cookie: str | None) -> Response:
    try:
        content = call(site, method, arguments, cookie=cookie)
    except ApiError as error:
        content = error.body()
    except DatabaseFailure:
        return PlainTextResponse(site.failure_body, status_code=500)
    except Crash:
        return Response(status_code=500)
    if form.get("response_type", "").upper() != "JSON":
        return PlainTextResponse("Array")
    answer = Response(json.dumps(content), media_type="application/json; charset=UTF-8")
    if method == "login" and isinstance(content, dict) and "id" in content:
        answer.set_cookie("PHPSESSID", content["id"], path="/", httponly=True)
    return answer


def _arguments(form: Mapping[str, str]) -> list[Any]:
    """What ``rest_data`` holds, in its order; nothing where it cannot be read."""
    if form.get("input_type", "").upper() != "JSON":
        return []
    try:
        content = json.loads(form.get("rest_data", ""))
        json.dumps(content, ensure_ascii=False).encode()  # Half a sign, which PHP does not read either.
    except ValueError:
        return []
    if isinstance(content, dict):
        return list(content.values())
    return content if isinstance(content, list) else []
