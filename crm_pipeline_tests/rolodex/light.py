"""Rolodex Light, an edition that can do less: what its kind says of that, the core and the conformance suite go by.

It keeps no field unique, takes two records in a call, checks no value, and writes texts in capitals.
"""

from __future__ import annotations

from dataclasses import replace

from crm_pipeline import Capabilities, Crm, CrmSettings, Verb

from . import KIND as FULL_KIND
from . import RolodexSettings


def _connect(settings: CrmSettings, integration: str) -> Crm:
    from .client import RolodexCrm

    if not isinstance(settings, RolodexSettings):
        raise TypeError("Rolodex Light is connected with RolodexSettings")
    return RolodexCrm(settings, integration, capabilities=KIND.capabilities)


KIND = replace(
    FULL_KIND,
    name="rolodex_light",
    title="Rolodex Light",
    capabilities=Capabilities(
        batch_size=2,
        association_batch_size=1,
        parent_goes_with=frozenset({Verb.UPDATE}),
        unique_keys=False,
        validates=False,
        keeps_text=False,
    ),
    connect=_connect,
)
