"""When HubSpot's properties were edited: by the versions that it keeps of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pandas as pd
import pytest

from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.client import HubSpotCrm
from crm_pipeline.errors import UnexpectedAnswerError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot.history import app, person
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.crms.hubspot_bench import connect_hubspot, open_bench

NOON, MINUTE = 1_790_000_000.0, 60.0


@pytest.fixture
def crm(sandbox: Sandbox) -> Iterator[HubSpotCrm]:
    open_bench(sandbox)
    with closing(connect_hubspot(sandbox)) as adapter:
        assert isinstance(adapter, HubSpotCrm)
        yield adapter


def shown(moment: float) -> pd.Timestamp:
    return pd.Timestamp(moment, unit="s", tz="UTC")


def company(sandbox: Sandbox) -> str:
    return sandbox.portal.add("companies", {"name": "Laboratory", "city": "Berlin"}, at=NOON, by=person(7))


def test_each_property_has_the_time_and_the_author_of_its_own_last_edit(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    crm_id = company(sandbox)
    sandbox.portal.update("companies", crm_id, {"city": "Bern"}, at=NOON + MINUTE, by=person(8))
    sandbox.portal.update("companies", crm_id, {"phone": "1"}, at=NOON + 2 * MINUTE, by=app("99"))
    told = crm.edits(COMPANIES, [crm_id], ["name", "city", "phone", "website"])
    assert sorted(map(tuple, told[["crm_field", "edited_at", "edited_by"]].to_numpy().tolist())) == [
        ("city", shown(NOON + MINUTE), "8"),
        ("name", shown(NOON), "7"),
        ("phone", shown(NOON + 2 * MINUTE), "INTEGRATION 99"),
    ]


def test_property_that_was_emptied_has_the_time_of_that(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    crm_id = company(sandbox)
    sandbox.portal.update("companies", crm_id, {"city": ""}, at=NOON + MINUTE)
    assert crm.edits(COMPANIES, [crm_id], ["city"])["edited_at"].tolist() == [shown(NOON + MINUTE)]


def test_versions_that_change_nothing_are_no_edits(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    crm_id = company(sandbox)

    def repeated(answer: dict[str, list[dict[str, dict[str, list[object]]]]]) -> object:
        versions = answer["results"][0]["propertiesWithHistory"]["city"]
        versions.insert(0, {"value": "Berlin", "timestamp": "2027-01-01T00:00:00.000Z", "sourceType": "IMPORT"})
        return answer

    sandbox.faults.add(Fault(kind="bend", bend=repeated, path="/batch/read$", service="hubspot"))
    assert crm.edits(COMPANIES, [crm_id], ["city"])["edited_at"].tolist() == [shown(NOON)]


def test_record_that_was_merged_away_has_the_edits_of_the_one_it_is_part_of(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = [sandbox.portal.add("contacts", {"email": f"{name}@example.com", "lastname": name}) for name in ("ada", "eve")]
    sandbox.portal.merge("contacts", *ids)
    assert sorted(crm.edits(CONTACTS, ids, ["lastname"])["crm_id"]) == sorted(ids)


def test_histories_are_read_for_fifty_records_a_call(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = [company(sandbox) for _ in range(101)]
    assert sorted(crm.edits(COMPANIES, ids, ["name"])["crm_id"]) == sorted(ids)
    assert crm.calls.snapshot() == {"read": 3}


def test_answer_without_the_histories_that_were_asked_for_is_no_answer(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    crm_id = company(sandbox)

    def without(answer: dict[str, list[dict[str, object]]]) -> object:
        del answer["results"][0]["propertiesWithHistory"]
        return answer

    sandbox.faults.add(Fault(kind="bend", bend=without, path="/batch/read$", service="hubspot", times=None))
    with pytest.raises(UnexpectedAnswerError, match="propertiesWithHistory"):
        crm.edits(COMPANIES, [crm_id], ["city"])


def test_every_version_is_told_the_oldest_first_and_of_a_record_that_was_merged_away_none(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    crm_id = company(sandbox)
    for minutes, city in enumerate(("Bern", "", "Basel"), start=1):
        sandbox.portal.update("companies", crm_id, {"city": city}, at=NOON + minutes * MINUTE)
    gone = company(sandbox)
    sandbox.portal.merge("companies", company(sandbox), gone)
    told = crm.versions(COMPANIES, [crm_id, gone], ["city"], since=shown(NOON).to_pydatetime())
    assert told["value"].tolist() == ["Berlin", "Bern", None, "Basel"]
    assert told["edited_at"].tolist() == [shown(NOON + minutes * MINUTE) for minutes in range(4)]


@pytest.mark.parametrize("ahead", [90, -90])
def test_clock_is_read_off_the_dates_of_answers(sandbox: Sandbox, crm: HubSpotCrm, ahead: int) -> None:
    sandbox.portal.clock = lambda: time.time() + ahead
    began = time.monotonic()
    crm.organization()
    took = time.monotonic() - began
    assert abs(crm.clock_ahead - timedelta(seconds=ahead)) <= timedelta(seconds=1 + took)
