"""Which customers does a contact belong to, and which contacts a customer? Read from the record in whatever shape, else asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from crm_pipeline.errors import RequestRefusedError, ServiceError, UnexpectedAnswerError
from crm_pipeline.qbench.answers import NOT_FOUND
from crm_pipeline.qbench.client import QBenchClient, may_go_on
from crm_pipeline.qbench.contracts import RELATED, record_id
from crm_pipeline.qbench.listing import RowList
from crm_pipeline.qbench.one_by_one import is_of_one_record, read_each

CUSTOMERS_KEY, CONTACTS_KEY = "customers", "contacts"
MOST_OTHERS = 3
"""Other contacts whose customers are asked for, at most, to see whether QBench tells any."""

logger = logging.getLogger(__name__)

ID_KEYS = {CUSTOMERS_KEY: ("id", "customer_id"), CONTACTS_KEY: ("id", "contact_id")}


def customer_ids(record: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The ids of a contact's customers, each once; None when the record does not say them.

    QBench does not document the shape of an item, so ``{"id": 41}``, ``{"data": {"id": 41}}``, ``{"customer_id": 41}`` and
    ``41`` are read, and the list may itself stand in ``{"data": [...]}`` (assumed). A null, or an item without an id, does
    not say them either.
    """
    return _listed_ids(record, CUSTOMERS_KEY)


def named_contact_ids(customer: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids of a customer's contacts that its record names; it may name none, or not all."""
    return _listed_ids(customer, CONTACTS_KEY) or ()


def contact_ids(client: QBenchClient, customer: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids of a customer's contacts, asked of QBench; where it has no such list, those that the record names.

    Raises a ServiceError.
    """
    try:
        return _related(client, f"customers/{record_id(customer['id'])}", CONTACTS_KEY)
    except RequestRefusedError as error:
        if error.code == NOT_FOUND:
            return named_contact_ids(customer)
        raise


def asked_customer_ids(client: QBenchClient, contact: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The ids of a contact's customers, asked for where it does not say them; None where it was deleted meanwhile.

    Raises a ServiceError.
    """
    told = customer_ids(contact)
    return _ask(client, record_id(contact["id"])) if told is None else told


def customers_of_each(client: QBenchClient, contacts: list[dict[str, Any]]) -> list[tuple[int, ...] | ServiceError | None]:
    """The ids of each contact's customers, in the same order; None stands for a contact that was deleted meanwhile.

    QBench is asked, several contacts at a time, for the customers of those that do not say them. Where it fails for one
    contact's sake, its error stands in their place. Raises the ServiceError of a QBench that tells no contact's customers.
    """
    told = [customer_ids(contact) for contact in contacts]
    untold = list(dict.fromkeys(record_id(contact["id"]) for contact, known in zip(contacts, told, strict=True) if known is None))
    answers = read_each(client, untold, _ask, is_up=lambda failed: _tells_of_others(client, failed))
    for number, error in answers.failed.items():
        logger.warning("the customers of contact %s cannot be read: %s", number, error)
    asked = {**answers.read, **answers.failed}
    return [asked[record_id(contact["id"])] if known is None else known for contact, known in zip(contacts, told, strict=True)]


def with_customers(contact: Mapping[str, Any], ids: Collection[int]) -> dict[str, Any]:
    """The contact with ``customers`` as ``[{"id": 41}, ...]`` and nothing else changed."""
    return {**contact, CUSTOMERS_KEY: [{"id": customer_id} for customer_id in ids]}


def without_customers(contact: Mapping[str, Any]) -> dict[str, Any]:
    """The contact without ``customers``, which do not say who they are, and nothing else changed."""
    return {name: value for name, value in contact.items() if name != CUSTOMERS_KEY}


def _listed_ids(record: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    items = record.get(key)
    if isinstance(items, dict):
        items = items.get("data")
    if not isinstance(items, list):
        return None
    found = [_item_id(item, key) for item in items]
    known = [number for number in found if number is not None]
    return tuple(dict.fromkeys(known)) if len(known) == len(found) else None


def _item_id(item: Any, key: str) -> int | None:
    if not isinstance(item, dict):
        return record_id(item)
    if isinstance(item.get("data"), dict):
        item = item["data"]
    for name in ID_KEYS[key]:
        if (found := record_id(item.get(name))) is not None:
            return found
    return None


def _ask(client: QBenchClient, contact: int | None) -> tuple[int, ...] | None:
    path = f"contacts/{contact}"
    try:
        return _related(client, path, CUSTOMERS_KEY)
    except RequestRefusedError as error:
        if error.code == NOT_FOUND and _is_gone(client, path):
            return None
        raise


def _tells_of_others(client: QBenchClient, failed: Mapping[int | None, ServiceError]) -> bool:
    """Whether QBench tells the customers of contacts beside those that failed.

    Where there are no others, a list that comes at all tells that QBench is up, but not that the tenant has such lists.
    """
    listed = RowList(client, "contacts", since=0).page(1, position=0, size=client.settings.page_size).rows
    others = [row.qbench_id for row in listed if row.qbench_id not in failed][:MOST_OTHERS]
    if not others:
        return not any(isinstance(error, RequestRefusedError) for error in failed.values())
    return any(_is_told(client.once, number) for number in others)


def _is_told(client: QBenchClient, contact: int | None) -> bool:
    try:
        return _ask(client, contact) is not None
    except ServiceError as error:
        if is_of_one_record(error):
            return False
        raise


def _related(client: QBenchClient, path: str, key: str) -> tuple[int, ...]:
    """The ids in one of a record's own lists, page by page."""
    ids: list[int] = []
    page, more = 1, True
    while more:
        listing = client.list_page(f"{path}/{key}", page=page, size=client.settings.page_size, holds=RELATED)
        found = _listed_ids({key: listing.records}, key) or ()
        if found and set(found) <= set(ids):
            raise UnexpectedAnswerError(f"page {page} of {path}/{key} brings nothing new", **client.caller.names)
        ids += found
        page, more = page + 1, may_go_on(more=listing.more, total=listing.total, here=len(listing.records), read=len(ids))
    return tuple(dict.fromkeys(ids))


def _is_gone(client: QBenchClient, path: str) -> bool:
    try:
        client.record(path)
    except RequestRefusedError as error:
        return error.code == NOT_FOUND
    return False
