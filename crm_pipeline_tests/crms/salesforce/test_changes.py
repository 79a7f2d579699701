"""What changed in Salesforce: how many calls a window takes, and who edited a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS
from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.errors import RequestRefusedError
from crm_pipeline.sandbox.sandbox import Sandbox

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
WANTED = {ACCOUNTS: ["Name"], CONTACTS: ["LastName"]}


def told(crm: SalesforceCrm, *, since: datetime | None = None, until: datetime = SOON) -> dict[CrmObject, pd.DataFrame]:
    parts: dict[CrmObject, list[pd.DataFrame]] = {}
    for crm_object, frame in crm.changed(WANTED, since=since, until=until):
        parts.setdefault(crm_object, []).append(frame)
    return {crm_object: pd.concat(frames, ignore_index=True) for crm_object, frames in parts.items()}


def test_window_of_all_objects_is_one_call_while_none_changed_more_than_two_thousand_records(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    assert told(crm) == {}
    assert crm.calls.snapshot()["read"] == 1
    account, contact = sandbox.org.add("Account", {"Name": "Laboratory"}), sandbox.org.add("Contact", {"LastName": "Ada"})
    found = told(crm)
    assert found[ACCOUNTS][["crm_id", "Name"]].to_numpy().tolist() == [[account, "Laboratory"]]
    assert found[CONTACTS][["crm_id", "LastName"]].to_numpy().tolist() == [[contact, "Ada"]]
    assert crm.calls.snapshot()["read"] == 2


def test_more_records_than_a_page_are_walked_by_id_however_alike_their_stamps_are(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    ids = [sandbox.org.add("Account", {"Name": f"Laboratory {number}"}) for number in range(4_001)]
    sandbox.org.update("Account", ids[0], {"Name": "Changed last"}, at=SOON - timedelta(minutes=1))
    assert sorted(told(crm)[ACCOUNTS]["crm_id"]) == sorted(ids)
    assert crm.calls.snapshot()["read"] == 3


def test_pages_shorter_than_asked_for_are_followed(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    sandbox.org.page_size = 50
    ids = [sandbox.org.add("Account", {"Name": f"Laboratory {number}"}) for number in range(120)]
    found = told(crm)[ACCOUNTS]["crm_id"]
    assert sorted(found) == sorted(ids)


def test_object_that_is_refused_among_others_fails_as_if_asked_for_alone(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    """Of an object without the fields, for instance: that another one answers does not make its window empty."""
    sandbox.org.add("Contact", {"LastName": "Ada"})
    with pytest.raises(RequestRefusedError, match="Missing__c"):
        list(crm.changed({CONTACTS: ["LastName"], ACCOUNTS: ["Missing__c"]}, since=None, until=SOON))


def test_changed_record_names_the_user_who_edited_it_last(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    sandbox.org.add("Account", {"Name": "Laboratory"})
    row = told(crm)[ACCOUNTS].iloc[0]
    assert row["edited_by"].startswith("005")
    assert row["edited_at"] <= row["stamp"]
