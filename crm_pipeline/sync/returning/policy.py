"""How far back are a CRM's changes looked for, and how many are too many to bring home without a person? What the YAML says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm_pipeline.configuration.model import YamlModel

A_HANDFUL = 5
"""This many changes are never too many, whatever their share: of ten records, one is ten percent."""


class ReturnPolicy(YamlModel):
    """How what people change in the CRMs is brought into QBench."""

    look_back_minutes: Annotated[
        float,
        Field(
            ge=0,
            description="How much earlier than its hour a window of changes begins, in minutes: a CRM may show a change later than the "
            "time that it gives to it.",
            examples=[15],
        ),
    ] = 15
    most_changed: Annotated[
        int,
        Field(
            ge=0,
            description="If more QBench records than this would change in one run, of one record type, it stops before it writes any.",
            examples=[200],
        ),
    ] = 200
    most_changed_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The same limit as a share of the linked records; the lower of the two counts, and five are never too many.",
            examples=[0.05],
        ),
    ] = 0.05

    @property
    def look_back_seconds(self) -> int:
        """How much earlier than its hour a window begins."""
        return round(self.look_back_minutes * 60)

    def limit(self, links: int) -> int:
        """How many QBench records one run may change, of a record type with this number of ``links``."""
        return min(self.most_changed, max(A_HANDFUL, int(self.most_changed_share * links)))
