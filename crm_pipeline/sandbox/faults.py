"""Failures that a test or a visitor plans for a stand-in: what breaks, how, and how often."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["status", "rows", "drop_before", "drop_after", "late", "html", "delay", "hold", "bend"]

HTML_PAGE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of the next requests that match.

    A request matches when ``service`` and ``method`` are equal (None: any) and ``path``, a regular expression, is found in its path
    (without the query; ``#`` and what a form calls there behind it), ``holding``, a text (None: any), is in its query or body (a form's
    without its escapes) in letters of any size, and ``naming``, the id of a record (None: any), stands in its path, query or body as a
    word of its own. With ``returning``, a text, it must be in the answer that it would get: such a request is carried out, whatever
    the kind. The first ``skip`` matching requests pass, the next ``times`` fail (None: all).

    | kind | what the client sees | executed |
    |---|---|---|
    | status | ``status`` (503 if None) with ``headers`` and ``body`` (text, or anything JSON can write) | no |
    | rows | ``status`` (200 if None) with a list that holds ``body`` for each row of the request | no |
    | html | ``status`` (200 if None) with an HTML page or ``body`` | no |
    | drop_before | the connection closes without an answer | no |
    | drop_after | the connection closes without an answer | yes |
    | late | the connection closes without an answer | yes, once ``until`` is set |
    | delay | the true answer | yes |
    | hold | the true answer, as it was when the request came | yes, at once |
    | bend | the true answer, its JSON changed by ``bend`` | yes |

    ``seconds`` is waited before any of them (after a held answer is made), and then, but for late, for ``until`` to be set.
    """

    method: str | None = None
    path: str = ""
    kind: Kind = "status"
    times: int | None = 1
    skip: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 0.0
    until: threading.Event | None = None
    service: str | None = None
    holding: str | None = None
    naming: str | None = None
    returning: str | None = None
    bend: Callable[[Any], Any] = lambda answer: answer

    def concerns(self, *, service: str, method: str, path: str, content: str = "", answer: str | None = None) -> bool:
        """Whether a request is one of those that this fault is planned for; ``answer``: what it would get, once that is known."""
        return (
            (self.returning is None if answer is None else self.returning is not None and self.returning in answer)
            and self.service in (None, service)
            and (self.method is None or self.method.upper() == method.upper())
            and re.search(self.path, path) is not None
            and (self.holding is None or self.holding.casefold() in content.casefold())
            and (self.naming is None or re.search(rf"(?<!\w){re.escape(self.naming)}(?!\w)", f"{path}\n{content}") is not None)
        )


class Faults:
    """The faults planned for all stand-ins of one sandbox, tried in the order of their planning; safe over threads."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._seen: list[int] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Plan a fault."""
        with self._lock:
            self._planned.append(fault)
            self._seen.append(0)

    def clear(self, service: str | None = None) -> None:
        """Forget the faults planned for a service; every planned fault where none is named."""
        with self._lock:
            kept = [number for number, fault in enumerate(self._planned) if service is not None and fault.service != service]
            self._planned[:], self._seen[:] = [self._planned[number] for number in kept], [self._seen[number] for number in kept]

    def open(self) -> list[Fault]:
        """The faults that have not been applied as often as planned; those without an end are always among them."""
        with self._lock:
            return [
                fault
                for fault, seen in zip(self._planned, self._seen, strict=True)
                if fault.times is None or seen < fault.skip + fault.times
            ]

    def look_at_answers(self) -> bool:
        """Whether any fault is planned for what is answered."""
        with self._lock:
            return any(fault.returning is not None for fault in self._planned)

    def take(self, *, service: str, method: str, path: str, content: str = "", answer: str | None = None) -> Fault | None:
        """The fault to apply to a request, counted as applied; None when it passes. ``content``: its query and its body.

        ``answer``: None for the faults that look at the request alone, else what it would get, for the others.
        """
        with self._lock:
            for position, fault in enumerate(self._planned):
                if not fault.concerns(service=service, method=method, path=path, content=content, answer=answer):
                    continue
                seen = self._seen[position]
                if fault.times is not None and seen >= fault.skip + fault.times:
                    continue
                self._seen[position] = seen + 1
                if seen >= fault.skip:
                    return fault
        return None
