"""What changed in HubSpot: by which property, and in how many calls."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.crms.abilities import ChangesCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import open_bench

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    sandbox.portal.search_calls = None
    return open_bench(sandbox)


def ids_told(crm: Crm) -> list[str]:
    assert isinstance(crm, ChangesCrm)
    wanted: dict[object, list[str]] = {CONTACTS: ["email"]}
    return [one for _, frame in crm.changed(wanted, since=None, until=SOON) for one in frame["crm_id"]]  # type: ignore[arg-type]


def test_more_contacts_than_a_search_pages_through_are_walked_by_id_and_not_in_the_order_of_their_stamps(
    bench: Bench, sandbox: Sandbox
) -> None:
    ids = [bench.add(RecordType.CONTACT, valid(bench, RecordType.CONTACT, number)) for number in range(401)]
    sandbox.portal.update("contacts", ids[0], {"lastname": "Changed last"}, at=SOON.timestamp() - 60, seen_after=0)
    with closing(bench.connect(limits={"searches_per_second": 1_000})) as crm:
        assert sorted(ids_told(crm)) == sorted(ids)
        assert crm.calls.snapshot()["read"] == 3 + 5


def test_values_are_read_by_id_since_what_a_search_shows_may_be_older(bench: Bench) -> None:
    company = bench.add(RecordType.ACCOUNT, {"name": "Laboratory"})
    with closing(bench.connect()) as crm:
        assert isinstance(crm, ChangesCrm)
        [(found, frame)] = crm.changed({COMPANIES: ["name"]}, since=None, until=SOON)
    assert (found, frame["crm_id"].tolist(), frame["name"].tolist()) == (COMPANIES, [company], ["Laboratory"])
    assert bench.journal.calls("hubspot")[-1].path.endswith("/batch/read")
