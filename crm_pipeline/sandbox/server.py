"""Serves the stand-ins over real HTTP: one background thread, one event loop, a journal and planned faults."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import uvicorn
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from crm_pipeline.sandbox.faults import HTML_PAGE, Fault, Faults
from crm_pipeline.sandbox.journal import Call, Journal

HOST = "127.0.0.1"
START_SECONDS = 60.0
LOOK_SECONDS = 0.01
"""How often a held answer looks whether it may go."""
LARGEST_COUNTED_BODY = 8_000_000
BATCH_KEYS = ("inputs", "records")
OPTION_HEADERS = (b"sforce-",)
"""How the names of headers begin that change what a call does."""


def reached_directly(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment so that a proxy it names does not stand between the clients and the stand-ins."""
    left_out = environment.get("no_proxy") or environment.get("NO_PROXY")
    return {"no_proxy": f"{left_out},{HOST}" if left_out else HOST}


@contextmanager
def serve(
    apps: Mapping[str, ASGIApp],
    *,
    ports: Mapping[str, int] | None = None,
    host: str = HOST,
    journal: Journal,
    faults: Faults,
) -> Iterator[dict[str, str]]:
    """Serve the apps until the block ends and yield their URLs by name.

    An app without an entry in ``ports``, or with 0, gets a free port. The thread is a daemon: the servers end with their
    process however it ends. On leaving, connections are closed at once, whatever they are doing. Raises OSError when a
    port is taken.
    """
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(_listening(host, (ports or {}).get(name, 0))) for name in apps}
        servers = [
            (_Server(_config(_Observed(_Breakable(app, service=name, faults=faults), service=name, journal=journal))), sockets[name])
            for name, app in apps.items()
        ]
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        thread = threading.Thread(target=_run, args=(loop, servers), name="sandbox", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(_stop, loop, [server for server, _ in servers])
        for server, _ in servers:
            if not server.ready.wait(START_SECONDS):
                raise RuntimeError("a sandbox server did not start")
        yield {name: f"http://{host}:{sock.getsockname()[1]}" for name, sock in sockets.items()}


def _listening(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, port))
        sock.listen(256)
    except OSError:
        sock.close()
        raise
    return sock


