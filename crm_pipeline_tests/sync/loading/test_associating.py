"""How contacts wait for a full call that gives them their accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sync.loading.associating import Associating
from crm_pipeline.sync.loading.sorting import Sorting
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, stages

NUMBERS = (11, 12, 13)


@contextmanager
def gathered(bench: Bench, *, in_flight: int = 1) -> Iterator[Associating]:
    """Three written contacts that wait for their account, in a CRM that associates two in a call."""
    spec = bench.spec(settings={"association_batch_size": 2, "calls_in_flight": in_flight})
    bench.given(spec, ACCOUNT, customer(1))
    people = [{"crm_id": bench.add(CONTACT, {"email": f"person{number}@labs.example.org"})} for number in NUMBERS]
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in NUMBERS))
    with stages(bench, spec, CONTACT) as load:
        sorting = Sorting(load.job, lambda: load.plans.planner)
        waiting = Associating(load.job, load.sending, load.storing, accounts=lambda: sorting.account_reader)
        batch = load.plan(*NUMBERS)
        waiting.add(*load.storing.written(batch.rows, answers(batch, *people)))
        yield waiting


def test_full_calls_go_at_once_and_the_rest_when_it_is_asked_for(hubspot: Bench) -> None:
    with gathered(hubspot) as waiting:
        waiting.send_full()
        assert [rows["qbench_id"].tolist() for rows in waiting.waiting] == [[13]]
        assert hubspot.outcomes(CONTACT) == {11: ("created", None), 12: ("created", None)}
        waiting.send(at_least=1)
        assert sum(map(len, waiting.waiting)) == 0
    assert len(hubspot.sandbox.portal.associations()) == 3


def test_as_many_go_as_may_wait_though_more_calls_could_go_at_once(hubspot: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_pipeline.sync.loading.associating.MOST_WAITING", 2)
    with gathered(hubspot, in_flight=4) as waiting:
        waiting.send_full()
        assert [rows["qbench_id"].tolist() for rows in waiting.waiting] == [[13]]


def test_what_the_load_does_not_get_to_stays_open_with_its_links(hubspot: Bench) -> None:
    with gathered(hubspot) as waiting:
        waiting.leave_open()
    assert hubspot.outcomes(CONTACT) == dict.fromkeys(NUMBERS, ("failed", "AssociationPendingException"))
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(None,)] * 3
    assert hubspot.rows("SELECT id FROM crm_pipeline.open_call") == [], "what no link tells of needs no note"


def test_calls_that_go_at_the_same_time_end_each_by_itself(hubspot: Bench) -> None:
    with gathered(hubspot, in_flight=4) as waiting:
        waiting.send_full()
        assert [rows["qbench_id"].tolist() for rows in waiting.waiting] == [list(NUMBERS)], "they wait for as many full calls as go at once"
        portal, faults = hubspot.sandbox.portal, hubspot.sandbox.faults
        [person] = [record["id"] for record in portal.records("contacts") if record["properties"]["email"].startswith("person13")]
        for down in (Fault(path="associations/.*create", naming=person, times=None, status=503), Fault(path="account-info", status=503)):
            faults.add(down)
        with pytest.raises(ServiceUnavailableError):
            waiting.send(at_least=1)
        assert hubspot.outcomes(CONTACT) == {11: ("created", None), 12: ("created", None)}
        assert [rows["qbench_id"].tolist() for rows in waiting.waiting if len(rows)] == [[13]]
        waiting.leave_open()
    assert hubspot.outcomes(CONTACT)[13] == ("failed", "AssociationPendingException")
