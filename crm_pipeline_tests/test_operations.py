"""The runbook: what it says can be typed, and its Kubernetes settings are those of dagster.yaml."""

from __future__ import annotations

import re
import shlex
import uuid
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import yaml
from dagster._cli.api import grpc_command
from dagster._core.instance.config import dagster_instance_config
from sqlalchemy import text

from crm_pipeline.cli import main
from crm_pipeline.orchestration.running import INTEGRATION_TAG
from crm_pipeline.store.database import Store
from crm_pipeline_tests.integration_projects import Project, complete_with

ROOT = Path(__file__).parents[1]
RUNBOOK = (ROOT / "docs/operations.md").read_text()
SCALING = (ROOT / "docs/scaling.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIABLE = re.compile(r"CRM_PIPELINE_[A-Z_]+|SANDBOX_[A-Z]+(?:_URL)?(?=\b)")


def blocks(language: str) -> list[str]:
    """The runbook's code of this language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", RUNBOOK, re.DOTALL | re.MULTILINE)


STATEMENTS = [statement for block in blocks("sql") for statement in block.split(";") if statement.strip()]
TYPED = [line.strip().removeprefix("$ crm-pipeline ") for line in "".join(blocks("console")).splitlines() if "$ crm-pipeline " in line]


def environment_variables() -> set[str]:
    """The variables of ours that the package names."""
    sources = ((ROOT / "crm_pipeline").rglob("*.py"), (ROOT / "crm_pipeline").rglob("*.yaml"), [ROOT / "dagster.yaml"])
    return {name for files in sources for file in files for name in VARIABLE.findall(file.read_text()) if "CREDENTIALS" not in name}


def anchors(document: Path) -> set[str]:
    """What links can name in a document, by GitHub's rule for headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", sorted(environment_variables()))
def test_every_environment_variable_stands_in_the_runbook(name: str) -> None:
    assert f"`{name}`" in RUNBOOK


@pytest.mark.parametrize("typed", TYPED)
def test_every_command_of_the_runbook_can_be_typed(typed: str) -> None:
    command: click.Command = main
    words, context = shlex.split(typed), click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    command.make_context(command.name, words, parent=context)


def test_every_statement_of_the_runbook_is_one_of_this_database(store: Store) -> None:
    assert STATEMENTS
    for statement in STATEMENTS:
        with store.transaction() as connection:
            connection.execute(text(statement))


def test_the_python_of_the_runbook_frees_what_a_dead_run_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [program] = blocks("python")
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {default_limit: 1}}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        run = dg.DagsterRun(job_name="acme__sync", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        instance.event_log_storage.initialize_concurrency_limit_to_default("acme__qbench")
        instance.event_log_storage.claim_concurrency_slot("acme__qbench", run.run_id, "read")
        held = instance.event_log_storage.get_concurrency_info("acme__qbench").claimed_slots
        exec(program.replace("the id of the dead run", run.run_id), {})  # noqa: S102 - what a reader types
        freed = instance.get_run_by_id(run.run_id)
        assert (len(held), freed and freed.status) == (1, dg.DagsterRunStatus.FAILURE)
        assert instance.event_log_storage.get_concurrency_info("acme__qbench").claimed_slots == []


def test_the_alerts_of_the_runbook_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crm_pipeline.commands.integrations import integrations

    [alerts] = blocks("yaml")
    project = Project.create(tmp_path, "runbook_alerts")
    monkeypatch.syspath_prepend(tmp_path)
    project.write("acme", complete_with(("  accounts:\n", "".join(f"  {line}\n" for line in alerts.splitlines()) + "  accounts:\n")))
    assert integrations("runbook_alerts.defs")["acme"].alerts is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_between_the_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", document.read_text()):
        file, _, anchor = target.partition("#")
        place = (document.parent / file).resolve() if file else document
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def in_dagsters_words(values: Any) -> Any:
    """Helm's keys as dagster.yaml writes them."""
    if isinstance(values, dict):
        return {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): in_dagsters_words(value) for key, value in values.items()}
    return values


def test_the_helm_values_are_the_instance_settings() -> None:
    values = yaml.safe_load((ROOT / "docs/kubernetes/values.yaml").read_text())
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    of_the_chart = {"storage", "run_launcher"}
    switched = {name: values[name] for name in ("concurrency", "retention")}
    assert all(part.pop("enabled") for part in switched.values())
    assert in_dagsters_words(
        {
            **switched,
            "python_logs": values["pythonLogs"],
            "run_monitoring": values["dagsterDaemon"]["runMonitoring"],
            "run_retries": values["dagsterDaemon"]["runRetries"],
            "telemetry": values["telemetry"],
            **values["additionalInstanceConfig"],
        }
    ) == {name: part for name, part in settings.items() if name not in of_the_chart}


def test_code_servers_of_image_and_helm_values_start_with_the_arguments_that_dagster_takes_and_not_as_root() -> None:
    image = (ROOT / "docs/kubernetes/Dockerfile").read_text()
    values = yaml.safe_load((ROOT / "docs/kubernetes/values.yaml").read_text())
    [deployment] = values["dagster-user-deployments"]["deployments"]
    command = yaml.safe_load(re.findall(r"^CMD (.*)$", image, re.MULTILINE)[-1])
    assert command[:3] == ["dagster", "api", "grpc"]
    for words in (command[3:], ["--port", str(deployment["port"]), *deployment["dagsterApiGrpcArgs"]]):
        taken = grpc_command.make_context("grpc", list(words)).params
        assert (taken["module_name"], taken["port"]) == ("crm_pipeline.definitions", deployment["port"])
    assert re.search(r"^USER \d+$", image, re.MULTILINE), "Kubernetes tells by the number that it is not root"
    of_runs = values["runLauncher"]["config"]["k8sRunLauncher"]["securityContext"]
    assert of_runs == deployment["securityContext"]
    assert of_runs["runAsNonRoot"]


def test_the_settings_for_many_tenants_and_hosts_are_ones_that_dagster_takes(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    written = re.findall(r"^```yaml\n((?:concurrency|run_coordinator):\n.*?)^```", SCALING, re.DOTALL | re.MULTILINE)
    for block in written:
        settings |= yaml.safe_load(block)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    taken, _ = dagster_instance_config(str(tmp_path))
    assert (len(written), taken["concurrency"]["runs"]["tag_concurrency_limits"][0]["key"]) == (2, INTEGRATION_TAG)


def test_the_versions_for_kubernetes_are_the_pinned_ones() -> None:
    pinned = dict(re.findall(r"^(dagster|dagster-postgres)==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert f"--version {pinned['dagster']} " in RUNBOOK
    # Dagster's libraries have one version of their own.
    assert f'"dagster-k8s>={pinned["dagster-postgres"]},<' in (ROOT / "docs/kubernetes/Dockerfile").read_text()
