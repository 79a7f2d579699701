"""Whether a mapping can work in a CRM at all, by the CRM's own description of its fields: a finding for each field."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from crm_pipeline.counting import counted
from crm_pipeline.diagnosis import Finding
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import Target

CREATE_OR_ALLOW = "create it (`crm-pipeline provision`), or give the integration's user access to it"


def mapping_problems(
    targets: Sequence[Target], crm_fields: pd.DataFrame | None, *, spec: RecordSpec, crm: str, external_key: str | None
) -> list[str]:
    """Everything about a mapping that can never work in this CRM, in words that name field and remedy; empty when all is well.

    ``targets``: what the ``spec`` maps there, whichever way it goes. Without ``crm_fields`` nothing is known and nothing is wrong.
    """
    found = mapping_findings(targets, crm_fields, spec=spec, crm=crm, external_key=external_key)
    return [str(finding) for finding in found if finding.level == "problem"]


def mapping_findings(
    targets: Sequence[Target], crm_fields: pd.DataFrame | None, *, spec: RecordSpec, crm: str, external_key: str | None
) -> Iterator[Finding]:
    """A finding for each mapped field, match key and the external key: what the field takes, or why it cannot work.

    Of one thing there may be several problems.
    """
    if crm_fields is None:
        return
    described = _Described(crm_fields)
    place = f"{crm} {spec.record_type}"
    checks = [(target.crm_field, f"from {target.source}", _target_problems(target, described, place)) for target in targets]
    for match_key in spec.sync_on:
        # A CRM may answer for an unknown field as if it were blank everywhere: nothing would be found, and all be created again.
        name = match_key.targets.get(crm)
        if name is not None:
            checks.append((name, f"match key for {match_key.source}", _match_key_problems(name, match_key.source, described, place)))
    if external_key is not None:
        checks.append((external_key, "the external key", _key_problems(external_key, targets, described, place)))
    for name, why, problems in checks:
        told = list(problems)
        subject = f"{spec.record_type}: {name}"
        yield from (Finding("problem", crm, subject, text, remedy) for text, remedy in told)
        if not told:
            yield Finding("ok", crm, subject, f"{_takes(described[name])}, {why}")


class _Described:
    """The CRM's fields (schemas.CRM_FIELDS) by name: of a field that is asked for, what there is to know of it."""

    def __init__(self, crm_fields: pd.DataFrame) -> None:
        self.names: list[str] = crm_fields["name"].tolist()
        self._columns = {str(name): column.array for name, column in crm_fields.items()}
        self._places = {name: place for place, name in enumerate(self.names)}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> dict[str, Any]:
        return {column: values[self._places[name]] for column, values in self._columns.items()}


_Told = Iterator[tuple[str, str]]
"""What is wrong, and what to do."""


def _target_problems(target: Target, described: _Described, place: str) -> _Told:
    name = target.crm_field
    mapped = f"{name} (mapped from {target.source})"
    if name not in described:
        yield _missing(mapped, name, described, place)
        return
    field = described[name]
    if field["type"] == "reference" and not target.constant:
        yield f"{mapped} refers to another record of {place}", "only a constant id can be mapped to it"
    way = target.direction
    if way.goes_out and (not field["creatable"] or (target.editable and not field["updatable"])):
        other = "let it come back only, with `direction: from_crm`," if way.comes_back else "take it out of the mapping"
        yield f"{mapped} cannot be written on {place}", f"{other} or give access to it"
    if not way.goes_out and field["required"]:
        yield f"{mapped} is required on {place}, so that it must be sent", "write `direction: both`"
    if way.comes_back and field["type"] == "other":
        yield f"{mapped} of {place} shows no plain value that could come back", "write `direction: to_crm`"
    if target.clear and field["required"]:
        yield f"{mapped} is required on {place} and cannot be emptied", "take out clear"


def _match_key_problems(name: str, source: str, described: _Described, place: str) -> _Told:
    if name not in described:
        yield _missing(f"{name} (match key for {source})", name, described, place)


def _key_problems(external_key: str, targets: Sequence[Target], described: _Described, place: str) -> _Told:
    if any(target.crm_field == external_key for target in targets):
        yield f"{external_key} is the external key of {place}, which the sync itself writes", "take it out of the mapping"
    if external_key not in described:
        yield _missing(f"the external key {external_key}", external_key, described, place)
        return
    field: Any = described[external_key]
    another = "name another field as external_key"
    if not field["external_key"]:
        why = "" if field["unique"] else ": it is not unique"
        yield f"{external_key} on {place} cannot serve as an external key{why}", another
    elif field["type"] != "text":
        # The keys are texts: a number would be taken from us, but not found by.
        yield f"the external key {external_key} on {place} must be a text field", another
    if not (field["creatable"] and field["updatable"]):
        yield f"the external key {external_key} on {place} cannot be written by the integration's user", "give access to it"


def _missing(what: str, name: str, described: _Described, place: str) -> tuple[str, str]:
    close = next((known for known in described.names if known.lower() == name.lower()), None)
    near = difflib.get_close_matches(name, described.names, n=1, cutoff=0.75)
    remedy = f"its name is {close}" if close else f"did you mean {near[0]}? Else {CREATE_OR_ALLOW}" if near else CREATE_OR_ALLOW
    return f"{what} does not exist on {place} or is not visible to the integration's user", remedy


def _takes(field: Any) -> str:
    """What a field takes, in words: ``text of up to 255 characters``, ``choice of 32 options``."""
    words = [str(field["type"]).replace("_", " ")]
    if not pd.isna(field["length"]) and field["type"] not in {"choice", "multi_choice", "reference"}:
        words.append(f"of up to {field['length']:,} characters")
    if len(field["options"]):
        words.append(f"of {counted(len(field['options']), 'option')}" + ("" if field["restricted"] else ", and other values"))
    if field["required"]:
        words.append("that is required")
    if not (field["creatable"] and field["updatable"]):
        words.append("that can be set once" if field["creatable"] else "that is only read")
    return " ".join(words)
