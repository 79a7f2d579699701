"""Reads named records from QBench now, whatever their dates, and normalizes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.source import Source
from crm_pipeline.store.database import Store
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage

BATCH = 500
"""Records that are read before they are staged."""


@dataclass(frozen=True, slots=True)
class NamedRead:
    """QBench ids by what became of them.

    ``read``; ``gone``: QBench does not have them, or no more; ``failed``: it fails to show them.
    """

    read: tuple[int, ...]
    gone: tuple[int, ...]
    failed: tuple[int, ...]


def read_named(
    integration: str,
    record: RecordSpec,
    *,
    ids: Sequence[int],
    store: Store,
    source: Source,
    values: Reading,
    back: ComingBack = NOTHING,
) -> NamedRead:
    """Read these records, stage and normalize them; ``values``: how their values are read. Raises the ServiceError that stopped it.

    What a named record has now goes to the other CRMs with their next loads.
    """
    read: set[int] = set()
    failed: set[int] = set()
    with reading(source, integration=integration, store=store):
        for start in range(0, len(ids), BATCH):
            answer = source.by_id(record.record_type, ids[start : start + BATCH])
            read.update(answer.frame["qbench_id"].tolist())
            failed.update(answer.failed)
            with store.transaction() as connection:
                # No window need hold what changed since the last one.
                stage(connection, integration, record.record_type, frame=answer.frame, source=source, back=back, late=True)
    found = NamedRead(
        read=tuple(number for number in ids if number in read),
        gone=tuple(number for number in ids if number not in read | failed),
        failed=tuple(number for number in ids if number in failed),
    )
    normalize_named(store, integration, record, ids=found.read, reading=values)
    return found
