"""Which CRM fields an integration writes, what each takes its value from, and when it may be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow.compute as pc

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, AddressCodes, AddressPreset, Preset
from crm_pipeline.frames import blank, texts_where
from crm_pipeline.mapping.addresses import MappedAddress, parts_of, possible_types
from crm_pipeline.mapping.countries import country_code, country_name, name_key, state_code, state_name
from crm_pipeline.mapping.direction_keys import direction_in, rule_in
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.mapping.field_maps import FieldSource, OnInvalid, Policy, as_source
from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.values import over_uniques
from crm_pipeline.model import DEFAULT_CONTACT_PHONE_TYPE, MODELS, CountryFormat

PROTECTED_FIELDS = ("name", "email", "last_name")


@dataclass(frozen=True, slots=True)
class Target:
    """One CRM field that is mapped: written, read back, or both.

    ``source``: the normalized field, of several joined the first, or ``<crm>.<field>``. ``editable`` False: only with the
    create (and, with policy if_blank, once into an empty field when a record is linked). ``clear``: a blank empties the CRM
    field. ``group``: fields that are sent together or not at all. ``constant``: the same value for every record.
    ``droppable``: may be left out without its group. ``protected``: never truncated or omitted (docs/rules.md, 16). ``stands_for``:
    the field in whose place this one is written, by whose name the CRM may speak of it. ``direction`` and ``rule``: the way of its
    values between QBench and this CRM, and whose stands where both changed it; all fields of a group have the same.
    """

    crm_field: str
    source: str
    editable: bool
    policy: Policy
    clear: bool
    group: str | None
    on_invalid: OnInvalid
    constant: bool = False
    droppable: bool = False
    protected: bool = False
    stands_for: str | None = None
    direction: Direction = Direction.TO_CRM
    rule: Rule = Rule.LATER

    @property
    def must_be_valid(self) -> bool:
        """Whether a value that the CRM would refuse fails the record."""
        return self.protected or self.on_invalid == "fail"

    @property
    def only_fills(self) -> bool:
        """Whether it goes only where the CRM has nothing; of one that comes back, bases and readings decide."""
        return self.policy == "if_blank" and not self.direction.comes_back

    @property
    def unit(self) -> str:
        """What is one value when it comes back: the CRM field, or its group, by a name that no CRM field has."""
        return self.crm_field if self.group is None else f"group:{self.group}"


@dataclass(frozen=True, slots=True)
class Route:
    """How a target gets its values from a normalized frame.

    ``given``: what they are made of, where it may be that some of it has no form in this CRM; None where all of it has.
    ``source``: the one mapped QBench field, or constant, that the values come from; None where several are joined.
    """

    target: Target
    pick: Callable[[pd.DataFrame], pd.Series]
    source: FieldSource | None = None
    given: Callable[[pd.DataFrame], pd.Series] | None = None


def routes(spec: RecordSpec, *, crm: str, crm_fields: pd.DataFrame | None, country_format: CountryFormat = "auto") -> tuple[Route, ...]:
    """Every CRM field that the integration maps, each once; a directly mapped field takes the preset's place.

    Those that only come back are among them: ``Target.direction`` says which are sent.

    Raises ConfigurationError for a CRM without a preset.
    """
    table = preset(crm, spec.record_type)
    direct = {name.removeprefix(f"{crm}."): source for name, source in spec.map.direct.items() if name.startswith(f"{crm}.")}
    known = _Metadata(crm_fields)
    from_preset = [
        *_plain(spec, table, crm),
        *_phones(spec, table, crm),
        *(route for address in table.addresses for route in _address(spec, address, crm, known, country_format, frozenset(direct))),
    ]
    protected = {table.fields[name] for name in PROTECTED_FIELDS if name in table.fields}
    chosen = [route for route in from_preset if route.target.crm_field not in direct]
    chosen += [_direct(crm, crm_field, source) for crm_field, source in direct.items()]
    return tuple(
        replace(route, target=replace(route.target, protected=route.target.crm_field in protected))
        for route in chosen
        if route.target.policy != "never"
    )


def routes_back(
    spec: RecordSpec, *, crm: str, crm_fields: pd.DataFrame | None, country_format: CountryFormat = "auto"
) -> tuple[Route, ...]:
    """The routes of the CRM fields that come back."""
    mapped = routes(spec, crm=crm, crm_fields=crm_fields, country_format=country_format)
    return tuple(route for route in mapped if route.target.direction.comes_back)


def targets(spec: RecordSpec, *, crm: str, crm_fields: pd.DataFrame | None, country_format: CountryFormat = "auto") -> tuple[Target, ...]:
    """The targets alone, where no record is at hand; those that only come back are among them."""
    return tuple(route.target for route in routes(spec, crm=crm, crm_fields=crm_fields, country_format=country_format))


class _Metadata:
    """What the CRM's own description tells about fields: which there are, and their options."""

    def __init__(self, crm_fields: pd.DataFrame | None) -> None:
        self._options: dict[str, dict[str, str]] = {}
        if crm_fields is not None:
            self._options = {name: dict(options) for name, options in zip(crm_fields["name"], crm_fields["options"], strict=True)}

    def has(self, *names: str) -> bool:
        return all(name in self._options for name in names)

    def options(self, name: str) -> dict[str, str]:
        """Value to label."""
        return self._options.get(name, {})


