"""Which country or state a text names: exact look-ups in ISO 3166 and a short table of everyday names, never a guess.

Source: pycountry (ISO 3166-1 and 3166-2); the everyday names are ours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

LONGEST_NAME = 100

_PASSED_OVER = str.maketrans("", "", ".'’")

EVERYDAY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "us": "US",
        "usa": "US",
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
        "kosovo": "XK",
    }
)

KOSOVO = "XK"
"""Of the codes that ISO 3166 leaves to its users the one that the CRMs and phone numbers use for a country without a code."""

NO_COUNTRY = frozenset(
    {
        "", "na", "n a", "nan", "none", "null", "nil", "unknown", "tbd", "x", "xx", "xxx",
        "not applicable", "not available", "not known", "not specified",
    }
)  # fmt: skip
"""What stands in a country's place and names none, by its letters alone. NA is Namibia's code, and yet far oftener no answer."""

WORDS_LIKE_CODES = frozenset(
    {
        "ad", "am", "as", "at", "be", "by", "do", "id", "in", "is", "it", "ma", "me", "mr", "ms", "my", "no", "pa", "pm", "so", "to",
        "and", "are", "can", "fin", "gin", "guy", "lie", "mar", "nor", "pan", "per", "ton",
    }
)  # fmt: skip
"""English words that are codes too: a code only where they are written like one, in capitals."""


def country_code(text: str) -> str | None:
    """The ISO alpha-2 code of the country that a text names by code, name or everyday name; null when it is not clear.

    Kosovo, which has none, goes by XK. A code with dots, or one that may be a word, is not clear.
    """
    if len(text) > LONGEST_NAME:
        return None
    named = _countries().get(name_key(text))
    if named is not None:
        return named
    code = text.strip()
    is_word = code != code.upper() and code.lower() in WORDS_LIKE_CODES
    return None if is_word or names_no_country(code) else _codes().get(code.upper())


def names_no_country(text: str) -> bool:
    """Whether a text only fills the place of a country: "N/A", "unknown", a dash."""
    if len(text) > LONGEST_NAME:
        return False
    letters = "".join(char if char.isalnum() else " " for char in name_key(text))
    return " ".join(letters.split()) in NO_COUNTRY


def country_name(text: str) -> str:
    """The English name of an ISO alpha-2 code ("KR" is South Korea); any other text as it is."""
    return _names().get(text, text)


def state_code(state: str, country: str) -> str | None:
    """The ISO 3166-2 code, without its country, of a state given by code or name in a country given by alpha-2."""
    if len(state) > LONGEST_NAME or country not in _names() or (names_no_country(state) and state.strip() not in _state_codes(country)):
        return None
    return _states(country).get(name_key(state))


def state_name(code: str, country: str) -> str | None:
    """The name in ISO 3166-2 of a state given by its code in a country given by alpha-2."""
    import pycountry

    found = pycountry.subdivisions.get(code=f"{country}-{code}")  # type: ignore[no-untyped-call]
    return None if found is None else str(found.name)


def name_key(text: str) -> str:
    """What two spellings of one name have in common: case, accents, dots, apostrophes and white space are folded."""
    bare = text if text.isascii() else "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(bare.translate(_PASSED_OVER).casefold().split())


@cache
def _countries() -> Mapping[str, str]:
    import pycountry

    spellings = {
        name_key(spelling): country.alpha_2
        for attribute in ("official_name", "common_name", "name")
        for country in pycountry.countries
        if (spelling := getattr(country, attribute, None))
    }
    return MappingProxyType(dict(EVERYDAY_NAMES) | spellings)


@cache
def _codes() -> Mapping[str, str]:
    import pycountry

    codes = {code: country.alpha_2 for country in pycountry.countries for code in (country.alpha_3, country.alpha_2)}
    return MappingProxyType(codes | {KOSOVO: KOSOVO, "XKX": KOSOVO})


@cache
def _names() -> Mapping[str, str]:
    import pycountry

    names = {country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries}
    return MappingProxyType(names | {KOSOVO: "Kosovo"})


@cache
def _states(country: str) -> Mapping[str, str]:
    import pycountry

    subdivisions = pycountry.subdivisions.get(country_code=country) or ()  # type: ignore[no-untyped-call]
    # Top-level states last, so that their names win over those of the districts inside them.
    found = sorted(subdivisions, key=lambda state: state.parent_code is None)
    codes = {state.code: state.code.partition("-")[2] for state in found}
    by_name = {name_key(state.name): codes[state.code] for state in found}
    return MappingProxyType(by_name | {name_key(code): code for code in codes.values()})


@cache
def _state_codes(country: str) -> frozenset[str]:
    return frozenset(_states(country).values())
