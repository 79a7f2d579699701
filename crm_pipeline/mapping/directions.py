"""Which way does a mapped field travel between QBench and one CRM, and whose value stands where both sides changed it?"""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """The way of one field: to the CRM, from it, or both."""

    TO_CRM = "to_crm"
    FROM_CRM = "from_crm"
    BOTH = "both"

    @property
    def goes_out(self) -> bool:
        """Whether QBench's value is sent to the CRM."""
        return self is not Direction.FROM_CRM

    @property
    def comes_back(self) -> bool:
        """Whether the CRM's value is taken into QBench."""
        return self is not Direction.TO_CRM


class Rule(StrEnum):
    """Whose value stands where a field that goes both ways was changed on both sides."""

    LATER = "later"
    PREFER_CRM = "prefer_crm"
    PREFER_QBENCH = "prefer_qbench"
