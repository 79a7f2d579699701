"""The hourly assets that one schedule keeps up to date: what each is made from, whose they are, and which CRMs' are paused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import dagster as dg

from crm_pipeline.integration import FirstLoad


@dataclass(frozen=True)
class HourlyAssets:
    """Hourly assets: those that feed all CRMs (``read``), and those of each CRM (``loaded``); upstream before downstream.

    ``first_load``: who begins those of a CRM. ``paused``: the CRMs whose assets nobody makes for now, and what is said of that.
    """

    read: Sequence[dg.AssetsDefinition]
    loaded: Mapping[str, Sequence[dg.AssetsDefinition]]
    first_load: FirstLoad
    paused: Mapping[str, str] = field(default_factory=dict)

    @property
    def assets(self) -> list[dg.AssetsDefinition]:
        """All of them."""
        return [*self.read, *chain(*self.loaded.values())]

    @cached_property
    def steps(self) -> dict[dg.AssetKey, str]:
        """Their keys, and the name of the step that makes each."""
        return {key: asset.node_def.name for asset in self.assets for key in _keys([asset])}

    @cached_property
    def keys(self) -> list[dg.AssetKey]:
        """Their keys."""
        return list(self.steps)

    @cached_property
    def upstream(self) -> dict[dg.AssetKey, frozenset[dg.AssetKey]]:
        """Of each asset all that it is made from, near and far, within these."""
        found: dict[dg.AssetKey, frozenset[dg.AssetKey]] = {}
        for asset in self.assets:
            for key in _keys([asset]):
                near = frozenset(asset.asset_deps[key]).intersection(self.steps)
                found[key] = near.union(*(found[other] for other in near))
        return found

    @cached_property
    def loads(self) -> dict[str, list[dg.AssetKey]]:
        """Those of each CRM."""
        return {crm: _keys(assets) for crm, assets in self.loaded.items()}

    @cached_property
    def reads(self) -> list[dg.AssetKey]:
        """What belongs to no CRM."""
        return _keys(self.read)

    @cached_property
    def resting(self) -> set[dg.AssetKey]:
        """Those of the paused CRMs."""
        return {key for crm in self.paused for key in self.loads[crm]}


def _keys(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetKey]:
    return [spec.key for asset in assets for spec in asset.specs]
