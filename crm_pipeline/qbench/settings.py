"""How an integration reaches its QBench tenant: the ``qbench`` part of the YAML."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from crm_pipeline.calls import Waits
from crm_pipeline.configuration.model import AllowsHttp, EnvVariable, YamlModel, web_address
from crm_pipeline.model import MODELS, RecordType

LARGEST_PAGE = 50


class QBenchLimits(YamlModel):
    """How much may be asked of the tenant. Source of the defaults: QBench's API documentation (10 at a time, 300 per 60 s)."""

    calls: Annotated[int, Field(description="Most calls within `seconds`.", examples=[300], ge=1)] = 300
    seconds: Annotated[
        float, Field(description="Length of the sliding window that `calls` counts in, in seconds.", examples=[60], gt=0)
    ] = 60
    concurrent: Annotated[int, Field(description="Most calls at one time.", examples=[10], ge=1)] = 10


class QBenchSettings(AllowsHttp):
    """The tenant, the credentials' names, and how it is read.

    Assumed, because QBench does not document it: ``overlap_seconds``, ``time_zone``, which of the two token endpoints a
    tenant has open (``sign_in``; the first was observed on live tenants, the second is in the API's own document), and
    ``record_page`` (that of samples, ``/sample?id=``, was observed on live tenants).
    """

    url: Annotated[
        str,
        web_address("https://acme.qbench.net"),
        Field(description="The tenant's address, without a path.", examples=["https://acme.qbench.net"]),
    ]
    client_id: Annotated[
        EnvVariable,
        Field(description="Id of the API client made for this integration in QBench.", examples=[{"env": "QBENCH_CLIENT_ID"}]),
    ]
    client_secret: Annotated[EnvVariable, Field(description="Secret of that API client.", examples=[{"env": "QBENCH_CLIENT_SECRET"}])]
    sign_in: Annotated[
        Literal["oauth2", "api_v2"],
        Field(
            description="Where tokens are asked for: oauth2 is /qbench/oauth2/v1/token, api_v2 is /qbench/api/v2/auth/token.",
            examples=["oauth2"],
        ),
    ] = "oauth2"
    limits: Annotated[
        QBenchLimits,
        Field(description="How much may be asked of the tenant; lower it to leave room for others.", examples=[{"calls": 200}]),
    ] = QBenchLimits()
    timeout_seconds: Annotated[float, Field(description="Longest wait for an answer, in seconds.", examples=[30], gt=0)] = 30
    attempts: Annotated[
        int, Field(description="How often a call is made before the run gives up, the first included.", examples=[5], ge=1)
    ] = 5
    waits: Annotated[Waits, Field(description="The waits between the attempts of one call.", examples=[{"longest_seconds": 600}])] = Waits()
    page_size: Annotated[int, Field(description="Records per call; QBench gives at most 50.", examples=[50], ge=1, le=LARGEST_PAGE)] = (
        LARGEST_PAGE
    )
    overlap_seconds: Annotated[
        int,
        Field(
            description="How many seconds before its window a read begins, for records that QBench shows late.",
            examples=[120],
            ge=0,
        ),
    ] = 120
    time_zone: Annotated[
        str,
        Field(
            description="IANA time zone of QBench's dates that carry none: of `last_updated`, and of mapped fields.",
            examples=["America/Chicago"],
        ),
    ] = "UTC"

    record_page: Annotated[
        str,
        Field(
            description="The page of a record in the tenant, behind `url`, for links that people follow: {record} is customer or contact, "
            "{id} its id.",
            examples=["/{record}?id={id}"],
            pattern=r"^/.*\{id\}",
        ),
    ] = "/{record}?id={id}"

    updates_probe: Annotated[
        bool,
        Field(
            description="Ask QBench's probe for changes (API v1) each hour in place of the list of deleted records, then read only "
            "where the probe names some. It shows within the hour what is deleted without a new last_updated. For tenants that answer it.",
            examples=[True],
        ),
    ] = False

    writes: Annotated[
        bool,
        Field(
            description="Let what people change in a CRM be written into QBench; goes with a `direction` in `map`. Without it QBench is "
            "never written.",
            examples=[True],
        ),
    ] = False

    marker_field: Annotated[
        str | None,
        Field(
            description="An additional field of customers and contacts that says of which CRM record one was made, by `from_crm.create`: "
            "<crm>:<id>. Where an answer is lost, the record is found by it; without it, by all that was sent.",
            examples=["crm_key"],
        ),
    ] = None

    def record_url(self, record_type: RecordType, qbench_id: int) -> str:
        """The page of a record in QBench's own UI."""
        record = MODELS[record_type].qbench_object.removesuffix("s")
        return self.url + self.record_page.replace("{record}", record).replace("{id}", str(qbench_id))

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        if name != "UTC":
            try:
                ZoneInfo(name)
            except (OSError, ValueError, KeyError):
                raise ValueError("this is no IANA time zone; give a name such as America/Chicago, or UTC") from None
        return name
