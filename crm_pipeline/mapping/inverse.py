"""What does a value that a CRM shows become in QBench? Only what would come back the same goes in; pure.

What comes back as one value is a *unit*: a CRM field, an address, or a phone with its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE
from crm_pipeline.frames import no_text, text_where
from crm_pipeline.mapping.addresses import read_addresses
from crm_pipeline.mapping.canonical import CanonicalKind, canonical, canonical_kinds
from crm_pipeline.mapping.fields import read_field
from crm_pipeline.mapping.normalize import normalize
from crm_pipeline.mapping.payload import wanted_values
from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.restoring import Described, in_qbench, untranslated
from crm_pipeline.mapping.spec import FieldSource, RecordSpec
from crm_pipeline.mapping.targets import Route, routes
from crm_pipeline.model import DEFAULT_CONTACT_PHONE_TYPE, MODELS, CountryFormat

Reason = Literal["would_not_come_back", "several_phones"]


@dataclass(frozen=True, slots=True)
class Inverse:
    """What of the values that a CRM shows goes into QBench; every frame has the rows' RangeIndex.

    ``values``: a column (object) per QBench field, the value to write, None for a blank. ``writes``: bool, the same columns, True
    where the field is to be written: those alone that would look different in the CRM. ``reasons``: a column (str) per unit, why
    its value does not go into QBench (Reason); null where it does, or where it was not to be brought.
    """

    values: pd.DataFrame
    writes: pd.DataFrame
    reasons: pd.DataFrame

    @property
    def fits(self) -> pd.DataFrame:
        """Per unit, where nothing stands against its value (bool)."""
        return self.reasons.isna()


@dataclass(frozen=True, eq=False, kw_only=True)
class WayBack:
    """How one record type comes back from one CRM. ``crm_fields``: schemas.CRM_FIELDS, None where they are not known."""

    spec: RecordSpec
    crm: str
    crm_fields: pd.DataFrame | None
    country_format: CountryFormat
    reading: Reading

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The CRM fields that come back."""
        mapped = routes(self.spec, crm=self.crm, crm_fields=self.crm_fields, country_format=self.country_format)
        return tuple(route for route in mapped if route.target.direction.comes_back)

    @cached_property
    def units(self) -> Mapping[str, tuple[Route, ...]]:
        """The routes of each unit, by the name of its group, else of its CRM field."""
        units: dict[str, tuple[Route, ...]] = {}
        for route in self.routes:
            name = route.target.group or route.target.crm_field
            units[name] = (*units.get(name, ()), route)
        return units

    def wanted(self, raw: pd.DataFrame) -> pd.DataFrame:
        """What QBench's records (schemas.RAW) want in the CRM fields that come back: a column per CRM field."""
        # Whether a record may sync, and who owns it, is not asked here.
        spec = self.spec.model_copy(update={"only": None, "owner": (), "sync_on": ()})
        normalized = normalize(raw, spec=spec, default_region=self.reading.default_region).frame
        return wanted_values(normalized, self.routes, crm_fields=self.crm_fields, zone=self.reading.zone)

    def forms(self, values: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
        """One canonical text per unit, null where it is blank: of values that the CRM shows, or that QBench wants there.

        ``values``: a column per CRM field that comes back, in the order of ``raw`` (schemas.RAW), which tells the region and the
        type of each record's phone. Of several phones the one counts that ``inverse`` takes.
        """
        raw = raw.set_axis(values.index)
        fields = self._canonical(self._one_phone(values, raw).values, raw)
        return pd.DataFrame({unit: _together(fields[_fields(members)]) for unit, members in self.units.items()}, index=values.index)

    def inverse(self, shown: pd.DataFrame, raw: pd.DataFrame, *, bring: pd.DataFrame | None = None) -> Inverse:
        """What the values that the CRM shows become in QBench's records (schemas.RAW), in the same order.

        ``shown``: a column per CRM field that comes back. ``bring``: bool, a column per unit, which values are to be brought;
        all where it is None. A value goes in only if the patched record would want the same in the CRM, together with what else
        is brought.
        """
        raw, shown = raw.reset_index(drop=True), shown.reset_index(drop=True)
        bring = pd.DataFrame(True, index=raw.index, columns=list(self.units)) if bring is None else bring.reset_index(drop=True)
        phone = self._one_phone(shown, raw)
        values, differing = self._in_qbench(phone, raw)
        reasons = pd.DataFrame({unit: no_text(raw.index) for unit in self.units}, index=raw.index)
        for unit, members in self.units.items():
            if members == self._phones:
                reasons[unit] = text_where(phone.several & bring[unit], "several_phones")
        while True:
            taken = bring & reasons.isna()
            writes = self._writes(differing, taken)
            patched = _patched(raw, values, writes)
            lost = taken & ~_same(self.forms(shown, patched), self.forms(self.wanted(patched), patched))
            if not lost.to_numpy().any():
                return Inverse(values=values, writes=writes, reasons=reasons)
            reasons = reasons.mask(lost, "would_not_come_back")

    @cached_property
    def _kinds(self) -> dict[str, CanonicalKind]:
        targets = [route.target for route in self.routes]
        return canonical_kinds(targets, self.crm_fields, record_type=self.spec.record_type)

    @cached_property
    def _described(self) -> dict[str, Described]:
        return (
            {}
            if self.crm_fields is None
            else {
                name: Described(type_, dict(options))
                for name, type_, options in zip(*(self.crm_fields[column] for column in ("name", "type", "options")), strict=True)
            }
        )

    @cached_property
    def _phones(self) -> tuple[Route, ...]:
        """The fields of a phone whose type decides which of them takes it; none where the type is fixed."""
        field = MODELS[self.spec.record_type].by_name[MODELS[self.spec.record_type].phone]
        members = self.units.get(field.group or "", ())
        return members if self._phone_type.from_ is not None else ()

    @cached_property
    def _phone_type(self) -> FieldSource:
        return self.spec.map.sources().get("phone_number_type", FieldSource(constant=DEFAULT_CONTACT_PHONE_TYPE))

    def _canonical(self, values: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
        regions = read_addresses(_content(raw), self.spec.map).regions(self.reading.default_region).set_axis(values.index)
        forms = {name: canonical(values[name], kind, regions=regions) for name, kind in self._kinds.items()}
        return pd.DataFrame(forms, index=values.index)

    def _one_phone(self, values: pd.DataFrame, raw: pd.DataFrame) -> _OnePhone:
        """The values with one phone at most: that in the field of its type in QBench, else the only one that there is."""
        names = _fields(self._phones)
        nowhere = pd.Series(False, index=values.index)
        if not names:
            return _OnePhone(values, no_text(values.index), nowhere)
        types = read_field(_content(raw), self._phone_type, kind="choice").values.fillna(DEFAULT_CONTACT_PHONE_TYPE)
        table = preset(self.crm, self.spec.record_type)
        by_type = types.map({kind: table.phone_field(kind) for kind in types.unique()}).astype("str").set_axis(values.index)
        filled = pd.DataFrame({name: canonical(values[name], "text").notna() for name in names}, index=values.index)
        in_its_field = pd.DataFrame({name: filled[name] & by_type.eq(name) for name in names}).any(axis=1)
        only = filled.idxmax(axis=1).astype("str").where(filled.sum(axis=1) == 1, None)
        place = only.where(~in_its_field, by_type)
        kept = {name: values[name].where(place.eq(name).fillna(value=False).astype(bool), None) for name in names}
        moved = place.where(place.ne(by_type), None)
        return _OnePhone(values.assign(**kept), moved, place.isna() & filled.any(axis=1))

    def _in_qbench(self, phone: _OnePhone, raw: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
        """The values of QBench's fields, and per unit which of them would look different in the CRM (bool)."""
        content, shown = _content(raw), phone.values
        forms = self._canonical(shown, raw)
        now = self._canonical(self.wanted(raw), raw)
        values: dict[str, pd.Series] = {}
        differing: dict[str, pd.DataFrame] = {}
        for unit, members in self.units.items():
            differs: dict[str, pd.Series] = {}
            for field, routes_into in _by_qbench_field(members).items():
                names = _fields(routes_into)
                differs[field] = (forms[names].fillna("") != now[names].fillna("")).any(axis=1)
                values[field] = in_qbench(
                    shown[names].bfill(axis=1).iloc[:, 0] if len(names) > 1 else shown[names[0]],
                    routes_into[0].source or FieldSource(from_=field),
                    kind=self._kinds[names[0]],
                    described=self._described.get(names[0], Described()),
                    before=[record.get(field) for record in content],
                    zone=self.reading.zone,
                )
            if members == self._phones and self._phone_type.from_ is not None:
                values[self._phone_type.from_] = self._types(phone.moved_to)
                differs[self._phone_type.from_] = phone.moved_to.notna()
            differing[unit] = pd.DataFrame(differs, index=raw.index)
        return pd.DataFrame(values, index=raw.index, dtype=object), differing

    def _types(self, moved_to: pd.Series) -> pd.Series:
        """What QBench calls the type of a phone in these CRM fields (object)."""
        table = preset(self.crm, self.spec.record_type)
        named = [phone_type for phone_type in table.phones if phone_type != OTHER_PHONE_TYPE]
        types = {field: phone_type for phone_type in reversed(named) if (field := table.phone_field(phone_type))}
        return _objects(untranslated(moved_to.map(types).astype("str"), self._phone_type))

    @staticmethod
    def _writes(differing: Mapping[str, pd.DataFrame], taken: pd.DataFrame) -> pd.DataFrame:
        """The QBench fields to write for the units that are taken (bool)."""
        columns = {field: marks[field] & taken[unit] for unit, marks in differing.items() for field in marks}
        return pd.DataFrame(columns, index=taken.index)


@dataclass(frozen=True, slots=True)
class _OnePhone:
    """``values``: with at most one phone per record. ``moved_to``: the CRM field of a phone that is not in the one of its type
    in QBench (str, else null). ``several``: there are several, and none is in the field of its type (bool).
    """

    values: pd.DataFrame
    moved_to: pd.Series
    several: pd.Series


def _fields(members: Sequence[Route]) -> list[str]:
    return [route.target.crm_field for route in members]


def _by_qbench_field(members: Sequence[Route]) -> dict[str, list[Route]]:
    """The routes by the QBench field that they come from; those that come from none have no way back."""
    found: dict[str, list[Route]] = {}
    for route in members:
        if route.source is not None and route.source.from_ is not None:
            found.setdefault(route.source.from_, []).append(route)
    return found


def _together(fields: pd.DataFrame) -> pd.Series:
    """The canonical texts of several fields as one (str), null where all are blank."""
    if len(fields.columns) == 1:
        return fields.iloc[:, 0]
    texts = [
        json.dumps(filled, ensure_ascii=False) if (filled := {name: text for name, text in row.items() if pd.notna(text)}) else None
        for row in fields.sort_index(axis=1).to_dict("records")
    ]
    return pd.Series(texts, index=fields.index, dtype="str")


def _same(shown: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    return shown.fillna("") == wanted.fillna("")


def _patched(raw: pd.DataFrame, values: pd.DataFrame, writes: pd.DataFrame) -> pd.DataFrame:
    """The raw rows as they would be once these values are written."""
    content = _content(raw)
    for field in writes.columns:
        written = values[field].tolist()
        for position in np.flatnonzero(writes[field].to_numpy(dtype=bool)).tolist():
            content[position] = {**content[position], field: written[position]}
    return raw.assign(content=pd.Series(content, index=raw.index, dtype=object))


def _content(raw: pd.DataFrame) -> list[dict[str, Any]]:
    return [record if isinstance(record, dict) else {} for record in raw["content"]]


def _objects(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), None)
