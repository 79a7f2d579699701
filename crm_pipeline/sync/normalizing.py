"""Turns staged raw records into staged normalized ones, frame by frame."""

from __future__ import annotations

import hashlib
from collections import Counter

import pandas as pd

from crm_pipeline.mapping.filters import names_customer
from crm_pipeline.mapping.normalize import customer_ids_of, normalize
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window, raw_contents, raw_stream, stage_normalized


def normalize_staged(
    store: Store, integration: str, spec: RecordSpec, *, window: Window, default_region: str | None, counts: Counter[str]
) -> None:
    """Normalize the window's staged raw records and add what was met to ``counts`` (mapping.normalize.Normalized)."""
    digest = mapping_digest(spec, default_region)
    for frame in raw_stream(store, integration, spec.record_type, window=window):
        looks_at_customers = any(map(names_customer, (spec.only, *(rule.only for rule in spec.owner))))
        customers = _customers(store, integration, frame) if looks_at_customers else None
        result = normalize(frame, spec=spec, default_region=default_region, customers=customers)
        with store.transaction() as connection:
            stage_normalized(connection, integration, spec.record_type, frame=result.frame, mapping_digest=digest)
        counts.update(result.counts)


def mapping_digest(spec: RecordSpec, default_region: str | None) -> str:
    """A digest of all that decides what a raw record becomes: a row that carries another one is out of date."""
    return hashlib.blake2b(f"{spec.model_dump_json()}|{default_region}".encode(), digest_size=8).hexdigest()


def _customers(store: Store, integration: str, contacts: pd.DataFrame) -> pd.Series:
    """The staged content of each contact's first customer; an empty dict where there is none."""
    ids = [_first_customer(content) for content in contacts["content"]]
    with store.transaction() as connection:
        wanted = sorted({customer_id for customer_id in ids if customer_id is not None})
        contents = raw_contents(connection, integration, RecordType.ACCOUNT, ids=wanted)
    found = [{} if customer_id is None else contents.get(customer_id, {}) for customer_id in ids]
    return pd.Series(found, index=contacts.index, dtype=object)


def _first_customer(content: object) -> int | None:
    return next(iter(customer_ids_of(content.get("customers"))), None) if isinstance(content, dict) else None
