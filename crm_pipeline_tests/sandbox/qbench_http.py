"""A plain HTTP client for the QBench stand-in, as someone else would write it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import jwt

from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.qbench import QBenchTenant, qbench_app
from crm_pipeline.sandbox.server import serve

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN = "/qbench/oauth2/v1/token"
API = "/qbench/api/v2"


def plain_client(url: str = "") -> httpx.Client:
    """A client for plain HTTP: without the certificates whose loading takes longer than a test."""
    return httpx.Client(base_url=url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, timeout=60)


def assertion(tenant: QBenchTenant, *, key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    now = int(time.time())
    content = {"sub": tenant.client_id, "iat": now, "exp": now + 3300} | claims
    return jwt.encode(
        {name: value for name, value in content.items() if value is not None}, key or tenant.client_secret, algorithm=algorithm
    )


def sign_in(client: httpx.Client, text: str) -> httpx.Response:
    return client.post(TOKEN, data={"grant_type": GRANT_TYPE, "assertion": text})


@contextmanager
def client_of(tenant: QBenchTenant) -> Iterator[httpx.Client]:
    """A signed-in client whose paths begin behind ``/qbench/api/v2`` where they do not name the whole path."""
    with serve({"qbench": qbench_app(tenant)}, journal=Journal(), faults=Faults()) as urls, plain_client(urls["qbench"]) as client:
        token = sign_in(client, assertion(tenant)).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def listed(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(API + path, params=query)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def ids(client: httpx.Client, path: str, **query: Any) -> list[int]:
    return [row["id"] for row in listed(client, path, **query)["data"]]
