"""The words of an outcome's reason that are read again: which fields of QBench were written, that one is held, that a key is refused."""

from __future__ import annotations

from collections.abc import Sequence

from crm_pipeline.field_names import listed, names_in

PING_PONG = "ping_pong"
"""Why a value is not taken that was written in both directions again and again; beside those of mapping.inverse.Reason."""

KEY_REFUSED = "external key"
"""Begins what is said of a CRM record that did not take its key; what follows are the CRM's code and the fields and ids that it names."""

_WRITTEN = "written: "


def written(fields: Sequence[str]) -> str:
    """The part of a reason that says which QBench fields were written."""
    return _WRITTEN + listed(fields)


def fields_written(reason: str | None) -> frozenset[str]:
    """The QBench fields that a reason says were written."""
    told = reason or ""
    return frozenset(names_in(told.removeprefix(_WRITTEN)) if told.startswith(_WRITTEN) else ())
