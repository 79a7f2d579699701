"""The hourly runs of the three parties (parties.py), with the product's own decision; many worlds at once, one frame a step.

Stands for the executor: what it stores when, what it reads freshly before it writes, and where it may break off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.sync.merging.deciding import decide
from crm_pipeline.sync.merging.fields import FIELDS, Evidence, Situation, Verdict
from crm_pipeline.sync.merging.times import STANDING, by_our_clock, moments, standing_since
from crm_pipeline_tests.sync.merging.parties import CRMS, LATEST, MAPPING, TICK, Party, Reading, World, canonical, fits, wanted

Decide = Callable[[pd.DataFrame], pd.DataFrame]
Step = Callable[[Sequence["Pipeline"], int, Decide], None]

LOOK_BACK = LATEST + 2
"""Ticks by which a window of changes overlaps the last one."""
NEVER = np.iinfo(np.int64).min
"""No time. Times are kept in microseconds."""
MICROSECONDS = 1_000_000

_digests: dict[str, int] = {"": NO_DIGEST}


def learned(values: Iterable[str]) -> None:
    """Makes the digests of new values, all at once."""
    new = list(dict.fromkeys(form for value in values if (form := canonical(value)) not in _digests))
    if new:
        _digests.update(zip(new, digests(pd.DataFrame({"value": new}, dtype="str"))["value"].tolist(), strict=True))


def digest(value: str) -> int:
    """The digest of a value's canonical form."""
    return _digests[canonical(value)]


@dataclass(slots=True)
class Link:
    """What is stored of the record in one CRM: bases and what is being sent, per field; from when readings count; the last reading.

    ``unread``: the record is to be read by its id, whatever its stamp says.
    """

    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MAPPING, NO_DIGEST))
    seen: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(MAPPING, NO_DIGEST))
    sending: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(MAPPING))
    touched_at: int = NEVER
    staged: Reading | None = None
    read_until: int = 0
    unread: bool = False


@dataclass(slots=True)
class Pipeline:
    """What the pipeline stores of one world. ``gap``: ticks between a fresh reading and the write; ``told``: values that it noted."""

    world: World
    gap: int = 0
    links: dict[str, Link] = field(default_factory=lambda: {crm: Link() for crm in CRMS})
    staged: dict[str, str] = field(default_factory=lambda: dict.fromkeys(MAPPING, ""))
    since: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MAPPING, 0))
    extracted_at: int = 0
    bringing: dict[str, tuple[str, int]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)

    def look(self, crm: str) -> None:
        """Stages the record if it changed in the window, or is to be read again."""
        world, link, party = self.world, self.links[crm], self.world.crms[crm]
        if world.chance.random() < world.skip:
            return
        late = world.chance.randint(0, LATEST) if crm == "h" else 0
        if link.unread or link.read_until - LOOK_BACK <= party.changed_at <= world.now - late:
            link.staged, link.unread = party.read(now=world.now), False
        link.read_until = world.now

    def edited(self) -> set[str]:
        """The fields that persons changed in QBench since it was read before."""
        found, brought = self.world.hub.values, {name: value for name, (value, _) in self.bringing.items()}
        return {name for name in MAPPING if found[name] not in (self.staged[name], brought.get(name))}

    def keep(self, crm: str, name: str, decision: Mapping[str, Any], shown: str) -> None:
        """Stores a decision, with what is lost by it."""
        link = self.links[crm]
        link.sent[name], link.seen[name], link.sending[name] = decision["sent"], decision["seen"], decision["sending"]
        link.touched_at = max(link.touched_at, decision["touched_at"])
        if decision["conflict"]:
            self.told += [(name, canonical(self.staged[name])), (name, canonical(shown))]
        if decision["verdict"] == Verdict.NOT_TAKEN:
            self.told.append((name, canonical(shown)))

    def agree(self, crm: str, name: str, agreed: int) -> None:
        """Stores that a write arrived."""
        link = self.links[crm]
        link.sent[name] = agreed
        if MAPPING[name].ways[crm].comes_back:
            link.seen[name], link.sending[name] = agreed, None


def hour(pipelines: Sequence[Pipeline], decide: Decide = decide, *, steps: Sequence[Step] | None = None) -> None:
    """One scheduled run of each: read QBench, then the steps, each for one CRM after the other; all of them where none are named.

    The steps: read the CRMs, bring home what changed there, send what changed in QBench.
    """
    for pipeline in pipelines:
        pipeline.world.down = False
    extract(pipelines)
    for step in steps or (look, bring, send):
        for pipeline in pipelines:
            pipeline.turns = pipeline.world.chance.sample(CRMS, 2)
        for turn in range(len(CRMS)):
            step(_going_on(pipelines), turn, decide)


def _going_on(pipelines: Sequence[Pipeline]) -> list[Pipeline]:
    """Those that do not break off here; time passes."""
    on = [pipeline for pipeline in pipelines if pipeline.world.boundary()]
    for pipeline in on:
        pipeline.world.tick()
    return on


