"""Which phone number does a text write? Exactly one number, without other words; else none."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

EXTENSION_MARK = " x"
LONGEST_PHONE = 100

_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−ー－", "-"))
_PHONE = re.compile(
    r"""
    (?:(?:telephone|telefon[eo]?|phone|tel|ph|t|p|mobile|mobil|mob|cell|m)\b[.:]*\s*)?
    (?P<number>
      (?:(?:\+|00)[ ]?\d{1,3}[ .-]*(?:\(0\)[ .-]*)?)?         # country
      (?:
        (?:\d{1,2}[ .-]*)?\(\d{1,6}\)[ ./-]*                  # area in brackets, maybe behind a trunk digit
        | \d{1,5}[ ]?/[ ]?(?=(?:[ .-]*\d){5})                 # area before a slash: behind it stands no mere ending of a second number
      )?
      \d[\d .-]*
    )
    (?:[ ,;]*(?:;ext=|extension|extn?|x|\#|доб)[.:]*[ ]*(?P<extension>\d{1,7}))?
    """,
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=50_000)
def phone_form(text: str, region: str | None) -> str | None:
    """E.164, an extension behind it as in ``+15125550101 x12``; null when the text is not one dialable number alone.

    ``region``: ISO alpha-2 that a number without its country is read with. The mark "x" is what the CRMs' users
    type and what libphonenumber reads back. Of what stands beside the number only a label ("Tel.") is passed over: letters
    are not dialled ("555-0101 Bob", 1-800-FLOWERS), and two numbers are not one. A number that is too short to dial from
    outside its area ("555 0101") is not understood, since its E.164 form would be a wrong number.
    """
    import phonenumbers

    found = _PHONE.fullmatch(_plain(text))
    if found is None:
        return None
    known_region = region if region in phonenumbers.SUPPORTED_REGIONS else None
    try:
        number = phonenumbers.parse(found["number"], known_region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{e164}{EXTENSION_MARK}{found['extension']}" if found["extension"] else e164


def phone_regions() -> frozenset[str]:
    """The ISO alpha-2 codes that a phone number can be read with."""
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def _plain(text: str) -> str:
    """The text with plain digits, dashes and spaces; "" where it holds a character that only looks like a digit (², ½)."""
    if len(text) > LONGEST_PHONE:
        return ""
    text = text.strip()
    if text.isascii():
        return text
    if any(unicodedata.category(character) in ("No", "Nl") for character in text):
        return ""
    digits = (str(unicodedata.decimal(character, character)) for character in unicodedata.normalize("NFKC", text.translate(_DASHES)))
    return "".join(digits).translate(_DASHES)
