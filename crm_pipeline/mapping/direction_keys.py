"""What a user writes about the way of a mapped field: the keys ``direction`` and ``rule`` of the YAML."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, Field

from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.mapping.directions import Direction, Rule

Way = Literal["to_crm", "from_crm", "both"]

QBENCH = "qbench"
"""What ``prefer`` calls the side that is no CRM."""


def _names_one(value: object) -> object:
    if isinstance(value, str):
        return value
    raise ValueError("only one side can be preferred: name one CRM of this integration, or qbench")


def _is_a_rule(value: object) -> object:
    if value == Rule.LATER or isinstance(value, dict | Prefer):
        return value
    raise ValueError("must be `later`, or name whose value stands: `{prefer: <crm>}` or `{prefer: qbench}`")


class Prefer(YamlModel):
    """Whose value stands where both sides changed a field."""

    prefer: Annotated[
        str,
        BeforeValidator(_names_one),
        Field(
            description="A CRM, whose value stands unless it is blank; or qbench.",
            examples=["salesforce", QBENCH],
        ),
    ]


WrittenDirection = Annotated[
    Way | dict[str, Way],
    Field(
        description="to_crm: QBench's value is sent; from_crm: the CRM's value is taken into QBench and none is sent; both: whichever "
        "side changed. Per CRM as {<crm>: <direction>}, where a CRM that is not named is sent to.",
        examples=["both", {"salesforce": "from_crm", "hubspot": "to_crm"}],
        # What holds without the key is no part of a mapping's digest: a file that does not ask is the mapping that it was.
        exclude_if=lambda direction: direction == Direction.TO_CRM,
    ),
]
WrittenRule = Annotated[
    Literal["later"] | Prefer,
    BeforeValidator(_is_a_rule),
    Field(
        description="Of a field that goes both ways and was changed on both sides: the later change stands, or that of the preferred side.",
        examples=["later", {"prefer": "salesforce"}, {"prefer": QBENCH}],
        exclude_if=lambda rule: rule == Rule.LATER,
    ),
]


class Directed(Protocol):
    """What is mapped with the two keys: a field, or an address."""

    @property
    def direction(self) -> Way | dict[str, Way]:
        """The way, for all CRMs or by CRM."""
        ...

    @property
    def rule(self) -> Literal["later"] | Prefer:
        """Whose value stands where both sides changed it."""
        ...


def direction_in(entry: Directed, crm: str) -> Direction:
    """The way of a mapped field, or address, between QBench and one CRM."""
    way = entry.direction if isinstance(entry.direction, str) else entry.direction.get(crm, "to_crm")
    return Direction(way)


def rule_in(entry: Directed, crm: str) -> Rule:
    """Whose value of a mapped field, or address, stands between QBench and one CRM.

    Where another CRM is preferred, QBench is preferred to this one: it holds that other CRM's value.
    """
    if not isinstance(entry.rule, Prefer):
        return Rule.LATER
    return Rule.PREFER_CRM if entry.rule.prefer == crm else Rule.PREFER_QBENCH
