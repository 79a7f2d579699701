"""What is done about deleted records, and how many are too many (docs/rules.md, 28)."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.store.link_checks import GONE
from crm_pipeline.sync.links.policy import LinkPolicy, Verdict, WhenDeleted, judge


def gone(count: int, *, held: bool = False, changed: bool = False) -> pd.DataFrame:
    """Deleted records 1, 2 …"""
    return GONE.build({"qbench_id": range(1, count + 1), "held": [held] * count, "changed": [changed] * count})


@pytest.mark.parametrize(("links", "limit"), [(10, 5), (100, 5), (400, 20), (1_000, 50), (1_000_000, 50)])
def test_the_lower_of_fifty_and_five_percent_is_the_limit_and_a_handful_is_never_too_many(links: int, limit: int) -> None:
    assert LinkPolicy().limit(links) == limit


def test_a_limit_of_none_at_all_can_be_set() -> None:
    assert LinkPolicy(most_gone=0).limit(1_000) == 0


@pytest.mark.parametrize(
    ("when_deleted", "changed", "forgotten"), [("report", True, 0), ("recreate", False, 3), ("unlink", False, 0), ("unlink", True, 3)]
)
def test_each_policy_forgets_what_it_says(when_deleted: WhenDeleted, *, changed: bool, forgotten: int) -> None:
    verdict = judge(gone(3, changed=changed), new=[1, 2, 3], links=1_000, policy=LinkPolicy(when_deleted=when_deleted))
    assert (len(verdict.forget), verdict.held, verdict.reported) == (forgotten, [], 0)


@pytest.mark.parametrize("when_deleted", ["recreate", "unlink"])
def test_a_mass_of_deletions_is_held_by_later_checks_too(when_deleted: WhenDeleted) -> None:
    policy = LinkPolicy(when_deleted=when_deleted)
    everyone = list(range(1, 52))
    assert judge(gone(51, changed=True), new=everyone, links=10_000, policy=policy) == Verdict([], everyone, 51)
    assert judge(gone(51, held=True, changed=True), new=[], links=10_000, policy=policy) == Verdict([], everyone, 51)
    assert judge(gone(50, held=True, changed=True), new=[], links=10_000, policy=policy) == Verdict(everyone[:50], [])


def test_reported_deletions_are_too_many_once_only() -> None:
    assert judge(gone(51), new=list(range(1, 52)), links=10_000, policy=LinkPolicy()).reported == 51
    assert judge(gone(51), new=[], links=10_000, policy=LinkPolicy()).reported == 0


def test_deletions_that_waited_one_by_one_for_a_change_never_become_too_many() -> None:
    waiting = gone(500)
    waiting.loc[waiting["qbench_id"] == 7, "changed"] = True
    assert judge(waiting, new=[], links=1_000, policy=LinkPolicy(when_deleted="unlink")) == Verdict([7], [])