def extract(pipelines: Sequence[Pipeline]) -> None:
    """Stages QBench's values, with the time since which each stands."""
    learned(value for pipeline in pipelines for value in pipeline.world.hub.values.values())
    rows = [(pipeline, name) for pipeline in pipelines for name in MAPPING]
    if not rows:
        return
    hubs = [pipeline.world.hub for pipeline, _ in rows]
    changed = by_our_clock(
        _times([hub.told(hub.changed_at) * MICROSECONDS for hub in hubs]), ahead=pd.to_timedelta([hub.ahead for hub in hubs], unit="s")
    )
    values = {
        "held": pd.Series([digest(pipeline.staged[name]) for pipeline, name in rows]),
        "since": _times([pipeline.since[name] for pipeline, name in rows]),
        "found": pd.Series([digest(pipeline.world.hub.values[name]) for pipeline, name in rows]),
        "changed_at": changed,
        "alone": pd.Series([len(pipeline.edited()) == 1 for pipeline, _ in rows]),
        "unchanged_at": _times([pipeline.extracted_at * TICK * MICROSECONDS for pipeline, _ in rows]),
        "sending": _digests_or_none([digest(pipeline.bringing[name][0]) if name in pipeline.bringing else None for pipeline, name in rows]),
        "sending_since": _times([pipeline.bringing[name][1] if name in pipeline.bringing else NEVER for pipeline, name in rows]),
    }
    for (pipeline, name), since in zip(rows, _microseconds(standing_since(STANDING.build(values))), strict=True):
        pipeline.since[name] = since
        pipeline.staged[name] = pipeline.world.hub.values[name]
    for pipeline in pipelines:
        pipeline.bringing, pipeline.extracted_at = {}, pipeline.world.now


def look(pipelines: Sequence[Pipeline], turn: int, _: Decide) -> None:
    for pipeline in pipelines:
        pipeline.look(pipeline.turns[turn])


def bring(pipelines: Sequence[Pipeline], turn: int, decide: Decide) -> None:
    """Brings into QBench what changed in one CRM; QBench's record is read freshly."""
    extract(pipelines)
    readings = [(one, one.turns[turn], reading) for one in pipelines if (reading := one.links[one.turns[turn]].staged) is not None]
    for (pipeline, crm, reading), decisions in _decided(readings, decide):
        link, world = pipeline.links[crm], pipeline.world
        link.unread = link.unread or any(decision["verdict"] == Verdict.UNREAD for decision in decisions.values())
        patch = {name: canonical(reading.values[name]) for name, decision in decisions.items() if decision["verdict"] == Verdict.TO_QBENCH}
        if not world.boundary():
            continue
        for name, decision in decisions.items():
            pipeline.keep(crm, name, decision, reading.values[name])
        pipeline.bringing = {name: (value, _edited_at(world.crms[crm], reading, name)) for name, value in patch.items()}
        if not patch or not world.boundary():
            continue
        world.tick(pipeline.gap)
        world.hub.written(patch, now=world.now)
        world.writes += 1
        if not world.boundary():
            continue
        for name, value in patch.items():
            pipeline.agree(crm, name, decisions[name]["agreed"])
            pipeline.staged[name], pipeline.since[name] = value, pipeline.bringing.pop(name)[1]


def send(pipelines: Sequence[Pipeline], turn: int, decide: Decide) -> None:
    """Sends to one CRM what changed in QBench; the CRM's record is read freshly, and staged."""
    learned(wanted(crm, value) for pipeline in pipelines for crm in CRMS for value in pipeline.staged.values())
    readings = []
    for pipeline in pipelines:
        crm = pipeline.turns[turn]
        link = pipeline.links[crm]
        if any(digest(wanted(crm, pipeline.staged[name])) != link.sent[name] for name in MAPPING if MAPPING[name].ways[crm].goes_out):
            link.staged = pipeline.world.crms[crm].read(now=pipeline.world.now)
            readings.append((pipeline, crm, link.staged))
    for (pipeline, crm, reading), decisions in _decided(readings, decide):
        link, world = pipeline.links[crm], pipeline.world
        out = {name: wanted(crm, pipeline.staged[name]) for name, one in decisions.items() if one["verdict"] == Verdict.TO_CRM}
        if not world.boundary():
            continue
        for name, decision in decisions.items():
            pipeline.keep(crm, name, decision, reading.values[name])
        if not out:
            continue
        world.tick(pipeline.gap)
        link.touched_at = world.now * TICK * MICROSECONDS
        link.sending |= {name: decisions[name]["agreed"] for name in out if MAPPING[name].ways[crm].comes_back}
        if not world.boundary() or world.crms[crm].uncommitted:
            # A record with an open transaction is locked, and the CRM refuses the write.
            continue
        world.crms[crm].written(out, now=world.now)
        world.writes += 1
        if not world.boundary():
            continue
        for name in out:
            pipeline.agree(crm, name, decisions[name]["agreed"])


