"""``crm-pipeline demo``, ``dev`` and ``sandbox``: everything to try it out, on this machine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from crm_pipeline.commands.output import answer, echo_json, examples, json_option
from crm_pipeline.sandbox.control_commands import CONTROL_PORT, CONTROL_VARIABLE, break_, edit, mend, merge

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
@json_option
@_needs_extras()
def demo(*, crm: str | None, as_json: bool) -> None:
    """Show a first load and hourly runs, out and back, on stand-ins, through Dagster, in about a minute.

    With --json the story goes to standard error, and its figures to standard output at the end.
    """
    from crm_pipeline.sandbox.demo import demo_console, demo_environment, play

    console = demo_console(aside=as_json)
    with demo_environment(console, sugarcrm=crm == "sugarcrm") as running:
        told = play(running)
    console.print("Everything was temporary. [bold]make dev[/] (or crm-pipeline dev) does the same and stays up with the Dagster UI.")
    if as_json:
        echo_json(told)


@click.command(epilog=examples("crm-pipeline dev", "crm-pipeline dev --port 3001"))
@click.option("--port", type=PORT, default=3000, show_default=True, help="Port of the Dagster UI.")
@further_crm
@json_option
@_needs_extras()
def dev(*, port: int, crm: str | None, as_json: bool) -> None:
    """Do what demo does, let one hour fail, and stay up with `dagster dev`, for looking around in the Dagster UI.

    It prints the environment in which the commands work on it from another shell. docs/tour.md leads through in two minutes.
    """
    from crm_pipeline.sandbox.control import controlled
    from crm_pipeline.sandbox.demo import demo_console, demo_environment, play, stay_up
    from crm_pipeline.sandbox.tour import environment_of, exported, prepare_tour

    _require_free(port, "--port")
    console = demo_console(aside=as_json)
    with demo_environment(console, hours=3, sugarcrm=crm == "sugarcrm") as running, controlled(running.sandbox) as control_url:
        play(running)
        prepare_tour(running)
        environment = environment_of(running, control_url)
        answer(f"For another shell:\n{exported(environment)}", {"environment": environment}, as_json=as_json)
        stay_up(running, port=port)


@click.group(
    invoke_without_command=True,
    epilog=examples("crm-pipeline sandbox", "crm-pipeline sandbox --crm sugarcrm --customers 20 --contacts 50 --clean"),
)
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
@click.option(
    "--control-port", type=PORT_OR_ANY, default=CONTROL_PORT, show_default=True, help="Port that takes orders; 0 is any free one."
)
@json_option
@click.pass_context
@_needs_extras()
def sandbox(
    ctx: click.Context,
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
    control_port: int,
    as_json: bool,
) -> None:
    """Run stand-ins for QBench, Salesforce and HubSpot on 127.0.0.1 until Ctrl-C, for any client; with --crm one more.

    Its commands break and change one that runs, in another shell, or that of `crm-pipeline dev`.
    """
    if ctx.invoked_subcommand is not None:
        return
    from crm_pipeline.sandbox.control import controlled
    from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, seeded_sandbox

    if contacts and not customers:
        raise click.BadParameter("contacts need customers that they belong to", param_hint="--contacts")
    ports = {"qbench": qbench_port, "salesforce": salesforce_port, "hubspot": hubspot_port, "control": control_port}
    if crm == "sugarcrm":
        ports["sugarcrm"] = sugarcrm_port
    for service, port in ports.items():
        _require_free(port, f"--{service}-port")
        if port and list(ports.values()).count(port) > 1:
            raise click.BadParameter(f"port {port} is given to several stand-ins; name another", param_hint=f"--{service}-port")
    sugarcrm = "sugarcrm" in ports
    with (
        seeded_sandbox(ports=ports, customers=customers, contacts=contacts, seed=seed, dirty=not clean, sugarcrm=sugarcrm) as running,
        controlled(running, port=control_port) as control_url,
    ):
        credentials = {**SANDBOX_CREDENTIALS, **(SUGARCRM_CREDENTIALS if sugarcrm else {})}
        addresses = {"QBench": running.qbench_url, "Salesforce": running.salesforce_url, "HubSpot": running.hubspot_url}
        if running.site is not None:
            addresses["SugarCRM"] = f"{running.sugarcrm_url}{running.site.path}"
        environment = {**credentials, CONTROL_VARIABLE: control_url}
        if as_json:
            echo_json({"addresses": {title.lower(): address for title, address in addresses.items()}, "environment": environment})
        else:
            _tell(addresses, environment)
        with suppress(KeyboardInterrupt):
            signal.pause()


def _tell(addresses: dict[str, str], environment: dict[str, str]) -> None:
    for title, address in addresses.items():
        click.echo(f"{title:<11} {address}")
    click.echo("For the environment, credentials and where `crm-pipeline sandbox break` and the like are heard:")
    for name, value in environment.items():
        click.echo(f"  export {name}={value}")
    click.echo("Ctrl-C ends the sandbox.")


for order in (break_, mend, edit, merge):
    sandbox.add_command(order)
