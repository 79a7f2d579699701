"""What links keep, by the mapping that it was agreed on with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.schemas import REPLACING
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.database import Store
from crm_pipeline.store.replacing import over_by_now, save_replacing
from crm_pipeline.store.ways_back import follow_way_back
from crm_pipeline_tests.store.test_bases import keep, kept, stored
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, link, save

WEBSITE, PHONE = {"Website": "Website: website"}, {"group:phone": "Phone: phone"}


def follow(store: Store, **units: str) -> tuple[Any, Any, list[str]]:
    """Run by a mapping; what the link keeps then (the units of its bases, and of what is on its way), and who is looked at."""
    with store.transaction() as connection:
        follow_way_back(connection, ACCOUNTS, units=units)
        pending = pending_crm_ids(connection, ACCOUNTS)
    [row] = stored(store, 1)
    return sorted(row["bases"]), sorted(row["sending"] or {}), pending


@pytest.fixture
def linked(store: Store) -> Store:
    """A link that keeps two units, of a mapping by which both come back."""
    save(store, link(1, "001A"))
    keep(store, kept(1), "001A")
    assert follow(store, **WEBSITE, **PHONE) == (["Website", "group:phone"], ["Website"], [])
    return store


def test_what_comes_back_no_more_is_forgotten_and_read_anew_once_it_does_again(linked: Store) -> None:
    assert follow(linked, **PHONE) == (["group:phone"], [], [])
    assert follow(linked, **PHONE) == (["group:phone"], [], [])
    assert follow(linked, **PHONE, **WEBSITE) == (["group:phone"], [], ["001A"])


def test_a_write_of_what_comes_back_no_more_is_not_looked_back_at(linked: Store) -> None:
    now = datetime.now(UTC)
    row = {
        "qbench_id": 1,
        "crm_id": "001A",
        "shown": {},
        "sent": {},
        "qbench_value": {},
        "qbench_digest": 1,
        "read_at": now,
        "began_at": now,
    }
    writes = pd.DataFrame([{**row, "field": name} for name in ("Website", "group:phone")])
    with linked.transaction() as connection:
        save_replacing(connection, ACCOUNTS, writes=REPLACING.build(writes), open_until=now)
    follow(linked, **PHONE)
    with linked.transaction() as connection:
        assert over_by_now(connection, ACCOUNTS, most=9)["field"].tolist() == ["group:phone"]


def test_where_nothing_comes_back_any_more_all_is_forgotten(linked: Store) -> None:
    assert follow(linked) == ([], [], [])


def test_what_is_made_of_other_fields_begins_anew(linked: Store) -> None:
    assert follow(linked, **PHONE, Website="Website: homepage") == (["group:phone"], [], ["001A"])


def test_nothing_is_stored_where_nothing_ever_came_back(store: Store) -> None:
    save(store, link(1, "001A"))
    with store.transaction() as connection:
        follow_way_back(connection, ACCOUNTS, units={})
        assert connection.exec_driver_sql("SELECT count(*) FROM crm_pipeline.way_back").scalar() == 0
