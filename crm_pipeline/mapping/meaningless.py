"""Which values name nobody? Placeholders, and web hosts that thousands share: as match keys they find nothing.

What is linked by them would be somebody else's record, and be overwritten. A value that is no key costs a match at most.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache, reduce
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from crm_pipeline.frames import texts_where
from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.phones import phone_form
from crm_pipeline.mapping.values import hold, host_form, over_uniques
from crm_pipeline.model import FieldKind

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

FREE_MAIL_NAMES = frozenset({"gmail", "gmx", "hotmail", "outlook", "yahoo", "yandex", "ymail"})
"""Names of mail services that stand under many endings (yahoo.co.uk, gmx.at); their hosts are in meaningless.yaml."""

_OTHER_HOSTS = ("free_mail_hosts", "short_addresses", "site_builders")
LONGEST_HOST = 253
SHORTEST_WORD = 4
SAME_DIGITS = 7
"""A number of this many equal digits, or of zeros only, belongs to nobody."""
_DIGITS_IN_ORDER = ("01234567890123456789", "98765432109876543210")
_LABEL = re.compile(r"(?!-)[^\W_](?:[\w-]{0,61}[^\W_])?")
_TOP_LABEL = re.compile(r"xn--[a-z0-9-]+|[^\W\d_]{2,}")
_ABOUT_THE_VISIT = re.compile(r"utm_\w+|\w*clid|ref|ref_?src|refid|referrer|source|src|trk|igshid|si|hl|lang|locale|feature|mibextid|__\w+")
"""Parts of an address's query that do not say whose page it is."""
LONGEST_LOCAL_NUMBER = 8
"""So few digits are dialled within one area only, and are thousands' number."""
_NO_LETTERS = re.compile("[^0-9A-Za-z]")
_NOT_APPLICABLE = re.compile(r"n/?a\W")


def match_values(values: pd.Series, kind: FieldKind, *, default_region: str | None, meaningless: Collection[str] = ()) -> pd.Series:
    """Values as match keys compare them: folded (``folding.fold``), null where they name nobody.

    Web addresses are compared by their host, those of a shared host by host and path. ``meaningless``: further placeholders
    and shared hosts, in any spelling. Look-up and scan both go through here (docs/rules.md, 6).
    """
    further = frozenset(map(fold_text, meaningless))
    if kind == "url":
        return over_uniques(fold(values), lambda text: None if _is_placeholder(text, further) else web_key(text, further))
    folded = fold(values, kind, default_region=default_region)
    suspects = _suspects(folded, further) if kind == "email" else folded
    return texts_where(~hold(suspects, lambda text: _names_nobody(text, kind, further)), folded)


def _suspects(folded: pd.Series, further: Collection[str]) -> pd.Series:
    """Of folded addresses those that may be nobody's, null for the others: told for all at once, as nearly every one is somebody's.

    What ``_is_nobodys_mail`` is to look at: all but plain addresses whose parts give it no reason to.
    """
    given = folded.array.__arrow_array__().combine_chunks()
    parts = pc.extract_regex(given, r"^(?P<local>[!-?A-~]+)@(?P<name>[!--/-~]+)\.[!-~]+$")
    local, name = (pc.struct_field(parts, one) for one in ("local", "name"))
    names = name.dictionary_encode()
    shady = pa.array([_is_placeholder(fold_text(one)) for one in names.dictionary.to_pylist()], pa.bool_()).take(names.indices)
    letters = pc.replace_substring_regex(local, "[^0-9a-z]", "")
    reasons = [
        pc.starts_with(local, "no"),
        pc.is_in(letters, pa.array(sorted(_words("mail_placeholders")), letters.type)),
        pc.is_in(given, pa.array(sorted(further), given.type)),
        shady,
        parts.is_null(),
    ]
    suspect = reduce(pc.or_, [pc.fill_null(reason, True) for reason in reasons])
    return texts_where(suspect.to_numpy(zero_copy_only=False), folded)


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
    if labels[0] == "www" or labels[-1] in _words("local_endings"):
        return False
    if any(host in _words(name) for name in _OTHER_HOSTS) or _shared(host, meaningless) is not None:
        return False
    registered = _suffixes().privatesuffix(host)
    if registered is None:
        return False
    name = registered.split(".")[0]
    nobodys = host == registered and (name in _words("placeholders") or name in _words("placeholder_hosts"))
    return name not in FREE_MAIL_NAMES and not nobodys


