"""What changed in QBench within a window? Its records as a stream of frames, none missed while users go on editing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from crm_pipeline.errors import RequestRefusedError, ServiceError
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.answers import NOT_FOUND
from crm_pipeline.qbench.client import QBenchClient, may_go_on
from crm_pipeline.qbench.customers import asked_customer_ids, customers_of_each, with_customers, without_customers
from crm_pipeline.qbench.dividing import may_be_in_parts
from crm_pipeline.qbench.listing import DELETED, VERSION_KEY, Row, RowList
from crm_pipeline.qbench.one_by_one import read_each
from crm_pipeline.qbench.walking import Walk
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, RAW
from crm_pipeline.source import Gap, Page, ReadById

FRAME_ROWS = 2000
USUAL_PORTS = {"http": 80, "https": 443}
"""The port that an address means where it names none."""

logger = logging.getLogger(__name__)


def organization(client: QBenchClient) -> str:
    """What tells this tenant from every other one: the host of its address, and the port that it names. Makes no call."""
    address = urlsplit(client.settings.url)
    return client.caller.host if address.port in {None, USUAL_PORTS[address.scheme]} else f"{client.caller.host}:{address.port}"


def read_one(client: QBenchClient, record_type: RecordType, qbench_id: int) -> dict[str, Any] | None:
    """One record as ``read_changes`` gives it, or None where QBench has none (any more). Raises a ServiceError."""
    try:
        record = client.record(f"{MODELS[record_type].qbench_object}/{qbench_id}")
    except RequestRefusedError as error:
        if error.code == NOT_FOUND:
            return None
        raise
    if MODELS[record_type].parent is None:
        return record
    customers = asked_customer_ids(client, record)
    return None if customers is None else with_customers(record, customers)


def read_by_id(client: QBenchClient, record_type: RecordType, ids: Sequence[int]) -> ReadById:
    """These records, those that QBench does not have (any more) left out.

    One call each, several at a time; ``together`` reads many of which it is known what they were. A record that QBench fails on keeps
    no other back.
    Raises the ServiceError of a QBench that answers nothing else either.
    """
    if not ids:
        return ReadById(RAW.empty())
    return _read_each(client, record_type, ids, read=lambda once, qbench_id: read_one(once, record_type, qbench_id))


def as_raw(client: QBenchClient, record_type: RecordType, records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Records that QBench answered to something else than a list, as ``read_changes`` gives them (schemas.RAW)."""
    rows = RowList(client, MODELS[record_type].qbench_object, since=0)
    return _as_raw(client, record_type, [rows.row(record) for record in records])


def read_restored(client: QBenchClient, record_type: RecordType, ids: Sequence[int]) -> ReadById:
    """Those of these records, once deleted, that QBench has again.

    It may answer deleted ones by their ids too (not documented), so only what its list of live records shows is back.
    """
    live = RowList(client, MODELS[record_type].qbench_object, since=0)

    def read(once: QBenchClient, qbench_id: int) -> dict[str, Any] | None:
        record = read_one(once, record_type, qbench_id)
        return record if record is not None and _is_listed(replace(live, client=once), live.row(record)) else None

    return _read_each(client, record_type, ids, read=read)


def _read_each(
    client: QBenchClient, record_type: RecordType, ids: Sequence[int], *, read: Callable[[QBenchClient, int], dict[str, Any] | None]
) -> ReadById:
    rows = RowList(client, MODELS[record_type].qbench_object, since=0)
    answers = read_each(client, ids, read, is_up=lambda _: bool(rows.page(1, position=0, size=1).places))
    for qbench_id, error in answers.failed.items():
        logger.warning("%s %d cannot be read: %s", rows.name, qbench_id, error)
    found = [record for qbench_id in ids if (record := answers.read.get(qbench_id)) is not None]
    return ReadById(
        _frame([(rows.row(record), record) for record in found]), [qbench_id for qbench_id in ids if qbench_id in answers.failed]
    )


class Reading:
    """A read of a list (read_changes, read_deletions): an iterator of its pages.

    ``newest``: the latest version that QBench showed while it was read, behind the window's end too; None where it showed none.
    ``gaps``: the records of the window that QBench failed to list, so far.
    """

    def __init__(self, walk: Walk, pages: Iterator[Page]) -> None:
        self._walk = walk
        self._pages = pages

    def __iter__(self) -> Iterator[Page]:
        return self

    def __next__(self) -> Page:
        return next(self._pages)

    @property
    def newest(self) -> int | None:
        """The latest version seen so far."""
        return self._walk.newest

    @property
    def gaps(self) -> list[Gap]:
        """The records that could not be listed so far."""
        return self._walk.gaps


def read_changes(client: QBenchClient, record_type: RecordType, *, since: int | None, until: int, resume: int | None = None) -> Reading:
    """The records last updated in ``since <= version < until`` (Unix seconds), oldest first, as pages of about 2,000 rows.

    ``since`` None is the beginning of time; ``resume`` is the ``position`` of the last page of a read of the same window that
    broke off. When the iterator ends, everything before ``until`` has been yielded; a window without records yields no page.

    Records are as QBench gave them, except that contacts have ``customers`` as ``[{"id": 41}, ...]``, and lack it where QBench fails
    to tell them, which ``unreadable`` says. One that is edited during the read may come twice, with two versions. One whose date
    cannot be read takes the version of the one before it and names the field in ``unreadable``. One that QBench fails to list is left
    out, and the read's ``gaps`` tell where it stands. Raises a ServiceError; an UnexpectedAnswerError where a complete read cannot be
    had.
    """
    start = max(since or 0, 0)
    walk = Walk(RowList(client, MODELS[record_type].qbench_object, start), until=until)
    return Reading(walk, (_page(walk, record_type, rows) for rows in _gathered(walk, max(start, resume or 0))))


