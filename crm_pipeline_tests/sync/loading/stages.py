"""One load taken apart: its stages on staged records, so that each can be tried by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.store.normalized_records import normalized_by_id
from crm_pipeline.sync.loading.delivery import Delivery
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered, Sent
from crm_pipeline.sync.loading.outbox import Wave
from crm_pipeline.sync.loading.plans import Plans
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.loading.sending import Sending
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.loading.suspects import Suspects
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline_tests.sync.conftest import Bench


@dataclass(frozen=True)
class Stages:
    """The stages of one load that is under way."""

    bench: Bench
    job: Job
    storing: Storing
    sending: Sending
    suspects: Suspects
    plans: Plans

    @cached_property
    def delivery(self) -> Delivery:
        """What carries plans out."""
        return Delivery(self.job, self.plans, sending=self.sending, storing=self.storing, suspects=self.suspects)

    def frame(self, *ids: int) -> pd.DataFrame:
        """The staged records, normalized."""
        with self.bench.store.transaction() as connection:
            return normalized_by_id(connection, self.job.order.integration, self.job.record_type, ids=list(ids))

    def plan(self, *ids: int) -> Plan:
        """The plan of staged records."""
        return self.plans.of(self.frame(*ids))


@contextmanager
def stages(bench: Bench, spec: IntegrationSpec, record_type: RecordType) -> Iterator[Stages]:
    """The stages of a load, which has its locks."""
    with (
        closing(bench.connect(spec)) as crm,
        Job(bench.order(spec, record_type), store=bench.store, crm=crm, report=LoadReport()) as job,
    ):
        job.take_turn()
        storing = Storing(job)
        suspects = Suspects(job, storing)
        yield Stages(bench, job, storing, Sending(job, storing), suspects, Plans(job, apart=suspects.apart))


def begun(load: Stages, batch: Plan) -> Sent:
    """What a load stores before it sends a batch in one call."""
    return load.storing.begin(batch, calls=pd.Series(0, index=batch.rows.index))


def sent(load: Stages, *batches: Plan) -> list[tuple[Plan, Answered]]:
    """What batches are answered that are sent at the same time."""
    return load.sending.answered(load.sending.begin(wave(*batches)))


def wave(*batches: Plan) -> Wave:
    """Batches that go at the same time."""
    return Wave(Plan.together(batches), tuple(map(len, batches)))


def over(sent: Sent, told: pd.DataFrame, *, error: ServiceError | None = None) -> Answered:
    """A call that was answered so, or failed, none of its attempts without an answer."""
    return Answered(sent, told, pd.Series(False, index=told.index), error)


def answers(batch: Plan, *told: dict[str, Any]) -> pd.DataFrame:
    """What the CRM answers for each row of a batch (schemas.WRITE_RESULTS): made, but for what is told."""
    made = [
        {"qbench_id": qbench_id, "crm_id": f"crm-{qbench_id}", "created": True, "parent_sent": False, "value_refused": False, **row}
        for qbench_id, row in zip(batch.rows["qbench_id"], told or ({},) * len(batch), strict=True)
    ]
    return WRITE_RESULTS.build(pd.DataFrame(made, columns=WRITE_RESULTS.names))
