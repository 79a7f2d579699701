"""Turns staged raw records into staged normalized ones, frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import plain
from crm_pipeline.mapping.filters import names_customer
from crm_pipeline.mapping.normalize import customer_ids_of, live_customers, normalize
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.revision import mapping_digest
from crm_pipeline.mapping.sources import names_customers
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType, children
from crm_pipeline.store.customers_seen import Look, begin_look, forget_looks, save_look
from crm_pipeline.store.database import Store
from crm_pipeline.store.mapping_seen import MappingLook, begin_mapping_look, save_mapping_look
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline.store.out_of_date import ids_to_normalize_again
from crm_pipeline.store.raw_records import RAW_FRAME_ROWS, deleted_ids, raw_by_id, raw_stream
from crm_pipeline.store.staging import Window


def normalize_staged(store: Store, integration: str, record: RecordSpec, *, window: Window, reading: Reading, counts: Counter[str]) -> None:
    """Normalize the window's staged raw records and add what was met to ``counts`` (mapping.normalize.Normalized).

    And those outside of it whose normalized state is out of date for another cause than their own change; they are counted
    as ``again`` too.
    """
    digest = mapping_digest(record, reading)
    look = _look_at_customers(store, integration, record)
    told = _look_at_told(store, integration, record, digest=digest)
    frames = raw_stream(store, integration, MODELS[record.record_type].source, window=window)
    others = _out_of_date(store, integration, record, window=window, digest=digest, look=look, told=told, counts=counts)
    for frame in chain(frames, others):
        counts.update(_normalize(store, integration, record, frame=frame, reading=reading))
    with store.transaction() as connection:
        if look is not None:
            save_look(connection, integration, record.record_type, look)
        if told is not None:
            save_mapping_look(connection, integration, record.record_type, told)


def normalize_named(store: Store, integration: str, record: RecordSpec, *, ids: Sequence[int], reading: Reading) -> None:
    """Normalize the staged raw records of these QBench ids."""
    for start in range(0, len(ids), RAW_FRAME_ROWS):
        with store.transaction() as connection:
            frame = raw_by_id(connection, integration, MODELS[record.record_type].source, ids=list(ids[start : start + RAW_FRAME_ROWS]))
        _normalize(store, integration, record, frame=frame, reading=reading)


def _normalize(store: Store, integration: str, record: RecordSpec, *, frame: pd.DataFrame, reading: Reading) -> dict[str, int]:
    """Normalize staged raw rows and stage what they become; what was met (mapping.normalize.Normalized).

    In one transaction: what was made of a customer cannot be stored long after that one changed (store.customers_seen).
    """
    parent = MODELS[MODELS[record.record_type].source].parent
    ids = [] if parent is None else [_customer_ids(content) for content in frame["content"]]
    looks = names_customers(record)
    with store.transaction() as connection:
        deleted = frozenset() if parent is None else _deleted_customers(connection, integration, parent, ids)
        live = None if parent is None else [live_customers(of_one, deleted) for of_one in ids]
        customers = None
        if parent is not None and (looks or any(names_customer(rule.only) for rule in record.owner)):
            customers = _customers(connection, integration, parent, live or [])
        contents = None if customers is None else customers["content"]
        result = normalize(frame, spec=record, default_region=reading.default_region, customers=contents, customer_ids=live)
        stage_normalized(
            connection,
            integration,
            record.record_type,
            frame=result.frame,
            mapping_digest=mapping_digest(record, reading),
            customers=_several_customers(ids, deleted) if ids else None,
            revisions=frame["revision"].tolist(),
            customer_revisions=None if customers is None else plain(customers["revision"]),
        )
        if parent is not None and not looks:
            forget_looks(connection, integration, record.record_type)
    return result.counts


def _look_at_customers(store: Store, integration: str, record: RecordSpec) -> Look | None:
    """Begin to look at the customers that the record's rules have not seen, None where they look at none."""
    if not names_customers(record):
        return None
    with store.transaction() as connection:
        return begin_look(connection, integration, record.record_type)


def _look_at_told(store: Store, integration: str, record: RecordSpec, *, digest: str) -> MappingLook | None:
    """Which decisions on records that are told of changes are to be looked at, None where all records are, as those of customers."""
    if children(record.record_type):
        return None
    with store.transaction() as connection:
        return begin_mapping_look(connection, integration, record.record_type, mapping_digest=digest)


def _out_of_date(
    store: Store,
    integration: str,
    record: RecordSpec,
    *,
    window: Window,
    digest: str,
    look: Look | None,
    told: MappingLook | None,
    counts: Counter[str],
) -> Iterator[pd.DataFrame]:
    customers_since = None if look is None else look.since
    told_since = None if told is None else told.since
    with store.transaction() as connection:
        ids = ids_to_normalize_again(
            connection, integration, record.record_type, mapping_digest=digest, told_since=told_since, customers_since=customers_since
        )
    for start in range(0, len(ids), RAW_FRAME_ROWS):
        with store.transaction() as connection:
            frame = raw_by_id(connection, integration, MODELS[record.record_type].source, ids=ids[start : start + RAW_FRAME_ROWS])
        frame = frame[~window.covers(frame["version"])].reset_index(drop=True)
        counts["again"] += len(frame)
        if len(frame):
            yield frame


def _customer_ids(content: object) -> tuple[int, ...]:
    return customer_ids_of(content.get("customers")) if isinstance(content, dict) else ()


def _deleted_customers(connection: Connection, integration: str, record_type: RecordType, ids: Sequence[tuple[int, ...]]) -> frozenset[int]:
    return deleted_ids(connection, integration, record_type, ids=sorted({number for of_one in ids for number in of_one}))


def _several_customers(ids: Sequence[tuple[int, ...]], deleted: frozenset[int]) -> list[list[int] | None]:
    """Per contact its customers where they are several, negative where left out as deleted; else None."""
    return [[-number if number in deleted else number for number in of_one] if len(of_one) > 1 else None for of_one in ids]


def _customers(connection: Connection, integration: str, record_type: RecordType, ids: Sequence[tuple[int, ...]]) -> pd.DataFrame:
    """Content and revision of each contact's first customer as staged; an empty dict and null where there is none."""
    first = [next(iter(of_one), None) for of_one in ids]
    wanted = sorted({customer_id for customer_id in first if customer_id is not None})
    staged = raw_by_id(connection, integration, record_type, ids=wanted).set_index("qbench_id")
    contents, revisions = staged["content"].to_dict(), staged["revision"].to_dict()
    content = pd.Series([contents.get(customer_id, {}) for customer_id in first], dtype=object)
    return pd.DataFrame({"content": content, "revision": pd.array([revisions.get(customer_id) for customer_id in first], dtype="Int64")})
