"""The demo: a first load and hourly runs both ways through Dagster, between the sandbox's services, told as it happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import text

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.errors import CrmPipelineError
from crm_pipeline.local.guardian import Guardian, guardian
from crm_pipeline.sandbox.demo_summaries import tell_run, tell_run_back
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, Sandbox, seeded_sandbox
from crm_pipeline.sandbox.server import HOST, reached_directly
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.embedded import embedded_postgres

INTEGRATION = "demo"
JOB = "demo__sync"
JOB_BACK = "demo__from_crms"
FED = ("hubspot", "salesforce")
"""The CRMs that the demo feeds, whoever else joins them."""
DEFINITIONS = "crm_pipeline.sandbox.definitions"
SEED = 7
CUSTOMERS, CONTACTS = 200, 600
WIDTH = 110
HOUR = timedelta(hours=1)

_POLL_SECONDS = 0.3
_GRACE_SECONDS = 20


class DemoError(CrmPipelineError):
    """A run of the demo did not succeed."""


@dataclass(slots=True)
class Clock:
    """What the demo's services take for the time: that of the hour it tells of, until this hour is over."""

    behind: float = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() - self.behind

    def show(self, at: datetime) -> None:
        """Go on from this time."""
        self.behind = time.time() - at.timestamp()


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo under way: its services, its database, and the environment and folder that its Dagster processes run in.

    The folder is their own because Dagster reads the `.env` of the one it starts in, over what the environment says.
    """

    sandbox: Sandbox
    store: Store
    home: Path
    environment: Mapping[str, str]
    start: datetime
    console: Console
    clock: Clock

    @property
    def fed(self) -> Mapping[str, CrmKind]:
        """The CRMs that it feeds, by name."""
        return {name: crm_kinds()[name] for name in (*FED, *(["sugarcrm"] if self.sandbox.site else []))}

    @property
    def first_partition(self) -> str:
        """Everything up to the end of the first hour."""
        return _key(self.start)

    @property
    def second_partition(self) -> str:
        """The hour in which the demo's edits happen."""
        return _key(self.start + HOUR)

    @property
    def third_partition(self) -> str:
        """The hour that fails, where one is to."""
        return _key(self.start + 2 * HOUR)


def demo_console(*, aside: bool = False) -> Console:
    """A console wide enough for the demo's tables, also where the output goes to a file. ``aside``: on standard error."""
    console = Console(stderr=aside)
    return console if console.is_terminal else Console(stderr=aside, width=WIDTH)


@contextmanager
def demo_environment(console: Console, *, hours: int = 2, sugarcrm: bool = False) -> Iterator[Demo]:
    """The sandbox with its dirty tenant, an embedded PostgreSQL and a Dagster home; all end with the block or the process.

    ``hours``: how many it can tell of; they have just closed. ``sugarcrm``: it is fed too, beside the others.
    """
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - hours * HOUR
    seeded_until, clock = int((start + HOUR).timestamp()), Clock()
    # Whenever it is started, what it does lies in the hour it tells of.
    clock.show(start + 1.5 * HOUR)
    with (
        seeded_sandbox(
            customers=CUSTOMERS, contacts=CONTACTS, seed=SEED, dirty=True, until=seeded_until, clock=clock, sugarcrm=sugarcrm
        ) as sandbox,
        embedded_postgres() as database_url,
        guardian() as guard,
    ):
        home = tempfile.mkdtemp(prefix="crm-pipeline-dagster-")
        guard.remove(Path(home))
        shutil.copy(Path(__file__).with_name("dagster.yaml"), home)
        store = Store(database_url)
        # By hand, because the environment may say that its deployment's database is not to be migrated otherwise.
        store.migrate()
        yield Demo(
            sandbox=sandbox,
            store=store,
            home=Path(home),
            environment={
                **os.environ,
                **reached_directly(os.environ),
                **SANDBOX_CREDENTIALS,
                URL_VARIABLE: database_url,
                "DAGSTER_HOME": home,
                "SANDBOX_START": start.isoformat(),
                "SANDBOX_QBENCH_URL": sandbox.qbench_url,
                "SANDBOX_SALESFORCE_URL": sandbox.salesforce_url,
                "SANDBOX_HUBSPOT_URL": sandbox.hubspot_url,
                **({**SUGARCRM_CREDENTIALS, "SANDBOX_SUGARCRM_URL": sandbox.sugarcrm_url} if sandbox.sugarcrm_url else {}),
            },
            start=start,
            console=console,
            clock=clock,
        )


