"""What an integration's YAML says of what grows: how long it is kept, and when the rest is removed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.configuration.scalars import cron

MOST_DAYS = 100_000
"""Who keeps all writes a large number; so many days ago there was a date still, to Python and to PostgreSQL."""


class Upkeep(YamlModel):
    """How long is kept what grows with time."""

    schedule: Annotated[
        str,
        AfterValidator(cron),
        Field(description="When to remove what is older, and to measure the database: cron, in UTC.", examples=["50 2 * * *"]),
    ] = "50 2 * * *"
    history_days: Annotated[
        int,
        Field(
            ge=7,
            le=MOST_DAYS,
            description="How many days the histories of outcomes and of changes are kept. The latest outcome of each record stays.",
            examples=[365],
        ),
    ] = 365
    events_days: Annotated[
        Annotated[int, Field(ge=30, le=MOST_DAYS)] | SkipJsonSchema[None],
        Field(
            description="Of successful runs that ended more days ago, remove from Dagster's event log what no asset, check or partition "
            "is shown by: log lines, the events of steps and checks, and the verdicts of checks but the latest. Left out, nothing is "
            "removed.",
            examples=[90],
        ),
    ] = None
