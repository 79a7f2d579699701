"""Which values name nobody? Placeholders, and web hosts that thousands share: as match keys they find nothing.

What is linked by them would be somebody else's record, and be overwritten. A value that is no key costs a match at most.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd
import yaml

from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.phones import phone_form
from crm_pipeline.mapping.values import host_form, over_uniques
from crm_pipeline.model import FieldKind

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

FREE_MAIL_NAMES = frozenset({"gmail", "gmx", "hotmail", "outlook", "yahoo", "yandex", "ymail"})
"""Names of mail services that stand under many endings (yahoo.co.uk, gmx.at); their hosts are in meaningless.yaml."""

_OTHER_HOSTS = ("free_mail_hosts", "short_addresses", "site_builders")
LONGEST_HOST = 253
SAME_DIGITS = 7
"""So many equal digits, or zeros in any number, are no number that somebody has."""
_DIGITS_IN_ORDER = ("01234567890123456789", "98765432109876543210")
_LABEL = re.compile(r"(?!-)[^\W_](?:[\w-]{0,61}[^\W_])?")
_TOP_LABEL = re.compile(r"xn--[a-z0-9-]+|[^\W\d_]{2,}")
_TELLING_PARAMETERS = ("id", "v")
"""Parts of an address's query that say whose page it is; the others are about the visit."""


def match_values(values: pd.Series, kind: FieldKind, *, default_region: str | None, meaningless: Collection[str] = ()) -> pd.Series:
    """Values as match keys compare them: folded (``folding.fold``), null where they name nobody.

    Web addresses are compared by their host, those of a shared host by host and path. ``meaningless``: further placeholders
    and shared hosts, in any spelling. Look-up and scan both go through here (rules.md, 6).
    """
    further = frozenset(map(fold_text, meaningless))
    if kind == "url":
        compared = over_uniques(fold(values), lambda text: None if _is_placeholder(text, further) else web_key(text, further))
    else:
        folded = fold(values, kind, default_region=default_region)
        compared = over_uniques(folded, lambda text: None if _names_nobody(text, kind, further) else text)
    return compared.astype("str")


def web_key(text: str, meaningless: Collection[str] = ()) -> str | None:
    """What a web address is compared by: its host, of a shared host the path too; null where it names nobody's site."""
    host = host_form(text)
    shared = _shared(host, meaningless)
    if shared is None:
        return host if own_host(host, meaningless) else None
    page = _page(text)
    return f"{shared}/{page}" if page else None


def own_host(host: str, meaningless: Collection[str] = ()) -> bool:
    """Whether a host (``values.host_form``) can be one company's: a name with a dot, and none that many have or share."""
    labels = host.split(".")
    if len(host) > LONGEST_HOST or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or not _TOP_LABEL.fullmatch(labels[-1]):
        return False
    if any(host in _words(name) for name in _OTHER_HOSTS) or _shared(host, meaningless) is not None:
        return False
    registered = _suffixes().privatesuffix(host)
    if registered is None:
        return False
    name = registered.split(".")[0]
    return name not in FREE_MAIL_NAMES and not (host == registered and name in _words("placeholders"))


def _shared(host: str, further: Collection[str]) -> str | None:
    """The shared host that a host is, or is below."""
    labels = host.split(".")
    above = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return next((one for one in above if one in further or one in _words("shared_hosts")), None)


def _page(text: str) -> str:
    """Path of a web address and what of its query says whose page it is, "" for the front page."""
    rest = text.strip().replace("\\", "/")
    try:
        parts = urlsplit(rest if "//" in rest.split("?")[0] else f"//{rest}")
        query = parse_qs(parts.query)
    except ValueError:
        return ""
    path = re.sub(r"/+", "/", unquote(parts.path)).strip("/ ")
    telling = [f"{name}={query[name][0]}" for name in _TELLING_PARAMETERS if query.get(name)]
    return f"{path}?{'&'.join(telling)}" if path and telling else path


def _names_nobody(folded: str, kind: FieldKind, further: Collection[str]) -> bool:
    if kind == "email":
        local, at, host = folded.partition("@")
        whole = not at or local.startswith("no") or host.partition(".")[0] in _words("placeholders")
        return folded in further or (whole and _is_placeholder(fold_text(local)))
    if kind == "phone" and folded.startswith("+"):
        return folded in further or _is_no_number(_national(folded))
    return _is_placeholder(folded, further)


def _is_placeholder(folded: str, further: Collection[str] = ()) -> bool:
    letters = "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LMN")
    return not letters or folded in further or letters in _words("placeholders") or set(letters) == {"x"} or _is_no_number(letters)


def _is_no_number(text: str) -> bool:
    """Whether digits are all zeros, many of one, or many in their order, as no number is."""
    if not text.isdecimal():
        return False
    digits = "".join(str(int(digit)) for digit in text)
    alike = len(digits) >= SAME_DIGITS and (len(set(digits)) == 1 or any(digits in row for row in _DIGITS_IN_ORDER))
    return alike or set(digits) == {"0"}


@lru_cache(maxsize=10_000)
def _national(e164: str) -> str:
    """The digits of a number (``values.phone_form``) behind its country code."""
    import phonenumbers

    number = phonenumbers.parse(phone_form(e164, None) or e164, None)
    return phonenumbers.national_significant_number(number)


@cache
def _words(name: str) -> frozenset[str]:
    """One of the lists of meaningless.yaml."""
    return frozenset(_lists()[name])


@cache
def _lists() -> dict[str, list[str]]:
    lists: dict[str, list[str]] = yaml.safe_load(files(__package__).joinpath("meaningless.yaml").read_text(encoding="utf-8"))
    return lists


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
