"""What a user writes about who owns new CRM records: the key ``owner`` of the YAML."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.model import YamlModel


class OwnerRule(YamlModel):
    """Who owns a new CRM record: ``{<crm>: <user>}`` per CRM, for the records that meet ``only``."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | int]

    only: Annotated[
        Filter | None,
        Field(description="Which records the rule is for; left out, all.", examples=[{"field": "country_name", "is": "US"}]),
    ] = None

    @property
    def users(self) -> dict[str, str]:
        """The user of each CRM, as the YAML names it."""
        return {crm: str(user).strip() for crm, user in (self.__pydantic_extra__ or {}).items()}

    @property
    def takes_accounts_owner(self) -> bool:
        """Whether the owner is that of the contact's account."""
        return False

    @model_validator(mode="after")
    def _names_an_owner(self) -> Self:
        if bool(self.users) == self.takes_accounts_owner:
            raise ValueError("an owner rule names a user per CRM as {<crm>: <user>}, or, for contacts, has same_as_account: true")
        return self


class ContactOwnerRule(OwnerRule):
    """Who owns a new contact: a user per CRM, or the owner of its account."""

    same_as_account: Annotated[bool, Field(description="The contact is owned by whoever owns its account.", examples=[True])] = False

    @property
    def takes_accounts_owner(self) -> bool:
        """Whether the owner is that of the contact's account."""
        return self.same_as_account
