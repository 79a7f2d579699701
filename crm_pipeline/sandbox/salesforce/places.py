"""Which countries and states an organization with State and Country/Territory Picklists accepts.

Such an organization stores an address as text and code together: the text is the country's integration value (by default its
English name), the code its ISO 3166 one, and a state counts only within a country. Source: the vendor's set-up pages; the
error texts are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pycountry

from crm_pipeline.sandbox.salesforce.errors import RowError
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec
from crm_pipeline.sandbox.salesforce.table import Row

_UNKNOWN = "There's a problem with this {what}, even though it may appear correct. Please select one from the list of valid ones."
# The countries whose states a fresh organization knows; every other country takes no state at all.
COUNTRIES_WITH_STATES = ("AU", "BR", "CA", "CN", "IE", "IN", "IT", "MX", "US")


@dataclass(frozen=True)
class Places:
    """Country codes to names, and per country state codes to names."""

    countries: Mapping[str, str]
    states: Mapping[str, Mapping[str, str]]


def standard_places() -> Places:
    """The countries and states of a fresh organization."""
    return Places(
        countries={country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries},
        states={
            country: {state.code.split("-")[1]: state.name for state in pycountry.subdivisions if state.country_code == country}
            for country in COUNTRIES_WITH_STATES
        },
    )


def with_code_fields(spec: ObjectSpec, places: Places) -> ObjectSpec:
    """The object with a code field beside every state and country field."""
    for prefix in _prefixes(spec):
        every_state = sorted({code for states in places.states.values() for code in states})
        for part, codes in (("State", every_state), ("Country", sorted(places.countries))):
            label = f"{spec.fields[f'{prefix}{part}'].label} Code"
            spec = spec.with_field(FieldSpec(f"{prefix}{part}Code", "picklist", label, 10, picklist=tuple(codes)))
    return spec


def settle_places(spec: ObjectSpec, row: Row, changed: set[str], places: Places) -> Row:
    """The row with texts and codes of its changed addresses made to agree; raises FIELD_INTEGRITY_EXCEPTION where they cannot."""
    for prefix in _prefixes(spec):
        touched = changed & {f"{prefix}{part}" for part in ("State", "StateCode", "Country", "CountryCode")}
        if touched:
            row = _settled(row, prefix, touched, places)
    return row


def _prefixes(spec: ObjectSpec) -> list[str]:
    return [name.removesuffix("Country") for name in spec.fields if name.endswith("Country")]


def _settled(row: Row, prefix: str, touched: set[str], places: Places) -> Row:
    country = _code(row, f"{prefix}Country", touched, places.countries, "country")
    if country is None and (row.get(f"{prefix}State") or row.get(f"{prefix}StateCode")):
        field = f"{prefix}State"
        raise _refused("A country/territory must be specified before specifying a state value for field", field)
    states = places.states.get(country or "", {})
    state = _code(row, f"{prefix}State", touched, states, "state")
    settled = {
        f"{prefix}Country": places.countries.get(country or ""),
        f"{prefix}CountryCode": country,
        f"{prefix}State": states.get(state or ""),
        f"{prefix}StateCode": state,
    }
    return {name: value for name, value in {**row, **settled}.items() if value is not None}


def _code(row: Row, field: str, touched: set[str], names: Mapping[str, str], what: str) -> str | None:
    """The code that a text field and its code field mean together; the one that was sent decides."""
    text, code = row.get(field), row.get(f"{field}Code")
    if field in touched and f"{field}Code" not in touched:
        code = None
        if text is not None:
            code = next((known for known, name in names.items() if name.casefold() == text.casefold()), "")
    elif f"{field}Code" in touched and field in touched and text is not None and code is not None and names.get(code) != text:
        code = ""
    if code is not None and code not in names:
        raise _refused(_UNKNOWN.format(what=what), field)
    return code


def _refused(message: str, field: str) -> RowError:
    return RowError("FIELD_INTEGRITY_EXCEPTION", f"{message}: {field}", (field,))
