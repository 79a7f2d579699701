"""Three parties in memory: QBench as the hub, and two CRMs in which people edit at any moment; a seed decides everything.

``s`` keeps 12 characters only, tells one time per record, and shows some edits late, when their transaction ends. ``h`` puts a blank
behind what is written, tells a time for each field, and its search learns of a change late. All clocks are wrong, and QBench's may
be known to the minute only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from crm_pipeline.mapping.directions import Direction, Rule

TICK = 50
"""Seconds of a moment of the model; about 75 of them are an hour."""
CRMS = ("s", "h")
LONGEST_IN_S = 12
LATEST = 8
"""By how many ticks a change comes to light late, at most."""
REFUSED = "!"
"""What QBench cannot hold begins with it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One mapped field: which way it goes between QBench and each CRM, and whose change stands there."""

    ways: Mapping[str, Direction]
    rules: Mapping[str, Rule]
    clear: bool = False


BOTH = dict.fromkeys(CRMS, Direction.BOTH)
LATER = dict.fromkeys(CRMS, Rule.LATER)
MAPPING: Mapping[str, Mapped] = {
    "clearing": Mapped(BOTH, LATER, clear=True),
    "filling": Mapped(BOTH, LATER),
    "preferred": Mapped(BOTH, {"s": Rule.PREFER_CRM, "h": Rule.PREFER_QBENCH}),
    "passing": Mapped({"s": Direction.FROM_CRM, "h": Direction.TO_CRM}, LATER),
}
"""``passing`` goes from s through QBench to h."""


def wanted(crm: str, value: str) -> str:
    """What the mapping makes of QBench's value for a CRM."""
    return value[:LONGEST_IN_S] if crm == "s" else value


def canonical(value: str) -> str:
    """The form in which values are compared."""
    return value.strip()


def fits(crm: str, value: str) -> bool:
    """Whether QBench can hold what a CRM shows, and would want the same there."""
    return not value.startswith(REFUSED) and canonical(wanted(crm, value.strip())) == canonical(value)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a system showed of a record: its values, when each and the record changed (ticks), whether by us last, and when it was read."""

    values: Mapping[str, str]
    since: Mapping[str, int]
    changed_at: int
    by_us: bool
    began: int


@dataclass(slots=True)
class Party:
    """One system's copy of the record. ``ahead``: seconds by which its clock is before ours; ``grain``: to how many it tells times."""

    name: str
    ahead: int = 0
    grain: int = 0
    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(MAPPING, ""))
    since: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MAPPING, 0))
    changed_at: int = 0
    by_us: bool = False
    uncommitted: list[tuple[int, str, str, int]] = field(default_factory=list)

    def edited(self, name: str, value: str, *, now: int, late: int = 0) -> None:
        """A person gives a value; it is seen ``late`` ticks later, with the stamp of now."""
        self.uncommitted.append((now + late, name, value, now))
        self.commit(now)

    def commit(self, now: int) -> None:
        """Ends the transactions that are due."""
        due = [edit for edit in self.uncommitted if edit[0] <= now]
        self.uncommitted = [edit for edit in self.uncommitted if edit[0] > now]
        for _, name, value, stamp in due:
            self.values[name], self.since[name] = value, stamp
            if stamp >= self.changed_at:
                self.changed_at, self.by_us = stamp, False

    def written(self, values: Mapping[str, str], *, now: int) -> None:
        """We write, as its own form of values has it."""
        for name, value in values.items():
            self.values[name] = f"{value} " if self.name == "h" and value else value
            self.since[name] = now
        self.changed_at, self.by_us = now, True

    def read(self, *, now: int) -> Reading:
        """The record as it is shown."""
        return Reading(dict(self.values), dict(self.since), self.changed_at, self.by_us, now)

    def told(self, tick: int) -> int:
        """A time as this system tells it, in seconds: by its own clock, to its own grain."""
        second = tick * TICK + self.ahead
        return second - second % self.grain if self.grain else second


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person did: where, to which field, with which value in the place of which. ``unique``: nobody else gave this value."""

    where: str
    name: str
    value: str
    before: str
    unique: bool


@dataclass(slots=True)
class World:
    """The parties, the people, and what goes wrong.

    ``rate``: edits a tick. ``crash``: how likely each boundary ends a run; ``breaks_at``: how many more are passed before one does.
    ``skip``: how likely a reading is left out.
    """

    seed: int
    rate: float = 0.02
    crash: float = 0.08
    skip: float = 0.3
    breaks_at: int | None = None
    now: int = 0
    down: bool = False
    writes: int = 0
    edits: list[Edit] = field(default_factory=list)
    chance: random.Random = field(init=False)
    hub: Party = field(init=False)
    crms: dict[str, Party] = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        clocks = [(self.chance.randint(-90, 90), grain) for grain in (self.chance.choice([1, 60]), 1, 0)]
        self.hub, *crms = (Party(name, ahead=ahead, grain=grain) for name, (ahead, grain) in zip(("q", *CRMS), clocks, strict=True))
        self.crms = {party.name: party for party in crms}

    @property
    def parties(self) -> list[Party]:
        """All three."""
        return [self.hub, *self.crms.values()]

    def tick(self, ticks: int | None = None) -> None:
        """Time passes, and people edit."""
        for _ in range(self.chance.randint(1, 4) if ticks is None else ticks):
            self.now += 1
            for party in self.parties:
                party.commit(self.now)
            if self.chance.random() < self.rate:
                self._somebody_edits()

    def boundary(self) -> bool:
        """Whether the run goes on behind this point."""
        if self.breaks_at is not None:
            self.down = self.down or self.breaks_at == 0
            self.breaks_at -= 1
        self.down = self.down or self.chance.random() < self.crash
        return not self.down

    def _somebody_edits(self) -> None:
        """A new value mostly; sometimes a long one, none, one that was there before, one that another party has, or one QBench refuses.

        A record with an open transaction is locked: nobody edits it there.
        """
        party, name = self.chance.choice([party for party in self.parties if not party.uncommitted]), self.chance.choice(list(MAPPING))
        value, unique = f"{name[0]}{len(self.edits):04}", True
        kind = self.chance.random()
        if kind < 0.3 and party.name != "s":
            value = f"{value}-long-text"
        elif kind < 0.4:
            before = [edit.before for edit in self.edits if edit.name == name]
            value, unique = self.chance.choice(["", *before, *(other.values[name].strip() for other in self.parties)]), False
        elif kind < 0.43 and party.name != "q":
            value = f"{REFUSED}{value}"
        self.edit(party.name, name, value, late=self.chance.choice([0, 0, LATEST]) if party.name == "s" else 0, unique=unique)

    def edit(self, where: str, name: str, value: str, *, late: int = 0, unique: bool = True) -> None:
        """Somebody gives a value somewhere."""
        party = self.hub if where == "q" else self.crms[where]
        if where == "s":
            value = value[:LONGEST_IN_S]
        self.edits.append(Edit(where, name, value, party.values[name].strip(), unique))
        party.edited(name, value, now=self.now, late=late)
