"""What a QBench tenant holds: customers, contacts, who belongs to whom, and how its users change them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS

Kind = Literal["customers", "contacts"]
Record = dict[str, Any]

CUSTOMER_FIELDS: Mapping[str, int | None] = {
    "customer_name": 250,
    "address": 1000,
    "city_name": 100,
    "state_name": 45,
    "zip_postal_code": 45,
    "country_name": 45,
    "phone": None,
    "fax": None,
    "comments": 2000,
    "special_instructions": None,
    "status": None,
    "tags": None,
    "parent_customer_id": None,
    "sources": None,
    "group_name": None,
    "payment_term": None,
}
"""Fields of a customer that a user can write, with their longest length in characters (QBench's OpenAPI document, v2)."""

CONTACT_FIELDS: Mapping[str, int | None] = {
    "first_name": 100,
    "last_name": 100,
    "email_address": 500,
    "phone": 50,
    "mobile": None,
    "fax": None,
    "address": None,
    "is_doctor": None,
    "tags": None,
}
"""Fields of a contact that a user can write, with their longest length in characters (QBench's OpenAPI document, v2)."""

FIELDS: Mapping[Kind, Mapping[str, int | None]] = {"customers": CUSTOMER_FIELDS, "contacts": CONTACT_FIELDS}
REQUIRED: Mapping[Kind, str] = {"customers": "customer_name", "contacts": "first_name"}
BLANKS: Mapping[Kind, Mapping[str, Any]] = {"customers": {"status": "ACTIVE"}, "contacts": {"is_doctor": False}}
EMPTY_LISTS: Mapping[Kind, tuple[str, ...]] = {"customers": ("tags", "sources"), "contacts": ("tags",)}

ADDITIONAL_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "customers": ("website", "industry", "employees"),
    "contacts": ("contact_street", "contact_city", "contact_state", "contact_zip", "contact_country"),
}
"""The additional fields of the sandbox's tenant, flat in the record under the tenant's own names."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the tenant answers: ``concurrent`` requests at a time and ``calls`` per ``seconds`` (QBench's documentation)."""

    concurrent: int = 10
    calls: int = 300
    seconds: float = 60.0


class _Index:
    """Tuples kept in order; appended in bulk they are put in order when next read."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, ...]] = []
        self._ordered = True

    def keys(self) -> list[tuple[int, ...]]:
        if not self._ordered:
            self._keys.sort()
            self._ordered = True
        return self._keys

    def append(self, key: tuple[int, ...]) -> None:
        self._ordered = self._ordered and (not self._keys or self._keys[-1] < key)
        self._keys.append(key)

    def insert(self, key: tuple[int, ...]) -> None:
        insort(self.keys(), key)

    def remove(self, key: tuple[int, ...]) -> None:
        keys = self.keys()
        position = bisect_left(keys, key)
        if keys[position] != key:
            raise KeyError(key)
        del keys[position]


class Table:
    """The records of one kind, with the orders that lists are read in: by id and by (last_updated, id).

    ``live``, ``deleted`` and ``all`` are the three sets of records that a list can ask for.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Record] = {}
        self.deleted_at: dict[int, int] = {}
        self._by_id = {"live": _Index(), "deleted": _Index(), "all": _Index()}
        self._by_update = {"live": _Index(), "deleted": _Index(), "all": _Index()}
        self._last_id = 0

    def next_id(self) -> int:
        """An id above every id so far."""
        return self._last_id + 1

    def by_id(self, which: str) -> list[tuple[int, ...]]:
        """``(id,)`` in ascending order; not to be changed."""
        return self._by_id[which].keys()

    def by_update(self, which: str) -> list[tuple[int, ...]]:
        """``(last_updated, id)`` in ascending order; not to be changed."""
        return self._by_update[which].keys()

    def add(self, row: Record) -> None:
        """Take up a record with ``id`` and ``last_updated``. Raises ValueError when the id is taken."""
        if row["id"] in self.rows:
            raise ValueError(f"id {row['id']} is taken")
        self.rows[row["id"]] = row
        self._last_id = max(self._last_id, row["id"])
        for which in ("live", "all"):
            self._by_id[which].append((row["id"],))
            self._by_update[which].append((row["last_updated"], row["id"]))

    def live(self, record_id: int) -> Record:
        """The record. Raises KeyError when there is none or it is deleted."""
        if record_id in self.deleted_at:
            raise KeyError(record_id)
        return self.rows[record_id]

    def touch(self, record_id: int, at: int) -> None:
        """Set ``last_updated``."""
        row = self.rows[record_id]
        side = "deleted" if record_id in self.deleted_at else "live"
        for which in (side, "all"):
            self._by_update[which].remove((row["last_updated"], record_id))
            self._by_update[which].insert((at, record_id))
        row["last_updated"] = at

    def delete(self, record_id: int, at: int, *, touched: bool) -> None:
        """Move a record to the deleted ones. Raises KeyError when there is none or it is deleted."""
        updated = self.live(record_id)["last_updated"]
        self._by_id["live"].remove((record_id,))
        self._by_id["deleted"].insert((record_id,))
        self._by_update["live"].remove((updated, record_id))
        self._by_update["deleted"].insert((updated, record_id))
        self.deleted_at[record_id] = at
        if touched:
            self.touch(record_id, at)

    def restore(self, record_id: int, at: int, *, touched: bool) -> None:
        """Move a record back to the live ones. Raises KeyError when it is not deleted."""
        del self.deleted_at[record_id]
        updated = self.rows[record_id]["last_updated"]
        self._by_id["deleted"].remove((record_id,))
        self._by_id["live"].insert((record_id,))
        self._by_update["deleted"].remove((updated, record_id))
        self._by_update["live"].insert((updated, record_id))
        if touched:
            self.touch(record_id, at)


