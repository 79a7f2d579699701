"""What each of QBench's answers must hold (sources: QBench's API documents; what they do not say is marked as assumed)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from crm_pipeline.contracts import ANYTHING, TEXT, Form, May, Members, One, Rows

LARGEST_ID = 2**63 - 1


def record_id(value: Any) -> int | None:
    """An id of QBench, given as a number or digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= len(str(LARGEST_ID)) else None
    return value if type(value) is int and 0 <= value <= LARGEST_ID else None


ID = One("a readable id", lambda value: record_id(value) is not None)


def _tells_of_a_record_once(records: list[Any]) -> str | None:
    """A record may come twice, but then it is the same."""
    ids = [record_id(record["id"]) for record in records]
    by_id = dict(zip(ids, records, strict=True))
    differs = len(by_id) < len(records) and any(by_id[one] != record for one, record in zip(ids, records, strict=True))
    return "data holds one id twice, with different contents" if differs else None


def _has_an_id(item: Mapping[str, Any]) -> str | None:
    inner = item["data"] if isinstance(item.get("data"), Mapping) else item
    found = (record_id(inner.get(name)) for name in ("id", "customer_id", "contact_id"))
    return None if any(number is not None for number in found) else "an entry of data has no readable id"


PAGING: Mapping[str, Form | May] = MappingProxyType(
    {
        "total_pages": May(ANYTHING, absent="the next page is asked for"),
        "total_count": May(ANYTHING, absent="the next page is asked for"),
    }
)
TOKEN = Members({"access_token": TEXT, "expires_in": May(ANYTHING, absent="the token is good for an hour")})
RECORD = Members(
    {
        "id": ID,
        "last_updated": May(ANYTHING, absent="the record takes the time of the one before it, and is told as unreadable"),
        "customers": May(ANYTHING, absent="a contact's customers are asked for"),
    }
)
LIST = Members({"data": Rows(RECORD, rule=_tells_of_a_record_once), **PAGING})
WRITTEN = Members({"data": Rows(RECORD, rule=_tells_of_a_record_once)})
RELATED = Members({"data": Rows(Members({}, rule=_has_an_id)), **PAGING})
PROBE = Members({"deleted": Rows(ID)})
ONE_RECORD = Members({"data": RECORD})


def one_record(number: int) -> Members:
    """The form of the record with this id."""
    other = "the answer holds another record than was asked for"
    return Members(ONE_RECORD.members, rule=lambda answer: None if record_id(answer["data"]["id"]) == number else other)


CONTRACTS: Mapping[str, Form] = MappingProxyType(
    {
        "token": TOKEN,
        "customers, contacts: a page": LIST,
        "customers of a contact, contacts of a customer (each with an id, in whatever shape): a page": RELATED,
        "the probe for changes of customers or contacts (v1)": PROBE,
        "one customer or contact (the one that was asked for)": ONE_RECORD,
        "customers, contacts that are changed or made (no answer at all is none; what is missing is read by its id)": WRITTEN,
    }
)
"""The forms by what is asked."""
