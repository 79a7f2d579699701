"""``crm-pipeline adopt-org``: the deliberate way to another organization (docs/rules.md, 1)."""

from __future__ import annotations

from contextlib import closing

import click

from crm_pipeline.commands.options import (
    connected,
    crm_names,
    integration_option,
    module_option,
    only_integration,
    opened_store,
)
from crm_pipeline.commands.output import answer, examples, json_option
from crm_pipeline.counting import counted
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.store.organizations import LinksThen, adopt_organization, stored_organization
from crm_pipeline.sync.writing_turns import run_of

QBENCH = "qbench"


@click.command("adopt-org", epilog=examples("crm-pipeline adopt-org --integration acme --service salesforce --links keep"))
@integration_option(required=True)
@click.option("--service", required=True, metavar="NAME", help="qbench, or the CRM's name as the YAML has it.")
@click.option(
    "--links",
    type=click.Choice(["keep", "forget"]),
    required=True,
    help="keep: the same records under another organization id; forget: other records, everything is matched anew.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@module_option
def adopt_org(*, integration: str, service: str, links: LinksThen, yes: bool, as_json: bool, module: str) -> None:
    """Accept that the credentials lead to another organization than the stored links belong to."""
    spec = only_integration(module, integration)
    if service == QBENCH and links == "forget":
        raise ConfigurationError("another QBench tenant has other records: give it an integration of its own, in a folder of another name")
    found, key_space = _organization(spec, service)
    with opened_store() as store:
        with store.transaction() as connection:
            stored = stored_organization(connection, spec.name, service)
        if stored is None or stored == found:
            same = {"integration": spec.name, "service": service, "organization": found, "was": found, "links": None}
            answer(f"{service} answers as organization {found}, which is the stored one. Nothing to do.", same, as_json=as_json)
            return
        what = "its links are kept and taken as that organization's" if links == "keep" else "its links are forgotten"
        if not yes:
            click.confirm(f"{service} of {spec.name}: organization {stored} becomes {found}, and {what}. Go on?", abort=True, err=True)
        with run_of(store, spec.name, service), store.transaction() as connection:
            count = adopt_organization(connection, spec.name, service, org_id=found, key_space=key_space, links=links)
    done = f"{service} of {spec.name} is organization {found} now; {counted(count, 'link')} {'kept' if links == 'keep' else 'forgotten'}."
    again = f" No hour sends its records again: materialize {spec.name}/{service}/resync, which matches them all anew."
    answer(
        done if links == "keep" else done + again,
        {"integration": spec.name, "service": service, "organization": found, "was": stored, "links": links, "count": count},
        as_json=as_json,
    )


def _organization(spec: IntegrationSpec, service: str) -> tuple[str, str | None]:
    """The organization that the credentials lead to, and the external keys the integration writes there."""
    if service == QBENCH:
        with closing(QBench(spec.qbench, integration=spec.name)) as source:
            return source.organization(), None
    [name] = crm_names(spec, service)
    with connected(spec, name) as crm:
        return crm.organization(), spec.order(name, spec.accounts, run_id="by hand").key_space
