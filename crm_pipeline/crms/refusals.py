"""What of a CRM's settings it cannot serve. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crm_pipeline.configuration.problems import Problem
from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmSettings


def crm_problems(crms: Mapping[str, CrmSettings]) -> Iterator[Problem]:
    """The problems of the settings of an integration's CRMs, by their names."""
    for crm, settings in crms.items():
        kind = crm_kinds()[crm]
        if settings.external_key is not None and not kind.capabilities.unique_keys:
            yield Problem(("crms", crm, "external_key"), f"{kind.title} keeps no field unique; leave external_key away")
        if not isinstance(settings.receive, bool) and not kind.capabilities.keeps_lists:
            message = f"{kind.title} keeps no lists; write `receive: true`, or false"
            yield Problem(("crms", crm, "receive", "only_in_list"), message)
