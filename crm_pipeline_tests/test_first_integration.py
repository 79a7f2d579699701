"""Your first integration, as README has it: from nothing to the first load, by the command that each command names as the next."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, seeded_sandbox
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.integration_projects import Project

README = (Path(__file__).parents[1] / "README.md").read_text()
SHOWN = re.findall(
    r"^\$ (.+)$", README.partition("## Your first integration")[2].partition("```console")[2].partition("```")[0], re.MULTILINE
)
PARTITION = re.compile(r"\d{4}-\d\d-\d\d-\d\d:00")
CUSTOMERS, CONTACTS = 12, 30

PROGRAM = """
import contextlib, io, json, os, sys
from crm_pipeline.cli import main as ours
from dagster_dg_cli.cli import main as dg

for line in sys.stdin:
    words = json.loads(line)
    sys.argv = words
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complained:
        try:
            {"crm-pipeline": ours, "dg": dg}[words[0]]()
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
    os.write(1, (json.dumps([code, said.getvalue(), complained.getvalue()]) + chr(10)).encode())
os._exit(0)
"""


@dataclass(frozen=True)
class Typed:
    """A command with its exit code and what it said."""

    command: str
    code: int | str
    said: str
    complained: str

    def next(self, begins: str) -> str:
        """The command that it names, by how that begins."""
        found = re.findall(rf"^ *({re.escape(begins)}.*)$", self.said, re.MULTILINE)
        assert len(found) == 1, f"{self.command} names no such next command:\n{self.said}{self.complained}"
        return str(found[0])


@dataclass(frozen=True)
class Newcomer:
    """Somebody in a project of their own, without a variable of ours, who types one command after the other in one process."""

    project: Project
    shell: subprocess.Popen[str]

    def type(self, command: str) -> Typed:
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(json.dumps(shlex.split(command)) + "\n")
        self.shell.stdin.flush()
        typed = Typed(command, *json.loads(self.shell.stdout.readline()))
        assert typed.code == 0, typed
        return typed

    def fill_in(self, sandbox: Sandbox, database: str) -> None:
        """What a person fills in: the addresses in the YAML, the credentials in `.env`."""
        file = self.project.folder / self.project.package / "defs" / "acme" / "defs.yaml"
        written = file.read_text()
        for shown, mine in (
            ("url: https://acme.qbench.net", f"url: {sandbox.qbench_url}"),
            ("domain: acme.my", f"url: {sandbox.salesforce_url}"),
            ("#url: https://api.hubapi.com", f"url: {sandbox.hubspot_url}"),
        ):
            assert written.count(shown) == 1, shown
            written = written.replace(shown, mine)
        file.write_text(written)
        variables = {**SANDBOX_CREDENTIALS, URL_VARIABLE: database, "DAGSTER_HOME": str(self.project.folder / "home")}
        (self.project.folder / "home").mkdir()
        (self.project.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    project = Project.create(tmp_path, "crm_sync")
    # As this package's own definitions have it: a process per step is many times slower.
    (tmp_path / "crm_sync" / "defs" / "executor.py").write_text(
        "import dagster as dg\n\ndefs = dg.Definitions(executor=dg.in_process_executor)\n"
    )
    ours = {URL_VARIABLE, "DAGSTER_HOME", "CRM_PIPELINE_DEFS_MODULE", *SANDBOX_CREDENTIALS}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    # Installed, as Dagster has it.
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        yield Newcomer(project, shell)
        assert shell.stdin is not None
        shell.stdin.close()


def test_five_commands_of_which_each_names_the_next_lead_from_nothing_to_the_first_load(newcomer: Newcomer, postgres: str) -> None:
    with own_database(postgres) as database, seeded_sandbox(customers=CUSTOMERS, contacts=CONTACTS, seed=7, dirty=False) as sandbox:
        scaffold = newcomer.type(SHOWN[0])
        assert all(name in scaffold.said for name in (URL_VARIABLE, *SANDBOX_CREDENTIALS))
        newcomer.fill_in(sandbox, database)
        doctor = newcomer.type(scaffold.next("crm-pipeline doctor"))
        read = newcomer.type(doctor.next("dg launch"))
        plan = newcomer.type(doctor.next("crm-pipeline plan"))
        load = newcomer.type(plan.next("dg launch"))
        again = newcomer.type(doctor.command)
        engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            outcomes = connection.execute(text("SELECT crm, outcome, count(*) FROM crm_pipeline.outcome GROUP BY 1, 2 ORDER BY 1, 2")).all()
        engine.dispose()
    assert [tuple(row) for row in outcomes] == [(crm, "created", CUSTOMERS + CONTACTS) for crm in ("hubspot", "salesforce")]
    typed = [PARTITION.sub("HOUR", each.command) for each in (scaffold, doctor, read, plan, load)]
    assert typed == [PARTITION.sub("HOUR", command) for command in SHOWN]
    assert "Next" not in again.said, "nothing is proposed to who is done"
