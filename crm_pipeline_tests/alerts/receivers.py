"""Those who are told: a web server that takes posts, and a mail server. Both listen on real sockets and keep what they are given."""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass
class Mailbox:
    """What a mail server was given; it answers a message with ``answer``. ``signed_in``: user and password, as they came."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    signed_in: list[tuple[str, str]] = field(default_factory=list)
    answer: str = "250 taken"


PATIENT = {"timeout_seconds": 60}
"""Settings of alerts for a slow machine, whose receivers answer late."""


@dataclass
class Hook:
    """What was posted to a web server, by path; it answers with ``statuses`` in turn, then with 200.

    ``garbled``: its answers' content is not packed as they say.
    """

    url: str = ""
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    garbled: bool = False

    def texts(self) -> list[str]:
        """The texts posted so far; forgets them."""
        texts = [body["text"] for _, body in self.posts]
        self.posts.clear()
        return texts


@contextmanager
def web_hook() -> Iterator[Hook]:
    """A web server on a free port."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 200:
                hook.posts.append((self.path, body))
            self.send_response(status)
            if hook.garbled:
                self.send_header("content-encoding", "gzip")
            self.end_headers()
            self.wfile.write(b"ok" if hook.garbled else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        hook.url = f"http://127.0.0.1:{port}/services/T0/B0/secret-path"
        yield hook


@contextmanager
def mail_server(security: Literal["none", "starttls", "tls"] = "none", certificate: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """A mail server on a free port. An encrypted one shows ``certificate``, and lets only an encrypted connection sign in."""
    mailbox = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        encrypted = False

        def setup(self) -> None:
            super().setup()
            if security == "tls":
                self._encrypt()

        def handle(self) -> None:
            self._say("220 stand-in")
            while line := self.rfile.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                match verb.upper():
                    case "DATA":
                        self._say("354 go on")
                        self._take()
                    case "QUIT":
                        self._say("221 bye")
                        return
                    case "EHLO":
                        self._say("250-stand-in")
                        self._say("250 AUTH PLAIN" if self.encrypted else "250 STARTTLS" if security == "starttls" else "250 HELP")
                    case "STARTTLS" if security == "starttls":
                        self._say("220 go on")
                        self._encrypt()
                    case "AUTH" if self.encrypted:
                        _, user, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
                        mailbox.signed_in.append((user, password))
                        self._say("235 welcome")
                    case "RCPT":
                        mailbox.receivers.append(line.partition("<")[2].rstrip(">"))
                        self._say("250 fine")
                    case "MAIL" | "RSET":
                        self._say("250 fine")
                    case _:
                        self._say("502 not here")

        def _encrypt(self) -> None:
            assert certificate is not None
            self.finish()
            self.request = certificate.wrap_socket(self.request, server_side=True)
            super().setup()
            self.encrypted = True

        def finish(self) -> None:
            super().finish()
            if self.encrypted:
                # The server closes the plain socket, which this one has taken over.
                self.request.close()

        def _take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b"."))
            if mailbox.answer.startswith("250"):
                mailbox.messages.append(message_from_bytes(b"".join(lines), policy=policy.default))
            self._say(mailbox.answer)

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as mailbox.port:
        yield mailbox


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
