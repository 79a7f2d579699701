"""How contacts wait for a full call that gives them their accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crm_pipeline.sync.loading.associating import Associating
from crm_pipeline.sync.loading.sorting import Sorting
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, stages

NUMBERS = (11, 12, 13)


@contextmanager
def gathered(bench: Bench) -> Iterator[Associating]:
    """Three written contacts that wait for their account, in a CRM that associates two in a call."""
    spec = bench.spec(settings={"association_batch_size": 2})
    bench.given(spec, ACCOUNT, customer(1))
    people = [{"crm_id": bench.add(CONTACT, {"email": f"person{number}@labs.example.org"})} for number in NUMBERS]
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in NUMBERS))
    with stages(bench, spec, CONTACT) as load:
        sorting = Sorting(load.job, load.plans.planner)
        waiting = Associating(load.job, load.sending, load.storing, accounts=lambda: sorting.account_reader)
        batch = load.plan(*NUMBERS)
        waiting.add(batch.rows, answers(batch, *people))
        yield waiting


def test_full_calls_go_at_once_and_the_rest_when_it_is_asked_for(hubspot: Bench) -> None:
    with gathered(hubspot) as waiting:
        waiting.send_full()
        assert [rows["qbench_id"].tolist() for rows in waiting.waiting] == [[13]]
        assert hubspot.outcomes(CONTACT) == {11: ("created", None), 12: ("created", None)}
        waiting.send(at_least=1)
        assert sum(map(len, waiting.waiting)) == 0
    assert len(hubspot.sandbox.portal.associations()) == 3


def test_what_the_load_does_not_get_to_stays_open_with_its_links(hubspot: Bench) -> None:
    with gathered(hubspot) as waiting:
        waiting.leave_open()
    assert hubspot.outcomes(CONTACT) == dict.fromkeys(NUMBERS, ("failed", "AssociationPendingException"))
    assert hubspot.rows("SELECT count(*) FROM crm_pipeline.link WHERE record_type = 'contact'") == [(3,)]
