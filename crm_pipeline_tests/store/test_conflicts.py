"""The values that were written over though the other side did not know them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import text

from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.store.conflicts import KEPT_DAYS, save_conflicts
from crm_pipeline.store.database import Store
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, query


def conflict(**more: Any) -> pd.DataFrame:
    row = {
        "qbench_id": 1,
        "crm_id": "001A",
        "field": "Website",
        "qbench_value": {"website": "a.test"},
        "crm_value": {"Website": "b.test"},
        "qbench_digest": 1,
        "crm_digest": 2,
        "winner": "crm",
        "evidence": "field history",
        **more,
    }
    return CONFLICTS.build({name: pd.Series([value]) for name, value in row.items()})


def tell(store: Store, conflicts: pd.DataFrame, run_id: str = "run") -> int:
    with store.transaction() as connection:
        return save_conflicts(connection, ACCOUNTS, conflicts=conflicts, run_id=run_id)


def told(store: Store) -> list[tuple[Any, ...]]:
    return query(store, "SELECT field, winner, run_id FROM crm_pipeline.conflict ORDER BY id")


def test_both_values_are_kept(store: Store) -> None:
    assert tell(store, conflict()) == 1
    values = query(store, "SELECT qbench_value, crm_value, qbench_since FROM crm_pipeline.conflict")
    assert values == [({"website": "a.test"}, {"Website": "b.test"}, None)]


def test_one_is_told_once_however_often_its_run_is_repeated(store: Store) -> None:
    tell(store, conflict())
    tell(store, conflict(), run_id="the next")
    tell(store, conflict(crm_digest=3), run_id="another value")
    assert told(store) == [("Website", "crm", "the next"), ("Website", "crm", "another value")]


def test_they_are_forgotten_after_thirty_days(store: Store) -> None:
    tell(store, conflict())
    tell(store, conflict(field="Phone"))
    with store.transaction() as connection:
        age = text("UPDATE crm_pipeline.conflict SET at = now() - make_interval(days => :days, hours => 1) WHERE field = 'Phone'")
        connection.execute(age, {"days": KEPT_DAYS})
    tell(store, conflict(field="Name"))
    assert [field for field, *_ in told(store)] == ["Website", "Name"]
