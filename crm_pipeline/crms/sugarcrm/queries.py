"""The conditions of ``get_entry_list``: SQL of the site's database, in which every value is quoted.

A table has the name of its module in small letters, one with custom fields (``_c``) beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.sugarcrm.values import MOMENT, custom_forms, is_custom

EMAIL = "email1"
"""The field of a contact's main address, which is a record of its own in the database (``email_addresses``)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def table(module: str) -> str:
    """The table of a module's records."""
    return module.lower()


def column(module: str, field: str) -> str:
    """A field as conditions name it. Raises ValueError for what is no field's name."""
    if not _NAME.fullmatch(field):
        raise ValueError(f"{field!r} is no field of SugarCRM")
    return f"{table(module)}{'_cstm' if is_custom(field) else ''}.{field}"


def quoted(value: str) -> str:
    """A text as SQL writes it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def one_of(name: str, values: Iterable[str]) -> str:
    """That a column is one of these values, one at least."""
    return f"{name} IN ({', '.join(map(quoted, values))})"


def has_id(crm_object: CrmObject, ids: Iterable[str]) -> str:
    """That a record has one of these ids, one at least."""
    return one_of(f"{table(crm_object.name)}.id", ids)


def of_none(module: str) -> tuple[Any, ...]:
    """The arguments of get_entry_list that ask for none of a module's records."""
    return (module, one_of(f"{table(module)}.id", [""]), "id", 0, ["id"], [], 1, 0, False)


def has_value(crm_object: CrmObject, field: str) -> str:
    """That a record's field is not blank."""
    if field == EMAIL:
        return _by_email(crm_object.name, "ea.email_address <> ''")
    return f"{column(crm_object.name, field)} <> ''"


def equals_one_of(crm_object: CrmObject, field: str, values: Iterable[str]) -> str:
    """That a record's field is one of these values, by the database's comparison; an address by its main one, without case."""
    if field == EMAIL:
        return has_one_of_emails(crm_object.name, values)
    forms = chain.from_iterable(map(custom_forms, values)) if is_custom(field) else values
    return one_of(column(crm_object.name, field), forms)


def has_one_of_emails(module: str, emails: Iterable[str]) -> str:
    """That a record of the module has one of these main addresses, without case."""
    return _by_email(module, one_of("ea.email_address_caps", (email.upper() for email in emails)))


def is_open() -> str:
    """That a lead was not converted."""
    return "leads.converted = 0"


def has_left(module: str, ways: Iterable[str]) -> str:
    """That a record left in one of these ways, one at least: fields that are true in those that did."""
    return f"({' OR '.join(f'{column(module, way)} = 1' for way in ways)})"


def after_id(module: str, last: str) -> str:
    """That a record comes behind this one in the order of ids."""
    return f"{table(module)}.id > {quoted(last)}"


def since(module: str, moment: datetime) -> str:
    """That a record was changed then or later."""
    return f"{table(module)}.date_modified >= {quoted(_moment(moment))}"


def before(module: str, moment: datetime) -> str:
    """That a record was changed before then."""
    return f"{table(module)}.date_modified < {quoted(_moment(moment))}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(MOMENT)


def _by_email(module: str, condition: str) -> str:
    # The module is one of ours, and the condition's values are quoted.
    return (
        f"{table(module)}.id IN (SELECT er.bean_id FROM email_addr_bean_rel er JOIN email_addresses ea "  # noqa: S608
        f"ON ea.id = er.email_address_id WHERE er.bean_module = {quoted(module)} AND er.deleted = 0 AND er.primary_address = 1 "
        f"AND ea.deleted = 0 AND {condition})"
    )