def play(demo: Demo) -> list[dict[str, Any]]:
    """The first load, some edits in QBench and in the CRMs, and the next hourly runs, out and back; each with its summary, also given."""
    tenant, org, portal, site = demo.sandbox.tenant, demo.sandbox.org, demo.sandbox.portal, demo.sandbox.site
    held = [
        f"[bold]Salesforce[/] already has {len(org.records('Account'))} accounts",
        f"[bold]HubSpot[/] {len(portal.records('companies'))} companies",
        *([f"[bold]SugarCRM[/] {len(site.records('Accounts'))} accounts"] if site is not None else []),
    ]
    demo.console.print(
        f"[bold]QBench[/] holds {len(tenant.customers())} customers and {len(tenant.contacts())} contacts, as untidy as real ones. "
        f"{', '.join(held)}."
    )
    told = [run(demo, demo.first_partition, title="First load: everything up to now")]
    edit_some(demo)
    edit_in_crms(demo)
    if demo.sandbox.site is not None:
        edit_in_sugarcrm(demo, demo.sandbox.site)
    told.append(run(demo, demo.second_partition, title="Next hourly run: what was edited since"))
    demo.clock.show(demo.start + 2 * HOUR)
    return [*told, run_back(demo, demo.second_partition, title="What people changed in the CRMs comes back")]


def edit_some(demo: Demo) -> None:
    """What a laboratory does in an hour: rename a customer, move a contact's phone, add a customer with a contact."""
    tenant, at = demo.sandbox.tenant, int((demo.start + HOUR).timestamp()) + 600
    with demo.store.transaction() as connection:
        linked = text(
            "SELECT record_type, min(qbench_id) AS qbench_id FROM crm_pipeline.link WHERE integration = :integration "
            "GROUP BY record_type, crm ORDER BY record_type"
        )
        known = {row.record_type: row.qbench_id for row in connection.execute(linked, {"integration": INTEGRATION})}
    tenant.edit_customer(known["account"], customer_name="Renamed Laboratories", at=at)
    tenant.edit_contact(known["contact"], phone="(512) 555-0199", at=at)
    new = tenant.add_customer(customer_name="Brand New Testing", status="ACTIVE", country_name="US", at=at)
    tenant.add_contact(
        customer_ids=[new], email_address="first@brandnew.example.org", first_name="First", last_name="Person", phone="512 555 0123", at=at
    )
    demo.console.print("[bold]In QBench[/] a customer is renamed, a contact gets another phone, a customer and a contact are added.")


def edit_in_crms(demo: Demo) -> None:
    """What salespeople do in the same hour: one edit in each CRM, and one of a field that the laboratory edited three minutes before."""
    sandbox, now = demo.sandbox, demo.clock()
    with demo.store.transaction() as connection:
        statement = text(
            "SELECT salesforce.qbench_id, salesforce.crm_id AS account, hubspot.crm_id AS company "
            "FROM crm_pipeline.link AS salesforce JOIN crm_pipeline.link AS hubspot USING (integration, record_type, qbench_id) "
            "WHERE salesforce.crm = 'salesforce' AND hubspot.crm = 'hubspot' AND record_type = 'account' ORDER BY qbench_id "
            "OFFSET 1 LIMIT 3"
        )
        first, second, third = connection.execute(statement).all()
    sandbox.org.update("Account", first.account, {"Description": "Prefers a call before noon."})
    sandbox.portal.update("companies", third.company, {"timezone": "America/Chicago"})
    sandbox.tenant.edit_customer(second.qbench_id, comments="Samples arrive on Mondays.", at=int(now) - 180)
    sandbox.org.update("Account", second.account, {"Description": "Samples arrive on Tuesdays."})
    demo.console.print(
        "[bold]In Salesforce[/] an account is described anew, [bold]in HubSpot[/] a company gets a time zone; one description is edited "
        "in QBench, and three minutes later in Salesforce."
    )


