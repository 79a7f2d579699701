"""What was asked of the stand-ins: every call, in the order in which it was answered."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a stand-in.

    ``path`` comes without host and query, and with what a form calls there behind it (``/rest.php#login``); ``status`` is 0 where the
    connection was closed without an answer; ``seconds`` is the time from the request's head to the end of the answer; ``rows`` is the
    number of entries of a batch body (``inputs``, ``records`` or a JSON array), else None. ``options``: the headers that say how to carry
    the call out, by lower-case name; nothing that signs in is among them.
    """

    service: str
    method: str
    path: str
    status: int
    seconds: float
    rows: int | None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


class Journal:
    """The calls made to all stand-ins of one sandbox; safe over threads."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Append a call."""
        with self._lock:
            self._calls.append(call)

    def calls(self, service: str | None = None) -> list[Call]:
        """The calls so far, oldest first; of one service where it is named."""
        with self._lock:
            return [call for call in self._calls if service is None or call.service == service]

    def clear(self) -> None:
        """Forget every call."""
        with self._lock:
            self._calls.clear()
