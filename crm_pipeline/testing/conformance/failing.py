"""What a client does when the CRM fails: on one record, on a batch, for a while, or for good."""

from __future__ import annotations

import math
import re
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.testing.batches import Put, writes_of
from crm_pipeline.testing.bench import Bench, Request
from crm_pipeline.testing.conformance.common import (
    ACCOUNT,
    ALONE,
    added,
    break_next,
    errors_of,
    halvings,
    has_keys,
    new,
    only_record,
    plain,
    written,
)

POISON = "Zaphod"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
FAILING_INSIDE: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "html", "status": 200},
    {"kind": "html", "status": 403},
    {"kind": "status", "status": 504},
]


def repeatable(bench: Bench, crm: Crm, rows: int, *, poisoned: int | None = None) -> tuple[Request, list[Put]]:
    """A write of accounts that may be sent again whatever became of it, as far as one call takes them, and its request.

    Creates with a key or, in a CRM that keeps no field unique, updates. The row ``poisoned`` is not like the others.
    """
    text, numbers = bench.fields[ACCOUNT].text, range(min(rows, crm.capabilities.batch_size))
    odd = {poisoned: {text: POISON}}
    if has_keys(bench):
        return bench.keyed_create(ACCOUNT), [new(bench, ACCOUNT, number, **odd.get(number, {})) for number in numbers]
    there = [added(bench, ACCOUNT, number) for number in numbers]
    return bench.update(ACCOUNT), [Put(number, odd.get(number, {text: "new"}), crm_id=crm_id) for number, crm_id in enumerate(there)]


def test_busy_service_is_asked_again(bench: Bench, crm: Crm) -> None:
    request, rows = repeatable(bench, crm, 1)
    break_next(bench, request, kind="status", status=503)
    assert errors_of(written(crm, bench.object(ACCOUNT), *rows)) == {0: None}
    assert crm.calls.snapshot()["write"] == 2


@pytest.mark.parametrize("asked", ["86400", TOMORROW], ids=["seconds", "date"])
def test_service_that_says_to_come_back_tomorrow_is_left_alone_until_a_later_run(bench: Bench, crm: Crm, asked: str) -> None:
    request, rows = repeatable(bench, crm, 9)
    break_next(bench, request, status=503, times=None, headers={"Retry-After": asked})
    with pytest.raises(ServiceUnavailableError) as raised:
        crm.write(bench.object(ACCOUNT), writes_of(*rows))
    assert raised.value.wait_seconds == pytest.approx(86_400, abs=3_600)
    assert crm.calls.snapshot()["write"] == 1


def test_update_is_made_again_after_a_lost_connection(bench: Bench, crm: Crm) -> None:
    text, crm_id = bench.fields[ACCOUNT].text, added(bench, ACCOUNT)
    break_next(bench, bench.update(ACCOUNT), kind="drop_before")
    assert errors_of(written(crm, bench.object(ACCOUNT), Put(7, {text: "new"}, crm_id=crm_id))) == {7: None}
    assert only_record(bench, ACCOUNT)[text] == plain(bench, "new")


@pytest.mark.parametrize("failure", FAILING_INSIDE, ids=lambda failure: "-".join(map(str, failure.values())))
def test_record_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm, failure: dict[str, Any]) -> None:
    ill = min(2, crm.capabilities.batch_size - 1)
    request, rows = repeatable(bench, crm, 20, poisoned=ill)
    break_next(bench, request, holding=POISON, times=None, **failure)
    results = written(crm, bench.object(ACCOUNT), *rows)
    assert errors_of(results) == {**dict.fromkeys(range(len(rows))), ill: ALONE}
    assert {row["created"] for number, row in results.items() if number != ill} <= {has_keys(bench), None}
    assert crm.calls.snapshot()["write"] <= 2 + 2 * halvings(len(rows))


def test_update_that_the_crm_fails_on_takes_no_other_down(bench: Bench, crm: Crm) -> None:
    text = bench.fields[ACCOUNT].text
    ids = [added(bench, ACCOUNT, number) for number in range(5)]
    break_next(bench, bench.update(ACCOUNT), holding=POISON, times=None, status=500)
    rows = [Put(number, {text: POISON if number == 2 else "new"}, crm_id=crm_id) for number, crm_id in enumerate(ids)]
    assert errors_of(written(crm, bench.object(ACCOUNT), *rows)) == {**dict.fromkeys(range(5)), 2: ALONE}


def test_record_that_the_crm_fails_on_is_to_blame_when_it_is_the_only_one_too(bench: Bench, crm: Crm) -> None:
    request, rows = repeatable(bench, crm, 1)
    break_next(bench, request, times=None, status=500)
    result = written(crm, bench.object(ACCOUNT), *rows)[0]
    assert result["error_type"] == ALONE
    assert result["error_code"]


@pytest.mark.parametrize("rows", [1, 100])
def test_service_that_is_down_counts_as_down_after_a_few_calls(bench: Bench, crm: Crm, rows: int) -> None:
    crm.organization()
    _, batch = repeatable(bench, crm, rows)
    bench.faults.add(Fault(status=503, times=None))
    before = len(bench.journal.calls())
    with pytest.raises(ServiceUnavailableError):
        crm.write(bench.object(ACCOUNT), writes_of(*batch))
    attempts = 2
    assert len(bench.journal.calls()) - before - attempts <= 2 * math.log2(len(batch)) + 2


def test_batch_that_takes_too_long_is_not_sent_again_as_it_is(bench: Bench, crm: Crm) -> None:
    """Halves are sent; a single record that takes too long is sent once more."""
    request, rows = repeatable(bench, crm, 10)
    break_next(bench, request, kind="delay", until=threading.Event())
    with closing(bench.connect(timeout_seconds=0.5, **({} if has_keys(bench) else {"external_key": None}))) as hasty:
        assert set(errors_of(written(hasty, bench.object(ACCOUNT), *rows)).values()) == {None}
        calls = [
            call for call in bench.journal.calls(bench.kind.name) if call.method == request.method and re.search(request.path, call.path)
        ]
        assert len(calls) == min(2, len(rows))
