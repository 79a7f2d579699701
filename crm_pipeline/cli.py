"""The command line: ``crm-pipeline …``."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from crm_pipeline.errors import CrmPipelineError

LATER = {
    "adopt-org": "crm_pipeline.commands.adopt_org:adopt_org",
    "conflicts": "crm_pipeline.commands.conflicts:conflicts",
    "link": "crm_pipeline.commands.link:link",
    "plan": "crm_pipeline.commands.plan:plan",
    "resync": "crm_pipeline.commands.resync:resync",
    "send": "crm_pipeline.commands.send:send",
}
"""Commands of modules that load Dagster, imported only once they are asked for."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LATER:
            return super().get_command(ctx, cmd_name)
        module, name = LATER[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CrmPipelineError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crm-pipeline")
def main() -> None:
    """Keep Salesforce and HubSpot current with a QBench LIMS, as a Dagster code location."""
    # A supervisor's polite request ends it like Ctrl-C, which a shell in the background may have told us to ignore.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _needs_extras() -> Iterator[None]:
    """Around commands that import, some of it late, what comes with the extras only."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed; install crm-pipeline[embedded,sandbox]") from None


PORT = click.IntRange(1, 65535)
PORT_OR_ANY = click.IntRange(0, 65535)


def _require_free(port: int, option: str) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise click.BadParameter(f"port {port} cannot be used ({error.strerror}); name another", param_hint=option) from None


further_crm = click.option("--crm", type=click.Choice(["sugarcrm"]), help="A CRM that joins Salesforce and HubSpot.")


@main.command()
@further_crm
@_needs_extras()
def demo(*, crm: str | None) -> None:
    """Show a first load and hourly runs, out and back, on the sandbox, through Dagster, in about a minute."""
    from crm_pipeline.sandbox.demo import demo_console, demo_environment, play

    console = demo_console()
    with demo_environment(console, sugarcrm=crm == "sugarcrm") as running:
        play(running)
    console.print("Everything was temporary. [bold]make dev[/] (or crm-pipeline dev) does the same and stays up with the Dagster UI.")


@main.command()
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


@main.command()
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
        click.echo(f"QBench      {running.qbench_url}")
        click.echo(f"Salesforce  {running.salesforce_url}")
        click.echo(f"HubSpot     {running.hubspot_url}")
        if running.site is not None:
            click.echo(f"SugarCRM    {running.sugarcrm_url}{running.site.path}")
        click.echo("Credentials, for the environment:")
        for name, value in {**SANDBOX_CREDENTIALS, **(SUGARCRM_CREDENTIALS if sugarcrm else {})}.items():
            click.echo(f"  export {name}={value}")
        click.echo("Ctrl-C ends the sandbox.")
        with suppress(KeyboardInterrupt):
            signal.pause()


@main.group()
def db() -> None:
    """Look after the state database that CRM_PIPELINE_DATABASE_URL names."""


@db.command()
def upgrade() -> None:
    """Create the tables, or bring them to this version."""
    from crm_pipeline.store.database import Store

    Store().migrate()
    click.echo("The state database is up to date.")


if __name__ == "__main__":
    sys.exit(main())
