"""What a user writes under ``crms.salesforce``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.calls import DEFAULT_ATTEMPTS
from crm_pipeline.configuration.model import EnvVariable, YamlModel, web_address
from crm_pipeline.crms.base import ExternalKey
from crm_pipeline.crms.leads import LeadKeepingSettings


class AutoAssign(YamlModel):
    """For which objects the organization's assignment rules run; nothing is said of those left out."""

    accounts: Annotated[
        bool | SkipJsonSchema[None], Field(description="With accounts; of territories, for instance.", examples=[False])
    ] = None
    contacts: Annotated[bool | SkipJsonSchema[None], Field(description="With contacts.", examples=[False])] = None
    leads: Annotated[bool | SkipJsonSchema[None], Field(description="With leads.", examples=[True])] = None


class SalesforceSettings(LeadKeepingSettings):
    """One Salesforce organization: its address, the External Client App to sign in with, and how gently to use it."""

    needed: ClassVar[tuple[str, ...]] = ("domain",)
    external_key: Annotated[ExternalKey, Field(examples=["QBench_Id__c"])] = None
    domain: Annotated[
        str | None,
        Field(
            description="My Domain without .salesforce.com; a sandbox's is like acme--uat.sandbox.my.",
            examples=["acme.my"],
        ),
    ] = None
    url: Annotated[
        Annotated[str, web_address("https://gateway.example.com/salesforce", ends="before ? and #")] | None,
        Field(
            description="Instead of domain: send every request here, to a stand-in or a gateway.",
            examples=["http://127.0.0.1:8081"],
        ),
    ] = None
    client_id: Annotated[
        EnvVariable,
        Field(
            description="Consumer key of the External Client App (client credentials flow), by environment variable.",
            examples=[{"env": "SALESFORCE_CLIENT_ID"}],
        ),
    ]
    client_secret: Annotated[
        EnvVariable,
        Field(
            description="Consumer secret of the External Client App, by environment variable.",
            examples=[{"env": "SALESFORCE_CLIENT_SECRET"}],
        ),
    ]
    api_version: Annotated[
        str,
        Field(description="Version of the REST API, 46.0 or later.", examples=["64.0"], pattern=r"^(4[6-9]|[5-9]\d|[1-9]\d\d)\.0$"),
    ] = "64.0"
    timeout_seconds: Annotated[
        float,
        Field(description="How long to wait for an answer. Salesforce itself ends a call after 600 seconds.", examples=[120], gt=0),
    ] = 120.0
    attempts: Annotated[
        int,
        Field(description="How often a call is made before the service counts as unavailable.", examples=[5], ge=1, le=20),
    ] = DEFAULT_ATTEMPTS
    calls_in_flight: Annotated[
        int,
        Field(
            description="The most writes that are under way: half of them are being answered, no two with contacts of one account, "
            "and of half the answers are being stored. Records are read by their ids in half as many calls at the same time.",
            examples=[4],
            ge=1,
            le=32,
        ),
    ] = 16
    bulk_from: Annotated[
        Literal["never"] | Annotated[int, Field(ge=500, le=100_000)],
        Field(
            description="From how many creates, or updates, of one object on a load sends as many by a job of Bulk API 2.0, which costs "
            "some ten calls, or by several where they are more than 100 MB; never: all go by calls of 200 records. No job runs assignment "
            "rules or saves past duplicate rules: none is made for what `auto_assign` is true for, for leads unless it is false for them, "
            "nor for writes that `allow_duplicates` names.",
            examples=[50_000, "never"],
        ),
    ] = 10_000
    bulk_seconds: Annotated[
        float,
        Field(description="After how many seconds a job that is not over is aborted; its other rows go by calls.", examples=[3600], gt=0),
    ] = 7200.0
    keep_free: Annotated[
        float,
        Field(
            description="Share of the organization's daily API calls that stays free for others: no write is begun below it, "
            "once an answer has told it.",
            examples=[0.1],
            ge=0,
            lt=1,
        ),
    ] = 0.1
    allow_duplicates: Annotated[
        Literal["none", "updates", "all"],
        Field(
            description="Which writes may save past duplicate rules in Alert mode: none, updates of linked records, or all.",
            examples=["updates"],
        ),
    ] = "none"

    auto_assign: Annotated[
        bool | AutoAssign | SkipJsonSchema[None],
        Field(
            description="Whether the organization's active assignment rules say who owns what is written, for all objects or for each: "
            "{leads: false}. Left out, nothing is said, and Salesforce runs them. They go before an `owner` of the YAML, and run with "
            "updates too.",
            examples=[False],
            exclude_if=lambda auto_assign: auto_assign is None,
        ),
    ] = None

    @property
    def permits(self) -> str:
        """Which duplicates may be saved."""
        return self.allow_duplicates

    def assigns(self, asset: str) -> bool | None:
        """Whether assignment rules are to run for the objects of this asset; None: nothing is said about it."""
        return getattr(self.auto_assign, asset, None) if isinstance(self.auto_assign, AutoAssign) else self.auto_assign

    @field_validator("domain")
    @classmethod
    def _is_my_domain(cls, domain: str | None) -> str | None:
        if domain is not None and (domain in {"login", "test"} or domain.endswith(".salesforce.com") or not _is_host(domain)):
            raise ValueError("give My Domain only: acme.my for https://acme.my.salesforce.com; login and test cannot be used")
        return domain

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.domain is None) == (self.url is None):
            raise ValueError("give either `domain` (My Domain, like acme.my) or `url` (an address to send every request to)")
        return self


def _is_host(text: str) -> bool:
    return bool(text) and all(part and part.replace("-", "").isalnum() for part in text.split("."))
