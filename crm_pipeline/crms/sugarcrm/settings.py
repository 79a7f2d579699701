"""What a user writes under ``crms.sugarcrm``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm_pipeline.calls import DEFAULT_ATTEMPTS
from crm_pipeline.configuration.model import EnvVariable, YamlModel, web_address
from crm_pipeline.crms.base import ExternalKey
from crm_pipeline.crms.leads import LeadKeepingSettings


class SugarLimits(YamlModel):
    """How gently the site is used: it limits nothing itself."""

    calls: Annotated[int, Field(ge=1, description="Most calls within `seconds`.", examples=[5])] = 20
    seconds: Annotated[float, Field(gt=0, description="Length of the window that `calls` speaks of, in seconds.", examples=[1])] = 1


class SugarSettings(LeadKeepingSettings):
    """One site of SuiteCRM 7 or 8, or SugarCRM CE: its address, a user of it, and how gently to use it."""

    external_key: Annotated[ExternalKey, Field(examples=["qbench_id_c"])] = None
    url: Annotated[
        str,
        web_address("https://crm.example.com", ends="before ? and #"),
        Field(
            description="Address of the site, below which service/v4_1/rest.php lies; of SuiteCRM 8 it ends in /legacy.",
            examples=["https://crm.example.com/legacy"],
        ),
    ]
    user: Annotated[EnvVariable, Field(description="Name of the user to sign in as.", examples=[{"env": "SUGARCRM_USER_NAME"}])]
    password: Annotated[EnvVariable, Field(description="That user's password.", examples=[{"env": "SUGARCRM_PASSWORD"}])]
    pages: Annotated[
        Literal["auto", "7", "8"],
        Field(
            description="Whose pages links to records lead to: those of SuiteCRM 7 and SugarCRM CE, or of SuiteCRM 8; auto goes by "
            "whether `url` ends in /legacy.",
            examples=["8"],
        ),
    ] = "auto"
    limits: Annotated[
        SugarLimits,
        Field(description="How gently the site is used; it limits nothing itself.", examples=[{"calls": 5, "seconds": 1}]),
    ] = SugarLimits()
    batch_size: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            description="Rows per call. A row takes some 40 ms there, and the web server ends calls that take too long.",
            examples=[100],
        ),
    ] = 50
    timeout_seconds: Annotated[float, Field(gt=0, description="Longest wait for an answer, in seconds.", examples=[60])] = 120
    attempts: Annotated[
        int, Field(ge=1, description="How often a call is made in all while the site is busy or cannot be reached.", examples=[8])
    ] = DEFAULT_ATTEMPTS

    @property
    def has_new_pages(self) -> bool:
        """Whether records are shown by SuiteCRM 8's pages."""
        return self.pages == "8" or (self.pages == "auto" and self.url.endswith("/legacy"))
