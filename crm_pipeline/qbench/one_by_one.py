"""Does a read fail because of one record, or because QBench is down? Records are asked for one by one, so that none stops the others.

QBench can fail, or refuse to answer, whenever it is asked for one certain record. Each read goes out once; those that failed go
out once more at the end. What fails then fails for its record's sake if QBench is up: another read got through, or a cheap
question is answered. That question is asked with all retries, so a QBench that is away for a moment is waited for there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from crm_pipeline.calls import spaced
from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError
from crm_pipeline.qbench.answers import FORBIDDEN
from crm_pipeline.qbench.client import QBenchClient

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST_FAILURES = 5
"""Reads that fail one after the other before QBench is asked whether it is up; twice as many before it is asked again."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EachRead(Generic[K, V]):
    """What was read of each record, and the error of each whose own read fails."""

    read: Mapping[K, V]
    failed: Mapping[K, ServiceError]


def read_each(
    client: QBenchClient,
    items: Sequence[K],
    read: Callable[[QBenchClient, K], V],
    *,
    is_up: Callable[[Mapping[K, ServiceError]], bool],
) -> EachRead[K, V]:
    """Read each of these, several at a time. ``read`` is given the client to ask, and raises a ServiceError.

    ``is_up``: whether QBench answers for others than those that failed; it may raise what QBench answers in its place.
    Raises the ServiceError of refused credentials, of limits, of an unreachable QBench at once, and of one that is down.
    """
    if not items:
        return EachRead({}, {})
    found: dict[K, V] = {}
    failed, at_the_end = _round(client, items, read, is_up, found)
    if failed:
        if at_the_end and not is_up(failed):
            raise next(iter(failed.values()))
        time.sleep(spaced(1, client.settings.waits))
        failed, _ = _round(client, list(failed), read, is_up, found)
    return EachRead(found, failed)


def is_of_one_record(error: ServiceError) -> bool:
    """Whether an error may be one record's matter: QBench answered, or nobody knows what became of the call."""
    if isinstance(error, AuthenticationError):
        return error.code == FORBIDDEN
    return error.executed or isinstance(error, RequestRefusedError)


def _round(
    client: QBenchClient,
    items: Sequence[K],
    read: Callable[[QBenchClient, K], V],
    is_up: Callable[[Mapping[K, ServiceError]], bool],
    found: dict[K, V],
) -> tuple[dict[K, ServiceError], int]:
    """Read each once into ``found``; the errors of the others, and how many of them failed behind all that got through."""
    once = client.once
    failed: dict[K, ServiceError] = {}
    in_a_row, most = 0, MOST_FAILURES
    at_a_time = client.settings.limits.concurrent

    def outcome(item: K) -> V | ServiceError:
        try:
            return read(once, item)
        except ServiceError as error:
            return error

    with ThreadPoolExecutor(at_a_time, thread_name_prefix="qbench") as pool:
        # In slices: what is under way while QBench is asked whether it is up is bounded.
        for start in range(0, len(items), at_a_time):
            these = items[start : start + at_a_time]
            for item, answer in zip(these, pool.map(outcome, these), strict=True):
                if not isinstance(answer, ServiceError):
                    found[item], in_a_row = answer, 0
                    continue
                if not is_of_one_record(answer):
                    raise answer
                failed[item] = answer
                in_a_row += 1
                if in_a_row >= most:
                    if not is_up(failed):
                        raise answer
                    in_a_row, most = 0, 2 * most
    return failed, in_a_row
