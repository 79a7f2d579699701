"""Calls wait until they are within a limit."""

from __future__ import annotations

import threading
import time

from crm_pipeline.pacing import Pace


def test_never_more_calls_in_a_window_than_its_limit() -> None:
    pace = Pace(calls=3, seconds=0.2)
    moments = []
    for _ in range(8):
        before = time.monotonic()
        pace.wait()
        moments.append((before, time.monotonic()))
    assert all(ended - began >= 0.199 for (began, _), (_, ended) in zip(moments, moments[3:], strict=False))


def test_a_pace_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        Pace(calls=10, seconds=1).wait()
    assert set(threading.enumerate()) <= before
