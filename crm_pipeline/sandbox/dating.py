"""Says in each answer what the service's own clock shows, as HTTP servers do."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Dated:
    """Adds ``Date`` to every answer that has none; ``clock`` gives Unix seconds."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer, and date its answer."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start" and not any(name.lower() == b"date" for name, _ in message.get("headers", ())):
                date = formatdate(self._clock(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)
