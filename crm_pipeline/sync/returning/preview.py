"""What would a run that brings changes home write into QBench? Decided as it would, from what is staged; stores and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.reading import is_being_read_first
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.arrivals import Arrivals
from crm_pipeline.sync.returning.bring import refused_before
from crm_pipeline.sync.returning.looking import Looking
from crm_pipeline.sync.returning.newcomers import makes_from
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.selection import Selection, asked_for, chosen


@dataclass(frozen=True, slots=True)
class Patch:
    """One record that would change: its fields in QBench, and the units of which a value is lost by it."""

    qbench_id: int
    crm_id: str
    fields: tuple[str, ...]
    conflicts: tuple[str, ...]


@dataclass(slots=True)
class Homecoming:
    """What a run would do. ``limit``: how many records one run may change or make.

    ``creates``: CRM ids of records that would be made in QBench; ``matches``: by CRM id, the record that one would be linked to.
    ``waiting``: records that nothing is made of yet, because QBench was not read whole once. ``left``: readings that change and make
    nothing, by record error.
    """

    integration: str
    crm: str
    record_type: RecordType
    limit: int
    rows: int = 0
    unlinked: int = 0
    patches: list[Patch] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)
    matches: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    left: Counter[str] = field(default_factory=Counter)

    @property
    def fields(self) -> Counter[str]:
        """How many records would get a new value, by QBench's field."""
        return Counter(name for patch in self.patches for name in patch.fields)

    def as_json(self) -> dict[str, Any]:
        """The same in plain values."""
        patches = [
            {"qbench_id": one.qbench_id, "crm_id": one.crm_id, "fields": [*one.fields], "conflicts": [*one.conflicts]}
            for one in self.patches
        ]
        counts = {"rows": self.rows, "unlinked": self.unlinked, "limit": self.limit, "fields": dict(self.fields), "left": dict(self.left)}
        made = {"creates": self.creates, "matches": self.matches, "waiting": self.waiting}
        names = {"integration": self.integration, "crm": self.crm, "record_type": str(self.record_type)}
        return {**names, **counts, "patches": patches, **made}


def homecoming(order: LoadOrder, selection: Selection, *, store: Store, crm: Crm, policy: ReturnPolicy) -> Homecoming:
    """What a run would do with the staged readings. Raises the CRM's ServiceError."""
    with store.transaction() as connection:
        limit = policy.limit(count_links(connection, order.state))
    told = Homecoming(order.integration, order.crm, order.state.record_type, limit)
    looking, asked, unlinked = Looking(order, store=store, crm=crm), asked_for(order, store=store), []
    for part in chosen(order, selection, asked=asked, store=store):
        looked = looking.at(part.frame)
        told.rows += len(part.frame)
        unlinked += looked.unlinked
        told.left.update(looked.stopped[1].tolist())
        if looked.seen is None:
            continue
        seen = looked.seen.take(looked.seen.brings)
        refused = refused_before(seen.linked.readings, order, asked=asked, store=store)
        told.left.update(refused["error_type"].tolist())
        left = set(refused["crm_id"])
        lost: dict[str, list[str]] = {}
        for crm_id, unit in zip(seen.conflicts["crm_id"], seen.conflicts["field"], strict=True):
            lost.setdefault(crm_id, []).append(unit)
        for number, crm_id, values in zip(seen.linked.links["qbench_id"], seen.linked.links["crm_id"], seen.values, strict=True):
            if crm_id not in left:
                told.patches.append(Patch(int(number), crm_id, tuple(values), tuple(lost.get(crm_id, ()))))
    told.unlinked = len(unlinked)
    if makes_from(order.record, order.crm):
        _newcomers(told, Arrivals(order, store=store, crm=crm, looking=looking), unlinked, store=store)
    return told


def _newcomers(told: Homecoming, arrivals: Arrivals, crm_ids: Sequence[str], *, store: Store) -> None:
    """Add what a run would do with records without a link."""
    asked = arrivals.of(crm_ids)
    if not asked:
        return
    with store.transaction() as connection:
        is_read_whole = is_being_read_first(connection, told.integration, told.record_type) is False
    if not is_read_whole:
        told.waiting = len(asked)
        return
    found = arrivals.decided(asked)
    there = found["qbench_id"].notna()
    told.creates += found.loc[found["error_type"].isna() & ~there, "crm_id"].tolist()
    told.matches.update(zip(found.loc[there, "crm_id"], found.loc[there, "qbench_id"].astype("int64").tolist(), strict=True))
    told.left.update(found["error_type"].dropna().tolist())
