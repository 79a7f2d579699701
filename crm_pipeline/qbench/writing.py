"""What is changed, made and linked in QBench, and what became of it?

Only the fields that are given are sent, and none of those that QBench keeps itself. QBench says neither how many rows a call may have,
nor whether they are taken together, nor in which order they are answered: rows are told by their ids, calls that are refused go again in
halves, and what an answer lacks is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from crm_pipeline.errors import (
    DeletedInQBenchException,
    NotTakenByQBenchException,
    QBenchFailsOnRecordException,
    RefusedByQBenchException,
    RequestRefusedError,
    ServiceError,
)
from crm_pipeline.field_names import listed
from crm_pipeline.halving import Alone, code_of, in_halves
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.answers import NOT_FOUND, RowsRefusedError
from crm_pipeline.qbench.client import QBenchClient, Query
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.qbench.customers import asked_customer_ids
from crm_pipeline.qbench.fields import KEPT_BY_QBENCH
from crm_pipeline.qbench.listing import OLDEST_FIRST, RowList
from crm_pipeline.qbench.reading import as_raw, read_by_id
from crm_pipeline.qbench.taken import not_taken
from crm_pipeline.schemas import SOURCE_CHANGES, SOURCE_RESULTS

LONGEST_BATCH = 50
"""Rows of one call. Assumed: QBench documents no limit; it is that of its lists."""

Row = tuple[int, Mapping[str, Any]]
"""A record's id, and its values to write."""


class _Result(NamedTuple):
    """A row of schemas.SOURCE_RESULTS."""

    qbench_id: int | None
    error_type: str | None = None
    error_code: str | None = None
    error_fields: str | None = None
    version: int | None = None
    content: dict[str, Any] | None = None
    unreadable: str | None = None


def change(client: QBenchClient, record_type: RecordType, changes: pd.DataFrame) -> pd.DataFrame:
    """Write values into records (schemas.SOURCE_CHANGES, at most ``LONGEST_BATCH``); what became of each (schemas.SOURCE_RESULTS).

    One call where none of them is refused. Raises a ServiceError; then all of them may be written.
    """
    changes = SOURCE_CHANGES.check(changes)
    rows: list[Row] = list(zip(changes["qbench_id"].tolist(), changes["values"].tolist(), strict=True))
    results: list[_Result] = []
    is_up = RowList(client, MODELS[record_type].qbench_object, since=0).is_up
    for part in in_halves(rows, partial(_patch, client, record_type), repeatable=True, is_up=is_up):
        if isinstance(part, Alone):
            results.append(_refused_change(client, record_type, part.item, part.error))
        else:
            results += _shown(client, record_type, part.items, part.answer)
    return _frame(results)


def create(client: QBenchClient, record_type: RecordType, values: Mapping[str, Any]) -> pd.DataFrame:
    """Make one record; what became of it, one row (schemas.SOURCE_RESULTS).

    Never sent again where QBench may have made it: raises a ServiceError whose ``executed`` says so. One by one, because of
    several in a call nobody could say which were made where one is refused.
    """
    try:
        answered = client.write("POST", MODELS[record_type].qbench_object, [_sendable(record_type, values)], repeatable=False)
    except RowsRefusedError as error:
        return _frame([_refused(None, error, values)])
    for record in answered[:1]:
        qbench_id = int(record["id"])
        return _frame(_shown(client, record_type, [(qbench_id, values)], [record]))
    return _frame([_Result(None, RefusedByQBenchException.__name__)])


def connect(client: QBenchClient, *, contact_id: int, customer_id: int) -> pd.DataFrame:
    """Link a contact to a customer, without a word to the contact; the contact as it is then, one row (schemas.SOURCE_RESULTS).

    Nothing is sent where they are linked already. Raises a ServiceError; doing it again does no harm.
    """
    customers = asked_customer_ids(client, {"id": contact_id})
    if customers is None:
        return _frame([_Result(contact_id, DeletedInQBenchException.__name__)])
    if customer_id not in customers:
        # QBench does not say what it does where the key is missing: it may mail an invitation to its portal.
        row = {"contact_id": contact_id, "customer_id": customer_id, "send_portal_invite": False}
        try:
            client.write("POST", f"contacts/{contact_id}/customers", [row], repeatable=False)
        except RowsRefusedError as error:
            return _frame([_refused(contact_id, error, row)])
    return _frame(_shown(client, RecordType.CONTACT, [(contact_id, {})], []))


