"""Which hours of which assets are to be run now? Decided from what is open, held back, at work or waiting; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby

import dagster as dg

Hours = Mapping[dg.AssetKey, AbstractSet[str]]
"""Partition keys by asset."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One run: the hours from ``first`` to ``last`` of these assets."""

    first: str
    last: str
    assets: tuple[dg.AssetKey, ...]


@dataclass(frozen=True)
class Standing:
    """How the assets of an integration stand. ``upstream``: of each asset, in their order, all that it is made from.

    ``open``: the hours that are missing or failed. ``left``: hours of loads that need nothing for now, as all their records wait
    for a later try. ``resting``: hours that nobody is to request: of assets that were never loaded, or are at work.
    """

    upstream: Mapping[dg.AssetKey, AbstractSet[dg.AssetKey]]
    open: Hours
    left: Hours = field(default_factory=dict)
    resting: Hours = field(default_factory=dict)

    def to_run(self, hour: str) -> tuple[dg.AssetKey, ...]:
        """The assets to run for an hour: the open ones, and all that is made from these.

        None whose upstream is open and stays so: it would be green before its records are there.
        """
        chosen: list[dg.AssetKey] = []
        for asset, upstream in self.upstream.items():
            anew = not upstream.isdisjoint(chosen)
            is_due = hour in self.open[asset] and hour not in self.left.get(asset, ())
            if (anew or is_due) and self._may_run(asset, hour, beside=chosen):
                chosen.append(asset)
        return tuple(chosen)

    def to_retry(self, hour: str, loads: Sequence[dg.AssetKey]) -> tuple[dg.AssetKey, ...]:
        """Those of these loads, accounts first, that may run anew for some records of an hour, whether it is open or not."""
        chosen: list[dg.AssetKey] = []
        for load in loads:
            if self._may_run(load, hour, beside=chosen):
                chosen.append(load)
        return tuple(chosen)

    def _may_run(self, asset: dg.AssetKey, hour: str, *, beside: Sequence[dg.AssetKey]) -> bool:
        """Whether it does not rest, and all that it is made from is done or runs before it."""
        is_ready = all(hour not in self.open[other] or other in beside for other in self.upstream[asset])
        return is_ready and hour not in self.resting.get(asset, ())


def wanted(standing: Standing, hours: Sequence[str], *, per_run: int, at_most: int) -> list[Wanted]:
    """The runs that are wanted, oldest first: one per unbroken row of hours with the same assets to run, of ``per_run`` hours.

    Each set of assets gets ``at_most`` this number of hours, so that a new asset with years to catch up keeps no other waiting.
    """
    open_hours = set().union(*standing.open.values())
    of_hours = {hour: standing.to_run(hour) for hour in hours if hour in open_hours}
    chosen: dict[tuple[dg.AssetKey, ...], set[str]] = {}
    for hour, assets in of_hours.items():
        chosen.setdefault(assets, set()).add(hour)
    chosen.pop((), None)
    rows = [
        Wanted(first, last, assets)
        for assets, its_hours in chosen.items()
        for first, last in gaps(hours, its_hours, per_run=per_run, at_most=at_most)
    ]
    return sorted(rows, key=lambda row: row.first)


def gaps(hours: Sequence[str], chosen: AbstractSet[str], *, per_run: int, at_most: int) -> Iterator[tuple[str, str]]:
    """First and last of each unbroken row of chosen hours, oldest first: ``per_run`` hours in each, ``at_most`` this number in all."""
    left = at_most
    for is_chosen, run in groupby(hours, key=chosen.__contains__):
        row = list(run)[:left] if is_chosen else []
        left -= len(row)
        for start in range(0, len(row), per_run):
            part = row[start : start + per_run]
            yield part[0], part[-1]
