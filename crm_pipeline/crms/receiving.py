"""What a user writes about what comes back from a CRM: the key ``receive`` of its settings."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from crm_pipeline.configuration.model import ListName, YamlModel
from crm_pipeline.model import MODELS, RecordType


class ListOfEach(YamlModel):
    """A list for each record type; of one that is left out, all records come back."""

    accounts: Annotated[ListName | None, Field(description="The list of accounts, by name or id.", examples=["Lab customers"])] = None
    contacts: Annotated[ListName | None, Field(description="The list of contacts, by name or id.", examples=["Lab people"])] = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if self.accounts is None and self.contacts is None:
            raise ValueError("names no list; give one for `accounts`, for `contacts`, or for both")
        return self


class Receiving(YamlModel):
    """Which records of a CRM come back from it."""

    only_in_list: Annotated[
        ListName | ListOfEach,
        Field(
            description="Only what people change in records of this list comes back, and only such records are made in QBench; what is "
            "sent to the CRM does not ask for it. By name or id: one for each record type as {accounts: <list>, contacts: <list>}, or one "
            "name for all that come back, of each of which there must be a list of that name.",
            examples=["Lab customers", {"accounts": "Lab customers", "contacts": "Lab people"}],
        ),
    ]

    def list_of(self, record_type: RecordType) -> str | None:
        """The list of a record type; null where all its records come back."""
        named = self.only_in_list
        if isinstance(named, str):
            return named
        found: str | None = getattr(named, MODELS[record_type].plural)
        return found
