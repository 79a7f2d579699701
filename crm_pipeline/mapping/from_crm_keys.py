"""What a user writes about records that people made or deleted in a CRM: the key ``from_crm`` of the YAML."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.mapping.deletion_keys import WrittenWhenDeletedInCrm


class CreateInQBench(YamlModel):
    """Which records that people made in a CRM are made in QBench too."""

    only: Annotated[
        Filter | None,
        Field(
            description="Only CRM records that meet this rule, whose fields are named `<crm>.<field>`; left out, all of them.",
            examples=[{"field": "salesforce.Type", "in": ["Customer", "Prospect"]}],
        ),
    ] = None


class FromCrm(YamlModel):
    """What comes from the CRMs beside the fields of linked records."""

    create: Annotated[
        CreateInQBench | None,
        Field(
            description="Make records in QBench that people made in a CRM, once `sync_on` finds none there. A contact needs an account "
            "that syncs, and a valid email that no other contact in QBench has.",
            examples=[{"only": {"field": "salesforce.Type", "is": "Customer"}}],
        ),
    ] = None
    when_deleted: WrittenWhenDeletedInCrm = None
