"""``crm-pipeline doctor`` on a project: all that is found of every service, as a table or JSON, with an exit code for CI."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline_tests.commands.conftest import Desk
from crm_pipeline_tests.tenants import add_laboratories

Found = dict[tuple[str | None, str, str], dict[str, str]]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's settings are those of the working directory: here are none."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


@pytest.fixture
def healthy(desk: Desk) -> Desk:
    """A project in which nothing is missing, but Dagster's own settings."""
    add_laboratories(desk.bench.sandbox.tenant, 1, contacts_each=1)
    return desk


def found(desk: Desk, *words: str) -> Found:
    """What the doctor finds, by integration, area and subject."""
    told = json.loads(desk.type("doctor", "--json", *words).output)
    return {(one["integration"], one["area"], one["subject"]): one for one in told}


def bad(told: Found) -> dict[str, str]:
    """The levels of what is not as it should be, by area and subject."""
    return {f"{area} {subject}": one["level"] for (_, area, subject), one in told.items() if one["level"] != "ok"}


def test_healthy_integration_is_green_from_end_to_end(healthy: Desk) -> None:
    result = healthy.type("doctor")
    assert result.exit_code == 0, result.output
    told = found(healthy)
    assert bad(told) == {"dagster instance": "warning", "hubspot company creation": "warning"}
    assert {area for _, area, _ in told} == {"database", "qbench", "salesforce", "hubspot", "dagster"}
    assert told["acme", "salesforce", "account: Name"]["text"] == "text of up to 255 characters that is required, from name"
    assert "Nothing was written." in result.output
    assert {call.method for call in healthy.bench.sandbox.journal.calls() if call.path.startswith("/services/data")} == {"GET"}


def test_warnings_end_with_code_1_where_they_are_to(healthy: Desk) -> None:
    assert healthy.type("doctor", "--strict").exit_code == 1


def no_qbench_secret(sandbox: Sandbox, _environment: pytest.MonkeyPatch) -> None:
    sandbox.tenant.client_secret = "another one, which is long enough"


def no_salesforce_app(sandbox: Sandbox, _environment: pytest.MonkeyPatch) -> None:
    sandbox.org.client_secret = "another one"


def no_token(_sandbox: Sandbox, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("HUBSPOT_TOKEN")


def no_database(_sandbox: Sandbox, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(URL_VARIABLE, "postgresql://user:secret@127.0.0.1:1/db")


@pytest.mark.parametrize(
    ("lack", "problem", "remedy"),
    [
        (no_qbench_secret, "qbench sign-in", "QBENCH_CLIENT_SECRET"),
        (no_salesforce_app, "salesforce sign-in", "SALESFORCE_CLIENT_SECRET"),
        (no_token, "hubspot sign-in", "set it where runs execute"),
        (no_database, "database connection", "that PostgreSQL is up"),
    ],
)
def test_service_that_is_not_reached_hides_no_other(
    lack: Callable[[Sandbox, pytest.MonkeyPatch], None], problem: str, remedy: str, healthy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(healthy.bench.sandbox, monkeypatch)
    told = found(healthy)
    problems = [f"{area} {subject}" for (_, area, subject), one in told.items() if one["level"] == "problem"]
    assert problems == [problem]
    (one,) = [one for one in told.values() if one["level"] == "problem"]
    assert remedy in one["text"] + one["remedy"]
    assert healthy.type("doctor").exit_code == 1
    assert not any(secret in json.dumps(list(told.values())) for secret in [*SANDBOX_CREDENTIALS.values(), "secret@"])


def test_wrong_yaml_is_told_beside_the_database(healthy: Desk) -> None:
    healthy.file.write_text(healthy.file.read_text().replace("default_region: US", "default_region: XX"))
    result = healthy.type("doctor", "--json")
    told = {one["area"]: one for one in json.loads(result.output)}
    assert (result.exit_code, told["yaml"]["level"]) == (1, "problem")
    assert "defs.yaml:" in told["yaml"]["text"]
    assert told["database"]["level"] == "ok"


def test_links_of_another_organization_are_told_before_a_run_stops_at_them(healthy: Desk, store: Store) -> None:
    spec = healthy.spec
    with store.transaction() as connection:
        require_organization(connection, spec.name, "hubspot", org_id="4711")
    told = found(healthy)["acme", "hubspot", "links"]
    assert (told["level"], "adopt-org" in told["text"] + told["remedy"]) == ("problem", True)


def test_an_empty_database_stays_empty(healthy: Desk, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE looked_at")
        url = make_url(postgres).set(database="looked_at").render_as_string(hide_password=False)
        monkeypatch.setenv(URL_VARIABLE, url)
        assert "Next: read QBench" in healthy.type("doctor").output
        with psycopg.connect(url) as looked_at:
            schemas = looked_at.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'crm_pipeline'").fetchall()
        connection.execute("DROP DATABASE looked_at WITH (FORCE)")
    assert schemas == []
