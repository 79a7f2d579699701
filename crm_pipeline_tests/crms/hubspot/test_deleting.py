"""Records that are moved to HubSpot's bin: in how many calls, and what refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from crm_pipeline.crms.hubspot import COMPANIES
from crm_pipeline.crms.hubspot.client import HubSpotCrm
from crm_pipeline.errors import LimitReachedError, ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.crms.hubspot_bench import connect_hubspot, open_bench

ARCHIVE = "/batch/archive$"


@pytest.fixture(params=["v3", "2026-03"])
def crm(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[HubSpotCrm]:
    open_bench(sandbox)
    with closing(connect_hubspot(sandbox, path_family=request.param)) as adapter:
        assert isinstance(adapter, HubSpotCrm)
        yield adapter


def companies(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.portal.add("companies", {"name": f"Laboratory {number}"}) for number in range(count)]


def test_hundred_records_take_a_read_and_a_write(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 101)
    assert crm.remove(COMPANIES, ids)["error_type"].isna().all()
    assert sandbox.portal.records("companies") == []
    assert crm.calls.snapshot() == {"read": 2, "write": 2}


@pytest.mark.parametrize("status", [400, 403, 404, 500, 504])
def test_record_for_which_the_archive_is_refused_or_fails_is_named_and_the_others_go(
    sandbox: Sandbox, crm: HubSpotCrm, status: int
) -> None:
    ids = companies(sandbox, 12)
    no = {"status": "error", "category": "OF_ITS_OWN", "message": "no"}
    sandbox.faults.add(Fault(service="hubspot", path=ARCHIVE, status=status, body=no, holding=ids[4], times=None))
    told = crm.remove(COMPANIES, ids)
    assert told.loc[told["error_type"].notna(), "crm_id"].tolist() == [ids[4]]
    assert [record["id"] for record in sandbox.portal.records("companies")] == [ids[4]]


def test_records_that_an_answer_names_stay(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 3)
    gone = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "no", "context": {"ids": [ids[0]]}}
    refused = {"status": "error", "category": "OF_ITS_OWN", "message": "no", "context": {"ids": [ids[1]]}}
    sandbox.faults.add(Fault(service="hubspot", path=ARCHIVE, status=207, body={"errors": [gone, refused]}))
    told = crm.remove(COMPANIES, ids).set_index("crm_id")
    assert told["error_type"].dropna().to_dict() == {ids[1]: "RecordRefusedException"}


def test_service_that_is_down_before_anything_is_removed_raises(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 120)
    sandbox.faults.add(Fault(service="hubspot", path=ARCHIVE, status=500, times=None))
    with pytest.raises(ServiceUnavailableError):
        crm.remove(COMPANIES, ids)


def test_service_that_goes_down_meanwhile_leaves_the_rest_to_another_run(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 150)
    sandbox.faults.add(Fault(service="hubspot", path=ARCHIVE, status=500, holding=ids[120], times=None))
    sandbox.faults.add(Fault(service="hubspot", path="/account-info", status=500, times=None))
    for one in ids[100:]:
        sandbox.faults.add(Fault(service="hubspot", path=ARCHIVE, status=500, holding=one, times=None))
    told = crm.remove(COMPANIES, ids)
    assert told.loc[told["error_type"].eq("ServiceFailedException"), "crm_id"].tolist() == ids[100:]
    assert told["error_type"].isna().sum() == 100


def test_reserve_of_daily_calls_is_kept_from_deleting_too(sandbox: Sandbox) -> None:
    open_bench(sandbox)
    sandbox.portal.daily_calls = 10
    ids = companies(sandbox, 1)
    with closing(connect_hubspot(sandbox, keep_free=0.99)) as crm, pytest.raises(LimitReachedError):
        crm.remove(COMPANIES, ids)  # type: ignore[attr-defined]
    assert len(sandbox.portal.records("companies")) == 1
