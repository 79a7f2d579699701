"""What a QBench tenant holds: customers, contacts, who belongs to whom, and how its users change them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS
from crm_pipeline.sandbox.qbench_fields import ADDITIONAL_FIELDS, BLANKS, EMPTY_LISTS, FIELDS
from crm_pipeline.sandbox.qbench_habits import WriteHabits
from crm_pipeline.sandbox.qbench_table import Kind, Record, Table

__all__ = ["Invitation", "Kind", "Limits", "QBenchTenant", "Record", "WriteHabits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the tenant answers: ``concurrent`` requests at a time and ``calls`` per ``seconds`` (QBench's documentation)."""

    concurrent: int = 10
    calls: int = 300
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Invitation:
    """A mail that invites a contact to the customer's portal."""

    contact_id: int
    customer_id: int


class QBenchTenant:
    """A QBench tenant in memory, changed by its users through these methods and read through ``qbench_app``; safe over threads.

    Times are Unix seconds. ``at`` of a method is the true time of what a user does, now where it is left out; one that has passed makes a
    change that becomes visible late, with its early stamp. Everything below is a public attribute that may be changed at any time:

    - ``clock``: the true time, and ``clock_ahead``: by how many seconds the tenant's own clock is ahead of it, in ``last_updated``,
      ``date_created`` and the ``Date`` of its answers. Tokens are checked against the time of this machine.
    - ``stamp_seconds``: ``last_updated`` and ``date_created`` are cut to whole multiples of it: 60 for whole minutes.
    - ``limits``: None switches them off.
    - ``last_updated_bound``: whether the list parameter means rows after the given second, or also those in it (undocumented).
    - ``ignore_sort``: lists come by id, whatever order is asked for. ``ignore_filters``: they hold all records, whatever is asked for
      beside dates.
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
    - ``habits``: how it takes what is written. ``not_granted``: calls that the API client may not make, such as ``PATCH /contacts`` or
      ``POST /contacts/{id}/customers``: status 403. ``invitations``: the portal invitations that were mailed.
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
        self.clock_ahead = 0.0
        self.stamp_seconds = 1
        self.habits = WriteHabits()
        self.not_granted: set[str] = set()
        self.invitations: list[Invitation] = []
        self.last_updated_bound: Literal[">", ">="] = ">"
        self.ignore_sort = False
        self.ignore_filters = False
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

    def add_field(self, kind: Kind, name: str) -> None:
        """An administrator adds an additional field; it is blank in every record."""
        with self.lock:
            self.additional_fields = {**self.additional_fields, kind: (*self.additional_fields[kind], name)}
            for row in self.tables[kind].rows.values():
                row.setdefault(name, None)

    def add_customer(self, *, id: int | None = None, at: int | None = None, **fields: Any) -> int:
        """A user adds a customer; fields that are not given are blank. Returns its id, raises ValueError when it is taken."""
        with self.lock:
            return self.add("customers", fields, id=id, stamp=self.stamp(at))

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
            record_id = self.add("contacts", fields, id=id, stamp=self.stamp(at))
            self.belong(record_id, customers)
            return record_id

    def edit_customer(self, customer_id: int, *, at: int | None = None, **fields: Any) -> None:
        """A user changes fields of a customer. Raises KeyError when there is none."""
        with self.lock:
            self.edit("customers", customer_id, fields, stamp=self.stamp(at))

    def edit_contact(self, contact_id: int, *, customer_ids: Iterable[int] | None = None, at: int | None = None, **fields: Any) -> None:
        """A user changes fields of a contact, and its customers where they are given. Raises KeyError for an unknown id."""
        with self.lock:
            customers = None if customer_ids is None else self._known_customers(customer_ids)
            self.edit("contacts", contact_id, fields, stamp=self.stamp(at))
            if customers is not None:
                self.belong(contact_id, customers)

    def delete_customer(self, customer_id: int, *, at: int | None = None) -> None:
        """A user deletes a customer; its contacts stay. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["customers"].delete(customer_id, self.stamp(at), touched=self.deletions_touch)

    def delete_contact(self, contact_id: int, *, at: int | None = None) -> None:
        """A user deletes a contact. Its ``last_updated`` becomes the time of the deletion (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["contacts"].delete(contact_id, self.stamp(at), touched=self.deletions_touch)

    def restore_customer(self, customer_id: int, *, at: int | None = None) -> None:
        """A user takes a customer's deletion back. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed].

        Its contacts' stay as they are [assumed].
        """
        with self.lock:
            self.tables["customers"].restore(customer_id, self.stamp(at), touched=self.deletions_touch)

    def restore_contact(self, contact_id: int, *, at: int | None = None) -> None:
        """A user takes a contact's deletion back. Its ``last_updated`` becomes that time (``deletions_touch``) [assumed]."""
        with self.lock:
            self.tables["contacts"].restore(contact_id, self.stamp(at), touched=self.deletions_touch)

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

    # --- for the API's modules, which hold the lock

    def stamp(self, at: float | None = None) -> int:
        """What the tenant writes down at a true time, now where none is given."""
        shown = int((self.clock() if at is None else at) + self.clock_ahead)
        return shown - shown % self.stamp_seconds

    def add(self, kind: Kind, fields: Mapping[str, Any], *, stamp: int, id: int | None = None) -> int:
        """Add a record that belongs to nobody yet. Returns its id, raises ValueError when it is taken."""
        table = self.tables[kind]
        record_id = table.next_id() if id is None else id
        row: Record = {"id": record_id, **dict.fromkeys((*FIELDS[kind], *self.additional_fields[kind])), **BLANKS[kind]}
        row |= {name: [] for name in EMPTY_LISTS[kind]}
        if kind == "customers":
            row["date_created"] = stamp
        row |= self._formatted(fields)
        row["last_updated"] = fields.get("last_updated", stamp)
        table.add(row)
        if kind == "customers":
            self.contact_ids[record_id] = {}
        else:
            self.customer_ids[record_id] = ()
        return record_id

    def edit(self, kind: Kind, record_id: int, fields: Mapping[str, Any], *, stamp: int | None) -> None:
        """Change fields of a record; its ``last_updated`` stays without a stamp. Raises KeyError when there is none."""
        self.tables[kind].live(record_id).update(self._formatted(fields))
        if stamp is not None:
            self.tables[kind].touch(record_id, stamp)

    def belong(self, contact_id: int, customers: Iterable[int]) -> None:
        """Give a contact these customers and no others."""
        for customer_id in self.customer_ids[contact_id]:
            self.contact_ids[customer_id].pop(contact_id, None)
        self.customer_ids[contact_id] = tuple(dict.fromkeys(customers))
        for customer_id in self.customer_ids[contact_id]:
            self.contact_ids[customer_id][contact_id] = None

    def _formatted(self, fields: Mapping[str, Any]) -> Record:
        return {name: self.habits.formatting(name, value) for name, value in fields.items()}

    def _known_customers(self, customer_ids: Iterable[int]) -> tuple[int, ...]:
        customers = tuple(dict.fromkeys(customer_ids))
        for customer_id in customers:
            self.tables["customers"].rows[customer_id]
        return customers
