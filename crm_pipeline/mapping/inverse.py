"""What does a value that a CRM shows become in QBench? Only what would come back the same goes in; pure.

What comes back as one value is a *unit* (``Target.unit``): a CRM field, an address, or a phone with its type.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.preset import OTHER_PHONE_TYPE
from crm_pipeline.frames import no_text, one_text, texts_where
from crm_pipeline.mapping.addresses import countries_alone, parts_of, read_regions
from crm_pipeline.mapping.canonical import CanonicalKind, canonical, canonical_kinds
from crm_pipeline.mapping.field_maps import FieldSource, as_source
from crm_pipeline.mapping.fields import read_field
from crm_pipeline.mapping.normalize import normalize
from crm_pipeline.mapping.payload import wanted_values
from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.restoring import Described, in_qbench, untranslated
from crm_pipeline.mapping.sources import qbench_fields
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import Route, routes_back
from crm_pipeline.model import DEFAULT_CONTACT_PHONE_TYPE, MODELS, CountryFormat
from crm_pipeline.schemas import RAW

Reason = Literal["would_not_come_back", "several_phones", "too_long", "never_blank"]


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What QBench's records want in a CRM; every frame has the rows' RangeIndex.

    ``values``: a column per CRM field, as it would be sent. ``forms``: a column (str) per unit, its canonical text, null where it
    is blank. ``whole``: bool, the same columns, False where the CRM would hold less than QBench does.
    """

    values: pd.DataFrame
    forms: pd.DataFrame
    whole: pd.DataFrame

    def take(self, positions: np.ndarray) -> Wanted:
        """The rows at these positions, indexed anew."""
        return Wanted(*(frame.take(positions).reset_index(drop=True) for frame in (self.values, self.forms, self.whole)))


