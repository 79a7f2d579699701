"""What the seeded tenant is made of: names, places and phone numbers of several languages, drawn once and used again and again."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from faker import Faker

PEOPLE_PER_LOCALE = 120
COMPANIES_PER_LOCALE = 60
PLACES_PER_LOCALE = 40


@dataclass(frozen=True, slots=True)
class Country:
    """A country of the tenant: how often, in what language, how its name is spelt, and its fictional phone numbers.

    ``code`` is ISO 3166 alpha-2; the first spelling is the code. In ``phone`` each ``#`` is a digit, ``&`` a number from 00
    to 99; the ranges are those set aside for fiction where there are such (US 555-01xx, UK 7946 0xxx, Germany 23125,
    France 1 99 00).
    """

    code: str
    locale: str
    weight: int
    spellings: tuple[str, ...]
    phone: tuple[str, ...]


COUNTRIES: tuple[Country, ...] = (
    Country(
        "US",
        "en_US",
        50,
        ("US", "USA", "United States", "U.S.A.", "united states of america", " United States "),
        ("+1 512 555 01&", "(512) 555-01&", "212-555-01&", "+1.303.555.01&", "415 555 01&"),
    ),
    Country("GB", "en_GB", 12, ("GB", "UK", "United Kingdom", "England", "Great Britain"), ("+44 20 7946 0##9", "+44 (0)161 496 0##9")),
    Country("DE", "de_DE", 12, ("DE", "Germany", "Deutschland", "GERMANY"), ("+49 30 23125 ##9", "0049 89 99998 ##9")),
    Country("FR", "fr_FR", 8, ("FR", "France", "FRANCE", "france"), ("+33 1 99 00 ## ##", "+33 (0)1 99 00 ## ##")),
    Country("PL", "pl_PL", 6, ("PL", "Poland", "Polska"), ("+48 22 555 ## ##",)),
    Country("BR", "pt_BR", 6, ("BR", "Brazil", "Brasil"), ("+55 11 5555-01&",)),
    Country("JP", "ja_JP", 6, ("JP", "Japan", "日本"), ("+81 3 5550 01&",)),
)

INDUSTRIES = (
    "Biotechnology",
    "Chemicals",
    "Environmental Services",
    "Food Production",
    "Hospital & Health Care",
    "Pharmaceuticals",
    "Research",
)
"""Labels of options that HubSpot offers for a company's industry."""

ODD_INDUSTRIES = ("Food testing", "Cannabis lab", "Drinking water", "Veterinary Diagnostics")
"""Industries that are none of HubSpot's options."""


STATES: Mapping[str, str] = {"US": "state_abbr", "BR": "estado_sigla", "DE": "administrative_unit", "JP": "prefecture"}
"""Faker's word for a state, where addresses of the country carry one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A street, city, state and postal code that belong together."""

    street: str
    city: str
    state: str | None
    postal_code: str


@dataclass(frozen=True, slots=True)
class Pool:
    """What there is to draw from for one country; ``people`` are first name, last name and the two as an email's local part."""

    country: Country
    people: tuple[tuple[str, str, str], ...]
    companies: tuple[str, ...]
    places: tuple[Place, ...]


def make_pools(seed: int) -> tuple[Pool, ...]:
    """The pools of all countries; equal seeds make equal pools."""
    return tuple(_pool(country, seed) for country in COUNTRIES)


def draw_phone(pool: Pool, rng: random.Random, *, form: int | None = None) -> str:
    """A fictional number of the pool's country, in one of its ways of writing or the given one."""
    forms = pool.country.phone
    text = forms[rng.randrange(len(forms)) if form is None else form]
    text = text.replace("&", f"{rng.randrange(100):02d}")
    while "#" in text:
        text = text.replace("#", str(rng.randrange(10)), 1)
    return text


def ascii_word(text: str, *, otherwise: str) -> str:
    """The text's ASCII letters and digits in lower case, as they serve in a domain; ``otherwise`` where there are none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or otherwise


def _pool(country: Country, seed: int) -> Pool:
    fake = Faker(country.locale)
    fake.seed_instance(seed)
    return Pool(
        country=country,
        people=tuple(_person(fake.first_name(), fake.last_name()) for _ in range(PEOPLE_PER_LOCALE)),
        companies=tuple(dict.fromkeys(fake.company() for _ in range(COMPANIES_PER_LOCALE))),
        places=tuple(
            Place(fake.street_address().replace("\n", ", "), fake.city(), _state(fake, country), fake.postcode())
            for _ in range(PLACES_PER_LOCALE)
        ),
    )


def _person(first_name: str, last_name: str) -> tuple[str, str, str]:
    return first_name, last_name, f"{ascii_word(first_name, otherwise='contact')}.{ascii_word(last_name, otherwise='lab')}"


def _state(fake: Faker, country: Country) -> str | None:
    if country.code not in STATES:
        return None
    if country.code == "US":
        return str(fake.state_abbr(include_territories=False, include_freely_associated_states=False))
    return str(getattr(fake, STATES[country.code])())
