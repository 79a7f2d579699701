"""How requests are written as JSON: by orjson, in a sixth of the standard library's time."""

from __future__ import annotations

import json

import orjson


def json_body(content: object) -> bytes:
    """What a request carries."""
    try:
        return orjson.dumps(content)
    except TypeError:
        # It writes neither lone surrogates nor integers of more than 64 bits.
        return json.dumps(content, allow_nan=False).encode()
