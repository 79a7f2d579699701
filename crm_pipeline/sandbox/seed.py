"""A made-up QBench tenant of any size, as clean or as dirty as wanted, and CRM records that are already there before the first sync.

Everything is deterministic: equal arguments make equal tenants. Domains are reserved ones (under example.org and example.com), phone
numbers come from ranges for fiction.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.existing import Existing, seed_existing
from crm_pipeline.sandbox.seed_pools import INDUSTRIES, ODD_INDUSTRIES, Pool, ascii_word, draw_phone, make_pools
from crm_pipeline.sandbox.tenant import QBenchTenant

__all__ = ["Existing", "seed_existing", "seed_tenant"]

YEAR_SECONDS = 365 * 86_400
HISTORY_SECONDS = 3 * YEAR_SECONDS
SETTLED_SECONDS = 2 * 3_600
"""Nothing was edited in the last two hours before ``now``."""

GROUPS = ("Gold", "Silver", "Bronze")


@dataclass(slots=True)
class _Customer:
    """A customer to be: its fields, the domain of its people, and what becomes of it."""

    fields: dict[str, Any]
    domain: str
    pool: Pool
    deleted: bool = False
    id: int = 0


@dataclass(slots=True)
class _Contact:
    """A contact to be: its fields, the position of its first customer and how many it has, and the contact made before it."""

    fields: dict[str, Any]
    position: int
    previous: dict[str, Any]
    customers: int = 1


@dataclass(frozen=True, slots=True)
class _Dirt:
    """Something wrong or odd, and in how many of a hundred records."""

    share: int
    make: Callable[[Any, random.Random], None]


def _set(**fields: Any) -> Callable[[Any, random.Random], None]:
    return lambda record, _rng: record.fields.update(fields)


def _long(name: str, length: int) -> Callable[[Any, random.Random], None]:
    def make(record: Any, _rng: random.Random) -> None:
        text = str(record.fields[name] or "long")
        record.fields[name] = (text + " " + text * (length // len(text) + 1))[:length].strip().ljust(length, "x")

    return make


def _changed(name: str, change: Callable[[str], str]) -> Callable[[Any, random.Random], None]:
    def make(record: Any, _rng: random.Random) -> None:
        if record.fields[name]:
            record.fields[name] = change(str(record.fields[name]))

    return make


def _odd_industry(record: _Customer, rng: random.Random) -> None:
    record.fields["industry"] = rng.choice(ODD_INDUSTRIES)


def _deleted(record: _Customer, _rng: random.Random) -> None:
    record.deleted = True


def _customers(number: int) -> Callable[[Any, random.Random], None]:
    def make(record: Any, _rng: random.Random) -> None:
        record.customers = number

    return make


def _same_email(record: _Contact, _rng: random.Random) -> None:
    record.fields["email_address"] = str(record.previous.get("email_address") or "shared@labs.example.org").upper()


CUSTOMER_DIRT: tuple[_Dirt, ...] = (
    _Dirt(2, _set(customer_name=None)),
    _Dirt(1, _set(customer_name="   ")),
    _Dirt(2, _changed("customer_name", lambda name: f"  {name.upper()} ")),
    _Dirt(1, _long("customer_name", 250)),
    _Dirt(1, _long("city_name", 100)),
    _Dirt(1, _long("comments", 2000)),
    _Dirt(4, _set(status="INACTIVE")),
    _Dirt(2, _deleted),
    _Dirt(6, _odd_industry),
    _Dirt(2, _set(employees="50-100")),
    _Dirt(1, _set(website="not a website")),
    _Dirt(2, _set(phone="call the front desk")),
    _Dirt(3, _changed("phone", lambda phone: f"{phone} ext. 204")),
    _Dirt(2, _set(country_name="Atlantis")),
    _Dirt(2, _set(address=None, city_name=None, state_name=None, zip_postal_code=None)),
)
"""What is wrong with customers, per hundred. Lengths are those that QBench allows and a CRM may not."""

CONTACT_DIRT: tuple[_Dirt, ...] = (
    _Dirt(3, _set(email_address=None)),
    _Dirt(1, _set(email_address="")),
    _Dirt(2, _set(email_address="nobody at example.org")),
    _Dirt(1, _set(email_address="front@desk@labs.example.org")),
    _Dirt(1, _changed("email_address", lambda email: f"{email}; second.{email}")),
    _Dirt(4, _changed("email_address", lambda email: f" {email.upper()} ")),
    _Dirt(2, _same_email),
    _Dirt(3, _customers(2)),
    _Dirt(2, _customers(0)),
    _Dirt(1, _set(first_name="")),
    _Dirt(2, _set(last_name=None)),
    _Dirt(2, _set(phone=None)),
    _Dirt(2, _set(phone="see notes")),
    _Dirt(3, _changed("phone", lambda phone: f"{phone} x77")),
    _Dirt(1, _long("first_name", 100)),
    _Dirt(1, _long("last_name", 100)),
    _Dirt(1, _long("contact_city", 100)),
    _Dirt(2, _set(contact_country=None)),
)
"""What is wrong with contacts, per hundred. Lengths are those that QBench allows and a CRM may not."""


def seed_tenant(*, seed: int, customers: int, contacts: int, now: int, dirty: bool = True) -> QBenchTenant:
    """A tenant with this number of customers and contacts, edited last in the three years up to two hours before ``now`` (Unix seconds).

    A clean tenant has, on every contact, a unique valid email, both names, a phone number and exactly one customer, and on every customer a
    unique name; countries are ISO codes and nothing is deleted or inactive. A dirty one has all of ``CUSTOMER_DIRT`` and
    ``CONTACT_DIRT`` from a hundred records on, countries in many spellings, and a tenth of its contacts imported in one second.
    Raises ValueError for contacts without a customer to belong to.
    """
    if contacts and not customers:
        raise ValueError("contacts need customers")
    rng = random.Random(seed)
    pools = make_pools(seed)
    tenant = QBenchTenant()
    made = _make_customers(customers, pools, rng=rng, dirty=dirty)
    _add_customers(tenant, made, rng=rng, now=now)
    _add_contacts(
        tenant, made, _make_contacts(contacts, made, rng=rng, dirty=dirty), rng=rng, now=now, imported=contacts // 10 if dirty else 0
    )
    deleted_at = now - SETTLED_SECONDS
    for customer in made:
        if customer.deleted:
            tenant.delete_customer(customer.id, at=deleted_at)
    return tenant


def _make_customers(count: int, pools: tuple[Pool, ...], *, rng: random.Random, dirty: bool) -> list[_Customer]:
    made = []
    names: set[str] = set()
    weights = [pool.country.weight for pool in pools]
    for number, pool in enumerate(rng.choices(pools, weights, k=count), start=1):
        name = rng.choice(pool.companies)
        if name.casefold() in names:
            name = f"{name} {number}"
        names.add(name.casefold())
        domain = f"{ascii_word(name, otherwise='lab')[:24]}{number}.example.{'org' if number % 2 else 'com'}"
        made.append(_Customer(_customer_fields(name, domain, pool, rng=rng, dirty=dirty), domain, pool))
    if dirty:
        _soil(made, CUSTOMER_DIRT, rng)
    return made


def _customer_fields(name: str, domain: str, pool: Pool, *, rng: random.Random, dirty: bool) -> dict[str, Any]:
    place = rng.choice(pool.places)
    return {
        "customer_name": name,
        "address": place.street,
        "city_name": place.city,
        "state_name": place.state,
        "zip_postal_code": place.postal_code,
        "country_name": _country(pool, rng=rng, dirty=dirty),
        "phone": draw_phone(pool, rng, form=None if dirty else 0),
        "comments": f"Samples arrive on {rng.choice(('Mondays', 'Tuesdays', 'Fridays'))}." if rng.random() < 0.5 else None,
        "tags": [rng.choice(("food", "water", "soil", "pharma"))],
        "group_name": rng.choice(GROUPS),
        "website": f"https://{domain}",
        "industry": rng.choice(INDUSTRIES),
        "employees": rng.randrange(3, 4000),
    }


def _make_contacts(count: int, customers: list[_Customer], *, rng: random.Random, dirty: bool) -> list[_Contact]:
    """Contacts, spread evenly over the customers."""
    made: list[_Contact] = []
    fields: dict[str, Any] = {}
    for number in range(count):
        position = number % len(customers)
        previous, fields = fields, _contact_fields(number, customers[position], rng=rng, dirty=dirty)
        made.append(_Contact(fields, position, previous))
    if dirty:
        _soil(made, CONTACT_DIRT, rng)
    return made


def _contact_fields(number: int, customer: _Customer, *, rng: random.Random, dirty: bool) -> dict[str, Any]:
    first_name, last_name, local_part = rng.choice(customer.pool.people)
    place = rng.choice(customer.pool.places)
    return {
        "first_name": first_name,
        "last_name": last_name,
        "email_address": f"{local_part}{number}@{customer.domain}",
        "phone": draw_phone(customer.pool, rng, form=None if dirty else 0),
        "contact_street": place.street,
        "contact_city": place.city,
        "contact_state": place.state,
        "contact_zip": place.postal_code,
        "contact_country": _country(customer.pool, rng=rng, dirty=dirty),
    }


def _country(pool: Pool, *, rng: random.Random, dirty: bool) -> str:
    return rng.choice(pool.country.spellings) if dirty else pool.country.code


def _soil(records: list[Any], dirt: tuple[_Dirt, ...], rng: random.Random) -> None:
    """Spread the dirt evenly over each hundred records, at most one kind on each."""
    kinds: list[_Dirt | None] = [kind for kind in dirt for _ in range(kind.share)]
    kinds += [None] * (100 - len(kinds))
    for start in range(0, len(records), 100):
        rng.shuffle(kinds)
        for record, kind in zip(records[start : start + 100], kinds, strict=False):
            if kind is not None:
                kind.make(record, rng)


def _add_customers(tenant: QBenchTenant, made: list[_Customer], *, rng: random.Random, now: int) -> None:
    oldest, newest = now - HISTORY_SECONDS, now - SETTLED_SECONDS
    for customer in made:
        created = rng.randrange(oldest, newest)
        customer.id = tenant.add_customer(**customer.fields, date_created=created, at=rng.randrange(created, newest))


def _add_contacts(
    tenant: QBenchTenant, customers: list[_Customer], made: list[_Contact], *, rng: random.Random, now: int, imported: int
) -> None:
    """Add the contacts; the first ``imported`` of them were all edited in the same second."""
    oldest, newest = now - HISTORY_SECONDS, now - SETTLED_SECONDS
    import_second = now - YEAR_SECONDS
    for number, contact in enumerate(made):
        chosen = [customers[(contact.position + step) % len(customers)].id for step in range(contact.customers)]
        at = import_second if number < imported else rng.randrange(oldest, newest)
        tenant.add_contact(customer_ids=chosen, at=at, **contact.fields)
