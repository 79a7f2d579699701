"""What links keep of fields that come back from a CRM."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.model import LinkStatus
from crm_pipeline.schemas import BASES
from crm_pipeline.store.bases import bases_of, save_bases
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import change_links
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, link, query, save

KEPT = {"Website": [2**62, 0], "group:phone": [-5, 7]}
NOON = pd.Timestamp("2026-11-01T12:00:00.123456Z")


def kept(qbench_id: int, **more: Any) -> pd.DataFrame:
    row = {"qbench_id": qbench_id, "bases": KEPT, "sending": {"Website": 3}, "open_until": NOON, "touched_at": NOON, **more}
    return BASES.build({name: pd.Series([value]) for name, value in row.items() if value is not None})


def keep(store: Store, bases: pd.DataFrame, *crm_ids: str) -> int:
    with store.transaction() as connection:
        return save_bases(connection, ACCOUNTS, bases=bases, crm_ids=pd.Series(list(crm_ids), dtype="str"))


def stored(store: Store, *ids: int) -> list[dict[str, Any]]:
    with store.transaction() as connection:
        found = bases_of(connection, ACCOUNTS, ids=list(ids))
    rows: list[dict[str, Any]] = found.astype(object).where(found.notna(), None).to_dict("records")
    return rows


def test_they_come_back_as_they_were_kept(store: Store) -> None:
    save(store, link(1, "001A"))
    assert keep(store, kept(1), "001A") == 1
    assert stored(store, 1) == [{"qbench_id": 1, "bases": KEPT, "sending": {"Website": 3}, "open_until": NOON, "touched_at": NOON}]


def test_a_link_without_any_keeps_none(store: Store) -> None:
    save(store, link(1, "001A"))
    nothing = {"qbench_id": 1, "bases": None, "sending": None, "open_until": None, "touched_at": None}
    assert stored(store, 1) == [nothing]
    keep(store, kept(1), "001A")
    keep(store, kept(1, bases=None, sending=None, open_until=None, touched_at=None), "001A")
    assert stored(store, 1) == [nothing]
    assert query(store, "SELECT count(*) FROM crm_pipeline.link WHERE bases IS NULL AND sending IS NULL") == [(1,)]


def test_a_link_that_leads_elsewhere_by_now_keeps_nothing_of_the_other_record(store: Store) -> None:
    save(store, link(1, "001A"))
    assert keep(store, kept(1), "001B") == 0
    assert stored(store, 1)[0]["bases"] is None


@pytest.mark.parametrize("how", ["written", "merged"])
def test_what_was_kept_of_a_record_ends_with_the_link_to_it(store: Store, how: str) -> None:
    save(store, link(1, "001A"))
    keep(store, kept(1), "001A")
    if how == "written":
        save(store, link(1, "001B", version=6))
    else:
        change = {"qbench_id": [1], "was": ["001A"], "crm_id": ["001B"], "status": [str(LinkStatus.LIVE)], "merged_into": [None]}
        with store.transaction() as connection:
            change_links(connection, ACCOUNTS, changes=pd.DataFrame(change))
    assert query(store, "SELECT crm_id, bases, touched_at FROM crm_pipeline.link") == [("001B", None, None)]


def test_a_link_that_is_written_anew_keeps_them(store: Store) -> None:
    save(store, link(1, "001A"))
    keep(store, kept(1), "001A")
    save(store, link(1, "001A", version=6))
    assert stored(store, 1)[0]["bases"] == KEPT
