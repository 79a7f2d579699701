"""What a user writes under ``alerts``: who is told of incidents, and what counts as one."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.configuration.model import AllowsHttp, EnvVariable, YamlModel

_ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("is no e-mail address; give one without a name, for example data@example.org")
    return value


def _someone(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names nobody; give at least one e-mail address")
    return value


Address = Annotated[str, AfterValidator(_address)]


class EmailSettings(YamlModel):
    """A mail server that takes alerts by SMTP, and who writes to whom."""

    host: Annotated[str, Field(description="The mail server's name.", examples=["smtp.example.org"], min_length=1)]
    port: Annotated[int, Field(description="Its port: 587 for starttls, 465 for tls.", examples=[587], ge=1, le=65535)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="starttls encrypts after a greeting, tls from the first byte; none only inside a trusted network.", examples=["tls"]
        ),
    ] = "starttls"
    sender: Annotated[
        Address,
        Field(alias="from", description="The address that alerts come from.", examples=["crm-pipeline@example.org"]),
    ]
    to: Annotated[
        tuple[Address, ...],
        AfterValidator(_someone),
        Field(description="The addresses that alerts go to.", examples=[["data@example.org"]]),
    ]
    username: Annotated[
        EnvVariable | SkipJsonSchema[None],
        Field(description="User of the mail server; leave out where it asks for none.", examples=[{"env": "SMTP_USERNAME"}]),
    ] = None
    password: Annotated[
        EnvVariable | SkipJsonSchema[None],
        Field(description="That user's password.", examples=[{"env": "SMTP_PASSWORD"}]),
    ] = None

    @model_validator(mode="after")
    def _signs_in_safely(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give both username and password, or neither")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent unencrypted; set security to starttls or tls, or leave out username and password")
        return self


class AlertSettings(AllowsHttp):
    """Where incidents are told, and from when on something is one. Failed runs and ticks, and stuck records, always are."""

    slack: Annotated[
        EnvVariable | SkipJsonSchema[None],
        Field(
            description="Address of an incoming webhook of Slack, or of anything that takes `{text: ...}` as Slack does; it is a secret.",
            examples=[{"env": "SLACK_WEBHOOK_URL"}],
        ),
    ] = None
    webhook: Annotated[
        EnvVariable | SkipJsonSchema[None],
        Field(
            description="Address that is posted JSON: the text, the integration, and each incident with its key, state, run and times.",
            examples=[{"env": "ALERTS_WEBHOOK_URL"}],
        ),
    ] = None
    email: Annotated[
        EmailSettings | SkipJsonSchema[None],
        Field(
            description="Mail server, sender and receivers.",
            examples=[{"host": "smtp.example.org", "from": "crm-pipeline@example.org", "to": ["data@example.org"]}],
        ),
    ] = None
    consecutive_failures: Annotated[
        int,
        Field(
            description="How many runs of the same asset, or ticks of the same schedule or sensor, must fail before it is an incident.",
            examples=[3],
            ge=1,
        ),
    ] = 1
    failed_records: Annotated[
        int | SkipJsonSchema[None],
        Field(description="How many failed records in one CRM make an incident; left out, no number does.", examples=[50], ge=1),
    ] = None
    failed_share: Annotated[
        float | SkipJsonSchema[None],
        Field(
            description="What share of failed records among all records of one CRM makes an incident; left out, no share does.",
            examples=[0.05],
            gt=0,
            le=1,
        ),
    ] = None
    stuck_after_tries: Annotated[
        int,
        Field(
            description="After how many tries a record that fails for a passing cause is an incident of its CRM; "
            "a record that was given up always is.",
            examples=[6],
            ge=1,
        ),
    ] = 6
    silent_hours: Annotated[
        float | SkipJsonSchema[None],
        Field(
            description="After how many hours without a green load a CRM is an incident, from its first load on.",
            examples=[6],
            gt=0,
        ),
    ] = None
    timeout_seconds: Annotated[
        float,
        Field(
            description="Longest wait for a channel to take a message, in seconds. Dagster gives a tick 60 seconds; what does not arrive "
            "now is sent with the next one.",
            examples=[10],
            gt=0,
        ),
    ] = 5
    dagster_url: Annotated[
        str | SkipJsonSchema[None],
        Field(
            description="Address of the Dagster UI, for links to runs.",
            examples=["https://dagster.example.org"],
            pattern=r"^https?://[^\s?#@]+$",
        ),
    ] = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that incidents are told by."""
        return tuple(name for name in ("slack", "webhook", "email") if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _tells_someone(self) -> Self:
        if not self.channels:
            raise ValueError("tells nobody; give at least one of: slack, webhook, email")
        return self
