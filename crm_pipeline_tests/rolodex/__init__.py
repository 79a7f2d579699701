"""Rolodex, a small CRM that there is not: what a package that brings a CRM looks like. CONTRIBUTING.md walks through it.

It has no owners and tells no merges; ``light`` can do less still. Tests install a copy of this folder beside crm-pipeline, as ``crm_mine``.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from crm_pipeline import (
    OTHER_PHONE_TYPE,
    AddressPreset,
    Capabilities,
    Crm,
    CrmKind,
    CrmObject,
    CrmSettings,
    EnvVariable,
    ExternalKey,
    Preset,
    RecordType,
    web_address,
)


class RolodexSettings(CrmSettings):
    """Rolodex's part of the YAML."""

    external_key: Annotated[ExternalKey, Field(examples=["qbench_id"])] = None
    url: Annotated[
        str,
        web_address("https://rolodex.example"),
        Field(description="Address of the API.", examples=["https://rolodex.example"]),
    ]
    token: Annotated[EnvVariable, Field(description="The API's token.", examples=[{"env": "ROLODEX_TOKEN"}])]
    attempts: Annotated[int, Field(ge=1, description="How often a call is made in all.", examples=[8])] = 5
    timeout_seconds: Annotated[float, Field(gt=0, description="Longest wait for an answer, in seconds.", examples=[30])] = 60


def _connect(settings: CrmSettings, integration: str) -> Crm:
    # Imported at first use: whoever only loads definitions does not pay for the client.
    from .client import RolodexCrm

    if not isinstance(settings, RolodexSettings):
        raise TypeError("Rolodex is connected with RolodexSettings")
    return RolodexCrm(settings, integration)


def _record_id(typed: str) -> str:
    if not typed.strip().startswith("r"):
        raise ValueError(f"{typed.strip()!r} is no Rolodex id; those begin with r")
    return typed.strip()


_PLACE = AddressPreset(
    types=("billing", "shipping"),
    fields=MappingProxyType({"street": ("street_1", "street_2"), "city": ("city",), "country": ("country",)}),
    separator=", ",
)

FIRMS = CrmObject(
    record_type=RecordType.ACCOUNT,
    name="firms",
    asset="firms",
    preset=Preset(
        fields=MappingProxyType({"name": "name", "description": "notes", "number_of_employees": "headcount"}),
        phones=MappingProxyType({OTHER_PHONE_TYPE: "phone"}),
        addresses=(_PLACE,),
    ),
)
PEOPLE = CrmObject(
    record_type=RecordType.CONTACT,
    name="people",
    asset="people",
    preset=Preset(
        fields=MappingProxyType({"email": "email", "first_name": "first", "last_name": "last"}),
        phones=MappingProxyType({OTHER_PHONE_TYPE: "phone"}),
        addresses=(),
    ),
)

PROSPECTS = replace(PEOPLE, name="prospects")
"""People who are no customer's yet. Nobody is made a prospect; whoever is linked as one is written to and looked at there."""

KIND = CrmKind(
    name="rolodex",
    title="Rolodex",
    objects=MappingProxyType({RecordType.ACCOUNT: (FIRMS,), RecordType.CONTACT: (PEOPLE, PROSPECTS)}),
    owner_field=None,
    capabilities=Capabilities(batch_size=50, association_batch_size=50),
    settings=RolodexSettings,
    connect=_connect,
    record_id=_record_id,
    client_loggers=("httpx", "httpcore"),
)
