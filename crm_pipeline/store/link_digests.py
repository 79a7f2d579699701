"""How links keep the digests of their fields: an array of numbers, the first of which stands for the names of the fields.

Versions before kept an object of name to digest, in another column. Their links are read as they are until they are written next, and
what a run of theirs, still under way, writes into a link holds: whoever writes the array empties the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.schemas import LINKS
from crm_pipeline.store.field_names import names_of, number_of
from crm_pipeline.store.rows import fetch

_KEPT = "CASE WHEN digests = '{}' THEN to_jsonb(field_digests) ELSE digests END AS digests"
COLUMNS = ", ".join(_KEPT if name == "digests" else name for name in LINKS.names)
"""What ``read_links`` wants of the table of links."""

NONE = "digests = '{}', field_digests = NULL"
"""What an UPDATE of a link sets that is to keep no digest."""

_NO_DIGEST = 0


class Packed(NamedTuple):
    """Digests as arrays, null for none, and the fields that they are of: their number, and their names (store.field_names.NAMED)."""

    fields: int
    names: list[str]
    digests: list[str | None]


def pack(dicts: pd.Series) -> Packed:
    """A column of dicts (CRM field to digest) as PostgreSQL's arrays, over all fields that any of them has."""
    kept: list[dict[str, int]] = dicts.tolist()
    names = sorted(set().union(*kept))
    fields, none = number_of(names), dict.fromkeys(names, _NO_DIGEST)
    rows = ([fields, *(none | one).values()] if one else None for one in kept)
    return Packed(fields, names, [None if row is None else f"{{{orjson.dumps(row)[1:-1].decode()}}}" for row in rows])


def digest_in(link: str, field: str) -> str:
    """The digest that a link keeps of one field, null for none, as SQL; ``link``: what the statement calls it, ``field``: SQL too."""
    names = f"(SELECT names FROM crm_pipeline.field_names WHERE id = {link}.field_digests[1])"
    return (
        f"CASE WHEN {link}.digests = '{{}}' THEN nullif({link}.field_digests[1 + array_position({names}, {field})], {_NO_DIGEST}) "
        f"ELSE CAST({link}.digests ->> {field} AS bigint) END"
    )


def read_links(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """What a query over links finds that selects COLUMNS (schemas.LINKS)."""
    found = fetch(connection, statement, parameters, LINKS)
    kept: list[list[int] | dict[str, int] | None] = found["digests"].tolist()
    names = names_of(connection, {one[0] for one in kept if isinstance(one, list)})
    return found.assign(digests=pd.Series([_unpacked(one, names) for one in kept], index=found.index, dtype=object))


def _unpacked(kept: list[int] | dict[str, int] | None, names: Mapping[int, list[str]]) -> dict[str, int]:
    if not isinstance(kept, list):
        return kept or {}
    pairs = zip(names[kept[0]], kept[1:], strict=True)
    return {name: digest for name, digest in pairs if digest != _NO_DIGEST} if _NO_DIGEST in kept else dict(pairs)