class QBenchTenant:
    """A QBench tenant in memory, changed by its users through these methods and read through ``qbench_app``; safe over threads.

    Times are Unix seconds. Everything below is a public attribute that may be changed at any time:

    - ``clock``: the tenant's time, for ``last_updated`` and ``date_created`` where a method is given no ``at``. Tokens are
      checked against the true time.
    - ``limits``: None switches them off.
    - ``last_updated_bound``: whether the list parameter means rows after the given second, or also those in it (undocumented).
    - ``ignore_sort``: lists come by id, whatever order is asked for.
    - ``date_form``: unix ``1760000123``, digits ``"1760000123"``, iso ``2025-10-09T08:55:23+00:00``, iso_naive (without the zone),
      us ``10/09/2025 08:55 AM`` (which knows no seconds). ``time_zone``: of the two that carry none.
    - ``customers_form``: how ``contact.customers[]`` comes: id ``{"id": …, "customer_name": …}``, data ``{"data": {…}}``,
      customer_id ``{"customer_id": …}``, bare ``41``, or absent.
    - ``deletions_touch``: whether deleting a record, and restoring it, sets its ``last_updated`` (undocumented). If not, only the list of
      deleted records and the probe for changes show it.
    - ``answers_deleted``: whether a deleted record is still answered by its id (undocumented).
    - ``longest_page``: how many records a page of customers or contacts holds at most, however many are asked for (undocumented).
    - ``unshowable``: kind and id of records on which every answer fails that would show them: status 500.
    - ``lists_deleted_customers``: whether a contact still shows its deleted customers.
    - ``refuses_stale_with``: how a token that is unknown or too old is refused: 401, or 400 with that error (all were observed).
    - ``token_seconds``: how long a token is good for. ``latency``: seconds added to every answer.
    - ``on_request``: called with path and query before a request is executed; tests change records there, between two pages.
    """

    def __init__(
        self,
        *,
        client_id: str = SANDBOX_CREDENTIALS["QBENCH_CLIENT_ID"],
        client_secret: str = SANDBOX_CREDENTIALS["QBENCH_CLIENT_SECRET"],
        clock: Callable[[], float] = time.time,
        limits: Limits | None = Limits(),
        additional_fields: Mapping[Kind, tuple[str, ...]] = ADDITIONAL_FIELDS,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.clock = clock
        self.limits = limits
        self.additional_fields = additional_fields
        self.last_updated_bound: Literal[">", ">="] = ">"
        self.ignore_sort = False
        self.date_form: Literal["unix", "digits", "iso", "iso_naive", "us"] = "unix"
        self.time_zone = "UTC"
        self.customers_form: Literal["id", "data", "customer_id", "bare", "absent"] = "id"
        self.deletions_touch = True
        self.answers_deleted = False
        self.longest_page = 50
        self.unshowable: set[tuple[Kind, int]] = set()
        self.lists_deleted_customers = False
        self.refuses_stale_with: Literal["unauthorized", "invalid_grant", "invalid_request"] = "unauthorized"
        self.token_seconds = 3600
        self.latency = 0.0
        self.on_request: Callable[[str, Mapping[str, str]], None] | None = None
        self.lock = threading.RLock()
        self.tables: Mapping[Kind, Table] = {"customers": Table(), "contacts": Table()}
        self.customer_ids: dict[int, tuple[int, ...]] = {}
        self.contact_ids: dict[int, dict[int, None]] = {}
        self.integration_links: dict[Kind, dict[tuple[int, int], str]] = {"customers": {}, "contacts": {}}
        self.disguises: dict[tuple[Kind, int], Record] = {}
        self.tokens: dict[str, float] = {}

    def add_customer(self, *, id: int | None = None, at: int | None = None, **fields: Any) -> int:
        """A user adds a customer; fields that are not given are blank. Returns its id, raises ValueError when it is taken."""
        with self.lock:
            created = self._time(at)
            record_id = self._add("customers", id, {"date_created": created, **fields}, created)
            self.contact_ids.setdefault(record_id, {})
            return record_id

    def add_contact(
        self,
        *,
        customer_ids: Iterable[int] = (),
        id: int | None = None,
        at: int | None = None,
        **fields: Any,
    ) -> int:
        """A user adds a contact to customers. Returns its id; raises ValueError when it is taken, KeyError for an unknown customer."""
        with self.lock:
            customers = self._known_customers(customer_ids)
            record_id = self._add("contacts", id, fields, self._time(at))
            self._belong(record_id, customers)
            return record_id

    def edit_customer(self, customer_id: int, *, at: int | None = None, **fields: Any) -> None:
        """A user changes fields of a customer. Raises KeyError when there is none."""
        with self.lock:
            self._edit("customers", customer_id, fields, self._time(at))

    def edit_contact(self, contact_id: int, *, customer_ids: Iterable[int] | None = None, at: int | None = None, **fields: Any) -> None:
        """A user changes fields of a contact, and its customers where they are given. Raises KeyError for an unknown id."""
        with self.lock:
            customers = None if customer_ids is None else self._known_customers(customer_ids)
            self._edit("contacts", contact_id, fields, self._time(at))
            if customers is not None:
                self._belong(contact_id, customers)

    def delete_customer(self, customer_id: int, *, at: int | None = None) -> None:
        """A user deletes a customer; its contacts stay. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["customers"].delete(customer_id, self._time(at), touched=self.deletions_touch)

    def delete_contact(self, contact_id: int, *, at: int | None = None) -> None:
        """A user deletes a contact. Its ``last_updated`` becomes the time of the deletion (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["contacts"].delete(contact_id, self._time(at), touched=self.deletions_touch)

    def restore_customer(self, customer_id: int, *, at: int | None = None) -> None:
        """A user takes a customer's deletion back. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed].

        Its contacts' stay as they are [assumed].
        """
        with self.lock:
            self.tables["customers"].restore(customer_id, self._time(at), touched=self.deletions_touch)

    def restore_contact(self, contact_id: int, *, at: int | None = None) -> None:
        """A user takes a contact's deletion back. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["contacts"].restore(contact_id, self._time(at), touched=self.deletions_touch)

    def customer(self, customer_id: int) -> Record:
        """A copy of a customer as it is stored, deleted or not, with ``contact_ids``. Raises KeyError when there is none."""
        with self.lock:
            return {**self.tables["customers"].rows[customer_id], "contact_ids": list(self.contact_ids[customer_id])}

    def contact(self, contact_id: int) -> Record:
        """A copy of a contact as it is stored, deleted or not, with ``customer_ids``. Raises KeyError when there is none."""
        with self.lock:
            return {**self.tables["contacts"].rows[contact_id], "customer_ids": list(self.customer_ids[contact_id])}

    def customers(self) -> list[Record]:
        """Copies of all customers that are not deleted, by id."""
        with self.lock:
            return [self.customer(key[0]) for key in self.tables["customers"].by_id("live")]

    def contacts(self) -> list[Record]:
        """Copies of all contacts that are not deleted, by id."""
        with self.lock:
            return [self.contact(key[0]) for key in self.tables["contacts"].by_id("live")]

    def answer_with(self, kind: Kind, record_id: int, **fields: Any) -> None:
        """Let the API show these values in place of what is stored: dates nobody can parse, shapes nobody expects."""
        with self.lock:
            self.disguises[kind, record_id] = fields

    def expire_tokens(self) -> None:
        """Make every token given so far unknown."""
        with self.lock:
            self.tokens.clear()

    def live_customers_of(self, contact_id: int) -> list[int]:
        """Ids of a contact's customers as lists show them; deleted ones only with ``lists_deleted_customers``."""
        deleted = () if self.lists_deleted_customers else self.tables["customers"].deleted_at
        return [customer_id for customer_id in self.customer_ids[contact_id] if customer_id not in deleted]

    def live_contacts_of(self, customer_id: int) -> list[int]:
        """Ids of a customer's contacts that are not deleted."""
        deleted = self.tables["contacts"].deleted_at
        return [contact_id for contact_id in self.contact_ids[customer_id] if contact_id not in deleted]

    def _time(self, at: int | None) -> int:
        return int(self.clock()) if at is None else at

    def _add(self, kind: Kind, record_id: int | None, fields: Mapping[str, Any], at: int) -> int:
        table = self.tables[kind]
        number = table.next_id() if record_id is None else record_id
        row: Record = {"id": number, **dict.fromkeys((*FIELDS[kind], *self.additional_fields[kind])), **BLANKS[kind]}
        row |= {name: [] for name in EMPTY_LISTS[kind]}
        row |= fields
        row["last_updated"] = at
        table.add(row)
        return number

    def _edit(self, kind: Kind, record_id: int, fields: Mapping[str, Any], at: int) -> None:
        self.tables[kind].live(record_id).update(fields)
        self.tables[kind].touch(record_id, at)

    def _known_customers(self, customer_ids: Iterable[int]) -> tuple[int, ...]:
        customers = tuple(dict.fromkeys(customer_ids))
        for customer_id in customers:
            self.tables["customers"].rows[customer_id]
        return customers

    def _belong(self, contact_id: int, customers: tuple[int, ...]) -> None:
        for customer_id in self.customer_ids.get(contact_id, ()):
            self.contact_ids[customer_id].pop(contact_id, None)
        self.customer_ids[contact_id] = customers
        for customer_id in customers:
            self.contact_ids[customer_id][contact_id] = None