def edit_in_sugarcrm(demo: Demo, site: SugarSite) -> None:
    """The same in SugarCRM: one edit, and one of a field that the laboratory edited three minutes before."""
    with demo.store.transaction() as connection:
        statement = text(
            "SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE crm = 'sugarcrm' AND record_type = 'account' ORDER BY qbench_id "
            "OFFSET 6 LIMIT 2"
        )
        first, second = connection.execute(statement).all()
    site.update("Accounts", first.crm_id, {"description": "Prefers e-mail."})
    demo.sandbox.tenant.edit_customer(second.qbench_id, comments="Samples arrive in the morning.", at=int(demo.clock()) - 180)
    site.update("Accounts", second.crm_id, {"description": "Samples arrive in the evening."})
    demo.console.print("[bold]In SugarCRM[/] the same: two accounts are described anew, one of them three minutes after QBench.")


def run(demo: Demo, partition: str, *, title: str) -> dict[str, Any]:
    """One run of the job that sends, with progress, and its summary. Raises DemoError when it fails."""
    _require_done(partition, attempt(demo, JOB, partition, title=title))
    return {"job": JOB, **tell_run(demo, partition)}


def run_back(demo: Demo, partition: str, *, title: str) -> dict[str, Any]:
    """One run of the job that brings changes home, and its summary. Raises DemoError when it fails."""
    _require_done(partition, attempt(demo, JOB_BACK, partition, title=title))
    return {"job": JOB_BACK, **tell_run_back(demo, partition)}


def attempt(demo: Demo, job: str, partition: str, *, title: str) -> Path | None:
    """One run of a job of the integration in a process of its own. The log of one that fails."""
    demo.console.rule(title)
    demo.sandbox.journal.clear()
    log = demo.home / f"{job}-{partition.replace(':', '')}.log"
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", DEFINITIONS, "-j", job]
    tags = json.dumps({"dagster/partition": partition})
    with log.open("wb") as output, guardian() as guard:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--tags", tags], cwd=demo.home, env=dict(demo.environment), stdout=output, stderr=output, start_new_session=True
        )
        guard.end_group(process.pid)
        _show_progress(demo, process)
    return log if process.returncode else None


def _require_done(partition: str, failed: Path | None) -> None:
    if failed is not None:
        raise DemoError(f"the run of {partition} failed; the end of its log:\n{failed.read_text(errors='replace')[-3000:]}")


def stay_up(demo: Demo, *, port: int) -> None:
    """Run `dagster dev` on the demo's instance until Ctrl-C. Raises DemoError when it ends with an error of its own."""
    with guardian() as guard:
        process = _start_dagster_dev(demo, guard, port=port)
        try:
            if _listens(process, port):
                demo.console.print(f"[bold green]Dagster UI:[/] http://{HOST}:{port} — Ctrl-C ends everything")
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE_SECONDS)
            return
    if process.returncode:
        raise DemoError(f"dagster dev ended with exit code {process.returncode}; what it wrote above says why")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until something listens on the port; False when the process ended before."""
    while process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=_POLL_SECONDS):
            return True
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
    return False


def _start_dagster_dev(demo: Demo, guard: Guardian, *, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dagster", "dev", "-m", DEFINITIONS, "--host", HOST, "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=demo.home, env=dict(demo.environment), start_new_session=True
    )
    guard.end_group(process.pid)
    return process


def _show_progress(demo: Demo, process: subprocess.Popen[bytes]) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=demo.console, transient=True) as progress:
        tasks = {label: progress.add_task(label, total=None) for label in ("read from QBench", *(kind.title for kind in demo.fed.values()))}
        while True:
            for label, (done, total) in _counts(demo).items():
                progress.update(tasks[label], completed=done, total=total)
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return


def _counts(demo: Demo) -> dict[str, tuple[int, int | None]]:
    """Rows staged, and rows with an outcome per CRM, of all records that QBench holds."""
    tenant = demo.sandbox.tenant
    held = len(tenant.customers()) + len(tenant.contacts())
    with demo.store.transaction() as connection:
        staged = connection.execute(text("SELECT count(*) FROM crm_pipeline.raw_record")).scalar_one()
        rows = connection.execute(text("SELECT crm, count(*) AS records FROM crm_pipeline.outcome GROUP BY crm"))
        outcomes = {row.crm: row.records for row in rows}
    return {
        "read from QBench": (staged, held),
        **{kind.title: (outcomes.get(name, 0), staged or None) for name, kind in demo.fed.items()},
    }


def _key(hour: datetime) -> str:
    return hour.strftime("%Y-%m-%d-%H:%M")
