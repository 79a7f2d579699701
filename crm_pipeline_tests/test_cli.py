"""The command line's own commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url, text

from crm_pipeline.cli import MODULES, main
from crm_pipeline.errors import StoreError
from crm_pipeline.store.database import AUTO_MIGRATE_VARIABLE, URL_VARIABLE, Store
from crm_pipeline_tests.integration_projects import Project


@pytest.fixture
def empty_database(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database without tables in the environment, where only the command may make them."""
    name = f"test_{uuid.uuid4().hex}"
    monkeypatch.setenv(URL_VARIABLE, make_url(postgres).set(database=name).render_as_string(hide_password=False))
    monkeypatch.setenv(AUTO_MIGRATE_VARIABLE, "0")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.usefixtures("empty_database")
def test_db_upgrade_makes_the_tables_where_nothing_else_may() -> None:
    with closing(Store()) as store, pytest.raises(StoreError, match="crm-pipeline db upgrade"), store.transaction():
        pass
    for _ in range(2):
        result = CliRunner().invoke(main, ["db", "upgrade"], catch_exceptions=False)
        assert (result.exit_code, result.output) == (0, "The state database is up to date.\n")
    assert json.loads(CliRunner().invoke(main, ["db", "upgrade", "--json"]).output) == {"up_to_date": True}
    with closing(Store()) as store, store.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM crm_pipeline.link")).scalar_one() == 0


def test_a_command_that_cannot_be_done_says_why_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    result = CliRunner().invoke(main, ["db", "upgrade"])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {URL_VARIABLE} is not set")


def test_signs_that_the_terminal_has_no_room_for_keep_nothing_else_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    result = CliRunner(charset="latin-1").invoke(main, ["doctor"], catch_exceptions=False)
    assert "\\u2717  connection  CRM_PIPELINE_DATABASE_URL is not set" in result.output


def test_the_env_file_of_the_project_counts_over_the_environment_as_it_does_for_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.create(tmp_path, "code_location_env")
    (tmp_path / ".env").write_text(f"{URL_VARIABLE}=postgresql://127.0.0.1:9/of_the_file")
    monkeypatch.setenv(URL_VARIABLE, "not an address")
    monkeypatch.chdir(tmp_path / "code_location_env")
    alone = CliRunner().invoke(main, ["sandbox", "--customers", "-5"])
    assert (alone.exit_code, os.environ[URL_VARIABLE]) == (2, "not an address")
    assert "cannot be reached" in CliRunner().invoke(main, ["db", "upgrade"]).output


ANY_PORTS = ("--qbench-port", "0", "--salesforce-port", "0", "--hubspot-port", "0", "--control-port", "0")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("sandbox", "--qbench-port", "99999"), "--qbench-port"),
        (("sandbox", "--customers", "-5"), "--customers"),
        (("sandbox", *ANY_PORTS, "--customers", "0", "--contacts", "5"), "--contacts"),
        (("sandbox", *ANY_PORTS, "--qbench-port", "{free}", "--hubspot-port", "{free}"), "--qbench-port"),
        (("sandbox", *ANY_PORTS, "--hubspot-port", "{taken}"), "--hubspot-port"),
        (("sandbox", *ANY_PORTS, "--crm", "sugarcrm", "--sugarcrm-port", "{taken}"), "--sugarcrm-port"),
        (("sandbox", *ANY_PORTS, "--crm", "nonsense"), "--crm"),
        (("dev", "--port", "99999"), "--port"),
        (("dev", "--port", "{taken}"), "--port"),
    ],
)
def test_a_number_that_cannot_be_used_is_refused_by_its_option(words: tuple[str, ...], option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = {"taken": taken.getsockname()[1], "free": free.getsockname()[1]}
        free.close()
        result = CliRunner().invoke(main, [word.format(**ports) for word in words])
    assert result.exit_code == 2, result.output
    assert re.search(rf"Error: Invalid value for '?{option}'?: ", result.output)


WITHOUT_EXTRAS = [("demo", "faker"), ("dev", "faker"), ("sandbox", "faker"), ("sandbox", "python_multipart")]


@pytest.fixture(scope="module")
def ended_without_extras() -> dict[str, list[object]]:
    """Exit code and output of each command, by command and the one package that is not there for it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        ports = {"demo": (), "dev": ("--port", str(free.getsockname()[1])), "sandbox": ANY_PORTS}
    # One process for all, because it is the start that takes long.
    program = f"""
import contextlib, io, json, sys
from crm_pipeline.cli import main
ended = {{}}
for command, package in {WITHOUT_EXTRAS!r}:
    for loaded in [name for name in sys.modules if name.split(".")[0] in ("crm_pipeline", package)]:
        del sys.modules[loaded]
    sys.modules[package] = None
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complained:
        try:
            main([command, *{ports!r}[command]])
        except SystemExit as end:
            ended[f"{{command}} without {{package}}"] = end.code, said.getvalue(), complained.getvalue()
    del sys.modules[package]
print(json.dumps(ended))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    ended: dict[str, list[object]] = json.loads(ran.stdout)
    return ended


@pytest.mark.parametrize(("command", "package"), WITHOUT_EXTRAS)
def test_a_command_without_its_extras_says_what_to_install(
    ended_without_extras: dict[str, list[object]], command: str, package: str
) -> None:
    message = f"Error: {package} is not installed; install crm-pipeline[embedded,sandbox]\n"
    assert ended_without_extras[f"{command} without {package}"] == [1, "", message]


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, f"there is no command {name}"
            yield from leaves(found, *path, name)
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join(path), command


LEAVES = dict(leaves(main))


@pytest.mark.parametrize("words", sorted(LEAVES))
def test_every_command_answers_in_json_where_asked_to(words: str) -> None:
    assert "--json" in {name for parameter in LEAVES[words].params for name in parameter.opts}


@pytest.mark.parametrize("words", sorted(LEAVES))
def test_the_help_of_every_command_ends_with_examples_that_can_be_typed(words: str) -> None:
    _, _, *shown = (LEAVES[words].epilog or "\b\n").splitlines()
    assert shown, "show examples with `epilog=examples(…)`"
    for example in shown:
        program, *typed = shlex.split(example)
        assert (program, typed[: len(words.split())]) == ("crm-pipeline", words.split())
        LEAVES[words].make_context(words, typed[len(words.split()) :], resilient_parsing=False)


def test_the_help_of_all_loads_no_command_and_nothing_heavy() -> None:
    program = """
import sys
from crm_pipeline.cli import main
try:
    main(["--help"])
except SystemExit:
    print("LOADED", *sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    told, _, loaded = ran.stdout.partition("LOADED")
    assert all(f"  {name} " in told for name in MODULES), told
    packages = {"dagster", "pandas", "pydantic", "sqlalchemy", "httpx", "rich", "starlette"}
    assert packages.intersection(loaded.split()) == set()
    assert not set(MODULES.values()).intersection(loaded.split())