def matching(client: QBenchClient, record_type: RecordType, value: str) -> pd.DataFrame:
    """Live records that may have this name (customers) or email address (contacts), as ``read_changes`` gives them (schemas.RAW).

    QBench looks for emails exactly, for names by words: whoever asks compares. Raises a ServiceError.
    """
    model = MODELS[record_type]
    only: Query = {"name_keyword": value} if model.parent is None else {"email_addresses[]": [value]}
    found: dict[int | None, dict[str, Any]] = {}
    page, more = 1, True
    while more:
        listing = client.list_page(model.qbench_object, page=page, size=client.settings.page_size, parameters={**OLDEST_FIRST, **only})
        new = {record_id(record["id"]): record for record in listing.records}
        more = listing.more and not new.keys() <= found.keys()
        found |= new
        page += 1
    return as_raw(client, record_type, list(found.values()))


def _patch(client: QBenchClient, record_type: RecordType, rows: Sequence[Row], /, *, again: bool) -> list[dict[str, Any]]:
    bodies = [{"id": qbench_id, **_sendable(record_type, values)} for qbench_id, values in rows]
    return (client.once if again else client).write("PATCH", MODELS[record_type].qbench_object, bodies, repeatable=True)


def _sendable(record_type: RecordType, values: Mapping[str, Any]) -> dict[str, Any]:
    if forbidden := values.keys() & set(KEPT_BY_QBENCH[record_type]):
        raise ValueError(f"fields that QBench keeps itself are never written: {', '.join(sorted(forbidden))}")
    return dict(values)


def _refused_change(client: QBenchClient, record_type: RecordType, row: Row, error: ServiceError) -> _Result:
    """What became of a row that QBench fails on, or refuses, when it is sent alone."""
    qbench_id, values = row
    if not isinstance(error, RowsRefusedError):
        return _Result(qbench_id, QBenchFailsOnRecordException.__name__, code_of(error))
    if error.code != NOT_FOUND:
        return _refused(qbench_id, error, values)
    if not read_by_id(client, record_type, [qbench_id]).frame.empty:
        raise RequestRefusedError(
            f"{client.caller.host} refuses with status {NOT_FOUND} to change {MODELS[record_type].qbench_object} {qbench_id}, which is "
            "there; ask QBench's support whether the tenant has this call",
            code=NOT_FOUND,
            **client.caller.names,
        )
    return _Result(qbench_id, DeletedInQBenchException.__name__)


def _refused(qbench_id: int | None, error: RowsRefusedError, values: Mapping[str, Any]) -> _Result:
    # Only words that are names of ours: others may be values of records.
    named = listed(name for name in values if name in error.words)
    return _Result(qbench_id, RefusedByQBenchException.__name__, error.code, named or None)


def _shown(client: QBenchClient, record_type: RecordType, rows: Sequence[Row], answered: list[dict[str, Any]]) -> list[_Result]:
    """What became of rows that were written: of the answered records, and of those that the answer lacks, read by their ids."""
    by_id = {record_id(record["id"]): record for record in answered}
    told = as_raw(client, record_type, [by_id[qbench_id] for qbench_id, _ in rows if qbench_id in by_id])
    read = read_by_id(client, record_type, [qbench_id for qbench_id, _ in rows if qbench_id not in by_id])
    columns = ("qbench_id", "version", "content", "unreadable")
    found = {row[0]: row for raw in (told, read.frame) for row in zip(*(raw[name].tolist() for name in columns), strict=True)}
    results = []
    for qbench_id, values in rows:
        if qbench_id in found:
            _, version, content, unreadable = found[qbench_id]
            lost = not_taken(values, content, zone=client.zone)
            error_type = NotTakenByQBenchException.__name__ if lost else None
            results.append(_Result(qbench_id, error_type, None, listed(lost) or None, version, content, unreadable))
        else:
            error = QBenchFailsOnRecordException if qbench_id in read.failed else DeletedInQBenchException
            results.append(_Result(qbench_id, error.__name__))
    return results


def _frame(results: Sequence[_Result]) -> pd.DataFrame:
    return SOURCE_RESULTS.of_rows(_Result._fields, results)
