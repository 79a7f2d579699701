"""What the log says about how far a step is."""

from __future__ import annotations

import logging

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sync import progress as steps
from crm_pipeline.sync.progress import progress
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (progress(50, 200, seconds=10), "50 of 200 rows (25 %), 10 s, about 30 s left"),
        (progress(150, 200, seconds=10, skipped=100), "150 of 200 rows (75 %), 10 s, about 10 s left"),
        (progress(200, 200, seconds=10), "200 of 200 rows (100 %), 10 s"),
        (progress(0, 200, seconds=1), "0 of 200 rows (0 %), 1 s"),
        (progress(50, None, seconds=10), "50 rows, 10 s"),
        (progress(210, 200, seconds=10), "210 rows, 10 s"),
        (progress(0, 0, seconds=0), "0 of 0 rows (100 %), 0 s"),
    ],
)
def test_progress_says_rows_seconds_and_what_is_left(said: str, expected: str) -> None:
    assert said == expected


def test_load_tells_from_time_to_time_what_it_wrote_of_how_many_rows_by_how_many_calls(
    hubspot: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "EVERY_SECONDS", 0)
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 251)))
    lines = loading(hubspot, spec, caplog)
    assert [line.split("%")[0] for line in lines] == [
        f"acme hubspot accounts: wrote {rows}, 0 of them refused; {done} of 250 rows ({share} "
        for rows, done, share in ((100, 100, 40), (100, 200, 80), (50, 250, 100))
    ]
    assert lines[-1].endswith(f"; {sum(hubspot.calls.values())} calls")


def test_load_of_a_moment_tells_once_of_all_that_it_wrote(hubspot: Bench, caplog: pytest.LogCaptureFixture) -> None:
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 251)))
    (line,) = loading(hubspot, spec, caplog)
    assert "wrote 250, 0 of them refused; 250 of 250 rows (100 %)" in line


def test_load_without_a_write_tells_that_there_was_none(hubspot: Bench, caplog: pytest.LogCaptureFixture) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, *(customer(number) for number in range(1, 4)))
    (line,) = loading(hubspot, spec, caplog)
    assert "nothing to write for these; 3 of 3 rows" in line


def loading(bench: Bench, spec: IntegrationSpec, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a load logs of its progress."""
    with caplog.at_level(logging.INFO, "crm_pipeline.sync.loading.job"):
        bench.load(spec, ACCOUNT)
    return [record.getMessage() for record in caplog.records]
