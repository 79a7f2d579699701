"""What the stages of one load share: what is to be loaded where, its report, and the right to write there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from types import TracebackType

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.calls import Callers
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.frames import blank
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.description import Description
from crm_pipeline.sync.progress import Pulse, progress
from crm_pipeline.sync.writing_turns import Turns, run_of

logger = logging.getLogger(__name__)


class Job:
    """One load while it runs, between entering and leaving: nobody else writes for its integration to its CRM meanwhile."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, report: LoadReport) -> None:
        self.order = order
        self.store = store
        self.crm = crm
        self.report = report
        self._calls_before = sum(crm.calls.snapshot().values())
        self._block = ExitStack()
        self._lock: Lock
        self._turns: Turns | None = None
        self._pulse = Pulse()
        self._untold: Counter[str] = Counter()

    def __enter__(self) -> Job:
        """Begin. Raises ConfigurationError while nothing is to be sent."""
        order = self.order
        if not order.settings.send:
            raise ConfigurationError(
                f"integration {order.integration}: `crms.{order.crm}.send` is false, so nothing is sent; set it to true, or leave it away"
            )
        self._lock = self._block.enter_context(run_of(self.store, self.order.integration, self.order.crm))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tell()
        self._block.close()

    @property
    def record_type(self) -> RecordType:
        """What is loaded."""
        return self.order.record.record_type

    @cached_property
    def callers(self) -> Callers:
        """The threads that make the calls of this load, until it ends."""
        return self._block.enter_context(Callers(self.crm.capabilities.calls_in_flight))

    @cached_property
    def org_id(self) -> str:
        """The CRM organization, proven to be the one that the integration's links belong to. Raises WrongOrgError."""
        org_id = self.crm.organization()
        with self.store.transaction() as connection:
            require_organization(connection, self.order.integration, self.order.crm, org_id=org_id, key_space=self.order.key_space)
        return org_id

    @cached_property
    def description(self) -> Description:
        """What is known of the fields of the CRM's object."""
        return Description(self.order, store=self.store, crm=self.crm, org_id=lambda: self.org_id)

    @property
    def turn_is_wanted(self) -> bool:
        """Whether another integration waits for the organization's object."""
        return self._turns is not None and self._turns.wanted

    def take_turn(self) -> bool:
        """Have the organization's object, until it is passed on or the load ends; whether this load did not have it before."""
        if self._turns is not None:
            return False
        order = self.order
        turns = Turns(self.store, integration=order.integration, service=order.crm, org_id=self.org_id, record_type=self.record_type)
        self._turns = self._block.enter_context(turns)
        return True

    def pass_turn_on(self) -> bool:
        """Let those who wait have the object first; whether they linked records, so that what was looked up is out of date."""
        return self._turns is not None and self._turns.pass_on()

    def done(self, rows: int, *, wrote: int = 0, refused: int = 0) -> None:
        """Note what was done with rows just now, to be logged from time to time, and at the end."""
        self._untold.update(rows=rows, wrote=wrote, refused=refused)
        if self._pulse.beats():
            self._tell()

    def _tell(self) -> None:
        """Log what was done since the last time, and how far the load is."""
        if not self._untold.total():
            return
        report, order, done = self.report, self.order, self._untold
        self._untold = Counter()
        logger.info(
            "%s %s %ss: %s; %s; %d calls",
            order.integration,
            order.crm,
            self.record_type,
            f"wrote {done['wrote']}, {done['refused']} of them refused" if done["wrote"] else "nothing to write for these",
            progress(report.accounted, report.total, seconds=report.seconds),
            sum(self.crm.calls.snapshot().values()) - self._calls_before,
        )

    @contextmanager
    def storing(self) -> Iterator[Connection]:
        """A transaction of the state, for what the CRM answered. Raises StoreError when a lock was lost with its connection.

        A host that was cut off comes back with its answers, when another run may have written and stored what is newer.
        """
        with self.store.transaction() as connection:
            self.require_locks()
            yield connection

    def holds(self, crm_ids: pd.Series) -> pd.Series:
        """Which of these CRM records (bool; null: none) are linked by this integration."""
        if blank(crm_ids).all():
            return pd.Series(False, index=crm_ids.index)
        with self.store.transaction() as connection:
            holders = self.order.state.holders(connection, org_id=self.org_id, crm_ids=crm_ids.dropna().tolist())
        return crm_ids.isin(holders.loc[holders["integration"] == self.order.integration, "crm_id"])

    def require_locks(self) -> None:
        """Raises StoreError when a lock was lost with its connection."""
        self._lock.require()
        if self._turns is not None:
            self._turns.require()
