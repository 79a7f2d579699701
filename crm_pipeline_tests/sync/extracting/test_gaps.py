"""A record that QBench fails to list keeps no other away, and follows by itself once it is listed, with nobody editing anything."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crm_pipeline.sandbox.tenant import Kind
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, own_bench
from crm_pipeline_tests.sync.test_ends import CREATED, World

HELD: tuple[tuple[Kind, int], ...] = (("customers", 2), ("contacts", 3))
DEFERRED = ("deferred", "CustomerNotYetSyncedException")


@dataclass(frozen=True)
class Seen:
    """After a run: outcomes of accounts and contacts, how many times are still to be read, and how many rows the loads took."""

    accounts: dict[int, tuple[str, str | None]]
    contacts: dict[int, tuple[str, str | None]]
    open: int
    taken_up: int


@pytest.fixture(scope="module")
def seen(postgres: str) -> list[Seen]:
    """Three customers with a contact each, of which QBench fails to list one customer and one contact for two hours; then an idle hour."""
    with own_bench(postgres, "hubspot") as bench:
        world = World(bench, bench.spec())
        for number in (1, 2, 3):
            world.customer(number)
            world.contact(number, number)
        found = []
        for hour in range(4):
            world.tenant.unshowable = set(HELD) if hour < 2 else set()
            if hour == 1:
                world.customer(4)
            world.run()
            still = bench.rows("SELECT count(*) FROM crm_pipeline.gap")[0][0]
            found.append(Seen(bench.outcomes(ACCOUNT), bench.outcomes(CONTACT), still, world.taken_up))
        return found


def test_the_other_records_arrive_at_once(seen: list[Seen]) -> None:
    assert seen[0].accounts == {1: CREATED, 3: CREATED}
    assert seen[0].contacts == {1: CREATED, 2: DEFERRED}


def test_later_hours_go_on(seen: list[Seen]) -> None:
    assert seen[1].accounts[4] == CREATED


def test_a_record_follows_in_the_run_in_which_qbench_lists_it_again(seen: list[Seen]) -> None:
    assert seen[2].accounts[2] == seen[2].contacts[2] == seen[2].contacts[3] == CREATED


def test_its_time_is_kept_until_then_and_read_no_more(seen: list[Seen]) -> None:
    assert [hour.open for hour in seen] == [2, 2, 0, 0]


def test_it_is_taken_up_once(seen: list[Seen]) -> None:
    assert seen[3].taken_up == 0
