"""Which country or state a text names: exact look-ups in ISO 3166 and a short table of everyday names, never a guess.

Source: pycountry (ISO 3166-1 and 3166-2); the everyday names are ours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

LONGEST_NAME = 100

EVERYDAY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "america": "US",
        "us of a": "US",
        "uk": "GB",
        "great britain": "GB",
        "britain": "GB",
        "england": "GB",
        "scotland": "GB",
        "wales": "GB",
        "northern ireland": "GB",
        "deutschland": "DE",
        "osterreich": "AT",
        "schweiz": "CH",
        "suisse": "CH",
        "svizzera": "CH",
        "holland": "NL",
        "the netherlands": "NL",
        "nederland": "NL",
        "espana": "ES",
        "italia": "IT",
        "brasil": "BR",
        "danmark": "DK",
        "sverige": "SE",
        "norge": "NO",
        "suomi": "FI",
        "polska": "PL",
        "eire": "IE",
        "republic of ireland": "IE",
        "turkey": "TR",
        "russia": "RU",
        "czech republic": "CZ",
        "macedonia": "MK",
        "ivory coast": "CI",
        "cape verde": "CV",
        "swaziland": "SZ",
        "burma": "MM",
        "brunei": "BN",
        "macau": "MO",
        "vatican": "VA",
        "vatican city": "VA",
        "palestine": "PS",
        "micronesia": "FM",
        "east timor": "TL",
        "dr congo": "CD",
        "democratic republic of the congo": "CD",
        "uae": "AE",
        "the bahamas": "BS",
        "the gambia": "GM",
        "the philippines": "PH",
        "peoples republic of china": "CN",
        "prc": "CN",
        "ksa": "SA",
        "korea (south)": "KR",
    }
)


def country_code(text: str) -> str | None:
    """The ISO alpha-2 code of the country that a text names by code, name or everyday name; null when it is not clear."""
    return _countries().get(name_key(text)) if len(text) <= LONGEST_NAME else None


def country_name(text: str) -> str:
    """The English name of an ISO alpha-2 code ("KR" is South Korea); any other text as it is."""
    return _names().get(text, text)


def state_code(state: str, country: str) -> str | None:
    """The ISO 3166-2 code, without its country, of a state given by code or name in a country given by alpha-2."""
    if len(state) > LONGEST_NAME or country not in _names():
        return None
    return _states(country).get(name_key(state))


def state_name(code: str, country: str) -> str | None:
    """The name in ISO 3166-2 of a state given by its code in a country given by alpha-2."""
    import pycountry

    found = pycountry.subdivisions.get(code=f"{country}-{code}")  # type: ignore[no-untyped-call]
    return None if found is None else str(found.name)


def name_key(text: str) -> str:
    """What two spellings of one name have in common: case, accents, dots, apostrophes and white space are folded."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char) and char not in ".'’")
    return " ".join(bare.casefold().split())


@cache
def _countries() -> Mapping[str, str]:
    import pycountry

    spellings = {
        name_key(spelling): country.alpha_2
        for attribute in ("official_name", "common_name", "name", "alpha_3", "alpha_2")
        for country in pycountry.countries
        if (spelling := getattr(country, attribute, None))
    }
    return MappingProxyType(dict(EVERYDAY_NAMES) | spellings)


@cache
def _names() -> Mapping[str, str]:
    import pycountry

    return MappingProxyType({country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries})


@cache
def _states(country: str) -> Mapping[str, str]:
    import pycountry

    subdivisions = pycountry.subdivisions.get(country_code=country) or ()  # type: ignore[no-untyped-call]
    # Top-level states last, so that their names win over those of the districts inside them.
    found = sorted(subdivisions, key=lambda state: state.parent_code is None)
    codes = {state.code: state.code.partition("-")[2] for state in found}
    by_name = {name_key(state.name): codes[state.code] for state in found}
    return MappingProxyType(by_name | {name_key(code): code for code in codes.values()})
