"""Which records with an error are tried again on demand, and as what? As today's mapping makes them."""

from __future__ import annotations

from collections.abc import Sequence

from crm_pipeline.store.database import Store
from crm_pipeline.store.error_records import ids_with_error
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.order import LoadOrder


def normalized_with_error(
    order: LoadOrder, *, store: Store, error_type: str | None = None, ids: Sequence[int] | None = None
) -> tuple[int, ...]:
    """QBench ids of the order's records with an error, which are normalized anew (store.error_records.ids_with_error says which)."""
    with store.transaction() as connection:
        found = ids_with_error(connection, order.state, error_type=error_type, ids=ids)
    normalize_named(store, order.integration, order.record, ids=found, reading=order.reading)
    return tuple(found)
