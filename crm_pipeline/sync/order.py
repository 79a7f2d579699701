"""What to load where: all that a load is told, and what follows from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm, CrmObject, CrmSettings
from crm_pipeline.frames import arrow_texts
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import Route, Target, routes
from crm_pipeline.store.crm_state import Attempt, CrmState
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline.sync.resending import Resend


@dataclass(frozen=True)
class LoadOrder:
    """What to load where: one record type of one integration into one CRM, on behalf of one run.

    ``resend``: what goes again although it did not change; None for every run but one by hand. ``refused``: whether a write that the CRM
    refused for good goes again although nothing changed. ``longest`` and ``never_blank``: what QBench takes (inverse.WayBack).
    ``marker_field``: the QBench field in which a record that was made of a CRM's names that.
    """

    integration: str
    crm: str
    settings: CrmSettings
    record: RecordSpec
    run_id: str
    partition_key: str | None
    reading: Reading = field(default_factory=Reading)
    resend: Resend | None = None
    retries: RetrySettings = field(default_factory=RetrySettings)
    refused: Literal["left", "again"] = "left"
    longest: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    never_blank: Collection[str] = frozenset()
    marker_field: str | None = None

    @property
    def state(self) -> CrmState:
        """The state this load reads and stores."""
        return CrmState(self.integration, self.crm, self.record.record_type)

    @property
    def attempt(self) -> Attempt:
        """What the outcomes of this load come of."""
        return Attempt(self.run_id, self.partition_key, self.retries.backoff)

    @property
    def crm_object(self) -> CrmObject:
        """The CRM's object that new records go to, and are looked for in."""
        return usual_object(self.state)

    @property
    def key_space(self) -> str | None:
        """The external keys this integration writes: the field and the prefix, or the ids made of them; null without any."""
        settings = self.settings
        prefix = unicodedata.normalize("NFKC", settings.external_key_prefix)
        if crm_kinds()[self.crm].capabilities.own_ids:
            return f"ids: {prefix}"
        return None if settings.external_key is None else f"{settings.external_key}: {prefix}"

    def routes(self, crm_fields: pd.DataFrame | None) -> tuple[Route, ...]:
        """How the CRM fields get their values, also those that only come back, where the CRM describes its fields so."""
        return routes(self.record, crm=self.crm, crm_fields=crm_fields, country_format=self.settings.country_format)

    def mapped(self, crm_fields: pd.DataFrame | None) -> tuple[Target, ...]:
        """The CRM fields that the records are mapped to (see ``routes``)."""
        return tuple(route.target for route in self.routes(crm_fields))

    def way_back(self, crm_fields: pd.DataFrame | None) -> WayBack:
        """How the records come back from the CRM, which describes its fields so (schemas.CRM_FIELDS)."""
        return WayBack(
            spec=self.record,
            crm=self.crm,
            crm_fields=crm_fields,
            country_format=self.settings.country_format,
            reading=self.reading,
            longest=self.longest,
            never_blank=self.never_blank,
        )

    @cached_property
    def units_back(self) -> Mapping[str, str]:
        """What comes back by the mapping: the name of each unit, and its fields in the CRM and in QBench."""
        units = self.way_back(None).units
        pairs = {unit: [(route.target.crm_field, route.source and route.source.from_) for route in units[unit]] for unit in units}
        return {unit: ", ".join(f"{crm_field}: {field}" for crm_field, field in sorted(of_it)) for unit, of_it in pairs.items()}

    def key_of(self, qbench_ids: pd.Series) -> pd.Series:
        """The external key value of each QBench id."""
        numbers = pc.cast(pa.array(qbench_ids, from_pandas=True), pa.large_string())
        prefix, nothing = pa.scalar(self.settings.external_key_prefix, numbers.type), pa.scalar("", numbers.type)
        return arrow_texts(pc.binary_join_element_wise(prefix, numbers, nothing), qbench_ids.index)


def objects_of(state: CrmState, names: pd.Series) -> Iterator[tuple[CrmObject, pd.Series]]:
    """Each of the CRM's objects that rows of a state are in, with the mask of its rows, in the order of their first.

    ``names``: the column ``object`` of schemas.LINKS, WRITE_ROWS or INTENTS. Raises ConfigurationError for an object that is not known.
    """
    kind = crm_kinds()[state.crm]
    usual = kind.usual(state.record_type)
    if len(names) and names.isna().all():
        yield usual, names.isna()
        return
    named = names.fillna(usual.name)
    for name in named.unique():
        yield kind.object(state.record_type, name), named.eq(name)


def read(crm: Crm, state: CrmState, records: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    """What records of a state hold now (crms.base.Crm.read), whichever objects they are in.

    ``records``: columns ``object`` and ``crm_id``, a row at least.
    """
    parts = [
        crm.read(crm_object, records.loc[rows, "crm_id"].unique().tolist(), fields)
        for crm_object, rows in objects_of(state, records["object"])
    ]
    return pd.concat(parts, ignore_index=True)


def fields_back(order: LoadOrder, crm: Crm, crm_object: CrmObject) -> list[str]:
    """The fields of an object that come back from the CRM by the order's mapping; where none does, nothing is asked of the CRM."""
    if not order.units_back:
        return []
    return [target.crm_field for target in order.mapped(crm.fields(crm_object)) if target.direction.comes_back]


def usual_object(state: CrmState) -> CrmObject:
    """The CRM's usual object for the records of a state."""
    return crm_kinds()[state.crm].usual(state.record_type)
