"""What is told of a database: that it can be used, or why not and what to do."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url, text

from crm_pipeline.diagnosis import Finding
from crm_pipeline.store.database import AUTO_MIGRATE_VARIABLE, Store
from crm_pipeline.store.diagnosis import database_findings
from crm_pipeline_tests.store.test_database import empty_url
from crm_pipeline_tests.store.test_poolers import PGBOUNCER, pooled

__all__ = ["empty_url"]


def found(url: str) -> dict[str, Finding]:
    """The findings of the database at a URL, by their subjects."""
    with closing(Store(url)) as store:
        return {one.subject: one for one in database_findings(store)}


def test_database_that_can_be_used_has_no_problem(database_url: str) -> None:
    told = found(database_url)
    assert {one.level for one in told.values()} == {"ok"}
    assert list(told) == ["connection", "version", "pooler", "tables"]


@pytest.mark.parametrize(
    ("lack", "said", "remedy"),
    [
        ({"password": "secret", "username": "nobody"}, "lets nobody in", "check its user"),
        ({"database": "no_such"}, "lets nobody in", "that its database exists"),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "cannot be reached", "that PostgreSQL is up"),
    ],
)
def test_database_that_is_not_reached_is_one_problem(database_url: str, lack: dict[str, object], said: str, remedy: str) -> None:
    (problem,) = found(make_url(database_url).set(**lack).render_as_string(hide_password=False)).values()  # type: ignore[arg-type]
    assert (problem.level, problem.subject) == ("problem", "connection")
    assert said in problem.text
    assert remedy in problem.remedy
    assert "secret" not in str(problem)


def test_missing_tables_are_no_problem_where_the_first_use_makes_them_and_are_not_made_by_looking(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(empty_url)["tables"].level == "ok"
    monkeypatch.setenv(AUTO_MIGRATE_VARIABLE, "0")
    for _ in range(2):
        told = found(empty_url)["tables"]
        assert (told.level, told.remedy) == ("problem", "run crm-pipeline db upgrade")
        assert told.text == "it has no tables yet, and CRM_PIPELINE_AUTO_MIGRATE is 0"


def test_older_and_newer_tables_are_told_with_both_versions(store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(version: str) -> Finding:
        with store.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.alembic_version SET version_num = :version"), {"version": version})
        return found(database_url)["tables"]

    with store.transaction() as connection:
        current = connection.execute(text("SELECT version_num FROM crm_pipeline.alembic_version")).scalar_one()
    monkeypatch.setenv(AUTO_MIGRATE_VARIABLE, "0")
    try:
        assert f"at version 0001, this package needs {current}" in at("0001").text
        newer = at("9999")
        assert (newer.level, newer.remedy) == ("problem", "upgrade the package")
    finally:
        at(current)


def test_user_who_may_not_make_the_tables_is_told_before_the_first_run(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    told = found(make_url(empty_url).set(username="reader").render_as_string(hide_password=False))["tables"]
    assert (told.level, "GRANT CREATE ON DATABASE" in told.remedy) == ("problem", True)


def test_database_that_lacks_characters_is_a_problem(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert found(make_url(postgres).set(database="latin").render_as_string(hide_password=False))["encoding"].level == "problem"


@pytest.mark.skipif(not PGBOUNCER, reason="needs PgBouncer")
def test_pooler_is_told_where_it_works_and_where_it_does_not(database_url: str) -> None:
    with pooled(database_url, mode="transaction") as url:
        assert "a pooler stands before it" in found(url)["pooler"].text
    with pooled(database_url, mode="statement") as url:
        (problem,) = found(url).values()
        assert "takes no transactions" in problem.text
