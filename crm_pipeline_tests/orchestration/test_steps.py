"""Which failed steps does Dagster try again? Those that another try may help."""

from __future__ import annotations

import dagster as dg
import pytest

from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.store.database import URL_VARIABLE, Store


def failure_with(url: str | None, monkeypatch: pytest.MonkeyPatch) -> dg.Failure:
    """How a step fails that uses a state database of this URL."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if url is not None:
        monkeypatch.setenv(URL_VARIABLE, url)
    with pytest.raises(dg.Failure) as failed, failing_clearly("acme", dict), Store().transaction():
        pass
    return failed.value


@pytest.mark.parametrize("url", [None, " ", "no url", "mysql://host/database", "postgres://host/database"])
def test_a_database_that_is_not_named_or_none_of_ours_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    failure = failure_with(url, monkeypatch)
    assert not failure.allow_retries
    assert str(failure.description).startswith("StoreSetupError: CRM_PIPELINE_DATABASE_URL ")


def test_a_database_that_cannot_be_reached_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure_with("postgresql://127.0.0.1:1/database", monkeypatch).allow_retries
