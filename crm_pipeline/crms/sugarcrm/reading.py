"""What SugarCRM holds: records by their ids, by a value, and all of them, page by page in the order of their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.sugarcrm import CONTACTS, RECORD_ID
from crm_pipeline.crms.sugarcrm.contracts import ENTRIES
from crm_pipeline.crms.sugarcrm.queries import after_id, equals_one_of, has_value, one_of, table
from crm_pipeline.crms.sugarcrm.transport import Transport
from crm_pipeline.crms.sugarcrm.values import read, told
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
        """The records of these ids that there are, by id, and the ids on which SugarCRM fails."""
        asked = [one for one in dict.fromkeys(ids) if RECORD_ID.fullmatch(one)]
        name = f"{table(crm_object.name)}.id"
        records, failed = self._of_each(crm_object, asked, fields, condition=lambda part: one_of(name, part), include=include)
        return {record["id"]: record for record in records}, failed

    def find(self, crm_object: CrmObject, field: str, values: Sequence[str]) -> pd.DataFrame:
        """Records whose field equals one of the values (schemas.FOUND). Keys count as they are written, everything else without case.

        An email is that of a contact's main address: one beside it may be anybody's.
        """
        asked = [value for value in dict.fromkeys(values) if isinstance(value, str) and value.strip()]

        def condition(part: Sequence[str]) -> str:
            return equals_one_of(crm_object, field, part)

        folded = _as_it_is if field == self.key else _folded
        records, failed = self._of_each(crm_object, asked, self._found_fields(crm_object, field), condition=condition)
        by_value: dict[str, list[Record]] = {}
        for record in records:
            by_value.setdefault(folded(str(record.get(field) or "")), []).append(record)
        rows = [self._found(record, value) for value in asked for record in by_value.get(folded(value), ())]
        rows += [{"value": value, "error_type": CrmFailsOnRecordException.__name__} for value in failed]
        return FOUND.build(pd.DataFrame(rows, columns=FOUND.names))

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND), page by page."""
        for records, failed in self.all(crm_object, self._found_fields(crm_object, field), where=[has_value(crm_object, field)]):
            rows = [self._found(record, str(record[field])) for record in records if record.get(field)]
            rows += [{"error_type": CrmFailsOnRecordException.__name__}] * len(failed)
            yield FOUND.build(pd.DataFrame(rows, columns=FOUND.names))

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field."""
        return bool(self.page(crm_object, [], where=[has_value(crm_object, field)], rows=1))

    def all(
        self, crm_object: CrmObject, fields: Sequence[str], *, where: Sequence[str], include: Include = "live"
    ) -> Iterator[tuple[list[Record], set[str]]]:
        """The records that meet the conditions, page by page in the order of their ids, and the ids of those on which SugarCRM fails.

        None comes twice, nor is left out for what changes meanwhile. Where a page fails for a record's sake, its ids are read first.
        """
        last: list[str] = []
        while True:
            conditions = [*where, *last]
            try:
                page, failed = self.page(crm_object, fields, where=conditions, rows=PAGE, include=include), set[str]()
                ids = [record["id"] for record in page]
            except ServiceError as error:
                if not may_be_of_one(error):
                    raise
                ids = [record["id"] for record in self.page(crm_object, [], where=conditions, rows=PAGE, include=include)]
                found, failed = self.by_ids(crm_object, ids, fields, include=include)
                page = list(found.values())
            if ids:
                yield page, failed
            if len(ids) < PAGE:
                return
            last = [after_id(crm_object.name, ids[-1])]

    def page(
        self,
        crm_object: CrmObject,
        fields: Sequence[str],
        *,
        where: Sequence[str],
        rows: int,
        include: Include = "live",
        repeatable: bool = True,
        divisible: bool = False,
    ) -> list[Record]:
        """The first records, in the order of their ids, that meet the conditions. Raises ServiceError."""
        asked = list(dict.fromkeys(["id", *([DELETED] if include != "live" else []), *fields]))
        answer = self.transport.ask(
            "get_entry_list",
            crm_object.name,
            " AND ".join(where),
            # With the table before it the order would be none at all.
            "id",
            0,
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
        kinds = self.kinds(crm_object)
        return [_record(entry, kinds) for entry in answer["entry_list"]]

    def _of_each(
        self,
        crm_object: CrmObject,
        values: Sequence[str],
        fields: Sequence[str],
        *,
        condition: Callable[[Sequence[str]], str],
        include: Include = "live",
    ) -> tuple[list[Record], set[str]]:
        """The records that meet the condition on one of the values, and the values on which SugarCRM fails."""

        def send(part: Sequence[str], /, *, again: bool) -> list[Record]:
            where = [condition(part)]
            divisible, repeatable = len(part) > 1, not again
            found: list[Record] = []
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
                found += page
                if len(page) < PAGE:
                    return found

        portions = (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
        answers, failed = read_in_halves(portions, send, is_up=self.transport.is_up)
        return list(chain.from_iterable(answers)), set(failed)

    def _found_fields(self, crm_object: CrmObject, field: str) -> list[str]:
        return [field, *([self.key] if self.key else []), *([PARENT] if crm_object.record_type == CONTACTS.record_type else [])]

    def _found(self, record: Mapping[str, Any], value: str) -> dict[str, object]:
        key = record.get(self.key) if self.key else None
        return {"value": value, "crm_id": record["id"], "key": key, "parent_crm_id": record.get(PARENT)}


def _record(entry: Mapping[str, Any], kinds: Mapping[str, str]) -> Record:
    held = {name: read(value, kinds.get(name, "text")) for name, value in told(entry["name_value_list"]).items()}
    return {**held, "id": str(entry["id"])}


def _folded(value: str) -> str:
    return lowered(value.strip())


def _as_it_is(value: str) -> str:
    return value
