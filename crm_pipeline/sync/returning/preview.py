"""What would a run that brings changes home write into QBench? Decided as it would, from what is staged; stores and writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.bring import refused_before
from crm_pipeline.sync.returning.looking import Looking
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
    """What a run would do. ``left``: readings that change nothing, by record error; ``limit``: how many records one run may change."""

    integration: str
    crm: str
    record_type: RecordType
    limit: int
    rows: int = 0
    unlinked: int = 0
    patches: list[Patch] = field(default_factory=list)
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
        names = {"integration": self.integration, "crm": self.crm, "record_type": str(self.record_type)}
        return {**names, **counts, "patches": patches}


def homecoming(order: LoadOrder, selection: Selection, *, store: Store, crm: Crm, policy: ReturnPolicy) -> Homecoming:
    """What a run would do with the staged readings. Raises the CRM's ServiceError."""
    with store.transaction() as connection:
        limit = policy.limit(count_links(connection, order.state))
    told = Homecoming(order.integration, order.crm, order.state.record_type, limit)
    looking, asked = Looking(order, store=store, crm=crm), asked_for(order, store=store)
    for part in chosen(order, selection, asked=asked, store=store):
        looked = looking.at(part.frame)
        told.rows += len(part.frame)
        told.unlinked += len(looked.unlinked)
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
    return told
