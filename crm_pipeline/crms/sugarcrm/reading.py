"""What SugarCRM holds: records by their ids, by a value, and all of them, page by page in the order of their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.sugarcrm import CONTACTS, LEADS
from crm_pipeline.crms.sugarcrm.contracts import ENTRIES
from crm_pipeline.crms.sugarcrm.queries import after_id, equals_one_of, has_id, has_value, is_open, of_none
from crm_pipeline.crms.sugarcrm.transport import Transport
from crm_pipeline.crms.sugarcrm.values import TRUE, name_values, read
from crm_pipeline.errors import CrmFailsOnRecordException, ServiceError
from crm_pipeline.halving import may_be_of_one, read_in_halves
from crm_pipeline.letters import lowered
from crm_pipeline.schemas import FOUND

PARENT = "account_id"
DELETED = "deleted"
AT_ONCE = 200
"""Values, or ids, of one condition; a thousand take the site 0.4 seconds."""
PAGE = 1000
"""Records of one page; 5,000 are the most that were seen to come."""

Include = Literal["live", "live and deleted"]
Entry = dict[str, Any]
"""A record as it is answered."""
Record = dict[str, Any]
"""A record's id, and its fields as texts, None for a blank one."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads records of one site. ``key``: the field that shows the external key, or null. ``kinds``: the types of a module's fields."""

    transport: Transport
    key: str | None
    kinds: Callable[[CrmObject], Mapping[str, str]]

    def by_ids(
        self, crm_object: CrmObject, ids: Sequence[str], fields: Sequence[str], *, include: Include = "live"
    ) -> tuple[dict[str, Record], set[str]]:
        """The records of these ids that there are, by id, and the ids on which SugarCRM fails. Raises ServiceError."""
        records, failed = self.of_each(
            crm_object, list(dict.fromkeys(ids)), fields, condition=lambda part: has_id(crm_object, part), include=include
        )
        found = {record["id"]: record for record in records}
        if {one.lower() for one in found} - {one.lower() for one in ids}:
            # A record that is read in the place of another would make that one a deleted one.
            raise self.transport.unexpected("answered get_entry_list with records that were not asked for")
        return found, failed

    def find(self, crm_object: CrmObject, field: str, values: Sequence[str]) -> pd.DataFrame:
        """Records whose field equals one of the values (schemas.FOUND). Keys count as they are written, everything else without case.

        An email is that of a contact's main address: one beside it may be anybody's.
        """
        asked = [value for value in dict.fromkeys(values) if isinstance(value, str) and value.strip()]

        def condition(part: Sequence[str]) -> str:
            return " AND ".join([equals_one_of(crm_object, field, part), *self._candidates(crm_object, field)])

        folded = _as_it_is if field == self.key else _folded
        records, failed = self.of_each(crm_object, asked, self._found_fields(crm_object, field), condition=condition)
        by_value: dict[str, list[Record]] = {}
        for record in records:
            by_value.setdefault(folded(str(record.get(field) or "")), []).append(record)
        rows = [self._found(record, value) for value in asked for record in by_value.get(folded(value), ())]
        rows += [{"value": value, "error_type": CrmFailsOnRecordException.__name__} for value in failed]
        return FOUND.build(pd.DataFrame(rows, columns=FOUND.names))

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND), page by page."""
        where = [has_value(crm_object, field), *self._candidates(crm_object, field)]
        for records, failed in self.all(crm_object, self._found_fields(crm_object, field), where=where):
            rows = [self._found(record, str(record[field])) for record in records if record.get(field)]
            rows += [{"error_type": CrmFailsOnRecordException.__name__}] * len(failed)
            yield FOUND.build(pd.DataFrame(rows, columns=FOUND.names))

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field; it has, where SugarCRM fails on the one that it would show."""
        try:
            return bool(self.page(crm_object, [], where=[has_value(crm_object, field)], rows=1))
        except ServiceError as error:
            if may_be_of_one(error) and answers(self.transport, crm_object.name):
                return True
            raise

    def all(
        self, crm_object: CrmObject, fields: Sequence[str], *, where: Sequence[str], include: Include = "live"
    ) -> Iterator[tuple[list[Record], list[str | None]]]:
        """The records that meet the conditions, page by page in the order of their ids, and those on which SugarCRM fails: their ids.

        None comes twice, nor is left out for what changes meanwhile. Where a page fails for a record's sake, it is read in parts, some
        two calls for each halving; the record's id is null where SugarCRM does not even show that, and it may be told twice.
        """
        after: str | None = None
        while True:
            conditions = [*where, *([] if after is None else [after_id(crm_object.name, after)])]
            try:
                page, failed = self.page(crm_object, fields, where=conditions, rows=PAGE, include=include), dict[int, Entry | None]()
            except ServiceError as error:
                if not (may_be_of_one(error) and answers(self.transport, crm_object.name)):
                    raise
                page, failed = self._in_parts(crm_object, fields, conditions, include=include)
            if page and page[-1]["id"] == after:
                raise self.transport.unexpected("answered get_entry_list with a page that leads to itself")
            if page or failed:
                yield self._records(crm_object, page, fields), [None if entry is None else entry["id"] for entry in failed.values()]
            if not page or len(page) + len(failed) < PAGE:
                return
            after = page[-1]["id"]

    def page(
        self,
        crm_object: CrmObject,
        fields: Sequence[str],
        *,
        where: Sequence[str],
        rows: int,
        skip: int = 0,
        include: Include = "live",
        repeatable: bool = True,
        divisible: bool = False,
    ) -> list[Entry]:
        """The first entries, in the order of their ids, that meet the conditions, but for those to skip. Raises ServiceError."""
        asked = list(dict.fromkeys(["id", *([DELETED] if include != "live" else []), *fields]))
        answer = self.transport.ask(
            "get_entry_list",
            crm_object.name,
            " AND ".join(where),
            # With the table before it the order would be none at all.
            "id",
            skip,
            asked,
            [],
            rows,
            0 if include == "live" else 1,
            False,
            label="read",
            holds=ENTRIES,
            repeatable=repeatable,
            divisible=divisible,
        )
        entries: list[Entry] = answer["entry_list"]
        if include != "live" and any(DELETED not in entry["name_value_list"] for entry in entries):
            raise self.transport.unexpected(f"answered get_entry_list, but not whether a record is {DELETED}")
        return entries

    def of_each(
        self,
        crm_object: CrmObject,
        values: Sequence[str],
        fields: Sequence[str],
        *,
        condition: Callable[[Sequence[str]], str],
        include: Include = "live",
    ) -> tuple[list[Record], set[str]]:
        """The records that meet the condition on one of the values, and the values on which SugarCRM fails. Raises ServiceError."""

        def send(part: Sequence[str], /, *, again: bool) -> list[Entry]:
            where = [condition(part)]
            divisible, repeatable = len(part) > 1, not again
            found: list[Entry] = []
            while True:
                page = self.page(
                    crm_object,
                    fields,
                    where=[*where, *([after_id(crm_object.name, found[-1]["id"])] if found else [])],
                    rows=PAGE,
                    include=include,
                    repeatable=repeatable,
                    divisible=divisible,
                )
                if page and found and page[-1]["id"] == found[-1]["id"]:
                    raise self.transport.unexpected("answered get_entry_list with a page that leads to itself")
                found += page
                if len(page) < PAGE:
                    return found

        portions = (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
        told, failed = read_in_halves(portions, send, is_up=lambda: answers(self.transport, crm_object.name))
        return self._records(crm_object, list(chain.from_iterable(told)), fields), set(failed)

    def _in_parts(
        self, crm_object: CrmObject, fields: Sequence[str], where: Sequence[str], *, include: Include
    ) -> tuple[list[Entry], dict[int, Entry | None]]:
        """A page in as many calls as it takes, and what is known of the records, by their places, on which SugarCRM fails."""

        def part(places: Sequence[int], of: Sequence[str], *, again: bool) -> list[Entry]:
            size, skip = len(places), places[0]
            return self.page(crm_object, of, where=where, rows=size, skip=skip, include=include, repeatable=not again, divisible=size > 1)

        def send(places: Sequence[int], /, *, again: bool) -> tuple[int, list[Entry]]:
            return places[0], part(places, fields, again=again)

        def bare(place: int) -> Entry | None:
            try:
                return next(iter(part([place], [], again=True)), None)
            except ServiceError as error:
                if may_be_of_one(error):
                    return None
                raise

        told, failed = read_in_halves([range(PAGE)], send, is_up=lambda: answers(self.transport, crm_object.name))
        entries = [entry for _, found in sorted(told, key=itemgetter(0)) for entry in found]
        return entries, {place: bare(place) for place in sorted(failed)}

    def _records(self, crm_object: CrmObject, entries: Sequence[Entry], fields: Sequence[str]) -> list[Record]:
        """The entries in our own form. For their fields the module is described, once: that it cannot be is no record's fault."""
        kinds = self.kinds(crm_object) if entries and fields else {}
        return [_record(entry, kinds) for entry in entries]

    def _candidates(self, crm_object: CrmObject, field: str) -> list[str]:
        """Conditions on records that may be matched: no converted lead, but by the key that it carries."""
        return [is_open()] if crm_object == LEADS and field != self.key else []

    def _found_fields(self, crm_object: CrmObject, field: str) -> list[str]:
        return [field, *([self.key] if self.key else []), *([PARENT] if crm_object.record_type == CONTACTS.record_type else [])]

    def _found(self, record: Mapping[str, Any], value: str) -> dict[str, object]:
        key = record.get(self.key) if self.key else None
        return {"value": value, "crm_id": record["id"], "key": key, "parent_crm_id": record.get(PARENT)}


def answers(transport: Transport, module: str) -> bool:
    """Whether SugarCRM answers now, asked once for none of the module's records: what the user may not see it refuses then, too."""
    try:
        transport.ask("get_entry_list", *of_none(module), label="read", holds=ENTRIES, repeatable=False)
    except ServiceError:
        return False
    return True


def is_deleted(record: Record) -> bool:
    """Whether a record, which was read with the deleted ones, is deleted."""
    return record[DELETED] in (TRUE, "true")


def _record(entry: Mapping[str, Any], kinds: Mapping[str, str]) -> Record:
    held = {name: read(value, kinds.get(name, "text"), field=name) for name, value in name_values(entry["name_value_list"]).items()}
    return {**held, "id": str(entry["id"])}


def _folded(value: str) -> str:
    return lowered(value.strip())


def _as_it_is(value: str) -> str:
    return value
