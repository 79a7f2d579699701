"""Whose limits are kept by all processes together, and what tells one account from another."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import text

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.hubspot import COMPANIES
from crm_pipeline.pacing import share_pace
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import connect_hubspot, open_bench


def accounts(store: Store) -> list[str]:
    with store.transaction() as connection:
        return list(connection.execute(text("SELECT account FROM crm_pipeline.pace ORDER BY account")).scalars())


def test_crm_whose_calls_are_limited_lets_all_processes_keep_that_together(bench: Bench, crm: Crm, store: Store) -> None:
    share_pace(crm, PaceLeases(store))
    crm.organization()
    limited = crm.limits().calls_per_second is not None
    assert [account.partition(" ")[0] for account in accounts(store)] == [bench.kind.name] * limited


def test_hubspot_counts_calls_and_searches_by_token(sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    open_bench(sandbox)
    for token in ("one", "another"):
        sandbox.portal.token = token
        monkeypatch.setenv("HUBSPOT_TOKEN", token)
        with closing(connect_hubspot(sandbox)) as crm:
            share_pace(crm, PaceLeases(store))
            crm.has_keyed_records(COMPANIES)
            assert sum(crm.calls.snapshot().values()) == 1
    one, one_searches, other, other_searches = accounts(store)
    assert one != other
    assert [one_searches, other_searches] == [f"{one} searches", f"{other} searches"]
    assert one.startswith("hubspot app ")