Asked = tuple[Pipeline, str, Reading]


def _decided(readings: Sequence[Asked], decide: Decide) -> list[tuple[Asked, dict[str, dict[str, Any]]]]:
    """What is decided of each record, by field."""
    if not readings:
        return []
    learned(value for _, _, reading in readings for value in reading.values.values())
    learned(wanted(crm, value) for pipeline, crm, _ in readings for value in pipeline.staged.values())
    found = decide(_frame(readings))
    columns = {name: found[name].astype(object).where(found[name].notna(), None).tolist() for name in ("seen", "agreed", "sending")}
    columns |= {name: found[name].tolist() for name in ("verdict", "sent", "conflict")} | {"touched_at": _microseconds(found["touched_at"])}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    each = len(MAPPING)
    records = [dict(zip(MAPPING, rows[start : start + each], strict=True)) for start in range(0, len(rows), each)]
    return list(zip(readings, records, strict=True))


def _frame(readings: Sequence[Asked]) -> pd.DataFrame:
    """FIELDS of the records, all mapped fields of each."""
    rows = [(pipeline, crm, reading, name) for pipeline, crm, reading in readings for name in MAPPING]
    links = [pipeline.links[crm] for pipeline, crm, _, _ in rows]
    names = [name for *_, name in rows]
    held = [pipeline.staged[name] for pipeline, _, _, name in rows]
    shown = [reading.values[name] for _, _, reading, name in rows]
    crms = [crm for _, crm, _, _ in rows]
    return FIELDS.build(
        {
            "qbench_id": pd.Series(1, index=range(len(rows)), dtype="Int64"),
            "field": _texts(names),
            "direction": _texts([MAPPING[name].ways[crm] for name, crm in zip(names, crms, strict=True)]),
            "rule": _texts([MAPPING[name].rules[crm] for name, crm in zip(names, crms, strict=True)]),
            "clear": pd.Series([MAPPING[name].clear for name in names]),
            "clears_crm": pd.Series([MAPPING[name].clear for name in names]),
            "situation": _texts([Situation.LINKED] * len(rows)),
            "wanted": pd.Series([digest(wanted(crm, value)) for crm, value in zip(crms, held, strict=True)]),
            "whole": pd.Series([wanted(crm, value) == value for crm, value in zip(crms, held, strict=True)]),
            "shown": pd.Series([digest(value) for value in shown]),
            "fits": pd.Series([fits(crm, value) for crm, value in zip(crms, shown, strict=True)]),
            "sent": pd.Series([link.sent[name] for link, name in zip(links, names, strict=True)]),
            "seen": _digests_or_none([link.seen[name] for link, name in zip(links, names, strict=True)]),
            "sending": _digests_or_none([link.sending[name] for link, name in zip(links, names, strict=True)]),
            "read_at": _times([reading.began * TICK * MICROSECONDS for _, _, reading, _ in rows]),
            "touched_at": _times([link.touched_at for link in links]),
            "wanted_since": _times([pipeline.since[name] for pipeline, _, _, name in rows]),
            "wanted_grain": pd.Series([pipeline.world.hub.grain for pipeline, *_ in rows]),
            "shown_since": _times([_edited_at(pipeline.world.crms[crm], reading, name) for pipeline, crm, reading, name in rows]),
            "shown_grain": pd.Series([pipeline.world.crms[crm].grain for pipeline, crm, _, _ in rows]),
            "shown_evidence": _texts([_evidence(crm, reading) for _, crm, reading, _ in rows]),
        }
    )


def _evidence(crm: str, reading: Reading) -> Evidence:
    """Where the time of a change is known from: h tells it of each field, s of the record as long as its last writer is not us."""
    return Evidence.HISTORY if crm == "h" else Evidence.READING if reading.by_us else Evidence.STAMP


def _edited_at(party: Party, reading: Reading, name: str) -> int:
    """When a person gave a value, in microseconds by our clock."""
    evidence = _evidence(party.name, reading)
    if evidence is Evidence.READING:
        return reading.began * TICK * MICROSECONDS
    tick = reading.since[name] if evidence is Evidence.HISTORY else reading.changed_at
    told = by_our_clock(pd.Timestamp(party.told(tick), unit="s"), ahead=timedelta(seconds=party.ahead))
    return int(told.timestamp()) * MICROSECONDS


def _texts(values: Sequence[str]) -> pd.Series:
    return pd.Series(pd.array(list(map(str, values)), dtype="str"))


def _times(microseconds: Sequence[int]) -> pd.Series:
    return pd.Series(pd.DatetimeIndex(np.array(microseconds, dtype="int64").view("datetime64[us]"), tz="UTC"))


def _microseconds(times: pd.Series) -> list[int]:
    found: list[int] = moments(times).view("int64").tolist()
    return found


def _digests_or_none(values: Sequence[int | None]) -> pd.Series:
    return pd.Series(pd.array(list(values), dtype="Int64"))
