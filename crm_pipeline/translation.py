"""The key `translation:` of the YAML: what Dagster shows of the assets, as their users' project has it. Knows no Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.configuration.model import YamlModel


class AssetTranslation(YamlModel):
    """What the assets of the integration are called in Dagster, and how they are shown there; left out, as the documents say.

    Every value may hold templates: `{{ props.integration }}`, `{{ props.service }}` (qbench, normalized, or the CRM), `{{ props.object }}`
    (customers, accounts, contacts, companies, links, resync, deletions, waiting_contacts; of what comes back account_changes,
    customers_from_salesforce and the like), `{{ props.record_type }}`, `{{ props.upkeep }}`, and
    `{{ spec }}`, the asset without a translation.
    """

    key: Annotated[
        str | SkipJsonSchema[None],
        Field(
            description="The asset's key, its parts divided by /. Another key is another asset to Dagster: it has no history.",
            examples=["crm/{{ props.service }}/{{ props.integration }}_{{ props.object }}"],
        ),
    ] = None
    key_prefix: Annotated[
        str | tuple[str, ...] | SkipJsonSchema[None],
        Field(description="Put before the key.", examples=["crm", ["lab", "crm"]]),
    ] = None
    group_name: Annotated[
        str | SkipJsonSchema[None],
        Field(description="The asset's group; a part of another one behind a /.", examples=["{{ props.integration }}/{{ props.service }}"]),
    ] = None
    description: Annotated[
        str | SkipJsonSchema[None],
        Field(description="What the asset is, instead of our words.", examples=["{{ spec.description }} Ask team data."]),
    ] = None
    owners: Annotated[
        str | tuple[str, ...] | SkipJsonSchema[None],
        Field(description="E-mail addresses or team:<name>, instead of the integration's `owners`.", examples=[["team:crm"]]),
    ] = None
    tags: Annotated[
        str | Mapping[str, str | int | float | bool] | SkipJsonSchema[None],
        Field(description="Tags, beside those that the asset has.", examples=[{"domain": "crm"}]),
    ] = None
    kinds: Annotated[
        str | tuple[str, ...] | SkipJsonSchema[None],
        Field(description="What the asset shows as its kinds, instead of ours.", examples=[["{{ props.service }}"]]),
    ] = None
    metadata: Annotated[
        str | Mapping[str, Any] | SkipJsonSchema[None],
        Field(description="Metadata, beside that which the asset has.", examples=[{"runbook": "https://wiki.example.org/crm"}]),
    ] = None
    code_version: Annotated[
        str | SkipJsonSchema[None],
        Field(description="A version for Dagster to compare.", examples=["2"]),
    ] = None


class Translated(YamlModel):
    """The key `translation` itself."""

    translation: Annotated[
        AssetTranslation | str | SkipJsonSchema[None],
        Field(
            description="Other keys, groups, owners, tags, kinds or metadata for the assets in Dagster, by templates; or one template that "
            "gives an asset spec or a table of these.",
            examples=[{"group_name": "{{ props.service }}"}, "{{ translate(spec, props) }}"],
        ),
    ] = None
