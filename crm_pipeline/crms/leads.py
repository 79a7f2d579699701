"""What a user writes about contacts that a CRM takes as leads: the key ``contacts_as`` of a CRM that keeps leads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.crms.base import CrmSettings


class SomeLeads(YamlModel):
    """Which contacts go as leads."""

    only: Annotated[
        Filter,
        Field(
            description="Contacts that meet this rule go as leads, the others as contacts.",
            examples=[{"field": "status", "is": "PROSPECT"}],
        ),
    ]


class LeadRule(YamlModel):
    """The long form of ``contacts_as``: some go as leads."""

    lead: Annotated[
        SomeLeads, Field(description="The rule by which contacts go as leads.", examples=[{"only": {"field": "status", "is": "PROSPECT"}}])
    ]


class LeadKeepingSettings(CrmSettings):
    """The settings of a CRM that keeps leads."""

    contacts_as: Annotated[
        Literal["contact", "lead"] | LeadRule,
        Field(
            description="What QBench's contacts become here: contact; lead, where people make contacts of them; or "
            "{lead: {only: <rule>}}, leads where they meet the rule. How leads are mapped stands in `contacts.lead`. Whoever is there as "
            "a contact stays one, and a converted lead goes on as the contact that it became.",
            examples=["lead"],
        ),
    ] = "contact"

    @property
    def takes_leads(self) -> bool:
        """Whether any contact goes as a lead."""
        return self.contacts_as != "contact"

    @property
    def lead_rule(self) -> Filter | None:
        """The rule that a contact meets which goes as a lead; None: all do, if any."""
        return self.contacts_as.lead.only if isinstance(self.contacts_as, LeadRule) else None
