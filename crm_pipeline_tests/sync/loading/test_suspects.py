"""Which records go behind all others, and which one of a failed call is to blame."""

from __future__ import annotations

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer
from crm_pipeline_tests.sync.loading.stages import Stages, begun, over, stages

DOWN = ServiceUnavailableError("failed", integration="acme", service="salesforce")


def fail(load: Stages, batch: Plan) -> None:
    """Pass over a call with this batch that failed."""
    load.suspects.pass_over(batch, over(begun(load, batch), results.failed(batch.rows, code="500"), error=DOWN))


def rounds(load: Stages) -> list[list[int]]:
    return [[number for frame in frames for number in frame["qbench_id"]] for frames in load.suspects.rounds(frame_rows=10)]


def test_creates_that_failed_together_go_again_behind_the_others_and_are_not_counted(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2), customer(3))
    with stages(salesforce, spec, ACCOUNT) as load:
        fail(load, load.plan(1, 2))
        assert (load.job.report.accounted, rounds(load), rounds(load)) == (0, [[1, 2]], [])


def test_create_that_failed_alone_is_to_blame(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        load.suspects.apart[1] = 1
        fail(load, load.plan(1))
        assert (load.job.report.accounted, rounds(load)) == (1, [])
    assert salesforce.outcomes() == {1: ("failed", "CrmFailsOnRecordException")}


def test_record_that_the_crm_failed_on_last_time_waits_until_the_others_are_done(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        fail(load, load.plan(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        assert load.suspects.without(load.frame(1, 2))["qbench_id"].tolist() == [2]
        assert rounds(load) == [[1]]
