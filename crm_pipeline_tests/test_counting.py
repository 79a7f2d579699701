"""Counts in sentences, and the sentences with counts that people read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm_pipeline.counting import counted
from crm_pipeline.errors import TooManyChangesError
from crm_pipeline.orchestration.change_checks import conflicts, no_failed_changes, no_ping_pong
from crm_pipeline.orchestration.checks import no_failed_records, no_open_records
from crm_pipeline.store.ledger import OpenRecords
from crm_pipeline.sync.returning.report import ReturnReport


@pytest.mark.parametrize(("count", "said"), [(0, "0 records"), (1, "1 record"), (2, "2 records"), (1_200, "1200 records")])
def test_one_is_no_plural(count: int, said: str) -> None:
    assert counted(count, "record") == said


def test_number_is_written_as_it_is_asked_for() -> None:
    assert counted(1_200, "record", form=",") == "1,200 records"


def test_verb_goes_with_the_number() -> None:
    assert [counted(count, "reply is", "replies are") for count in (1, 2)] == ["1 reply is", "2 replies are"]


@pytest.mark.parametrize(("planned", "said"), [(1, "would change 1 customer in QBench, and 0 are"), (2, "would change 2 customers in")])
def test_error_of_too_many_changes_counts_them(planned: int, said: str) -> None:
    error = TooManyChangesError(integration="acme", service="salesforce", records="customers", planned=planned, limit=0)
    assert said in str(error)


def test_checks_count_one_record_as_one() -> None:
    report = ReturnReport()
    report.conflicts["crm"] = 1
    told = [
        no_failed_records({"UnaccountedException": 1}),
        no_failed_changes({"UnaccountedException": 1}),
        no_ping_pong(OpenRecords({"PingPongException": 1}, 1, None)),
        conflicts(report),
    ]
    assert [str(one.description).split(";")[0].partition(" for ")[0].partition(" that ")[0] for one in told] == [
        "1 record is refused or skipped",
        "1 change is refused or left out",
        "Fields of 1 record went to and fro and are held: something changes on its way what is written there.",
        "1 value was written over",
    ]
    open_one = OpenRecords({"ServiceFailedException": 1}, 1, datetime(2026, 11, 2, 12, tzinfo=UTC))
    assert str(no_open_records(open_one).description) == "1 record is tried again by itself, the next after 2026-11-02 12:00 UTC."
