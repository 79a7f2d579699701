"""What a user writes about which records sync: the rules below ``only`` in the YAML."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from crm_pipeline.configuration.model import ListName, YamlModel

Scalar = str | int | float | bool

CUSTOMER_PREFIX = "customer."
"""Begins the name of a field that a contact's customer has."""


class Filter(YamlModel):
    """A rule on a QBench field, or several combined with ``all`` or ``any``."""

    all: Annotated[
        list[Filter] | None,
        Field(description="Every one of these must hold.", examples=[[{"field": "status", "is": "ACTIVE"}]]),
    ] = None
    any: Annotated[
        list[Filter] | None,
        Field(description="At least one of these must hold.", examples=[[{"field": "status", "is": "ACTIVE"}]]),
    ] = None
    field: Annotated[
        str | None,
        Field(description="QBench field; contact rules may name customer.<field>.", examples=["status", "customer.status"]),
    ] = None
    is_: Annotated[
        Scalar | None,
        Field(alias="is", description="The value equals this, case and outer white space apart.", examples=["ACTIVE"]),
    ] = None
    is_not: Annotated[Scalar | None, Field(description="The value does not equal this; a blank does not either.", examples=["TEST"])] = None
    in_: Annotated[list[Scalar] | None, Field(alias="in", description="The value is one of these.", examples=[["A", "B"]])] = None
    not_in: Annotated[list[Scalar] | None, Field(description="The value is none of these.", examples=[["A", "B"]])] = None
    contains: Annotated[str | None, Field(description="The text, or the list, contains this.", examples=["lab"])] = None
    starts_with: Annotated[str | None, Field(description="The text starts with this.", examples=["US-"])] = None
    is_blank: Annotated[bool | None, Field(description="The field is blank (true) or filled (false).", examples=[False])] = None
    greater_than: Annotated[float | None, Field(description="The number is greater than this.", examples=[10])] = None
    crm_list: Annotated[
        dict[str, ListName] | None,
        Field(
            description="The record is in this list of the CRM, {<crm>: <name or id>}, or not in that CRM yet. Stands in the `only` of "
            "accounts or contacts by itself, or in its `all`, and holds for that CRM, both ways.",
            examples=[{"hubspot": "Lab customers"}],
            exclude_if=lambda lists: lists is None,
        ),
    ] = None

    OPERATORS: ClassVar[tuple[str, ...]] = (
        "is_", "is_not", "in_", "not_in", "contains", "starts_with", "is_blank", "greater_than",
    )  # fmt: skip

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        empty = [name for name in ("all", "any", "in_", "not_in", "crm_list") if getattr(self, name) in ([], {})]
        if empty:
            raise ValueError(f"`{empty[0].rstrip('_')}` names nothing; give it at least one, or leave the rule out")
        combined = [name for name in ("all", "any") if getattr(self, name) is not None]
        operators = [name for name in self.OPERATORS if getattr(self, name) is not None]
        if self.crm_list is not None:
            combined.append("crm_list")
        if self.field is None and len(combined) == 1 and not operators:
            return self
        if self.field is not None and not combined and len(operators) == 1:
            return self
        names = ", ".join(name.rstrip("_") for name in self.OPERATORS)
        raise ValueError(f"a rule is either one of `all`/`any` with a list, or `crm_list`, or a `field` with exactly one of: {names}")