@dataclass(frozen=True, eq=False, kw_only=True)
class WayBack:
    """How one record type comes back from one CRM.

    ``crm_fields``: schemas.CRM_FIELDS, None where they are not known. ``longest``: the most characters that fields of QBench take.
    ``never_blank``: those that it keeps filled.
    """

    spec: RecordSpec
    crm: str
    crm_fields: pd.DataFrame | None
    country_format: CountryFormat
    reading: Reading
    longest: Mapping[str, int]
    never_blank: Collection[str]

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The CRM fields that come back."""
        return routes_back(self.spec, crm=self.crm, crm_fields=self.crm_fields, country_format=self.country_format)

    @cached_property
    def units(self) -> Mapping[str, tuple[Route, ...]]:
        """The routes of each unit, by its name."""
        units: dict[str, tuple[Route, ...]] = {}
        for route in self.routes:
            units[route.target.unit] = (*units.get(route.target.unit, ()), route)
        return units

    @cached_property
    def sources(self) -> Mapping[str, tuple[str, ...]]:
        """The QBench fields that each unit comes from, and goes back into."""
        found = {}
        for unit, members in self.units.items():
            named = [*_by_qbench_field(members), *([self._phone_type.from_] if members == self._phones else [])]
            found[unit] = tuple(dict.fromkeys(name for name in named if name is not None))
        return found

    @cached_property
    def reads(self) -> frozenset[str]:
        """The QBench fields that a record's content (schemas.RAW) needs here: others are not looked at."""
        return frozenset(qbench_fields(self.spec))

    @cached_property
    def never_blank_there(self) -> frozenset[str]:
        """The units of yes or no that are never blank in the CRM: no is what it has where nobody said anything."""
        if crm_kinds()[self.crm].capabilities.blank_booleans:
            return frozenset()
        single = {unit: members[0].target.crm_field for unit, members in self.units.items() if len(members) == 1}
        return frozenset(unit for unit, name in single.items() if self._kinds[name] == "boolean")

    @cached_property
    def clears(self) -> Mapping[str, bool]:
        """Per unit, whether a blank in the CRM empties QBench: where the mapping says clear, of an address in all its parts.

        ``Target.clear`` is about the other way, on which a field that only a create sends empties nothing.
        """
        return {unit: all(route.source is not None and route.source.clear for route in members) for unit, members in self.units.items()}

    @cached_property
    def clears_crm(self) -> Mapping[str, bool]:
        """Per unit, whether a blank in QBench empties the CRM (``Target.clear``); of a phone whose type QBench says, it does not."""
        return {unit: all(route.target.clear for route in members) for unit, members in self.units.items()}

    def wanted(self, raw: pd.DataFrame) -> Wanted:
        """What QBench's records (schemas.RAW) want in the CRM fields that come back."""
        return self._wanted(self._records(raw))

    def forms(self, values: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
        """One canonical text (str) per unit, null where it is blank, of values that the CRM shows.

        ``values``: a column per CRM field that comes back, in the order of ``raw`` (schemas.RAW), which tells the region and the
        type of each record's phone. Of several phones the one counts that ``inverse`` takes.
        """
        return self._forms(values, self._records(raw))

    def read_by(self, raw: pd.DataFrame) -> pd.DataFrame:
        """The same records (schemas.RAW) with nothing of their contents but what ``forms`` looks at: by what a phone is read."""
        countries = [as_source(country).from_ for address in self.spec.map.addresses if (country := parts_of(address).get("country"))]
        phones = [*_by_qbench_field(self._phones), *([self._phone_type.from_] if self._phones else [])]
        names = dict.fromkeys([*countries, *phones])
        content = [{name: record.get(name) for name in names} if isinstance(record, dict) else {} for record in raw["content"]]
        return RAW.build({name: raw[name] for name in RAW.names} | {"content": pd.Series(content, index=raw.index, dtype=object)})

    def each_form(self, values: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
        """The canonical text (str) of each of these CRM fields by itself, null where it is blank; else as ``forms``.

        No is a blank in a field of yes or no that is never blank in the CRM.
        """
        records = self._records(raw)
        forms = self._canonical(values.set_axis(records.index), records)
        never_blank = [name for unit in self.never_blank_there if (name := self.units[unit][0].target.crm_field) in forms]
        return forms.assign(**{name: forms[name].mask(forms[name].eq("false")) for name in never_blank})

    def inverse(
        self, shown: pd.DataFrame, raw: pd.DataFrame, *, bring: pd.DataFrame | None = None, sent: pd.DataFrame | None = None
    ) -> Inverse:
        """What the values that the CRM shows become in QBench's records (schemas.RAW), in the same order.

        ``shown``: a column per CRM field that comes back. ``bring``: bool, a column per unit, which values are to be brought;
        all where it is None. ``sent``: what these records want in the CRM, where it is known (Wanted.values). A value goes in
        only if the patched record would want the same in the CRM, together with what else is brought.
        """
        records = self._records(raw)
        shown = shown[_fields(self.routes)].set_axis(records.index)
        if bring is None:
            bring = pd.DataFrame(True, index=records.index, columns=list(self.units))
        bring = bring.set_axis(records.index)
        phone = self._one_phone(shown, records)
        sent = self._wanted(records).values if sent is None else sent.set_axis(records.index)
        values, differing = self._in_qbench(phone, records, sent)
        reasons = self._refused(values, differing, phone).where(bring, None)
        while True:
            taken = bring & reasons.isna()
            writes = _writes(differing, taken)
            patched = self._records(_patched(records, values, writes))
            lost = taken & (self._forms(shown, patched).fillna("") != self._wanted(patched).forms.fillna(""))
            if not lost.to_numpy().any():
                return Inverse(values=values, writes=writes, reasons=reasons)
            reasons = reasons.mask(lost, "would_not_come_back")

    def _records(self, raw: pd.DataFrame) -> _Records:
        raw = raw.reset_index(drop=True)
        content = [record if isinstance(record, dict) else {} for record in raw["content"]]
        return _Records(raw, content, read_regions(content, self.spec.map, self.reading.default_region))

    def _wanted(self, records: _Records) -> Wanted:
        normalized = normalize(records.raw, spec=self._spec_back, default_region=self.reading.default_region).frame
        checked = wanted_values(normalized, self.routes, crm_fields=self.crm_fields, zone=self.reading.zone)
        forms = self._forms(checked.values, records)
        whole = pd.DataFrame(True, index=records.index, columns=list(self.units))
        less = checked.problems
        for unit, members in self.units.items():
            if len(less):
                whole.loc[less.loc[less["crm_field"].isin(_fields(members)), "position"], unit] = False
            if members == self._phones:
                whole[unit] &= forms[unit].notna() | self._held_phone(records).isna()
        return Wanted(values=checked.values, forms=forms, whole=whole)

    def _forms(self, values: pd.DataFrame, records: _Records) -> pd.DataFrame:
        values = values[_fields(self.routes)].set_axis(records.index)
        fields = self._canonical(self._one_phone(values, records).values, records)
        return pd.DataFrame({unit: _together(fields, _fields(members)) for unit, members in self.units.items()}, index=records.index)

    @cached_property
    def _spec_back(self) -> RecordSpec:
        """The spec of what comes back alone: the other fields, whether a record may sync, and who owns it, are not asked here."""
        mapped, back = self.spec.map, {route.target.source for route in self.routes}
        plain = mapped.sources()
        others = {name: None for name in plain if name not in back and name != "phone_number_type"}
        if back <= plain.keys() | mapped.direct.keys():
            # No address comes back; by its country phones are read.
            others |= countries_alone(mapped)
        return self.spec.model_copy(update={"map": mapped.model_copy(update=others), "only": None, "owner": (), "sync_on": ()})

    @cached_property
    def _kinds(self) -> dict[str, CanonicalKind]:
        targets = [route.target for route in self.routes]
        return canonical_kinds(targets, self.crm_fields, record_type=self.spec.record_type)

    @cached_property
    def _described(self) -> dict[str, Described]:
        if self.crm_fields is None:
            return {}
        columns = (self.crm_fields[name] for name in ("name", "type", "options"))
        return {name: Described(type_, dict(options)) for name, type_, options in zip(*columns, strict=True)}

    @cached_property
    def _phones(self) -> tuple[Route, ...]:
        """The fields of a phone whose type decides which of them takes it; none where the type is fixed."""
        phone = MODELS[self.spec.record_type].phone
        return tuple(route for route in self.routes if route.target.source == phone) if self._phone_type.from_ is not None else ()

    @cached_property
    def _phone_type(self) -> FieldSource:
        return self.spec.map.sources().get("phone_number_type", FieldSource(constant=DEFAULT_CONTACT_PHONE_TYPE))

    def _canonical(self, values: pd.DataFrame, records: _Records) -> pd.DataFrame:
        forms = {name: canonical(column, self._kinds[str(name)], regions=records.regions) for name, column in values.items()}
        return pd.DataFrame(forms, index=records.index)

    def _one_phone(self, values: pd.DataFrame, records: _Records) -> _OnePhone:
        """The values with one phone at most: the others in the CRM are none of this record's.

        That is the one in the field of its type, else the same number in another field, where somebody moved it; of a record
        without a phone, the only one that there is.
        """
        names = _fields(self._phones)
        if not names:
            return _OnePhone(values, no_text(values.index), pd.Series(False, index=values.index))
        shown = self._canonical(values[names], records)
        types = read_field(records.content, self._phone_type, kind="choice").values.fillna(DEFAULT_CONTACT_PHONE_TYPE)
        table = preset(self.crm, self.spec.record_type)
        by_type = types.map({kind: table.phone_field(kind) for kind in types.unique()}).astype("str")
        held = self._held_phone(records)
        filled = shown.notna()
        in_its_field = pd.DataFrame({name: filled[name] & by_type.eq(name) for name in names}).any(axis=1)
        may_be = filled.where(held.isna(), shown.eq(held, axis=0) & filled)
        only = may_be.idxmax(axis=1).astype("str").where(may_be.sum(axis=1) == 1, None)
        place = only.where(~in_its_field, by_type)
        kept = {name: values[name].where(place.eq(name).fillna(value=False).astype(bool), None) for name in names}
        moved = place.where(place.ne(by_type), None)
        return _OnePhone(values.assign(**kept), moved, place.isna() & held.isna() & filled.any(axis=1))

    def _held_phone(self, records: _Records) -> pd.Series:
        """The phone that QBench holds, in its canonical form."""
        [field] = _by_qbench_field(self._phones)
        return canonical(pd.Series(records.field(field), dtype=object), "phone", regions=records.regions)

    def _in_qbench(self, phone: _OnePhone, records: _Records, sent: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
        """The values of QBench's fields, and per unit which of them would look different in the CRM (bool)."""
        shown, index = phone.values, records.index
        forms = self._canonical(shown, records)
        now = self._canonical(sent, records)
        values: dict[str, pd.Series] = {}
        differing: dict[str, pd.DataFrame] = {}
        for unit, members in self.units.items():
            differs: dict[str, pd.Series] = {}
            for field, routes_into in _by_qbench_field(members).items():
                names = _fields(routes_into)
                differs[field] = _one(forms[names]).fillna("").ne(_one(now[names]).fillna(""))
                values[field] = in_qbench(
                    _one(shown[names]),
                    routes_into[0].source or FieldSource(from_=field),
                    kind=self._kinds[names[0]],
                    described=self._described.get(names[0], Described()),
                    before=records.field(field),
                    zone=self.reading.zone,
                )
            if members == self._phones and self._phone_type.from_ is not None:
                values[self._phone_type.from_] = self._types(phone.moved_to)
                differs[self._phone_type.from_] = phone.moved_to.notna()
            differing[unit] = pd.DataFrame(differs, index=index)
        return pd.DataFrame(values, index=index, dtype=object), differing

    def _refused(self, values: pd.DataFrame, differing: Mapping[str, pd.DataFrame], phone: _OnePhone) -> pd.DataFrame:
        """What stands against each unit before it is tried (Reason, str)."""
        reasons = {}
        for unit, members in self.units.items():
            reason = no_text(values.index)
            if members == self._phones:
                reason = texts_where(phone.several.to_numpy(), one_text("several_phones", values.index))
            for field, differs in differing[unit].items():
                if field in self.longest:
                    reason = reason.mask(differs & _longer(values[field], than=self.longest[str(field)]), "too_long")
                if field in self.never_blank:
                    reason = reason.mask(differs & values[field].isna(), "never_blank")
            reasons[unit] = reason
        return pd.DataFrame(reasons, index=values.index)

    def _types(self, moved_to: pd.Series) -> pd.Series:
        """What QBench calls the type of a phone in these CRM fields (object)."""
        table = preset(self.crm, self.spec.record_type)
        named = [phone_type for phone_type in table.phones if phone_type != OTHER_PHONE_TYPE]
        types = {field: phone_type for phone_type in reversed(named) if (field := table.phone_field(phone_type))}
        return _objects(untranslated(moved_to.map(types).astype("str"), self._phone_type))


def fields_back(spec: RecordSpec, crms: Sequence[str]) -> list[str]:
    """The QBench fields that come back from any of these CRMs."""
    unknown: dict[str, Any] = {"crm_fields": None, "country_format": "auto", "reading": Reading(), "longest": {}, "never_blank": ()}
    ways = [WayBack(spec=spec, crm=crm, **unknown) for crm in crms]
    return list(dict.fromkeys(name for way in ways for names in way.sources.values() for name in names))


@dataclass(frozen=True, slots=True)
class _Records:
    """QBench's records (schemas.RAW, a RangeIndex): their contents, and the region that each one's phone is read in (str)."""

    raw: pd.DataFrame
    content: list[dict[str, Any]]
    regions: pd.Series

    @property
    def index(self) -> pd.Index:
        return self.raw.index

    def field(self, name: str) -> list[Any]:
        return [record.get(name) for record in self.content]


@dataclass(frozen=True, slots=True)
class _OnePhone:
    """``values``: with at most one phone per record. ``moved_to``: the CRM field of a phone that is not in the one of its type
    in QBench (str, else null). ``several``: there are several, and it is not clear which is the record's (bool).
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


def _one(fields: pd.DataFrame) -> pd.Series:
    """The one value that each row has in these fields, null where it has none."""
    return fields.iloc[:, 0] if len(fields.columns) == 1 else fields.bfill(axis=1).iloc[:, 0]


def _longer(values: pd.Series, *, than: int) -> pd.Series:
    return pd.Series([isinstance(value, str) and len(value) > than for value in values], index=values.index, dtype=bool)


def _together(fields: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """The canonical texts of the fields with these names as one (str), null where all are blank."""
    if len(names) == 1:
        return fields[names[0]]
    texts = [
        json.dumps(filled, ensure_ascii=False) if (filled := {name: text for name, text in row.items() if pd.notna(text)}) else None
        for row in fields[sorted(names)].to_dict("records")
    ]
    return pd.Series(texts, index=fields.index, dtype="str")


def _writes(differing: Mapping[str, pd.DataFrame], taken: pd.DataFrame) -> pd.DataFrame:
    """The QBench fields to write for the units that are taken (bool)."""
    columns = {field: marks[field] & taken[unit] for unit, marks in differing.items() for field in marks}
    return pd.DataFrame(columns, index=taken.index)


def _patched(records: _Records, values: pd.DataFrame, writes: pd.DataFrame) -> pd.DataFrame:
    """The raw rows as they would be once these values are written."""
    content = list(records.content)
    for field in writes.columns:
        written = values[field].tolist()
        for position in np.flatnonzero(writes[field].to_numpy(dtype=bool)).tolist():
            content[position] = {**content[position], field: written[position]}
    return records.raw.assign(content=pd.Series(content, index=records.index, dtype=object))


def _objects(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), None)
