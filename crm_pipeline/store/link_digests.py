"""How links keep the digests of their fields: numbers of eight bytes, the first of which stands for the names of the fields.

Versions before kept an array of the numbers, or an object of name to digest, in columns of their own. Their links are read as they are
until they are written next, and what a run of theirs, still under way, writes into a link holds: whoever writes the array empties the
object, and whoever writes the bytes leaves none.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.schemas import LINKS
from crm_pipeline.store.field_names import names_of, number_of
from crm_pipeline.store.rows import fetch

_KEPT = """
CASE WHEN digests IS NULL THEN to_jsonb(encode(digest_bytes, 'hex')) WHEN digests = '{}' THEN to_jsonb(field_digests) ELSE digests END
AS digests"""
COLUMNS = ", ".join(_KEPT if name == "digests" else name for name in LINKS.names)
"""What ``read_links`` wants of the table of links."""

NONE = "digests = NULL, field_digests = NULL, digest_bytes = NULL"
"""What an UPDATE of a link sets that is to keep no digest."""

_NO_DIGEST = 0
_SIZE = 8


class Packed(NamedTuple):
    """Digests as bytes in hex, null for none, and the fields that they are of: their number, and their names (store.field_names.NAMED)."""

    fields: int
    names: list[str]
    digests: list[str | None]


def pack(dicts: pd.Series) -> Packed:
    """A column of dicts (CRM field to digest) as bytes, over all fields that any of them has."""
    kept: list[dict[str, int]] = dicts.tolist()
    names = sorted(set().union(*kept))
    fields, none = number_of(names), dict.fromkeys(names, _NO_DIGEST)
    numbers = _numbers(1 + len(names))
    return Packed(fields, names, [numbers.pack(fields, *(none | one).values()).hex() if one else None for one in kept])


def digest_in(link: str, field: str) -> str:
    """The digest that a link keeps of one field, null for none, as SQL; ``link``: what the statement calls it, ``field``: SQL too."""
    place = f"(SELECT array_position(names, {field}) FROM crm_pipeline.field_names WHERE id = {{fields}})"
    in_bytes = _number_in(link, place.format(fields=_number_in(link, "0")))
    in_array = f"{link}.field_digests[1 + {place.format(fields=f'{link}.field_digests[1]')}]"
    return (
        f"CASE WHEN {link}.digests IS NULL THEN nullif({in_bytes}, {_NO_DIGEST}) "
        f"WHEN {link}.digests = '{{}}' THEN nullif({in_array}, {_NO_DIGEST}) ELSE CAST({link}.digests ->> {field} AS bigint) END"
    )


def read_links(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """What a query over links finds that selects COLUMNS (schemas.LINKS)."""
    found = fetch(connection, statement, parameters, LINKS)
    kept = [numbers_of(one) if isinstance(one, str) else one for one in found["digests"]]
    names = names_of(connection, {one[0] for one in kept if isinstance(one, Sequence)})
    return found.assign(digests=pd.Series([_unpacked(one, names) for one in kept], index=found.index, dtype=object))


def numbers_of(bytes_: str) -> Sequence[int]:
    """The number of the names, then the digests, as a link's bytes, in hex, say them."""
    return _numbers(len(bytes_) // (2 * _SIZE)).unpack(bytes.fromhex(bytes_))


def _unpacked(kept: Sequence[int] | dict[str, int] | None, names: Mapping[int, list[str]]) -> dict[str, int]:
    if not isinstance(kept, Sequence):
        return kept or {}
    pairs = zip(names[kept[0]], kept[1:], strict=True)
    return {name: digest for name, digest in pairs if digest != _NO_DIGEST} if _NO_DIGEST in kept else dict(pairs)


def _numbers(many: int) -> struct.Struct:
    return struct.Struct(f">{many}q")


def _number_in(link: str, place: str) -> str:
    """The number at this place of a link's bytes, the first at 0, as SQL."""
    found = f"substr({link}.digest_bytes, 1 + {_SIZE} * {place}, {_SIZE})"
    return f"CAST(CAST('x' || encode({found}, 'hex') AS bit({8 * _SIZE})) AS bigint)"
