"""``crm-pipeline sandbox break``, ``mend``, ``edit`` and ``merge``: see a failure and its repair, in a sandbox that runs elsewhere."""

from __future__ import annotations

from typing import Any

import click

from crm_pipeline.commands.output import answer, examples, json_option
from crm_pipeline.counting import counted

CONTROL_VARIABLE = "SANDBOX_CONTROL_URL"
CONTROL_PORT = 8605
SERVICES = ("qbench", "salesforce", "hubspot", "sugarcrm")

service_argument = click.argument("service", type=click.Choice(SERVICES))
object_argument = click.argument("records", metavar="OBJECT")
control_option = click.option(
    "--at",
    metavar="URL",
    envvar=CONTROL_VARIABLE,
    default=f"http://127.0.0.1:{CONTROL_PORT}",
    show_default=True,
    help=f"Where the sandbox takes orders, as it says when it starts; or set {CONTROL_VARIABLE}.",
)


@click.command("break", epilog=examples("crm-pipeline sandbox break hubspot", "crm-pipeline sandbox break salesforce --how credentials"))
@service_argument
@click.option(
    "--how",
    type=click.Choice(["down", "credentials"]),
    default="down",
    show_default=True,
    help="Whether it is down, or refuses the credentials.",
)
@control_option
@json_option
def break_(*, service: str, how: str, at: str, as_json: bool) -> None:
    """Let a service fail every request until it is mended."""
    told = _order(at, "break", service=service, how=how)
    answer(f"{service} fails every request ({how}) until `crm-pipeline sandbox mend {service}`.", told, as_json=as_json)


@click.command(epilog=examples("crm-pipeline sandbox mend hubspot"))
@service_argument
@control_option
@json_option
def mend(*, service: str, at: str, as_json: bool) -> None:
    """Let a service work again. What failed meanwhile is sent by the next tick of the schedule, or by Materialize."""
    told = _order(at, "mend", service=service)
    answer(f"{service} works. The next tick of the schedule, or Materialize, sends what failed.", told, as_json=as_json)


@click.command(
    epilog=examples(
        "crm-pipeline sandbox edit qbench contacts 12 email_address=nonsense",
        "crm-pipeline sandbox edit hubspot companies 901 name='Eco Labs'",
    )
)
@service_argument
@object_argument
@click.argument("record_id", metavar="ID")
@click.argument("values", metavar="FIELD=VALUE...", nargs=-1, required=True)
@control_option
@json_option
def edit(*, service: str, records: str, record_id: str, values: tuple[str, ...], at: str, as_json: bool) -> None:
    """Edit a record as a person would; make it invalid, for instance.

    OBJECT is what the service calls its records: customers or contacts in QBench, Account in Salesforce, companies in HubSpot.
    """
    if any("=" not in value for value in values):
        raise click.BadParameter("give each field with its value, as name='Eco Labs'", param_hint="FIELD=VALUE")
    fields = dict(value.split("=", 1) for value in values)
    told = _order(at, "edit", service=service, object=records, id=record_id, fields=fields)
    answer(f"{counted(len(fields), 'field')} of {records} {record_id} in {service} edited.", told, as_json=as_json)


@click.command(epilog=examples("crm-pipeline sandbox merge salesforce Account 001Qb00000000AAIAY 001Qb00000000ABIAY"))
@service_argument
@object_argument
@click.argument("winner", metavar="WINNER")
@click.argument("loser", metavar="LOSER")
@control_option
@json_option
def merge(*, service: str, records: str, winner: str, loser: str, at: str, as_json: bool) -> None:
    """Merge two records of a CRM as a person would; OBJECT as for edit, WINNER and LOSER are ids of the CRM."""
    told = _order(at, "merge", service=service, object=records, winner=winner, loser=loser)
    answer(f"{records} {loser} was merged into {told['merged']} in {service}.", told, as_json=as_json)


def _order(at: str, order: str, **told: Any) -> dict[str, Any]:
    """Have the sandbox carry an order out. Raises ClickException where it cannot, or where none answers."""
    import httpx

    try:
        # Not by a proxy: it runs on this machine.
        with httpx.Client(base_url=at, trust_env=False) as client:
            reply = client.post(f"/{order}", json=told)
            done: dict[str, Any] = reply.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise click.ClickException(
            f"no sandbox takes orders at {at}; start `crm-pipeline sandbox` or `dev`, or name it with --at"
        ) from None
    if reply.is_error:
        raise click.ClickException(str(done["error"]))
    return done