def _shared(host: str, further: Collection[str]) -> str | None:
    """The shared host that a host is, or is below."""
    labels = host.split(".")
    above = (".".join(labels[start:]) for start in range(len(labels) - 1))
    found = next((one for one in above if one in further or one in _words("shared_hosts")), None)
    registered = _suffixes().privatesuffix(host) if found is None and _LABEL.fullmatch(labels[0]) else None
    return registered if registered is not None and registered.split(".")[0] in _words("shared_names") else found


def _page(text: str) -> str:
    """Path and query of a web address, as far as they say whose page it is; "" for a page of everybody."""
    rest = text.strip().replace("\\", "/")
    try:
        parts = urlsplit(rest if "//" in rest.split("?")[0] else f"//{rest}")
        asked = sorted((name, value) for name, value in parse_qsl(parts.query) if not _ABOUT_THE_VISIT.fullmatch(name))
    except ValueError:
        return ""
    path = re.sub(r"/+", "/", unquote(parts.path)).strip("/ ")
    if asked and path:
        return f"{path}?{urlencode(asked)}"
    return "" if path in _words("pages_of_everybody") else path


def _names_nobody(folded: str, kind: FieldKind, further: frozenset[str]) -> bool:
    if kind == "email" and "@" in folded:
        return folded in further or _is_nobodys_mail(folded)
    if kind == "phone":
        return folded in further or _is_nobodys_number(folded)
    return _is_placeholder(fold_text(folded), further)


def _is_nobodys_mail(address: str) -> bool:
    local, _, host = address.partition("@")
    if _letters(fold_text(local)) in _words("mail_placeholders") or host in {"example.com", "example.org", "example.net"}:
        return True
    return (local.startswith("no") or _is_placeholder(fold_text(host.partition(".")[0]))) and _is_placeholder(fold_text(local))


def _is_nobodys_number(folded: str) -> bool:
    """Whether a phone (folding.fold) is no number, one of an area alone, or one that nobody has."""
    national = _national(folded)
    if national is None:
        digits = "".join(letter for letter in folded if letter.isdecimal())
        words = any(letter.isalpha() for letter in folded)
        return words or len(digits) <= LONGEST_LOCAL_NUMBER or _is_no_number(digits)
    return _is_no_number(national) or national.endswith("0" * SAME_DIGITS)


@lru_cache(maxsize=10_000)
def _is_placeholder(folded: str, further: frozenset[str] = frozenset()) -> bool:
    letters = _letters(folded)
    if not letters or folded in further or set(letters) == {"x"} or _is_no_number(letters):
        return True
    if _NOT_APPLICABLE.match(folded) or (folded.startswith("#") and folded.endswith("!")):
        return True
    # Twice the same, or with a number behind it: "unknown, unknown", "test 1".
    half, bare = letters[: len(letters) // 2], letters.rstrip("0123456789")
    repeated = half * 2 == letters and half in _words("placeholders")
    return letters in _words("placeholders") or repeated or (len(bare) >= SHORTEST_WORD and bare in _words("placeholders"))


def _letters(folded: str) -> str:
    if folded.isascii():
        return _NO_LETTERS.sub("", folded)
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LMN")


def _is_no_number(text: str) -> bool:
    """Whether digits are all zeros, many of one, or many in their order, as no number is."""
    if not text.isdecimal():
        return False
    digits = "".join(str(int(digit)) for digit in text)
    alike = len(digits) >= SAME_DIGITS and (len(set(digits)) == 1 or any(digits in row for row in _DIGITS_IN_ORDER))
    return alike or set(digits) == {"0"}


@lru_cache(maxsize=10_000)
def _national(folded: str) -> str | None:
    """The digits of a number (``phones.phone_form``) behind its country code; null for what is none."""
    import phonenumbers

    if phone_form(folded, None) is None:
        return None
    number = phonenumbers.parse(folded, None)
    return phonenumbers.national_significant_number(number)


@cache
def _words(name: str) -> frozenset[str]:
    """One of the lists of meaningless.yaml."""
    return frozenset(_lists()[name])


@cache
def _lists() -> dict[str, list[str]]:
    text = files(__package__).joinpath("meaningless.yaml").read_text(encoding="utf-8")
    lists: dict[str, list[str]] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    return lists


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
