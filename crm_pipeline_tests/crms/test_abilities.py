"""docs/crms.md: the table of what the CRMs can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import crm_pipeline
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.crms.hubspot import KIND as HUBSPOT
from crm_pipeline.crms.hubspot.client import HubSpotCrm
from crm_pipeline.crms.salesforce import KIND as SALESFORCE
from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.crms.sugarcrm import KIND as SUGARCRM
from crm_pipeline.crms.sugarcrm.client import SugarCrm
from crm_pipeline_tests.rolodex import KIND as ROLODEX
from crm_pipeline_tests.rolodex.client import RolodexCrm
from crm_pipeline_tests.rolodex.light import KIND as LIGHT

DOCUMENT = Path(crm_pipeline.__file__).parents[1] / "docs/crms.md"
CRMS: Mapping[str, tuple[CrmKind, type]] = {
    kind.title: (kind, client)
    for kind, client in (
        (SALESFORCE, SalesforceCrm),
        (HUBSPOT, HubSpotCrm),
        (SUGARCRM, SugarCrm),
        (ROLODEX, RolodexCrm),
        (LIGHT, RolodexCrm),
    )
}
ABILITIES: Mapping[str, Callable[[CrmKind, type], Any]] = {
    "have owners": lambda kind, client: kind.owner_field is not None and hasattr(client, "owners"),
    "tell merges": lambda _, client: hasattr(client, "examine"),
    "tell which records left lately": lambda _, client: hasattr(client, "left"),
    "tell which records changed when": lambda _, client: hasattr(client, "changed"),
    "tell when a field was edited": lambda _, client: hasattr(client, "edits"),
    "tell what a field held before": lambda _, client: hasattr(client, "versions"),
    "keep lists of records": lambda kind, client: kind.capabilities.keeps_lists and hasattr(client, "members"),
    "put records into a bin": lambda _, client: hasattr(client, "remove"),
    "keep leads that become contacts": lambda _, client: hasattr(client, "converted"),
    "show its clock": lambda _, client: hasattr(client, "clock_ahead"),
    "tell of its own rights and rules": lambda _, client: hasattr(client, "findings"),
    "have fields made by its API": lambda _, client: hasattr(client, "make_field"),
    "take many records as one job": lambda _, client: hasattr(client, "open_job"),
    "keep a field unique, or take ids": lambda kind, _: kind.capabilities.unique_keys,
    "take ids of new records": lambda kind, _: kind.capabilities.own_ids,
    "refuse a value that its field cannot take": lambda kind, _: kind.capabilities.validates,
    "keep text as it was sent, or say so": lambda kind, _: kind.capabilities.keeps_text,
    "have a contact belong to several accounts": lambda kind, _: kind.capabilities.several_accounts,
    "rows of a call": lambda kind, _: str(kind.capabilities.batch_size),
}


def test_the_table_of_abilities_says_what_each_crm_can() -> None:
    words = {True: "yes", False: "–"}
    lines = [f"| it can | {' | '.join(CRMS)} |", "| --- |" + " --- |" * len(CRMS)]
    for ability, can in ABILITIES.items():
        told = [can(kind, client) for kind, client in CRMS.values()]
        lines.append(f"| {ability} | {' | '.join(words[one] if isinstance(one, bool) else one for one in told)} |")
    assert "\n".join(lines) in DOCUMENT.read_text(encoding="utf-8")
