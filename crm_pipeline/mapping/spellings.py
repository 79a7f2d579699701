"""How else may a value have been written? What a CRM that compares letter by letter is asked by (docs/rules.md, 6)."""

from __future__ import annotations

from itertools import product

from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.mapping.meaningless import web_key
from crm_pipeline.mapping.phones import EXTENSION_MARK, phone_form
from crm_pipeline.mapping.values import email_form
from crm_pipeline.model import FieldKind

_SCHEMES = ("", "https://", "http://")
_BETWEEN = (" ", "-", ".", "")
_EXTENSIONS = (EXTENSION_MARK, " ext. ", " ext ", "x")


def spellings(text: str, kind: FieldKind, *, default_region: str | None = None) -> list[str]:
    """The value as given, and in the ways in which people usually write it, each once.

    All fold to the same (``meaningless.match_values``). Letters in another case are not among them: the CRMs do not tell
    case apart. ``default_region`` reads phones that carry no country.
    """
    plain = fold_text(text)
    if kind == "phone":
        others = _phones(phone_form(plain, default_region), default_region)
    elif kind == "url":
        others = _addresses(web_key(plain))
    elif kind == "email":
        others = [email_form(text)]
    else:
        others = [plain, plain.replace("'", "’"), plain.replace("-", "–")]
    return list(dict.fromkeys([text, text.strip(), *others]))


def _phones(known: str | None, region: str | None) -> list[str]:
    """The ways of writing an E.164 number, with what stands between its groups, its area in brackets or not."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat as Format

    if known is None:
        return []
    number, _, extension = known.partition(EXTENSION_MARK)
    parsed = phonenumbers.parse(number, None)
    at_home = region is not None and phonenumbers.country_code_for_region(region) == parsed.country_code
    formats = [Format.E164, Format.INTERNATIONAL, *([Format.NATIONAL] if at_home else [])]
    written = [phonenumbers.format_number(parsed, one) for one in formats]
    if at_home:
        written.append(phonenumbers.national_significant_number(parsed))
    bare = ["".join(letter if letter.isdigit() or letter == "+" else " " for letter in one) for one in written]
    spaced = [between.join(one.split()) for one, between in product(bare, _BETWEEN)]
    endings = [f"{mark}{extension}" for mark in _EXTENSIONS] if extension else [""]
    return [f"{one}{ending}" for one, ending in product([*written, *spaced], endings)]


def _addresses(key: str | None) -> list[str]:
    """The ways of writing a web address that is compared by ``key``."""
    if key is None:
        return []
    return [f"{scheme}{www}{key}{end}" for scheme, www, end in product(_SCHEMES, ("", "www."), ("", "/"))]
