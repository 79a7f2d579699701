"""The base of every model of the YAML, and its common values: names of credentials, addresses that hold none, lists."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from crm_pipeline.errors import MissingCredentialError

_NOT_OF_A_CREDENTIAL = re.compile(r"[^\x20-\x7e]")


LONGEST_LABEL = 63
"""Most letters between two dots of a host's name (RFC 1035, 2.3.4)."""


class YamlModel(BaseModel):
    """Base of every model of the YAML: unknown keys are refused, values never appear in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class EnvVariable(YamlModel):
    """A credential by the name of the environment variable that holds it; its value is read when it is used."""

    env: Annotated[
        str,
        Field(
            description="Name of the environment variable that holds the value.",
            examples=["QBENCH_CLIENT_SECRET"],
            pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        ),
    ]

    def read(self, *, integration: str) -> str:
        """The variable's value now. Raises MissingCredentialError when it is unset or blank, or cannot be a credential."""
        value = os.environ.get(self.env, "").strip()
        if not value:
            raise MissingCredentialError(integration=integration, variable=self.env)
        if _NOT_OF_A_CREDENTIAL.search(value):
            # Neither a header nor a sign-in takes them, and a client library's refusal would repeat them.
            raise MissingCredentialError(
                integration=integration, variable=self.env, fault="holds a line break, a control character or one that is not ASCII"
            )
        return value


def sends_in_clear(url: str) -> bool:
    """Whether what is sent to an address can be read on its way: it begins with http:// and leads to another machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


class AllowsHttp(YamlModel):
    """Settings with an address (``url``, or a secret one), where secrets go unencrypted only if they say so."""

    allow_http: Annotated[
        bool,
        Field(
            description="Send secrets and records unencrypted to an address of another machine that begins with http://; only inside "
            "a trusted network.",
            examples=[True],
        ),
    ] = False

    @model_validator(mode="after")
    def _sends_nothing_in_clear(self) -> Self:
        url = getattr(self, "url", None)
        if url is not None and not self.allow_http and sends_in_clear(url):
            raise ValueError(
                "the `url` begins with http:// and leads to another machine: credentials would go there unencrypted; "
                "write https://, or set `allow_http: true` beside it inside a trusted network"
            )
        return self


def web_address(example: str, *, ends: Literal["after the host", "before ? and #"] = "after the host") -> AfterValidator:
    """The check of a service's address, which keeps it without its last slash. No error repeats it: it may hold a secret."""
    wanted = f"give an address alone, such as {example}"

    def check(url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            raise ValueError(f"this is no web address; {wanted}") from None
        if parts.scheme not in {"http", "https"}:
            raise ValueError(f"the address must begin with https:// (or http://); {wanted}")
        labels = (parts.hostname or "").removesuffix(".").split(".")
        if not all(0 < len(label) <= LONGEST_LABEL for label in labels) or any(character.isspace() for character in parts.netloc):
            raise ValueError(f"the address names no host; {wanted}")
        if "@" in parts.netloc:
            raise ValueError(f"the address must not hold credentials; {wanted}")
        path = parts.path.rstrip("/")
        if parts.query or parts.fragment or (path and ends == "after the host"):
            raise ValueError(f"the address must end {ends}; {wanted}")
        return f"{parts.scheme}://{parts.netloc}{path}"

    return AfterValidator(check)


def _named_by_number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_named(value: str) -> str:
    if not value.strip():
        raise ValueError("names no list; give its name or its id")
    return value


ListName = Annotated[str, BeforeValidator(_named_by_number), AfterValidator(_is_named)]
"""A list of a CRM, by its name or its id."""
