"""How far an interrupted read came."""

from __future__ import annotations

from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.reading import Progress, finish, interrupted_at, save_progress
from crm_pipeline.store.staging import Window

ACCOUNT = RecordType.ACCOUNT
HOUR = Window(since=3_600, until=7_200)


def test_a_window_that_was_never_read_has_no_progress(store: Store) -> None:
    with store.transaction() as connection:
        assert interrupted_at(connection, "acme", ACCOUNT, window=HOUR) is None


def test_the_last_progress_of_a_window_is_kept(store: Store) -> None:
    with store.transaction() as connection:
        save_progress(connection, "acme", ACCOUNT, window=HOUR, progress=Progress(position=4_000, rows=50))
        save_progress(connection, "acme", ACCOUNT, window=HOUR, progress=Progress(position=5_000, rows=100))
    with store.transaction() as connection:
        assert interrupted_at(connection, "acme", ACCOUNT, window=HOUR) == Progress(position=5_000, rows=100)


def test_windows_record_types_and_integrations_are_kept_apart(store: Store) -> None:
    with store.transaction() as connection:
        save_progress(connection, "acme", ACCOUNT, window=HOUR, progress=Progress(position=4_000, rows=50))
        assert interrupted_at(connection, "acme", ACCOUNT, window=Window(since=None, until=7_200)) is None
        assert interrupted_at(connection, "acme", RecordType.CONTACT, window=HOUR) is None
        assert interrupted_at(connection, "beta", ACCOUNT, window=HOUR) is None


def test_a_finished_read_is_forgotten(store: Store) -> None:
    everything = Window(since=None, until=7_200)
    with store.transaction() as connection:
        save_progress(connection, "acme", ACCOUNT, window=everything, progress=Progress(position=4_000, rows=50))
        finish(connection, "acme", ACCOUNT, window=everything)
        assert interrupted_at(connection, "acme", ACCOUNT, window=everything) is None
