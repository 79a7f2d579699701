"""The pipeline's own steps against the services that people work in, hour by hour; a run may break off at any point.

What breaks off is gone as if the process were killed: nothing more is stored, and no call goes out any more.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, text

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault, Faults
from crm_pipeline.sandbox.journal import Call, Journal
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.bring import Return
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.reading import ReadChanges
from crm_pipeline_tests.orchestration.conftest import NO_WRITE
from crm_pipeline_tests.sync.merging.parties import CRMS
from crm_pipeline_tests.sync.simulation.fleets import CRM_NAMES, Fleet
from crm_pipeline_tests.sync.simulation.people import LATE_SECONDS, Kept, Services

LOOK_BACK = LATE_SECONDS + 3
"""Seconds by which a window of changes overlaps the last one."""
ANY_NUMBER = ReturnPolicy(most_changed=1_000_000, most_changed_share=1)
QUERIES = "/composite"
"""Where several of Salesforce's queries go in one call; the writes of many records are called otherwise."""
FRESH_READS: Mapping[str, tuple[str, str]] = {"s": ("POST", r"/composite/sobjects/\w+$"), "h": ("POST", "/batch/read$")}
"""The method and path by which a load looks at records that it is about to write."""
BOUNDARIES = 80
"""About as many calls and transactions as an hour has."""


class Killed(BaseException):
    """The process is gone."""