def read_deletions(client: QBenchClient, record_type: RecordType, *, since: int | None, until: int) -> Reading:
    """The records deleted in ``since <= version < until``, in pages as ``read_changes`` gives them, their customers left as they are.

    One call where nothing was deleted. A server that does not know the parameter, or adds deleted records to the live ones, must not
    have live ones taken for deleted: where that may be, the list of live records is read too. A deleted record's ``last_updated`` is
    taken for the time of its deletion (assumed; QBench documents the list, not that date, nor whether a deleted record is still
    answered by its id).
    """
    start = max(since or 0, 0)
    live = RowList(client, MODELS[record_type].qbench_object, start)
    walk = Walk(replace(live, only=DELETED), until=until)
    return Reading(walk, _deletions(walk, live, start))


def _deletions(walk: Walk, live: RowList, start: int) -> Iterator[Page]:
    client = live.client
    live_ids: set[int] | None = None
    for rows in _gathered(walk, start):
        if live_ids is None and _may_hold_live_ones(rows, total=walk.total, live=live):
            of_live = Walk(live, until=sys.maxsize)
            live_ids = {row.qbench_id for found in of_live.rows(start) for row in found}
            if of_live.gaps:
                # Whether the record that is not listed is among these, nobody knows: none is called deleted.
                walk.gaps += of_live.gaps
                return
        deleted = [row for row in rows if live_ids is None or row.qbench_id not in live_ids]
        if len(deleted) < len(rows):
            logger.warning(
                "integration %s: QBench lists %d %s as deleted that it lists as live too; taken for live",
                client.integration,
                len(rows) - len(deleted),
                live.name,
            )
        if deleted:
            logger.info("integration %s: read %d deleted %s of QBench", client.integration, len(deleted), live.name)
            yield Page(_frame([(row, row.content) for row in deleted]).assign(deleted=True), walk.position, walk.total)


def deleted_since(client: QBenchClient, record_type: RecordType, seconds: int) -> frozenset[int] | None:
    """Ids of the records deleted since then, whatever date they carry; None where QBench does not answer the probe for changes."""
    try:
        return client.deleted_since(MODELS[record_type].qbench_object.removesuffix("s"), seconds)
    except ServiceError as error:
        if not (isinstance(error, RequestRefusedError) or may_be_in_parts(error)):
            raise
        logger.warning("%s; the list of deleted records is read instead. If this stays, set qbench.updates_probe to false", error)
        return None


def _may_hold_live_ones(rows: list[Row], *, total: int | None, live: RowList) -> bool:
    """Whether a list of deletions may be one of all records: it is as long as that of the live ones, or shares its ends with it."""
    of_live = live.page(1, position=live.since, size=1).total
    return total is None or of_live is None or total >= of_live or any(_is_listed(live, rows[at]) for at in {0, len(rows) - 1})


def _is_listed(live: RowList, row: Row) -> bool:
    """Whether a list holds a record that another one shows at this place."""
    number, places, more = 0, 0, True
    while more:
        number += 1
        page = live.page(number, position=row.place, size=live.client.settings.page_size)
        if any(found.qbench_id == row.qbench_id for found in page.rows):
            return True
        places += page.places
        follow = may_go_on(more=page.more, total=page.total, here=page.places, read=places)
        more = follow and not (page.in_order and page.last_place > row.latest)
    return False


def _gathered(walk: Walk, start: int) -> Iterator[list[Row]]:
    """The rows of a walk in lists of about ``FRAME_ROWS``, in which none stands twice."""
    gathered: dict[tuple[int, int], Row] = {}
    for rows in walk.rows(start):
        gathered.update(((row.qbench_id, row.version), row) for row in rows)
        if len(gathered) >= FRAME_ROWS:
            yield list(gathered.values())
            gathered = {}
    if gathered:
        yield list(gathered.values())


def _page(walk: Walk, record_type: RecordType, rows: list[Row]) -> Page:
    client = walk.source.client
    frame = _as_raw(client, record_type, rows)
    logger.debug("integration %s: read %d %s of QBench, up to %d", client.integration, len(frame), walk.source.name, walk.position)
    return Page(frame, walk.position, walk.total)


def _as_raw(client: QBenchClient, record_type: RecordType, rows: list[Row]) -> pd.DataFrame:
    return _frame([(row, row.content) for row in rows]) if MODELS[record_type].parent is None else _contacts(client, rows)


def _contacts(client: QBenchClient, rows: list[Row]) -> pd.DataFrame:
    """The rows with their customers; where QBench fails to tell them, without, and marked so. Those deleted meanwhile are left out."""
    customers = customers_of_each(client, [row.content for row in rows])
    untold = {row.qbench_id for row, ids in zip(rows, customers, strict=True) if isinstance(ids, ServiceError)}
    kept = [
        (row, without_customers(row.content) if isinstance(ids, ServiceError) else with_customers(row.content, ids))
        for row, ids in zip(rows, customers, strict=True)
        if ids is not None
    ]
    return _frame(kept, untold=untold)


def _frame(kept: list[tuple[Row, dict[str, Any]]], *, untold: Collection[int] = ()) -> pd.DataFrame:
    """Raw rows (schemas.RAW); ``untold``: ids of the contacts whose customers are unknown."""
    rows = [
        (row.qbench_id, row.version, content, VERSION_KEY if not row.readable else CUSTOMERS_UNKNOWN if row.qbench_id in untold else None)
        for row, content in kept
    ]
    return RAW.of_rows(("qbench_id", "version", "content", "unreadable"), rows)
