"""What a user writes about HubSpot in the YAML."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm_pipeline.calls import DEFAULT_ATTEMPTS
from crm_pipeline.configuration.model import EnvVariable, YamlModel, web_address
from crm_pipeline.crms.base import CrmSettings, ExternalKey
from crm_pipeline.crms.hubspot.paths import PathFamily


class HubSpotLimits(YamlModel):
    """How much of the account's API limits is taken, together by all integrations of a database that use its token.

    The defaults are those of Professional and Enterprise accounts (source: HubSpot's usage guidelines).
    """

    calls: Annotated[
        int,
        Field(ge=1, description="Most calls within `seconds`; 100 on Free and Starter, 250 with the API increase pack.", examples=[100]),
    ] = 190
    seconds: Annotated[float, Field(gt=0, description="Length of the window that `calls` speaks of, in seconds.", examples=[10])] = 10
    searches_per_second: Annotated[
        int,
        Field(ge=1, description="Most searches per second; HubSpot allows 5 to the whole account, other tools included.", examples=[4]),
    ] = 5


class HubSpotSettings(CrmSettings):
    """HubSpot's part of the YAML."""

    external_key: Annotated[ExternalKey, Field(examples=["qbench_id"])] = None
    token: Annotated[
        EnvVariable,
        Field(description="Service key or private app token.", examples=[{"env": "HUBSPOT_TOKEN"}]),
    ]
    url: Annotated[
        str,
        web_address("https://api.hubapi.com"),
        Field(description="Address of the API; another one only for a stand-in.", examples=["https://api.hubapi.com"]),
    ] = "https://api.hubapi.com"
    path_family: Annotated[
        PathFamily,
        Field(
            description="The API's paths: v3 (with v4 associations; unsupported from 2027 on) or the dated 2026-03.",
            examples=["2026-03"],
        ),
    ] = "v3"
    limits: Annotated[
        HubSpotLimits,
        Field(
            description="How much of the account's API limits is taken, together by all integrations of a database that use its token.",
            examples=[{"calls": 100, "seconds": 10}],
        ),
    ] = HubSpotLimits()
    keep_free: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of the account's daily calls left to others: below it the load stops and the next run continues.",
            examples=[0.2],
        ),
    ] = 0.1
    timeout_seconds: Annotated[
        float, Field(gt=0, description="Longest wait for a connection, and for an answer, in seconds.", examples=[30])
    ] = 60
    attempts: Annotated[
        int, Field(ge=1, description="How often a call is made in all while HubSpot is busy or cannot be reached.", examples=[8])
    ] = DEFAULT_ATTEMPTS
    calls_in_flight: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="The most writes that are under way, within `limits`: half of them are being answered, and of half the answers "
            "are being stored. 40 are enough where HubSpot answers within half a second; only as it takes longer they are more. Records "
            "are read by their ids in half as many calls at the same time, and in 20 at most.",
            examples=[8],
        ),
    ] = 100
    association_batch_size: Annotated[
        int,
        Field(
            ge=1,
            le=2000,
            description="Contacts associated with their companies per call; HubSpot documents 1,000 for reading and none for writing.",
            examples=[500],
        ),
    ] = 1000
    search_lag_seconds: Annotated[
        float,
        Field(
            ge=0,
            description=(
                "How long a new company may be missing from search, in seconds (assumed; HubSpot says: a few). Without an external key, "
                "a company whose creation was interrupted is created again at the earliest after this time, timeout_seconds and "
                "late_seconds."
            ),
            examples=[60],
        ),
    ] = 30
    sensitive_properties: Annotated[
        bool,
        Field(
            description="Map properties that hold sensitive data; costs one more call per object and run and needs their scopes "
            "(crm.objects.contacts.sensitive.read.v2, …).",
            examples=[True],
        ),
    ] = False
