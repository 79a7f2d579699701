"""What each of HubSpot's answers must hold (source: HubSpot's published specifications, v3 and 2026-03).

Members that the specification calls optional are so here, with what their absence means; of the others those that are read.
The rows of an answer to a write are judged one by one (writing, associating): one that is wrong must not cost the others theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from crm_pipeline.contracts import ANYTHING, COUNT, FLAG, ID, OBJECT, TEXT, Form, May, Members, Rows, fault_of

HISTORIES = "propertiesWithHistory"

ONE_OF_OPTIONS = "enumeration"
"""The type of a property that takes one of its options."""


def _needs_options(described: Mapping[str, Any]) -> bool:
    return described.get("type") == ONE_OF_OPTIONS and not (described.get("referencedObjectType") or described.get("externalOptions"))


def _tells_of_a_record_once(answer: Mapping[str, Any]) -> str | None:
    """One record may come for two ids that were merged, but then it is the same."""
    results = answer["results"]
    if len({str(record["id"]) for record in results}) == len(results):
        return None
    records: dict[str, Any] = {}
    differs = (record for record in results if records.setdefault(str(record["id"]), record) != record)
    return "results holds one id twice, with different contents" if next(differs, None) else None


def _agrees_with_its_count(answer: Mapping[str, Any]) -> str | None:
    if answer["total"] and not answer["results"]:
        return f"results is empty though total counts {answer['total']}"
    return _tells_of_a_record_once(answer)


PAGING = May(
    Members({"next": May(Members({"after": ID}), absent="this is the last page")}),
    absent="this is the last page",
)
ERRORS = May(Rows(OBJECT), absent="nothing was refused")
ERROR_ROWS = May(Rows(ANYTHING), absent="nothing was refused")

RECORD = Members(
    {
        "id": ID,
        # HubSpot leaves out properties that a record does not have ("they will be ignored").
        "properties": OBJECT,
        "createdAt": May(TEXT, absent="the property createdate says it, else it is not known"),
    }
)

ACCOUNT = Members({"portalId": ID, "uiDomain": May(TEXT, absent="pages of records are linked under app.hubspot.com")})
PROPERTY_MADE = Members({"name": TEXT})
TOKEN_INFO = Members({"scopes": Rows(TEXT)})
PROPERTIES = Members(
    {
        "results": Rows(
            Members(
                {
                    "name": TEXT,
                    "type": TEXT,
                    "fieldType": TEXT,
                    "label": May(ANYTHING, absent="the name is shown"),
                    "options": May(
                        Rows(Members({"value": ANYTHING, "label": May(ANYTHING, absent="the value is shown")})),
                        absent="it takes no options",
                        needed=_needs_options,
                        where="where the type is enumeration and the options stand nowhere else",
                    ),
                    "hasUniqueValue": May(FLAG, absent="values need not be unique"),
                    "calculated": May(FLAG, absent="it is not calculated"),
                    "modificationMetadata": May(OBJECT, absent="its values may be written"),
                    "archived": May(FLAG, absent="it is in use"),
                }
            )
        )
    }
)
OWNER = Members({"id": ID, "email": May(TEXT, absent="the owner is known by id alone")})
OWNERS = Members({"results": Rows(OWNER), "paging": PAGING})
LIST = Members({"results": Rows(RECORD), "paging": PAGING}, rule=_tells_of_a_record_once)
SEARCH = Members({"total": COUNT, "results": Rows(RECORD), "paging": PAGING}, rule=_agrees_with_its_count)
BATCH_READ = Members({"results": Rows(RECORD), "errors": ERRORS}, rule=_tells_of_a_record_once)
VERSION = Members(
    {
        "value": ANYTHING,
        "timestamp": TEXT,
        "sourceType": May(TEXT, absent="where the value came from is not known"),
        "sourceId": May(ID, absent="the type of the source says all"),
        "updatedByUserId": May(ID, absent="no user gave the value"),
    }
)


def _holds_versions(record: Mapping[str, Any]) -> str | None:
    faults = (fault_of(versions, Rows(VERSION), f"{HISTORIES}.{name}") for name, versions in record[HISTORIES].items())
    return next(filter(None, faults), None)


HISTORY_READ = BATCH_READ.within(results=Rows(replace(RECORD.within(**{HISTORIES: OBJECT}), rule=_holds_versions)))
LABELS_READ = Members(
    {
        "results": Rows(
            Members(
                {
                    "from": Members({"id": ID}),
                    "to": Rows(Members({"toObjectId": ID, "associationTypes": Rows(Members({"category": TEXT, "typeId": COUNT}))})),
                }
            )
        ),
        "errors": ERRORS,
    }
)
LIST_SHOWN = Members(
    {"list": Members({"listId": ID, "objectTypeId": ID, "deletedAt": May(ANYTHING, absent="it is in use")})},
)
LISTS_FOUND = Members({"lists": Rows(Members({"name": TEXT})), "hasMore": FLAG})
MEMBERSHIPS_READ = Members(
    {"results": Rows(Members({"recordId": ID, "recordListMemberships": Rows(Members({"listId": ID}))})), "errors": ERRORS}
)
WRITTEN = Members({"results": Rows(ANYTHING), "errors": ERROR_ROWS})
ASSOCIATED = Members({"results": Rows(ANYTHING), "errors": ERROR_ROWS})
REMOVED = Members({"errors": ERROR_ROWS})

WRITTEN_ROW = Members({"id": ID, "properties": May(OBJECT, absent="the row is known by its trace id or id, else it is unaccounted")})
ASSOCIATED_ROW = Members(
    {
        "fromObjectId": May(ID, absent="from.id says it", needed=lambda row: not row.get("from"), where="where from is missing"),
        "from": May(Members({"id": ID}), absent="fromObjectId says it"),
        "toObjectId": May(ID, absent="to.id says it", needed=lambda row: not row.get("to"), where="where to is missing"),
        "to": May(Members({"id": ID}), absent="toObjectId says it"),
    }
)


def at_most(answer: Members, inputs: int) -> Members:
    """The form of a batch's answer, which gives no more than it was asked for."""
    results = answer.members["results"]
    return answer.within(results=replace(results, most=inputs)) if isinstance(results, Rows) else answer


CONTRACTS: Mapping[str, Form] = MappingProxyType(
    {
        "account details": ACCOUNT,
        "scopes of the token": TOKEN_INFO,
        "properties": PROPERTIES,
        "a property that is made": PROPERTY_MADE,
        "owners": OWNERS,
        "one owner": OWNER,
        "records, listed": LIST,
        "records, searched": SEARCH,
        "records, read by batch": BATCH_READ,
        "records, read by batch with the versions of properties": HISTORY_READ,
        "records, read by batch: one version of a property": VERSION,
        "associations, read": LABELS_READ,
        "one list": LIST_SHOWN,
        "lists, searched": LISTS_FOUND,
        "lists of records, read by batch": MEMBERSHIPS_READ,
        "records, written": WRITTEN,
        "records, written: one row": WRITTEN_ROW,
        "associations, made": ASSOCIATED,
        "associations, made: one row": ASSOCIATED_ROW,
        "associations or records, removed (204 has none)": REMOVED,
    }
)
"""The forms by what is asked; one row of a write that departs from its form is unaccounted, everything else fails the call."""
