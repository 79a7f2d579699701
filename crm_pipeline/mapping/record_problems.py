"""What is wrong about the keys of one record type that name others: fields, CRMs, addresses, owners, lists. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.problems import KeyPath, Problem, did_you_mean
from crm_pipeline.crms import crm_kinds
from crm_pipeline.mapping.addresses import possible_types
from crm_pipeline.mapping.field_maps import MatchKey
from crm_pipeline.mapping.presets import owner_field
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec, RecordSpec
from crm_pipeline.model import ACCOUNT_ADDRESS_TYPES, MODELS


def record_problems(record: RecordSpec, *, crms: list[str]) -> Iterator[Problem]:
    """The problems of one record type's keys, their paths below it; ``crms``: those of the integration."""
    yield from _map_problems(record, crms=crms)
    yield from _sync_on_problems(record, crms=crms)
    yield from _owner_problems(record, crms=crms)
    yield from _list_problems(record, crms=crms)


def _map_problems(record: RecordSpec, *, crms: list[str]) -> Iterator[Problem]:
    mapped = record.map.sources()
    name = MODELS[record.record_type].identifying
    if name not in mapped:
        yield Problem(("map",), f"no mapping for `{name}`, without which no record can sync; name its QBench field: `{name}: <field>`")
    known = [field.alias or name for name, field in type(record.map).model_fields.items()]
    for key in record.map.direct:
        crm, dot, field = key.partition(".")
        if not dot:
            yield Problem(("map", key), f"unknown normalized field; {did_you_mean(key, known)}")
        elif crm not in crms:
            yield Problem(("map", key), _not_configured(crm, crms))
        elif not field.strip():
            yield Problem(("map", key), f"names no CRM field; write `{crm}.<field>`")
    if isinstance(record, AccountSpec):
        yield from _address_problems(record)


def _address_problems(record: AccountSpec) -> Iterator[Problem]:
    taken: set[str] = set()
    for position, address in enumerate(record.map.addresses):
        address_type, *others = possible_types(address)
        if others:
            continue
        if address_type in taken:
            types = " or ".join(ACCOUNT_ADDRESS_TYPES)
            message = f"an address before this one is the {address_type} address; give each address a type of its own, {types}"
            yield Problem(("map", "address", position), message)
        taken.add(address_type)


def _sync_on_problems(record: RecordSpec, *, crms: list[str]) -> Iterator[Problem]:
    for position, row in enumerate(record.sync_on):
        place: KeyPath = ("sync_on", position)
        yield from (Problem((*place, *path), message) for path, message in _row_problems(row, record=record, crms=crms))


def _owner_problems(record: RecordSpec, *, crms: list[str]) -> Iterator[Problem]:
    for position, rule in enumerate(record.owner):
        for crm in rule.users:
            if crm not in crms:
                yield Problem(("owner", position, crm), _not_configured(crm, crms))
            elif owner_field(crm) is None:
                yield Problem(("owner", position, crm), f"{crm_kinds()[crm].title} takes no owners; leave {crm} out of the rule")
            elif f"{crm}.{owner_field(crm)}" in record.map.direct:
                yield Problem(("owner", position, crm), f"`map` gives {crm}.{owner_field(crm)} a value already; keep one of the two")


def _list_problems(record: RecordSpec, *, crms: list[str]) -> Iterator[Problem]:
    """Lists of CRMs stand where a record can be left alone for them, and name the integration's CRMs."""
    if record.only is not None:
        yield from _lists_in(record.only, ("only",), crms=crms, placed=True)
    if (create := record.creates_in_qbench) is not None and create.only is not None:
        yield from _lists_in(create.only, ("from_crm", "create", "only"), crms=crms, placed=False)
    if isinstance(record, ContactSpec) and record.inactive is not None:
        yield from _lists_in(record.inactive, ("inactive",), crms=crms, placed=False)
    for position, rule in enumerate(record.owner):
        if rule.only is not None:
            yield from _lists_in(rule.only, ("owner", position, "only"), crms=crms, placed=False)


def _lists_in(rule: Filter, path: KeyPath, *, crms: list[str], placed: bool) -> Iterator[Problem]:
    if rule.crm_list is not None and not placed:
        yield Problem((*path, "crm_list"), "stands in the `only` of accounts or contacts by itself, or in its `all`; put it there")
    for crm in rule.crm_list or ():
        if crm not in crms:
            yield Problem((*path, "crm_list", crm), _not_configured(crm, crms))
        elif not (kind := crm_kinds()[crm]).capabilities.keeps_lists:
            yield Problem((*path, "crm_list", crm), f"{kind.title} keeps no lists; leave {crm} out")
    for combined, parts in (("all", rule.all), ("any", rule.any)):
        for position, part in enumerate(parts or ()):
            yield from _lists_in(part, (*path, combined, position), crms=crms, placed=placed and combined == "all")


def _row_problems(row: MatchKey, *, record: RecordSpec, crms: list[str]) -> Iterator[tuple[KeyPath, str]]:
    below: KeyPath = ("in",) if row.field is not None else (row.source,)
    fields = MODELS[record.record_type].by_name
    if row.field is None and row.source not in fields:
        yield below, f"unknown normalized field; {did_you_mean(row.source, list(fields))}"
    if not row.targets:
        yield below, "names no CRM field; give one per CRM as {<crm>: <crm field>}"
    for crm in row.targets:
        if crm not in crms:
            yield (*below, crm), _not_configured(crm, crms)


def _not_configured(crm: str, crms: list[str]) -> str:
    return f"`{crm}` is no CRM of this integration's `crms:`; {did_you_mean(crm, crms)}"
