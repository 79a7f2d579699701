"""Which fields of its records does QBench keep itself?"""

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
