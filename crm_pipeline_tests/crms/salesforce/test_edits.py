"""When Salesforce's fields were edited: by field history where it is kept, else by the record's last edit."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS
from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.schemas import FIELD_HISTORY, RECORD_STAMP

NOON, MINUTE = datetime(2026, 9, 1, 12, tzinfo=UTC), timedelta(minutes=1)


def account(sandbox: Sandbox) -> str:
    return sandbox.org.add("Account", {"Name": "Laboratory", "Phone": "1"}, at=NOON, by=sandbox.org.person_id)


def told(frame: pd.DataFrame) -> dict[str, tuple[pd.Timestamp, str]]:
    return {row.crm_field: (row.edited_at, row.evidence) for row in frame.itertuples()}


def test_tracked_field_has_the_time_of_its_own_edit_and_another_that_of_the_record(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    sandbox.org.track("Account", "Phone")
    crm_id = account(sandbox)
    sandbox.org.update("Account", crm_id, {"Phone": "2"}, at=NOON + MINUTE)
    sandbox.org.update("Account", crm_id, {"Website": "a.example"}, at=NOON + 2 * MINUTE)
    frame = crm.edits(ACCOUNTS, [crm_id], ["phone", "Website"])
    assert told(frame) == {"phone": (NOON + MINUTE, FIELD_HISTORY), "Website": (NOON + 2 * MINUTE, RECORD_STAMP)}
    assert set(frame["edited_by"]) == {sandbox.org.person_id}


def test_record_that_we_wrote_last_says_nothing_of_the_fields_without_history(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    """Its stamp is that of our write, not of the edits before it."""
    sandbox.org.track("Account", "Phone")
    crm_id = account(sandbox)
    sandbox.org.update("Account", crm_id, {"Phone": "2"}, at=NOON + MINUTE)
    sandbox.org.update("Account", crm_id, {"Website": "a.example"}, at=NOON + 2 * MINUTE, by=sandbox.org.user_id)
    assert told(crm.edits(ACCOUNTS, [crm_id], ["Phone", "Website"])) == {"Phone": (NOON + MINUTE, FIELD_HISTORY)}


def test_without_any_history_the_record_is_asked_and_history_once(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    crm_id = account(sandbox)
    for calls in (3, 4):
        assert told(crm.edits(ACCOUNTS, [crm_id], ["Phone"])) == {"Phone": (NOON, RECORD_STAMP)}
        assert crm.calls.snapshot()["read"] == calls - 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Phone", ("2", "3")),
        ("Phone", ("2", None)),
        ("Description", ("a", "b")),
        ("NumberOfEmployees", (7, 8)),
        ("Name", ("Lab", "Labor")),
    ],
)
def test_history_tells_the_newest_edit_whatever_the_fields_type(
    sandbox: Sandbox, crm: SalesforceCrm, name: str, values: tuple[object, object]
) -> None:
    sandbox.org.history_names = {("Account", "Name"): "TextName"}
    sandbox.org.track("Account", name)
    crm_id = account(sandbox)
    for number, value in enumerate(values):
        sandbox.org.update("Account", crm_id, {name: value}, at=NOON + (1 + number) * MINUTE)
    sandbox.org.update("Account", crm_id, {"Website": "a.example"}, at=NOON + 9 * MINUTE)
    assert told(crm.edits(ACCOUNTS, [crm_id], [name])) == {name: (NOON + 2 * MINUTE, FIELD_HISTORY)}


def test_checkbox_has_history_too(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    sandbox.org.track("Contact", "DoNotCall")
    crm_id = sandbox.org.add("Contact", {"LastName": "Ada"}, at=NOON)
    sandbox.org.update("Contact", crm_id, {"DoNotCall": True}, at=NOON + MINUTE)
    assert told(crm.edits(CONTACTS, [crm_id], ["DoNotCall"])) == {"DoNotCall": (NOON + MINUTE, FIELD_HISTORY)}


def test_history_that_ended_before_the_present_value_is_not_believed(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    """Tracking was turned off meanwhile."""
    sandbox.org.track("Account", "Phone")
    crm_id = account(sandbox)
    sandbox.org.update("Account", crm_id, {"Phone": "2"}, at=NOON + MINUTE)
    sandbox.org.untrack("Account", "Phone")
    sandbox.org.update("Account", crm_id, {"Phone": "3"}, at=NOON + 2 * MINUTE)
    assert told(crm.edits(ACCOUNTS, [crm_id], ["Phone"])) == {"Phone": (NOON + 2 * MINUTE, RECORD_STAMP)}


def test_versions_are_those_of_tracked_fields_since_then_whatever_their_type(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    sandbox.org.history_names = {("Account", "Name"): "TextName"}
    sandbox.org.track("Account", "Name", "Phone", "NumberOfEmployees", "Description")
    crm_id = account(sandbox)
    changes: list[dict[str, Any]] = [
        {"Name": "Lab", "NumberOfEmployees": 7},
        {"Phone": None},
        {"Phone": "3", "Website": "a.example", "Description": "long"},
    ]
    for minutes, values in enumerate(changes, start=1):
        sandbox.org.update("Account", crm_id, values, at=NOON + minutes * MINUTE)
    fields = ["Name", "phone", "NumberOfEmployees", "Website", "Description"]

    def since(minutes: int) -> list[tuple[object, ...]]:
        told = crm.versions(ACCOUNTS, [crm_id], fields, since=NOON + minutes * MINUTE)
        return [(row.crm_field, row.value, row.edited_at) for row in told.itertuples()]

    assert since(2) == [("phone", None, NOON + 2 * MINUTE), ("phone", "3", NOON + 3 * MINUTE)]
    assert sorted(since(1)[:2]) == [("Name", "Lab", NOON + MINUTE), ("NumberOfEmployees", 7, NOON + MINUTE)]


def test_where_no_history_is_kept_there_are_no_versions(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    crm_id = account(sandbox)
    assert crm.versions(ACCOUNTS, [crm_id], ["Phone"], since=NOON).empty
    assert crm.calls.snapshot()["read"] == 1


@pytest.mark.parametrize("ahead", [90, -90])
def test_clock_is_read_off_the_dates_of_answers(sandbox: Sandbox, crm: SalesforceCrm, ahead: int) -> None:
    sandbox.org.clock_ahead = ahead
    began = time.monotonic()
    crm.organization()
    took = time.monotonic() - began
    assert abs(crm.clock_ahead - timedelta(seconds=ahead)) <= timedelta(seconds=1 + took)
