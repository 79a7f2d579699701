"""Makes the fields that an integration needs in a CRM, or says how; what is there is never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crm_pipeline.crms.abilities import FieldGuideCrm, FieldMakingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.provisioning import LONGEST, FieldToMake
from crm_pipeline.diagnosis import Finding, of_error
from crm_pipeline.errors import CrmPipelineError
from crm_pipeline.mapping.missing import missing_fields
from crm_pipeline.sync.order import LoadOrder

APPLY = "let `crm-pipeline provision --apply` make it"
MADE = "made"
"""How the text of a field begins that was made just now."""


def provisioned(orders: Sequence[LoadOrder], crm: Crm, *, apply: bool) -> Iterator[Finding]:
    """A problem for each field that is missing, with who makes it and how; ok for those that are made, and for objects that lack none.

    ``orders``: one for each record type that the CRM takes. Nothing is written unless ``apply`` says so.
    """
    for order in orders:
        area, name = order.crm, order.crm_object.name
        try:
            described = crm.fields(order.crm_object)
        except CrmPipelineError as error:
            yield of_error(area, name, error, remedy=f"give the integration's user access to {name}, if the organization has it")
            continue
        key = order.settings.external_key
        missing = missing_fields(order.mapped(described), described, crm_object=order.crm_object, external_key=key)
        if not missing:
            yield Finding("ok", area, name, "no field is missing")
        for field in missing:
            yield _made(area, crm, field) if apply else _planned(area, crm, field)


def _planned(area: str, crm: Crm, field: FieldToMake) -> Finding:
    if not isinstance(crm, FieldMakingCrm) or crm.why_not(field):
        return _by_hand(area, crm, field)
    return Finding("problem", area, _subject(field), f"missing: {_words(field)}", APPLY)


def _made(area: str, crm: Crm, field: FieldToMake) -> Finding:
    if not isinstance(crm, FieldMakingCrm) or crm.why_not(field):
        return _by_hand(area, crm, field)
    try:
        done = crm.make_field(field)
    except CrmPipelineError as error:
        told = of_error(area, _subject(field), error)
        return Finding(
            "problem", area, _subject(field), f"not made: {told.text}; {told.remedy}", f"or make it by hand: {crm.by_hand(field)}"
        )
    return Finding("ok", area, _subject(field), f"{MADE}: {_words(field)}{''.join(f'; {one}' for one in done)}")


def _by_hand(area: str, crm: Crm, field: FieldToMake) -> Finding:
    told = f"missing: {_words(field)}"
    if not isinstance(crm, FieldGuideCrm):
        how = f"make a text field of this name in {field.crm_object.name}, which the integration's user may see and edit"
        return Finding("problem", area, _subject(field), told, how)
    if reason := crm.why_not(field):
        return Finding("problem", area, _subject(field), f"{told}, which cannot be made: {reason}", "correct the name in the YAML")
    return Finding("problem", area, _subject(field), told, f"make it by hand: {crm.by_hand(field)}")


def _subject(field: FieldToMake) -> str:
    return f"{field.crm_object.name}: {field.name}"


def _words(field: FieldToMake) -> str:
    return "a text field for the external key" if field.is_key else f"a text field of {LONGEST} characters"
