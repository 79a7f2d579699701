"""Letters that look alike or that nobody sees: which are removed from texts, and when two spellings are one address."""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
"""Control characters, but for those that are white space."""
_UNSEEN = (
    _CONTROLS + "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
)
"""Zero widths, byte order marks, direction marks, soft hyphens and fillers (Unicode's Default_Ignorable_Code_Point, and the blank
Braille pattern), but for joiners, variation selectors and tags, which change how the character before them looks."""
_JOINERS = "\u200c\u200d"
"""They join or part letters of some scripts, and make one emoji of several; beside Latin letters and at an end they do nothing."""
_LATIN = "\u0000-\u024f"

ANY_INVISIBLE = f"[{_UNSEEN}{_JOINERS}]"
"""Finds every text that may hold an invisible character; understood by RE2 too."""
_INVISIBLE = re.compile(f"[{_UNSEEN}]|(?<![^{_LATIN}])[{_JOINERS}]+|[{_JOINERS}]+(?![^{_LATIN}])")
_IGNORABLE = re.compile(f"[{_UNSEEN}{_JOINERS}\ufe00-\ufe0f\U000e0000-\U000e0fff]")


def without_invisible(text: str) -> str:
    """The text without characters that nobody sees; those that shape the character beside them stay."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)


def without_ignorable(text: str) -> str:
    """The text without all characters that nobody sees, for comparisons."""
    return text if text.isascii() and text.isprintable() else _IGNORABLE.sub("", text)


def lowered(text: str) -> str:
    """The text in lower case, but for letters whose lower case is another letter's.

    The lower case of the Kelvin sign (U+212A) is the letter k: an address with the one is not the address with the other.
    """
    if text.isascii():
        return text.lower()
    return "".join(low if (low := letter.lower()).upper() == letter else letter for letter in text)
