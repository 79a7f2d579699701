"""Which customers does a contact belong to? Read from the contact in whatever shape, else asked for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crm_pipeline.errors import RequestRefusedError, UnexpectedAnswerError
from crm_pipeline.qbench.answers import NOT_FOUND
from crm_pipeline.qbench.client import QBenchClient

CUSTOMERS_KEY = "customers"
ID_KEYS = ("id", "customer_id")
LARGEST_ID = 2**63 - 1


def record_id(value: Any) -> int | None:
    """An id of QBench, given as a number or digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= len(str(LARGEST_ID)) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID else None


def customer_ids(record: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The ids of a contact's customers, each once; None when the record does not say them.

    QBench does not document the shape of an item, so ``{"id": 41}``, ``{"data": {"id": 41}}``, ``{"customer_id": 41}`` and
    ``41`` are read, and the list may itself stand in ``{"data": [...]}`` (assumed). A null, or an item without an id, does
    not say them either.
    """
    items = record.get(CUSTOMERS_KEY)
    if isinstance(items, Mapping):
        items = items.get("data")
    if not isinstance(items, list):
        return None
    found = [_item_id(item) for item in items]
    known = [customer_id for customer_id in found if customer_id is not None]
    return tuple(dict.fromkeys(known)) if len(known) == len(found) else None


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


def _item_id(item: Any) -> int | None:
    if not isinstance(item, Mapping):
        return record_id(item)
    if isinstance(item.get("data"), Mapping):
        item = item["data"]
    return next((found for key in ID_KEYS if (found := record_id(item.get(key))) is not None), None)


def _ask(client: QBenchClient, contact: Mapping[str, Any]) -> tuple[int, ...] | None:
    path = f"contacts/{record_id(contact['id'])}"
    ids: list[int] = []
    page, more = 1, True
    while more:
        try:
            listing = client.list_page(f"{path}/customers", page=page, size=client.settings.page_size)
        except RequestRefusedError as error:
            if error.code == NOT_FOUND and _is_gone(client, path):
                return None
            raise
        found = customer_ids({CUSTOMERS_KEY: listing.records})
        if found is None:
            raise UnexpectedAnswerError(f"page {page} of {path}/customers holds a customer without an id", **client.caller.names)
        ids += found
        page, more = page + 1, listing.more
    return tuple(dict.fromkeys(ids))


def _is_gone(client: QBenchClient, path: str) -> bool:
    try:
        client.record(path)
    except RequestRefusedError as error:
        return error.code == NOT_FOUND
    return False
