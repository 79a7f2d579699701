"""What does QBench take in the fields of its records?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crm_pipeline.model import RecordType

KEPT_BY_QBENCH: Mapping[RecordType, tuple[str, ...]] = MappingProxyType(
    {
        RecordType.ACCOUNT: ("id", "date_created", "last_updated", "parent_customer_id", "contacts", "sources", "tags"),
        RecordType.CONTACT: ("id", "date_created", "last_updated", "customers", "tags"),
    }
)
"""Ids, times, and lists of other records, which nothing is written into.

QBench's API document takes some of them in a write. An id or a time that is not QBench's own would be taken for it by every
later read; whether a list is added to or replaced is not documented.
"""

LONGEST: Mapping[RecordType, Mapping[str, int]] = MappingProxyType(
    {
        RecordType.ACCOUNT: MappingProxyType(
            {
                "customer_name": 250,
                "address": 1000,
                "city_name": 100,
                "state_name": 45,
                "zip_postal_code": 45,
                "country_name": 45,
                "comments": 2000,
            }
        ),
        RecordType.CONTACT: MappingProxyType({"first_name": 100, "last_name": 100, "email_address": 500, "phone": 50}),
    }
)
"""The most characters that fields take, by QBench's API document; the others say no limit."""

NEVER_BLANK: Mapping[RecordType, frozenset[str]] = MappingProxyType(
    {RecordType.ACCOUNT: frozenset({"customer_name"}), RecordType.CONTACT: frozenset({"first_name"})}
)
"""Fields without which QBench makes no record. Assumed: nor may a change empty them."""
