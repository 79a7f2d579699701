"""``crm-pipeline provision``: the fields that an integration needs in its CRMs, shown or made; what is there is never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from crm_pipeline.commands.findings import show_findings
from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.options import connected, crm_names, crm_option, integration_option, module_option
from crm_pipeline.commands.output import echo_json, examples, json_option
from crm_pipeline.diagnosis import Finding
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.provisioning import MADE, provisioned

UNSEEN = "made, but the integration's user does not see it yet"


@click.command(epilog=examples("crm-pipeline provision", "crm-pipeline provision --integration acme --crm hubspot --apply"))
@integration_option(required=False)
@crm_option(required=False)
@click.option("--apply", "apply", is_flag=True, help="Make what an API can make.")
@json_option
@module_option
def provision(*, integration: str | None, crm: str | None, apply: bool, as_json: bool, module: str) -> None:
    """Show which fields the CRMs lack for the YAML: external keys and mapped fields of one's own; with --apply, make them.

    Fields are made as texts, unique for an external key. Where no API makes them, or not for this user, the clicks are told. It can be
    run again and again, and never changes a field that is there. Ends with code 1 while any is missing.
    """
    found: list[tuple[IntegrationSpec, str, list[Finding]]] = []
    for spec in chosen(module, integration):
        found += [(spec, name, _of_crm(spec, name, apply=apply)) for name in crm_names(spec, crm)]
    if as_json:
        echo_json([{"integration": spec.name, **one.as_json()} for spec, _, findings in found for one in findings])
    else:
        end = "What is there was not changed." if apply else "Nothing was written."
        show_findings([(f"{spec.name}: {name}", findings) for spec, name, findings in found], end=end)
    if any(one.level == "problem" for _, _, findings in found for one in findings):
        raise click.exceptions.Exit(1)


def _of_crm(spec: IntegrationSpec, crm: str, *, apply: bool) -> list[Finding]:
    """What was made or is missing; what was made is looked for again by a client that has not asked yet."""
    orders = [spec.order(crm, record, run_id="provision") for record in spec.records_in(crm).values()]
    findings = _asked(spec, crm, orders, apply=apply)
    if not any(_is_made(one) for one in findings):
        return findings
    missing = {one.subject: one for one in _asked(spec, crm, orders, apply=False) if one.level == "problem"}
    return [
        replace(missing[one.subject], text=UNSEEN, remedy="look at the rights of the integration's user, or run this again in a minute")
        if _is_made(one) and one.subject in missing
        else one
        for one in findings
    ]


def _asked(spec: IntegrationSpec, crm: str, orders: Sequence[LoadOrder], *, apply: bool) -> list[Finding]:
    with connected(spec, crm) as client:
        return list(provisioned(orders, client, apply=apply))


def _is_made(finding: Finding) -> bool:
    return finding.level == "ok" and finding.text.startswith(MADE)