class Boundaries:
    """The calls and transactions of a run. It is killed behind one of them, where ``left`` says so: None is never."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.is_down = False

    def passed(self) -> None:
        """One more is behind us."""
        if self.left is not None:
            self.left -= 1
            self.is_down = self.is_down or self.left < 0


class Watched(Journal):
    """A journal whose calls are boundaries: behind the last one, no further call arrives anywhere."""

    def __init__(self, boundaries: Boundaries, faults: Faults) -> None:
        super().__init__()
        self._boundaries = boundaries
        self._faults = faults

    def record(self, call: Call) -> None:
        super().record(call)
        was_up = not self._boundaries.is_down
        self._boundaries.passed()
        if was_up and self._boundaries.is_down:
            self._faults.add(Fault(kind="drop_before", times=None))


class Mortal(Store):
    """A store whose transactions are boundaries: none begins behind the last one."""

    def __init__(self, url: str, boundaries: Boundaries) -> None:
        super().__init__(url)
        self._boundaries = boundaries

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self._boundaries.is_down:
            raise Killed
        with super().transaction() as connection:
            yield connection
        self._boundaries.passed()
        if self._boundaries.is_down:
            raise Killed


Step = Callable[[], None]


@dataclass
class Deployment:
    """The pipeline that keeps the services current, and what a chance does to its runs.

    ``record``: what of the integration's records it runs for. ``crash``: how likely an hour breaks off; ``skip``: how likely a reading of
    a CRM is left out. ``edits``: how many people make before each step.
    """

    services: Services
    sandbox: Sandbox
    spec: IntegrationSpec
    record: RecordSpec
    fleet: Fleet
    store: Mortal
    boundaries: Boundaries
    chance: random.Random
    kept: list[Kept] = field(default_factory=list)
    edits: int = 0
    crash: float = 0.0
    skip: float = 0.0
    read_until: dict[str, int] = field(default_factory=dict)
    unbrought: dict[str, list[Window]] = field(default_factory=lambda: {crm: [] for crm in CRMS})
    last: dict[str, Window] = field(default_factory=dict)
    hours: int = 0

    def hour(self) -> None:
        """The two jobs, in any order of their steps; they may break off, and people edit meanwhile."""
        self.hours += 1
        self._an_hour_passes()
        self.boundaries.left = self.chance.randrange(BOUNDARIES) if self.chance.random() < self.crash else None
        try:
            for step in self._steps():
                for _ in range(self.edits):
                    self.chance.choice(self.kept).somebody_edits()
                step()
        except Killed:
            pass
        except ServiceError:
            if not self.boundaries.is_down:
                raise
        finally:
            self.boundaries.left, self.boundaries.is_down = None, False
            self.sandbox.faults.clear()
            self.store.close()

    def _an_hour_passes(self) -> None:
        """Calls whose answers were lost cannot be carried out any more, and what was to be tried again is due."""
        with self.store.transaction() as connection:
            for table, column in (
                ("open_call", "over_at"),
                ("link", "open_until"),
                ("replacing", "open_until"),
                ("outcome", "next_attempt_at"),
            ):
                connection.execute(text(f"UPDATE crm_pipeline.{table} SET {column} = {column} - interval '1 hour'"))

    def outward(self) -> None:
        """The job that sends, alone."""
        for step in self._outward():
            step()

    def _steps(self) -> Iterator[Step]:
        """The steps of both jobs in their order, the jobs beside each other."""
        jobs = [self._outward(), *self._homeward()]
        while any(jobs):
            job = self.chance.choice([job for job in jobs if job])
            yield job.pop(0)

    def _outward(self) -> list[Step]:
        return [self.extract, *(partial(self.send, crm) for crm in self.chance.sample(CRMS, 2))]

    def _homeward(self) -> list[list[Step]]:
        return [[partial(self.look, crm), partial(self.bring, crm)] for crm in CRMS]

    def extract(self) -> None:
        """Stage and normalize QBench's records."""
        # Another end each time: what broke off is no part of the next reading.
        window = Window(since=None, until=int(time.time()) + 1_000 + self.hours)
        with closing(QBench(self.spec.qbench, integration=self.spec.name)) as source:
            record_type, back = self.record.record_type, self.spec.coming_back
            Extract(self.spec.name, record_type, store=self.store, source=source, back=back).run(window)
        normalize_staged(self.store, self.spec.name, self.record, window=window, reading=self.spec.reading, counts=Counter())

    def send(self, crm: str) -> None:
        """The load into one CRM; people edit also right after it has looked at the records that it is about to write."""
        if self.edits:
            method, path = FRESH_READS[crm]
            self.sandbox.faults.add(Fault(service=CRM_NAMES[crm], method=method, path=path, kind="bend", bend=self._meanwhile))
        with self._connected(crm) as client:
            Load(self._order(crm), store=self.store, crm=client).run(EVERYTHING)

    def _meanwhile(self, answer: object) -> object:
        """The answer of a service as it is, before which people edit."""
        for _ in range(self.edits):
            self.chance.choice(self.kept).somebody_edits()
        return answer

    def look(self, crm: str) -> None:
        """Read what changed in one CRM, by its own clock."""
        if self.chance.random() < self.skip:
            return
        now = self.services.org.stamp().timestamp() if crm == "s" else self.services.portal.clock()
        since = self.read_until.get(crm)
        window = Window(since=None if since is None else since - LOOK_BACK, until=int(now))
        with self._connected(crm) as client:
            ReadChanges([self._order(crm)], store=self.store, crm=client).run(window)
        self.read_until[crm], self.last[crm] = int(now), window
        self.unbrought[crm].append(window)

    def bring(self, crm: str) -> None:
        """Bring home what changed in one CRM in the windows that are open; where there are none, in the last one again."""
        windows = self.unbrought[crm] or [self.last[crm]] if crm in self.last else []
        for window in self.chance.sample(windows, len(windows)):
            with self._connected(crm) as client, closing(QBench(self.spec.qbench, integration=self.spec.name)) as source:
                Return(self._order(crm), store=self.store, source=source, crm=client, policy=ANY_NUMBER).run(window)
            self.unbrought[crm] = [other for other in self.unbrought[crm] if other != window]

    def writes(self) -> list[Call]:
        """The calls that wrote, to any service."""
        changing = [call for call in self.sandbox.journal.calls() if call.method != "GET" and not NO_WRITE.search(call.path)]
        return [call for call in changing if not call.path.endswith(QUERIES)]

    def told(self) -> list[tuple[int, str, str]]:
        """The values of conflicts: QBench id, field of the model, and value."""
        with self.store.transaction() as connection:
            rows = connection.execute(text("SELECT qbench_id, qbench_value, crm_value FROM crm_pipeline.conflict")).all()
        values = [(row.qbench_id, *one) for row in rows for one in (*row.qbench_value.items(), *row.crm_value.items())]
        return [(number, *told) for number, name, value in values if (told := self.fleet.told(name, value)) is not None]

    def _order(self, crm: str) -> LoadOrder:
        return self.spec.order(CRM_NAMES[crm], self.record, run_id=f"hour {self.hours}")

    @contextmanager
    def _connected(self, crm: str) -> Iterator[Crm]:
        name = CRM_NAMES[crm]
        with closing(crm_kinds()[name].connect(self.spec.crms.configured[name], self.spec.name)) as client:
            yield client