class _Protocol(H11Protocol):
    """Lets the middleware reach the connection, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # uvicorn's stands still without the ticks that its own main loop makes.
        date_header=False,
        timeout_keep_alive=75,
        backlog=256,
    )


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready and stops the moment it is told to, without polling."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.ended = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _run(loop: asyncio.AbstractEventLoop, servers: list[tuple[_Server, socket.socket]]) -> None:
    async def main() -> None:
        await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in servers))

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def _stop(loop: asyncio.AbstractEventLoop, servers: list[_Server]) -> None:
    for server in servers:
        loop.call_soon_threadsafe(server.ended.set)


class _Drop(Exception):
    """The connection is to be closed without an answer."""


class _Observed:
    """Records every call in the journal, just before its answer is complete or its connection closed."""

    def __init__(self, app: ASGIApp, *, service: str, journal: Journal) -> None:
        self._app = app
        self._service = service
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        body: list[bytes] = []
        status = 0
        head: list[Message] = []

        async def read() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
            return message

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                # Kept back until the body is there: an answer without one is complete with its head.
                status = message["status"]
                head.append(message)
                return
            if not message.get("more_body"):
                record()
            if head:
                await send(head.pop())
            await send(message)

        def record() -> None:
            seconds = time.perf_counter() - began
            content = b"".join(body)
            path, rows = _named(scope, content), _rows(scope, content)
            self._journal.record(Call(self._service, scope["method"], path, status, seconds, rows, _options(scope)))

        try:
            await self._app(scope, read, note)
        except _Drop:
            record()
            await _close(scope, receive)
        except asyncio.CancelledError:
            return


def _options(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name.startswith(OPTION_HEADERS)}


def _rows(scope: Scope, body: bytes) -> int | None:
    is_json = any(name == b"content-type" and b"json" in value for name, value in scope["headers"])
    if not is_json or not 0 < len(body) <= LARGEST_COUNTED_BODY:
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    if isinstance(content, dict):
        content = next((content[key] for key in BATCH_KEYS if key in content), None)
    return len(content) if isinstance(content, list) else None


class _Breakable:
    """Applies the planned faults to the requests they are planned for."""

    def __init__(self, app: ASGIApp, *, service: str, faults: Faults) -> None:
        self._app = app
        self._service = service
        self._faults = faults
        self._late: list[asyncio.Future[None]] = []
        """What is carried out later; a task that nobody holds may vanish."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        receive = _heard(body, receive)
        content = f"{unquote_plus(scope['query_string'].decode())}\n{_readable(scope, body)}"
        path = _named(scope, body)
        fault = self._faults.take(service=self._service, method=scope["method"], path=path, content=content)
        if fault is None:
            if not self._faults.look_at_answers():
                await self._app(scope, receive, send)
                return
            parts = await _kept(self._app, scope, receive)
            answer = b"".join(part.get("body", b"") for part in parts).decode(errors="replace")
            fault = self._faults.take(service=self._service, method=scope["method"], path=path, content=content, answer=answer)
            if fault is None:
                for part in parts:
                    await send(part)
                return
            receive = _heard(b"", receive)
        if fault.kind == "hold":
            held = await _kept(self._app, scope, receive)
            await asyncio.sleep(fault.seconds)
            await _until(fault)
            for part in held:
                await send(part)
            return
        await asyncio.sleep(fault.seconds)
        if fault.kind == "late":
            self._late.append(asyncio.ensure_future(self._carry_out_later(fault, scope, receive, _discard)))
            raise _Drop
        if fault.kind == "delay":
            await self._carry_out_later(fault, scope, receive, send)
            return
        await _until(fault)
        if fault.kind == "drop_before":
            await _drain(receive)
            raise _Drop
        if fault.kind == "drop_after":
            await self._app(scope, receive, _discard)
            raise _Drop
        if fault.kind == "bend":
            await (await _bent(self._app, scope, receive, fault))(scope, receive, send)
            return
        await _drain(receive)
        await _answer(fault, rows=_rows(scope, body))(scope, receive, send)

    async def _carry_out_later(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await _until(fault)
        await self._app(scope, receive, send)


def _readable(scope: Scope, body: bytes) -> str:
    """The body as text, a form's without its escapes."""
    text = body.decode(errors="replace")
    return unquote_plus(text) if _is_form(scope) else text


def _named(scope: Scope, body: bytes) -> str:
    """The path of a request and, where a form says what is called there, that: ``/rest.php#login``."""
    path = str(scope["path"])
    called = dict(parse_qsl(body.decode(errors="replace"))).get("method") if _is_form(scope) else None
    return path if called is None else f"{path}#{called}"


def _is_form(scope: Scope) -> bool:
    return any(name == b"content-type" and b"x-www-form-urlencoded" in value for name, value in scope["headers"])


async def _until(fault: Fault) -> None:
    while fault.until is not None and not fault.until.is_set():
        await asyncio.sleep(LOOK_SECONDS)


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def _heard(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body again, in one piece, and then what comes after it."""
    first = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        return next(first, None) or await receive()

    return again


def _answer(fault: Fault, *, rows: int | None) -> Response:
    headers = dict(fault.headers)
    body: Any = fault.body
    if fault.kind == "html":
        return HTMLResponse(HTML_PAGE if body is None else body, status_code=fault.status or 200, headers=headers)
    if fault.kind == "rows":
        return JSONResponse([body] * (rows or 0), status_code=fault.status or 200, headers=headers)
    status = fault.status or 503
    if isinstance(body, str):
        return Response(body, status_code=status, headers=headers)
    return JSONResponse({} if body is None else body, status_code=status, headers=headers)


async def _bent(app: ASGIApp, scope: Scope, receive: Receive, fault: Fault) -> Response:
    """The app's answer, changed; one without a body stays as it is."""
    parts = await _kept(app, scope, receive)
    content = b"".join(part.get("body", b"") for part in parts)
    kept = [(name, value) for name, value in parts[0].get("headers", ()) if name.lower() not in {b"content-length", b"content-encoding"}]
    changed = Response(json.dumps(fault.bend(json.loads(content))) if content else b"", status_code=parts[0]["status"])
    changed.raw_headers.extend(kept)
    return changed


async def _kept(app: ASGIApp, scope: Scope, receive: Receive) -> list[Message]:
    """The messages of an app's answer."""
    parts: list[Message] = []

    async def keep(message: Message) -> None:
        parts.append(message)

    await app(scope, receive, keep)
    return parts


async def _drain(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection, and return once the server has noticed, so that it does not answer in our place."""
    scope["state"]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _discard(message: Message) -> None:
    """Take an answer and send nothing."""
