"""What the tests of the suite share: the adapters under test, and what may be asked of one that cannot do everything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.testing.batches import Put, results_by_id, valid, writes_of
from crm_pipeline.testing.bench import Bench, Request

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
SECRET_WORDS = "Zaphod Beeblebrox"
ALONE = CrmFailsOnRecordException.__name__

both_types = pytest.mark.parametrize("record_type", [ACCOUNT, CONTACT])


@pytest.fixture
def crm(bench: Bench) -> Iterator[Crm]:
    """The adapter, with an external key where the CRM keeps a field unique."""
    with closing(bench.connect() if has_keys(bench) else bench.connect(external_key=None)) as adapter:
        yield adapter


@pytest.fixture
def keyless(bench: Bench) -> Iterator[Crm]:
    """The adapter without an external key."""
    with closing(bench.connect(external_key=None)) as adapter:
        yield adapter


def has_keys(bench: Bench) -> bool:
    """Whether the CRM keeps a field unique, so that records carry an external key."""
    return bench.kind.capabilities.unique_keys


def has_own_ids(bench: Bench) -> bool:
    """Whether a new record's id is made of its key, so that it is never made twice."""
    return bench.kind.capabilities.own_ids


def key_of(bench: Bench, key: str) -> str | None:
    """The external key that is given to a record; null where the CRM keeps no field unique."""
    return key if has_keys(bench) else None


def new(bench: Bench, record_type: RecordType, number: int, /, **values: object) -> Put:
    """A create that the CRM accepts, with a key where there are keys; ``values``: further ones, by CRM field."""
    return Put(number, {**valid(bench, record_type, number), **values}, key=key_of(bench, str(number)))


def create_of(bench: Bench, record_type: RecordType) -> Request:
    """The request that such a create makes."""
    return (bench.keyed_create if has_keys(bench) else bench.plain_create)(record_type)


def added(bench: Bench, record_type: RecordType, number: int = 1, /, *, key: str | None = None, **values: object) -> str:
    """The id of a record that is there already; ``key``: the external key that it carries, where there are keys."""
    keys = {bench.key: key} if key is not None and has_keys(bench) else {}
    return bench.add(record_type, {**valid(bench, record_type, number), **values, **keys})


def written(crm: Crm, crm_object: CrmObject, *rows: Put) -> dict[int, dict[str, Any]]:
    """The results by QBench id, of rows written in batches that the CRM takes."""
    size = crm.capabilities.batch_size
    results: dict[int, dict[str, Any]] = {}
    for start in range(0, len(rows), size):
        results |= results_by_id(crm.write(crm_object, writes_of(*rows[start : start + size])))
    return results


def associated(crm: Crm, rows: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The results by QBench id, of associations (schemas.ASSOCIATIONS) made in batches that the CRM takes."""
    size = crm.capabilities.association_batch_size
    results: dict[int, dict[str, Any]] = {}
    for start in range(0, len(rows), size):
        results |= results_by_id(crm.associate(rows.iloc[start : start + size].reset_index(drop=True)))
    return results


def errors_of(results: Mapping[int, Mapping[str, Any]]) -> dict[int, str | None]:
    """By QBench id, the error type."""
    return {qbench_id: row["error_type"] for qbench_id, row in results.items()}


def plain(bench: Bench, text: object) -> object:
    """A text as it can be compared: as it is, or folded where the CRM writes texts in its own way."""
    return fold_text(text) if isinstance(text, str) and not bench.kind.capabilities.keeps_text else text


def only_record(bench: Bench, record_type: RecordType) -> dict[str, Any]:
    """The one record that there is, its texts as they can be compared; without a value: null."""
    records = bench.records(record_type)
    assert len(records) == 1
    names = bench.fields[record_type]
    held = {name: plain(bench, value) for name, value in records[0].items()}
    return {**dict.fromkeys((names.match, names.text, names.choice, bench.key)), **held, "id": records[0]["id"]}


def break_next(bench: Bench, request: Request, **fault: Any) -> None:
    """Plan a fault for a request of the adapter."""
    bench.faults.add(Fault(method=request.method, path=request.path, service=bench.kind.name, **fault))


def fail_on(bench: Bench, text: str, **fault: Any) -> None:
    """Let the CRM fail whenever it is asked for what holds this text."""
    bench.faults.add(Fault(service=bench.kind.name, holding=text, times=None, **{"status": 500, **fault}))


def fail_on_record(bench: Bench, crm_id: str) -> None:
    """Let the CRM fail whenever a request names this record, wherever that stands."""
    bench.faults.add(Fault(service=bench.kind.name, naming=crm_id, times=None, status=500))


def halvings(rows: int) -> int:
    """How often a batch is halved until each of its rows stands alone."""
    return math.ceil(math.log2(rows))


def assert_says_nothing_secret(error: Exception) -> None:
    """An error repeats no value that was sent, nor what it came from."""
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert "Zaphod" not in f"{error!s} {error!r} {vars(error)!r}"
