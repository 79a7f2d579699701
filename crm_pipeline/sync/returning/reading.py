"""What changed in a CRM in a window of its own time: read for all its objects together, and staged.

A window that breaks off is read again from its beginning: staging keeps the newest reading of each record, however often it comes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import ChangesCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.errors import ConfigurationError, MappingError
from crm_pipeline.mapping.feasibility import mapping_problems
from crm_pipeline.mapping.targets import Target
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_records import pend, stage_changed
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.progress import progress

logger = logging.getLogger(__name__)

_Frames = Iterator[tuple[CrmObject, pd.DataFrame]]


@dataclass(slots=True)
class ObjectRead:
    """What was read of one object: ``rows`` that it told.

    ``failed``: CRM ids of records that the CRM fails to show; they are staged as such, and tried again by their ids. ``nameless``: how
    many more it fails to show without telling which.
    """

    rows: int = 0
    failed: list[str] = field(default_factory=list)
    nameless: int = 0


class ReadChanges:
    """One reading of what changed in one CRM. ``run`` does it; what it did, ``read`` and ``is_complete`` say, also after ``run`` raised.

    ``orders``: one per record type of which something comes back from the CRM.
    """

    def __init__(self, orders: Sequence[LoadOrder], *, store: Store, crm: Crm) -> None:
        self.read: Mapping[RecordType, ObjectRead] = {order.state.record_type: ObjectRead() for order in orders}
        self.is_complete = False
        self._orders = {order.crm_object: order for order in orders}
        self._order = orders[0]
        self._store = store
        self._crm = crm
        self._started = time.monotonic()

    def run(self, window: Window) -> None:
        """Stage the records whose stamps lie in the window (Unix seconds, by the CRM's clock).

        Which organization answers is asked once something changed: an hour without changes costs no call for it. Raises the
        ServiceError or ConfigurationError that stopped it; what is staged stays.
        """
        began = datetime.now(UTC)
        for crm_object, frame in self._frames(window):
            self._stage(self._orders[crm_object], frame, read_at=began)
        self.is_complete = True

    def _frames(self, window: Window) -> _Frames:
        """The changed records with the fields that come back.

        How these are called may depend on what the CRM describes: that, too, is asked only once something changed.
        """
        asked = {one: _names(_targets(order, None)) for one, order in self._orders.items()}
        frames = self._changed(asked, window)
        first = next(frames, None)
        if first is None:
            return
        self._require_organization()
        described = {one: _names(self._described(order)) for one, order in self._orders.items()}
        yield from chain([first], frames) if described == asked else self._changed(described, window)

    def _changed(self, wanted: Mapping[CrmObject, Sequence[str]], window: Window) -> _Frames:
        crm = self._crm
        if not isinstance(crm, ChangesCrm):
            name = self._order.crm
            title = crm_kinds()[name].title
            raise ConfigurationError(f"{title} does not tell which of its records changed; write `direction: {{{name}: to_crm}}`")
        return crm.changed(wanted, since=None if window.since is None else _moment(window.since), until=_moment(window.until))

    def _require_organization(self) -> None:
        """Raises WrongOrgError where the links belong to another organization."""
        org_id, order = self._crm.organization(), self._order
        with self._store.transaction() as connection:
            require_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)

    def _described(self, order: LoadOrder) -> list[Target]:
        """What comes back, as the CRM describes its fields. Raises MappingError for what it does not have."""
        crm_fields = self._crm.fields(order.crm_object)
        targets = _targets(order, crm_fields)
        if problems := mapping_problems(targets, crm_fields, spec=order.record, crm=order.crm, external_key=None):
            raise MappingError(integration=order.integration, service=order.crm, problems=problems)
        return targets

    def _stage(self, order: LoadOrder, frame: pd.DataFrame, *, read_at: datetime) -> None:
        read = self.read[order.state.record_type]
        named = frame["crm_id"].notna()
        read.rows += int(named.sum())
        read.nameless += int((~named).sum())
        failed = frame.loc[named & frame["error_type"].notna(), "crm_id"].tolist()
        read.failed += failed
        with self._store.transaction() as connection:
            stage_changed(connection, order.state, frame=frame, read_at=read_at, object_name=None)
            # It may have no stamp by which a window would hold it.
            pend(connection, order.state, crm_ids=failed)
        logger.info(
            "%s %s %ss: read what changed: %s",
            order.integration,
            order.crm,
            order.state.record_type,
            progress(read.rows, None, seconds=time.monotonic() - self._started),
        )


def _targets(order: LoadOrder, crm_fields: pd.DataFrame | None) -> list[Target]:
    return [route.target for route in order.way_back(crm_fields).routes]


def _names(targets: Sequence[Target]) -> list[str]:
    return [target.crm_field for target in targets]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
