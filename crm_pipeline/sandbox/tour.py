"""What stands ready to be looked at once the demo was played: an hour that failed, two accounts that were merged (docs/tour.md)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import text

from crm_pipeline.sandbox.control import break_service
from crm_pipeline.sandbox.control_commands import CONTROL_VARIABLE
from crm_pipeline.sandbox.demo import DEFINITIONS, HOUR, INTEGRATION, JOB, Demo, attempt

MODULE_VARIABLE = "CRM_PIPELINE_DEFS_MODULE"


def prepare_tour(demo: Demo) -> None:
    """Let the third hour fail, because HubSpot refuses its token, and merge two accounts in Salesforce after it."""
    with demo.store.transaction() as connection:
        statement = text(
            "SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE crm = 'salesforce' AND record_type = 'account' ORDER BY qbench_id "
            "OFFSET 10 LIMIT 3"
        )
        renamed, winner, loser = connection.execute(statement).all()
    edited_at = int((demo.start + 2 * HOUR).timestamp()) + 600
    demo.sandbox.tenant.edit_customer(renamed.qbench_id, customer_name="Renamed While HubSpot Was Away", at=edited_at)
    break_service(demo.sandbox, "hubspot", how="credentials")
    attempt(demo, JOB, demo.third_partition, title="One hour more, in which HubSpot refuses the token")
    demo.clock.show(datetime.now(UTC))
    demo.sandbox.org.merge("Account", winner.crm_id, [loser.crm_id])
    demo.console.print(
        f"[bold]Two things stand ready[/] (docs/tour.md takes two minutes):\n"
        f"  The hour {demo.third_partition} of {INTEGRATION}/hubspot/companies is red, because somebody took HubSpot's token away.\n"
        f"    [bold]crm-pipeline sandbox mend hubspot[/], then Materialize that hour: only what is open is sent.\n"
        f"  In Salesforce account {loser.crm_id} (QBench id {loser.qbench_id}) was merged into {winner.crm_id}, and nobody knows yet.\n"
        f"    Materialize {INTEGRATION}/salesforce/links, then [bold]crm-pipeline explain {loser.qbench_id} --record-type account[/].",
        highlight=False,
    )


def environment_of(demo: Demo, control_url: str) -> dict[str, str]:
    """The variables with which the commands, and Dagster's, work on this demo from another shell."""
    own = {name: value for name, value in demo.environment.items() if os.environ.get(name) != value}
    return {**own, CONTROL_VARIABLE: control_url, MODULE_VARIABLE: f"{DEFINITIONS.rpartition('.')[0]}.{_folder(demo)}"}


def exported(environment: Mapping[str, str]) -> str:
    """The same in lines that a shell takes."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def _folder(demo: Demo) -> str:
    return "defs_sugarcrm" if demo.sandbox.site is not None else "defs"
