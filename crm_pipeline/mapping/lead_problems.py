"""What is wrong about contacts that go as leads, as the YAML has it? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.problems import KeyPath, Problem
from crm_pipeline.mapping.filters import fields_named
from crm_pipeline.mapping.record_problems import record_problems
from crm_pipeline.mapping.refusals import entries_back
from crm_pipeline.mapping.spec import LeadSpec

PLACE: KeyPath = ("contacts", "lead")


def lead_problems(lead: LeadSpec | None, rules: Mapping[str, Filter | None], *, keeping: Sequence[str]) -> Iterator[Problem]:
    """The problems, their paths below the integration. ``rules``: those of the CRMs that take leads. ``keeping``: CRMs that could."""
    if lead is not None and not rules:
        message = f"no CRM takes contacts as leads; give {' or '.join(keeping)} `contacts_as: lead`, or leave `lead` away"
        yield Problem(PLACE, message)
    for crm, rule in rules.items():
        if lead is None:
            message = "nothing says how contacts become leads; write `contacts: {lead: {map: …}}` with email and last_name at least"
            yield Problem(("crms", crm, "contacts_as"), message)
        if rule is not None and not fields_named(rule):
            message = "names no field of QBench; a list of a CRM goes into `contacts.only`"
            yield Problem(("crms", crm, "contacts_as", "lead", "only"), message)
    if lead is not None and rules:
        yield from (problem.below(*PLACE) for problem in record_problems(lead, crms=list(rules)))
        message = "what people change in leads does not come back; leave `direction` away, and give one to the contacts' mapping"
        yield from (Problem((*PLACE, *path, "direction"), message) for path in entries_back(lead, list(rules)))
