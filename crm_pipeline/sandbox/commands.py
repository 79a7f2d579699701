"""``crm-pipeline demo``, ``dev`` and ``sandbox``: everything to try it out, on this machine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from crm_pipeline.commands.output import echo_json, examples, json_option

PORT = click.IntRange(1, 65535)
PORT_OR_ANY = click.IntRange(0, 65535)

further_crm = click.option("--crm", type=click.Choice(["sugarcrm"]), help="A CRM that joins Salesforce and HubSpot.")


@contextmanager
def _needs_extras() -> Iterator[None]:
    """Around commands that import, some of it late, what comes with the extras only."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed; install crm-pipeline[embedded,sandbox]") from None


def _require_free(port: int, option: str) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise click.BadParameter(f"port {port} cannot be used ({error.strerror}); name another", param_hint=option) from None


@click.command(epilog=examples("crm-pipeline demo", "crm-pipeline demo --crm sugarcrm"))
@further_crm
@_needs_extras()
def demo(*, crm: str | None) -> None:
    """Show a first load and hourly runs, out and back, on stand-ins, through Dagster, in about a minute."""
    from crm_pipeline.sandbox.demo import demo_console, demo_environment, play

    console = demo_console()
    with demo_environment(console, sugarcrm=crm == "sugarcrm") as running:
        play(running)
    console.print("Everything was temporary. [bold]make dev[/] (or crm-pipeline dev) does the same and stays up with the Dagster UI.")


@click.command(epilog=examples("crm-pipeline dev", "crm-pipeline dev --port 3001"))
@click.option("--port", type=PORT, default=3000, show_default=True, help="Port of the Dagster UI.")
@further_crm
@_needs_extras()
def dev(*, port: int, crm: str | None) -> None:
    """Do what demo does and stay up with `dagster dev`, for looking around in the Dagster UI."""
    from crm_pipeline.sandbox.demo import demo_console, demo_environment, play, stay_up

    _require_free(port, "--port")
    with demo_environment(demo_console(), sugarcrm=crm == "sugarcrm") as running:
        play(running)
        stay_up(running, port=port)


@click.command(epilog=examples("crm-pipeline sandbox", "crm-pipeline sandbox --crm sugarcrm --customers 20 --contacts 50 --clean"))
@click.option("--qbench-port", type=PORT_OR_ANY, default=8601, show_default=True, help="Port of the QBench stand-in; 0 is any free one.")
@click.option(
    "--salesforce-port", type=PORT_OR_ANY, default=8602, show_default=True, help="Port of the Salesforce stand-in; 0 is any free one."
)
@click.option("--hubspot-port", type=PORT_OR_ANY, default=8603, show_default=True, help="Port of the HubSpot stand-in; 0 is any free one.")
@further_crm
@click.option(
    "--sugarcrm-port",
    type=PORT_OR_ANY,
    default=8604,
    show_default=True,
    help="Port of the SugarCRM stand-in, where it runs; 0 is any free one.",
)
@click.option("--customers", type=click.IntRange(0), default=200, show_default=True, help="Customers that QBench holds.")
@click.option("--contacts", type=click.IntRange(0), default=600, show_default=True, help="Contacts that QBench holds.")
@click.option("--seed", default=7, show_default=True, help="Number that decides the made-up records.")
@click.option("--clean", is_flag=True, help="Only records without faults, and empty CRMs.")
@json_option
@_needs_extras()
def sandbox(
    *,
    qbench_port: int,
    salesforce_port: int,
    hubspot_port: int,
    crm: str | None,
    sugarcrm_port: int,
    customers: int,
    contacts: int,
    seed: int,
    clean: bool,
    as_json: bool,
) -> None:
    """Run stand-ins for QBench, Salesforce and HubSpot on 127.0.0.1 until Ctrl-C, for any client; with --crm one more."""
    from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, seeded_sandbox

    if contacts and not customers:
        raise click.BadParameter("contacts need customers that they belong to", param_hint="--contacts")
    ports = {"qbench": qbench_port, "salesforce": salesforce_port, "hubspot": hubspot_port}
    if crm == "sugarcrm":
        ports["sugarcrm"] = sugarcrm_port
    for service, port in ports.items():
        _require_free(port, f"--{service}-port")
        if port and list(ports.values()).count(port) > 1:
            raise click.BadParameter(f"port {port} is given to several stand-ins; name another", param_hint=f"--{service}-port")
    sugarcrm = "sugarcrm" in ports
    with seeded_sandbox(ports=ports, customers=customers, contacts=contacts, seed=seed, dirty=not clean, sugarcrm=sugarcrm) as running:
        credentials = {**SANDBOX_CREDENTIALS, **(SUGARCRM_CREDENTIALS if sugarcrm else {})}
        addresses = {"QBench": running.qbench_url, "Salesforce": running.salesforce_url, "HubSpot": running.hubspot_url}
        if running.site is not None:
            addresses["SugarCRM"] = f"{running.sugarcrm_url}{running.site.path}"
        if as_json:
            echo_json({"addresses": {title.lower(): address for title, address in addresses.items()}, "environment": credentials})
        else:
            _tell(addresses, credentials)
        with suppress(KeyboardInterrupt):
            signal.pause()


def _tell(addresses: dict[str, str], credentials: dict[str, str]) -> None:
    for title, address in addresses.items():
        click.echo(f"{title:<11} {address}")
    click.echo("Credentials, for the environment:")
    for name, value in credentials.items():
        click.echo(f"  export {name}={value}")
    click.echo("Ctrl-C ends the sandbox.")
