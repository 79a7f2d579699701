"""What each of Salesforce's answers must hold (sources: the REST API guide, and the Object Reference for describe).

Of describe, which says everything of every field, only that is required without which a mapping would be judged wrongly. The
rows of an answer to a write are judged one by one (writing): one that is wrong must not cost the others theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import requests

from crm_pipeline.contracts import ANYTHING, COUNT, FLAG, TEXT, Form, May, Members, Nullable, Rows

CHOICES = frozenset({"picklist", "multipicklist"})


def _is_not_saved(row: Mapping[str, Any]) -> bool:
    return row.get("success") is False


def _gives_a_reason(row: Mapping[str, Any]) -> str | None:
    return "errors is empty though success is false" if _is_not_saved(row) and not row["errors"] else None


def _is_saved(row: Mapping[str, Any]) -> bool:
    return row.get("success") is True


def _agrees_with_its_count(answer: Mapping[str, Any]) -> str | None:
    """A page that is the last one of its query; one that leads on is read together with the next."""
    if answer["totalSize"] and not answer["records"]:
        return f"records is empty though totalSize counts {answer['totalSize']}"
    return None


TOKEN = Members(
    {
        "access_token": TEXT,
        "instance_url": TEXT,
        "id": May(TEXT, absent="creates without an external key stop: who made a record is not known"),
    }
)
DESCRIBED = Members(
    {
        **{name: May(FLAG, absent="whether the user may is seen by the first call") for name in ("queryable", "createable", "updateable")},
        "fields": Rows(
            Members(
                {
                    "name": TEXT,
                    "type": TEXT,
                    "createable": FLAG,
                    "updateable": FLAG,
                    "nillable": FLAG,
                    "label": May(ANYTHING, absent="the name is shown"),
                    "length": May(COUNT, absent="texts of any length are sent"),
                    "defaultedOnCreate": May(FLAG, absent="Salesforce fills in no value"),
                    "unique": May(FLAG, absent="values need not be unique"),
                    "externalId": May(FLAG, absent="it is no external key"),
                    "restrictedPicklist": May(FLAG, absent="values beside the options are sent"),
                    "picklistValues": May(
                        Rows(Members({"value": TEXT, "label": May(ANYTHING, absent="the value is shown"), "active": FLAG})),
                        absent="it takes no options",
                        needed=lambda field: field.get("type") in CHOICES,
                        where="where the type is picklist or multipicklist",
                    ),
                }
            )
        ),
    }
)
QUERIED = Members(
    {
        "totalSize": COUNT,
        "done": FLAG,
        "records": Rows(Members({"Id": TEXT})),
        "nextRecordsUrl": May(
            TEXT, absent="this is the last page", needed=lambda answer: answer.get("done") is False, where="where done is false"
        ),
    }
)
TOGETHER = Members(
    {"compositeResponse": Rows(Members({"referenceId": TEXT, "httpStatusCode": COUNT, "body": ANYTHING}))},
)
RETRIEVED = Rows(Nullable(Members({"Id": TEXT}), null="no such record, or none that the run-as user may see"))
MADE = Members({"id": TEXT, "success": FLAG})
JOB = Members({"id": TEXT, "state": TEXT})
JOB_STATE = JOB.within(numberRecordsProcessed=COUNT, numberRecordsFailed=COUNT)
SAVED = Rows(ANYTHING)
SAVED_ROW = Members(
    {
        "success": FLAG,
        "id": May(TEXT, absent="nothing was saved", needed=_is_saved, where="where success is true"),
        "errors": May(
            Rows(Members({"statusCode": TEXT})),
            absent="nothing was refused",
            needed=_is_not_saved,
            where="where success is false",
        ),
        "created": May(FLAG, absent="it was no upsert"),
    },
    rule=_gives_a_reason,
)
UPSERTED_ROW = SAVED_ROW.within(
    created=May(FLAG, absent="nothing was saved", needed=_is_saved, where="where success is true"),
)


_ROWS_OF_A_JOB = re.compile(r"/jobs/ingest/\w+/\w+$")
SHORT_ID = 15
"""An id's first characters, which tell the record; the other three tell only their case."""
NEVER_NULL: Mapping[str, Form] = MappingProxyType({"Id": TEXT, "CreatedDate": TEXT, "IsDeleted": FLAG, "IsActive": FLAG, "Username": TEXT})
"""Fields that every record has a value in, of those that are asked for by name."""


def page(fields: Iterable[str]) -> Members:
    """The form of a page of a query for these fields; every record shows each, null where it has no value."""
    return QUERIED.within(records=Rows(_record(fields)))


def first_page(fields: Iterable[str]) -> Members:
    """The same for the first page, whose count says whether there may be none."""
    return Members(page(fields).members, rule=_agrees_with_its_count)


def retrieved(ids: Sequence[str], fields: Iterable[str]) -> Rows:
    """The form of the records of these ids: as many entries as ids, null or one record that was asked for."""
    wanted = frozenset(record_id[:SHORT_ID] for record_id in ids)
    return Rows(Nullable(_record(fields), null="no such record"), exactly=len(ids), rule=partial(_holds_others, wanted))


def is_of_rows(response: requests.Response) -> bool:
    """Whether it says that a job took its rows, without a word, or is the CSV of its results; all other answers are JSON."""
    if _ROWS_OF_A_JOB.search(urlsplit(response.url).path) is None:
        return False
    return not response.content or response.headers.get("Content-Type", "").startswith("text/csv")


def _record(fields: Iterable[str]) -> Members:
    asked = frozenset(fields)
    names = frozenset(name.lower() for name in asked)
    return Members({name: form for name, form in NEVER_NULL.items() if name == "Id" or name.lower() in names}, rule=_lacks(asked))


def _lacks(fields: frozenset[str]) -> Callable[[Mapping[str, Any]], str | None]:
    def fault(record: Mapping[str, Any]) -> str | None:
        if fields <= record.keys():
            return None
        missing = {name.lower() for name in fields}.difference(map(str.lower, record))
        return f"a record does not show {', '.join(sorted(missing))}" if missing else None

    return fault


def _holds_others(wanted: frozenset[str], records: Sequence[Mapping[str, Any] | None]) -> str | None:
    ids = [record["Id"][:SHORT_ID] for record in records if record is not None]
    if not wanted.issuperset(ids):
        return "the answer holds a record that was not asked for"
    return "the answer holds a record twice" if len(set(ids)) < len(ids) else None


CONTRACTS: Mapping[str, Form] = MappingProxyType(
    {
        "token": TOKEN,
        "describe": DESCRIBED,
        "query (every field that was asked for, in each record)": QUERIED,
        "several queries together; each body is a query's, or it is asked again alone": TOGETHER,
        "records, retrieved (as many as ids)": RETRIEVED,
        "a field, a permission set or a permission that is made": MADE,
        "a job that is made, closed or aborted": JOB,
        "a job, looked at (its results are CSV, with the columns that it was given)": JOB_STATE,
        "records, saved (as many as rows)": SAVED,
        "records, saved: one row": SAVED_ROW,
        "records, saved: one row of an upsert": UPSERTED_ROW,
    }
)
"""The forms by what is asked; one row of a write that departs from its form is unaccounted, everything else fails the call."""
