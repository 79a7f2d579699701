"""The command line: ``crm-pipeline …``."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper

import click

from crm_pipeline.commands.interrupts import interruptible
from crm_pipeline.commands.project import take_up_env_file
from crm_pipeline.errors import CrmPipelineError

ALONE = "Try it out"
"""The section of what brings its own database and services, whatever the project has."""
SECTIONS = {
    ALONE: {
        "demo": ("crm_pipeline.sandbox.commands", "Show a first load and hourly runs on stand-ins, in about a minute."),
        "dev": ("crm_pipeline.sandbox.commands", "The same, and stay up with the Dagster UI."),
        "sandbox": ("crm_pipeline.sandbox.commands", "Run stand-ins for QBench and the CRMs, for any client."),
    },
    "Look": {
        "explain": ("crm_pipeline.commands.explain", "Say what became of one record in each CRM, and why."),
        "errors": ("crm_pipeline.commands.errors", "Show how all records stand, and which fail for what."),
        "plan": ("crm_pipeline.commands.plan", "Show what a load would do; nothing is written."),
        "conflicts": ("crm_pipeline.commands.conflicts", "List values that were written over, and put one back."),
    },
    "Act": {
        "send": ("crm_pipeline.commands.send", "Send named records now, as QBench has them at this moment."),
        "retry": ("crm_pipeline.commands.retry", "Try records with an error again now, and no others."),
        "resync": ("crm_pipeline.commands.resync", "Send staged records again that have no error."),
        "link": ("crm_pipeline.commands.link", "Look at links, and make, move or remove them by hand."),
    },
    "Set up and look after": {
        "doctor": ("crm_pipeline.commands.doctor", "Look at every service before anything runs, and say what to do."),
        "provision": ("crm_pipeline.commands.provision", "Show the fields that the CRMs lack, or make them."),
        "db": ("crm_pipeline.commands.db", "Create or upgrade the state database."),
        "adopt-org": ("crm_pipeline.commands.adopt_org", "Accept that credentials lead to another organization."),
    },
}
"""The commands as the help shows them: each with its module, imported only once it is asked for, and what it does in a line.

A command is named there as here, with an underscore for a hyphen.
"""
MODULES = {name: module for section in SECTIONS.values() for name, (module, _) in section.items()}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in MODULES:
            return None
        command: click.Command = getattr(import_module(MODULES[cmd_name]), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        # By the table: click would import every command for its first line.
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in section.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            with interruptible():
                return super().invoke(ctx)
        except CrmPipelineError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crm-pipeline")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Keep Salesforce, HubSpot and SugarCRM (SuiteCRM) current with a QBench LIMS, as a Dagster code location.

    Commands end with code 0 when all was done, 1 when something was not or a look found something wrong, 2 when they were typed
    wrongly, and explain with 3 where the record waits or needs somebody. Those that tell something have --json.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Where it is not in UTF-8, it has no room for every sign: the rest is told all the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    if ctx.invoked_subcommand not in SECTIONS[ALONE]:
        take_up_env_file()


if __name__ == "__main__":
    sys.exit(main())
