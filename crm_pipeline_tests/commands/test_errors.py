"""``crm-pipeline errors``: totals over all records, the change since yesterday, and the records behind each."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CHANGE_OUTCOMES, OUTCOMES
from crm_pipeline.store.change_outcomes import save_change_outcomes
from crm_pipeline_tests.commands.conftest import Desk, own_desk
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, customer

NO_EMAIL, LOCKED, FILTERED, INVALID = (
    "NoEmailForContactException",
    "RecordLockedException",
    "FilteredOutException",
    "InvalidValueException",
)


def decide(desk: Desk, record_type: RecordType, *rows: tuple[int, str, str | None, str | None, bool]) -> None:
    columns = ["qbench_id", "outcome", "error_type", "reason", "retryable"]
    frame = OUTCOMES.build(pd.DataFrame(rows, columns=columns).assign(version=200))
    order = desk.bench.order(desk.spec, record_type)
    with desk.bench.store.transaction() as connection:
        order.state.save_outcomes(connection, outcomes=frame, attempt=order.attempt)


@pytest.fixture(scope="module")
def desk(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An account in Salesforce, contacts that wait or lack an email, some of them since yesterday, and a refused change from there."""
    with own_desk(postgres, tmp_path_factory.mktemp("errors")) as desk:
        desk.bench.given(desk.spec, ACCOUNT, customer(1))
        decide(desk, CONTACT, (11, "skipped", NO_EMAIL, None, False), (12, "skipped", NO_EMAIL, None, False))
        with desk.bench.store.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.standing SET hour = hour - interval '30 hours'"))
        decide(
            desk,
            CONTACT,
            (12, "updated", None, None, False),
            (13, "skipped", NO_EMAIL, None, False),
            (14, "skipped", NO_EMAIL, None, False),
            (15, "failed", LOCKED, "UNABLE_TO_LOCK_ROW", True),
            (16, "skipped", FILTERED, "status", False),
        )
        change = {
            "crm_id": pd.Series(["001A"]),
            "qbench_id": pd.Series([1], dtype="Int64"),
            "outcome": pd.Series(["failed"]),
            "error_type": pd.Series([INVALID]),
            "reason": pd.Series(["website"]),
            "retryable": pd.Series([False]),
        }
        with desk.bench.store.transaction() as connection:
            order = desk.bench.order(desk.spec, ACCOUNT)
            save_change_outcomes(connection, order.state, outcomes=CHANGE_OUTCOMES.build(change), attempt=order.attempt)
        desk.bench.sandbox.journal.clear()
        yield desk


def lines(desk: Desk, *words: str, code: int = 0) -> list[str]:
    """The lines that the command shows, the blanks between columns as two, and ends with this code."""
    result = desk.type("errors", *words)
    assert result.exit_code == code, result.output
    return [re.sub(r" {2,}", "  ", line.strip()) for line in result.output.splitlines()]


def test_totals_tell_how_all_records_stand_and_how_that_moved_since_yesterday(desk: Desk) -> None:
    told = lines(desk, code=1)
    assert "records  synced  waiting  failed  left out" in told
    assert "→ salesforce accounts  1  0  0  0" in told
    assert "→ salesforce contacts  1 (+1)  1 (+1)  3 (+1)  1 (+1)" in told
    assert "← salesforce accounts  0  0  1 (+1)  0" in told
    contacts = told[told.index("→ salesforce contacts  now  in 24 h  what is wrong") :]
    assert contacts[1].startswith(f"{NO_EMAIL}  3  +1  The contact")
    assert [line.partition("  ")[0] for line in contacts if "Exception" in line][:3] == [NO_EMAIL, LOCKED, FILTERED], "left out: last"


def test_totals_of_one_crm_or_record_type(desk: Desk) -> None:
    assert not any("contacts" in line for line in lines(desk, "--record-type", "account", code=1))
    assert "No record has an outcome yet." in lines(desk, "--crm", "hubspot")


def test_totals_as_json_say_how_many_there_were_a_day_ago(desk: Desk) -> None:
    [found] = [each for each in json.loads(desk.type("errors", "--json").output) if each["error_type"] == NO_EMAIL]
    kept = ("direction", "crm", "record_type", "condition", "records", "day_before")
    assert tuple(found[name] for name in kept) == ("to_crm", "salesforce", "contact", "failed", 3, 2)
    assert found["remedy"]


def test_behind_an_error_stand_all_its_records_with_their_sentence_and_what_to_do(desk: Desk) -> None:
    told = lines(desk, "--type", INVALID)
    assert told[1].startswith("What to do: ")
    assert told[3].startswith("acme ← salesforce account 1 (001A): ")
    assert told[3].endswith("(website).")
    assert told[4] == f"1 record has {INVALID}."


def test_records_as_csv_and_json_are_the_same(desk: Desk) -> None:
    result = desk.type("errors", "--type", NO_EMAIL, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.output)))
    assert [row["qbench_id"] for row in rows] == ["11", "13", "14"]
    as_json: list[dict[str, Any]] = desk.json("errors", "--type", NO_EMAIL)
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in as_json] == rows


def test_csv_without_a_type_holds_the_records_of_all_errors(desk: Desk) -> None:
    rows = csv.DictReader(io.StringIO(desk.type("errors", "--csv").output))
    assert [(row["direction"], row["error_type"], row["qbench_id"]) for row in rows] == [
        ("to_crm", FILTERED, "16"),
        *(("to_crm", NO_EMAIL, number) for number in ("11", "13", "14")),
        ("to_crm", LOCKED, "15"),
        ("from_crm", INVALID, "1"),
    ]


def test_an_error_is_one_of_the_table_and_no_service_is_asked(desk: Desk) -> None:
    result = desk.type("errors", "--type", "InvalidValueExeption")
    assert (result.exit_code, f"did you mean `{INVALID}`?" in result.output) == (2, True)
    assert desk.type("errors", "--csv", "--json").exit_code == 2
    assert desk.bench.sandbox.journal.calls() == []