def _policy(policy: Policy, *, editable: bool) -> Policy:
    """A field that may not change after creation is create-only, unless it may fill a blank once."""
    return policy if editable or policy in ("if_blank", "never") else "create_only"


def _target(crm: str, crm_field: str, source_name: str, source: FieldSource, *, editable: bool, group: str | None) -> Target:
    policy = _policy(source.policy, editable=editable)
    may_change = editable and policy != "create_only"
    return Target(
        crm_field=crm_field,
        source=source_name,
        editable=may_change,
        policy=policy,
        clear=source.clear and may_change and policy == "always",
        group=group,
        on_invalid=source.on_invalid,
        constant=source.constant is not None,
        direction=direction_in(source, crm),
        rule=rule_in(source, crm),
    )


def _column(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: frame[name]


def _direct(crm: str, crm_field: str, source: FieldSource) -> Route:
    name = f"{crm}.{crm_field}"

    def pick(frame: pd.DataFrame) -> pd.Series:
        # Staged frames have no undeclared column of which every row is blank.
        values = frame[name] if name in frame.columns else pd.Series(None, index=frame.index, dtype="str")
        # Beside texts there are numbers only where their text may mean another one (normalize).
        return values.astype("str") if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty") else values

    return Route(_target(crm, crm_field, name, source, editable=True, group=None), pick, source)


def _plain(spec: RecordSpec, table: Preset, crm: str) -> Iterator[Route]:
    model = MODELS[spec.record_type].by_name
    sources = spec.map.sources()
    for name, crm_field in table.fields.items():
        if name in sources:
            target = _target(crm, crm_field, name, sources[name], editable=model[name].editable, group=None)
            yield Route(target, _column(name), sources[name])


def _phones(spec: RecordSpec, table: Preset, crm: str) -> Iterator[Route]:
    """The phone goes into the field of its type; where a QBench field decides the type, any of them can be meant.

    A blank clears a phone field only where the type is fixed: else a number that moved to another field would look like one.
    """
    name = MODELS[spec.record_type].phone
    sources = spec.map.sources()
    if name not in sources:
        return
    field = MODELS[spec.record_type].by_name[name]
    phone_type = sources.get("phone_number_type", FieldSource(constant=DEFAULT_CONTACT_PHONE_TYPE))
    fixed = phone_type.constant is not None
    types = [str(phone_type.constant).strip().upper()] if fixed else list(table.phones)
    for crm_field in dict.fromkeys(filter(None, map(table.phone_field, types))):
        target = _target(crm, crm_field, name, sources[name], editable=field.editable, group=field.group)
        yield Route(replace(target, clear=target.clear and fixed), _phone_of(name, crm_field, table), sources[name])


def _phone_of(name: str, crm_field: str, table: Preset) -> Callable[[pd.DataFrame], pd.Series]:
    named = [phone_type for phone_type in table.phones if phone_type != OTHER_PHONE_TYPE]
    mine = [phone_type for phone_type in named if table.phone_field(phone_type) == crm_field]
    takes_others = table.phone_field(OTHER_PHONE_TYPE) == crm_field

    def pick(frame: pd.DataFrame) -> pd.Series:
        types = frame["phone_number_type"]
        meant = types.isin(mine) | ~types.isin(named) if takes_others else types.isin(mine)
        return texts_where(meant.to_numpy(), frame[name])

    return pick


def _address(
    spec: RecordSpec, table: AddressPreset, crm: str, known: _Metadata, country_format: CountryFormat, direct: frozenset[str]
) -> Iterator[Route]:
    mapped = [
        address
        for address in spec.map.addresses
        if address.policy != "never" and {kind.lower() for kind in possible_types(address)} & set(table.types)
    ]
    if not mapped:
        return
    sources = _part_sources(mapped)
    country_is_direct = any(crm_field in direct for crm_field, parts in table.fields.items() if parts == ("country",))
    codes = table.codes if table.codes and known.has(table.codes.country, table.codes.state) else None
    for crm_field, parts in table.fields.items():
        given = [part for part in parts if part in sources]
        if not given:
            continue
        source = sources[given[0]] if len(given) == 1 else None
        target = replace(
            _target(crm, crm_field, f"{table.types[0]}_{given[0]}", sources[given[0]], editable=False, group=f"{table.types[0]}_address"),
            policy=mapped[0].policy,
            direction=direction_in(mapped[0], crm),
            rule=rule_in(mapped[0], crm),
        )
        if codes is not None and crm_field in codes.replaces:
            if crm_field not in direct:
                yield replace(_listed_route(target, table, codes, known, country_format), source=source)
        elif given == ["country"]:
            yield Route(target, _country_of(table, country_format), source)
        elif given == ["state"] and not country_is_direct:
            yield replace(_state_route(target, table), source=source)
        else:
            yield Route(target, _joined(table, given), source)


def _part_sources(addresses: list[MappedAddress]) -> dict[str, FieldSource]:
    """The source of each part that any of the addresses maps; of several the first one's settings hold."""
    sources: dict[str, FieldSource] = {}
    for address in addresses:
        sources = {part: as_source(entry) for part, entry in parts_of(address).items()} | sources
    return sources


def _part(frame: pd.DataFrame, table: AddressPreset, part: str) -> pd.Series:
    """One part of the address that the CRM's address takes: of the first type that the record has."""
    first, *others = table.types
    value, earlier = frame[f"{first}_{part}"], [first]
    for kind in others:
        later = frame[f"{kind}_{part}"]
        if not blank(later).all():
            columns = [name for name in frame.columns if name.startswith(tuple(f"{one}_" for one in earlier))]
            value = value.mask(frame[columns].isna().all(axis=1), later)
        earlier.append(kind)
    return value


def _joined(table: AddressPreset, parts: list[str]) -> Callable[[pd.DataFrame], pd.Series]:
    def pick(frame: pd.DataFrame) -> pd.Series:
        joined = _part(frame, table, parts[0])
        for part in parts[1:]:
            more = _part(frame, table, part)
            joined = (joined + table.separator + more).fillna(joined).fillna(more)
        several = table.separator != "\n" and pc.any(pc.match_substring_regex(joined.array.__arrow_array__(), "[\r\n]")).as_py()
        return joined.str.replace(r"\s*[\r\n]+\s*", table.separator, regex=True) if several else joined

    return pick


def _country_of(table: AddressPreset, country_format: CountryFormat) -> Callable[[pd.DataFrame], pd.Series]:
    def pick(frame: pd.DataFrame) -> pd.Series:
        countries = _part(frame, table, "country")
        return over_uniques(countries, country_name) if country_format != "code" else countries

    return pick


def _state_route(target: Target, table: AddressPreset) -> Route:
    """The route into a state's text field: only with its country, without which no state is told from its namesakes."""
    state = _joined(table, ["state"])

    def pick(frame: pd.DataFrame) -> pd.Series:
        return state(frame).where(_part(frame, table, "country").notna(), None)

    return Route(replace(target, droppable=True), pick, given=state)


def _listed_route(target: Target, table: AddressPreset, codes: AddressCodes, known: _Metadata, country_format: CountryFormat) -> Route:
    """The route of a country or state that the CRM takes from its own list alone: into its code field, or by name into its text field."""
    is_country = target.crm_field == codes.replaces[0]
    code_field = codes.country if is_country else codes.state

    def pick(frame: pd.DataFrame) -> pd.Series:
        countries = _part(frame, table, "country")
        if is_country:
            listed = _country_codes(countries, known.options(codes.country))
        else:
            listed = _state_codes(_part(frame, table, "state"), countries, codes, known)
        return listed if country_format != "name" else over_uniques(listed, lambda code: known.options(code_field).get(code, code))

    def given(frame: pd.DataFrame) -> pd.Series:
        return _part(frame, table, "country" if is_country else "state")

    crm_field = code_field if country_format != "name" else target.crm_field
    return Route(replace(target, crm_field=crm_field, stands_for=target.crm_field, droppable=not is_country), pick, given=given)


def _country_codes(countries: pd.Series, options: dict[str, str]) -> pd.Series:
    """The CRM's own code of each country, by code, name or label; null for one that it does not list, whatever its description claims."""
    if not options:
        return countries
    by_name = {name_key(label): value for value, label in options.items()}
    by_code = {country_code(label): value for value, label in options.items()}

    def code_of(country: str) -> str | None:
        return country if country in options else by_code.get(country) or by_name.get(name_key(country_name(country)))

    return over_uniques(countries, code_of)


def _state_codes(states: pd.Series, countries: pd.Series, codes: AddressCodes, known: _Metadata) -> pd.Series:
    # The CRM lists the state codes of all countries in one list: a code counts only where the country's state is meant by it.
    options = known.options(codes.state)
    by_label: dict[str, str | None] = {}
    for value, label in options.items():
        key = name_key(label)
        by_label[key] = None if key in by_label else value

    def code_of(pair: str) -> str | None:
        country, _, state = pair.partition("\x00")
        country = country_code(country) or country
        code = state_code(state, country)
        standard = country in codes.state_countries
        if code in options and (standard or name_key(options[code]) == name_key(state_name(code, country) or "")):
            return code
        return by_label.get(name_key(state)) if standard else None

    return over_uniques(countries + "\x00" + states, code_of)
