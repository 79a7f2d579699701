"""Which customers does a contact belong to, and which contacts a customer? Read from the record in whatever shape, else asked for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crm_pipeline.errors import RequestRefusedError, UnexpectedAnswerError
from crm_pipeline.qbench.answers import NOT_FOUND
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.contracts import RELATED, record_id

CUSTOMERS_KEY, CONTACTS_KEY = "customers", "contacts"
ID_KEYS = {CUSTOMERS_KEY: ("id", "customer_id"), CONTACTS_KEY: ("id", "contact_id")}


def customer_ids(record: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The ids of a contact's customers, each once; None when the record does not say them.

    QBench does not document the shape of an item, so ``{"id": 41}``, ``{"data": {"id": 41}}``, ``{"customer_id": 41}`` and
    ``41`` are read, and the list may itself stand in ``{"data": [...]}`` (assumed). A null, or an item without an id, does
    not say them either.
    """
    return _listed_ids(record, CUSTOMERS_KEY)


def contact_ids(client: QBenchClient, customer: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids of a customer's contacts, asked of QBench; where it has no such list, those that the record names.

    Raises a ServiceError.
    """
    try:
        return _related(client, f"customers/{record_id(customer['id'])}", CONTACTS_KEY)
    except RequestRefusedError as error:
        if error.code == NOT_FOUND:
            return _listed_ids(customer, CONTACTS_KEY) or ()
        raise


def with_customers(client: QBenchClient, contacts: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """The contacts with ``customers`` as ``[{"id": 41}, ...]`` and nothing else changed, in the same order.

    QBench is asked, several contacts at a time, for the customers of those that do not say them. None stands for a contact
    that was deleted meanwhile.
    """
    told = [customer_ids(contact) for contact in contacts]
    untold = [position for position, ids in enumerate(told) if ids is None]
    if untold:
        with ThreadPoolExecutor(client.settings.limits.concurrent, thread_name_prefix="qbench") as pool:
            answers = pool.map(lambda position: _ask(client, contacts[position]), untold)
            told = [next(answers) if ids is None else ids for ids in told]
    return [
        None if ids is None else {**contact, CUSTOMERS_KEY: [{"id": customer_id} for customer_id in ids]}
        for contact, ids in zip(contacts, told, strict=True)
    ]


def _listed_ids(record: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    items = record.get(key)
    if isinstance(items, Mapping):
        items = items.get("data")
    if not isinstance(items, list):
        return None
    found = [_item_id(item, key) for item in items]
    known = [number for number in found if number is not None]
    return tuple(dict.fromkeys(known)) if len(known) == len(found) else None


def _item_id(item: Any, key: str) -> int | None:
    if not isinstance(item, Mapping):
        return record_id(item)
    if isinstance(item.get("data"), Mapping):
        item = item["data"]
    return next((found for name in ID_KEYS[key] if (found := record_id(item.get(name))) is not None), None)


def _ask(client: QBenchClient, contact: Mapping[str, Any]) -> tuple[int, ...] | None:
    path = f"contacts/{record_id(contact['id'])}"
    try:
        return _related(client, path, CUSTOMERS_KEY)
    except RequestRefusedError as error:
        if error.code == NOT_FOUND and _is_gone(client, path):
            return None
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
        page, more = page + 1, listing.more
    return tuple(dict.fromkeys(ids))


def _is_gone(client: QBenchClient, path: str) -> bool:
    try:
        client.record(path)
    except RequestRefusedError as error:
        return error.code == NOT_FOUND
    return False
