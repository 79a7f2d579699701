"""Which CRM record a QBench record means (docs/rules.md, 2 and 7)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.model import LinkOrigin
from crm_pipeline.schemas import FOUND
from crm_pipeline.sync.planning.matching import choose

NO_HOLDER = pd.DataFrame({"crm_id": pd.Series(dtype="str"), "integration": pd.Series(dtype="str"), "qbench_id": pd.Series(dtype="int64")})


def matches(
    claims: list[tuple[int, str | None]], candidates: list[tuple[str, str, str | None]], holders: pd.DataFrame = NO_HOLDER
) -> dict[int, tuple[str | None, str | None]]:
    """Per QBench id the CRM id chosen and the error; the records' keys are their ids."""
    asked = pd.DataFrame(claims, columns=["qbench_id", "value"]).astype({"value": "str"})
    asked["key"] = asked["qbench_id"].astype("str")
    found = FOUND.build(pd.DataFrame(candidates, columns=["value", "crm_id", "key"]))
    chosen = choose(asked, found, holders, origin=LinkOrigin.MATCHED, integration="acme").astype(object)
    chosen = chosen.where(chosen.notna(), None)
    return {row.qbench_id: (row.crm_id, row.error_type) for row in chosen.itertuples()}


AMBIGUOUS, CONFLICT = "AmbiguousMatchException", "LinkConflictException"


@pytest.mark.parametrize(
    ("claims", "candidates", "expected"),
    [
        ([(1, "eco")], [("eco", "a", None)], {1: ("a", None)}),
        ([(1, "eco")], [("other", "a", None)], {}),
        ([(1, None)], [("eco", "a", None)], {}),
        ([(1, "eco")], [("eco", "a", "1")], {1: ("a", None)}),
        ([(1, "eco")], [("eco", "a", "2")], {}),
        ([(1, "eco")], [("eco", "a", "2"), ("eco", "b", None)], {1: ("b", None)}),
        ([(1, "eco")], [("eco", "a", None), ("eco", "b", None)], {1: (None, AMBIGUOUS)}),
        ([(1, "eco")], [("eco", "a", None), ("eco", "a", None)], {1: ("a", None)}),
        ([(1, "eco"), (2, "eco")], [("eco", "a", None)], {1: (None, AMBIGUOUS), 2: (None, AMBIGUOUS)}),
        ([(1, "eco"), (2, "eco")], [("eco", "a", "2")], {2: ("a", None)}),
        ([(1, "eco"), (2, "bio")], [("eco", "a", None), ("bio", "b", None)], {1: ("a", None), 2: ("b", None)}),
    ],
    ids=[
        "one candidate is linked",
        "another value is no candidate",
        "a blank claims nothing",
        "its own key is no obstacle",
        "another key is no candidate",
        "of two, the one without another's key",
        "several candidates are not guessed",
        "one candidate found twice is one",
        "of several claimants none is linked",
        "except the one whose key it carries",
        "each its own",
    ],
)
def test_a_candidate_is_linked_only_if_nothing_else_could_be_meant(claims: Any, candidates: Any, expected: Any) -> None:
    assert matches(claims, candidates) == expected


def test_a_candidate_that_another_record_holds_is_a_conflict_and_never_a_create() -> None:
    holders = pd.DataFrame({"crm_id": ["a"], "integration": ["beta"], "qbench_id": [9]})
    assert matches([(1, "eco")], [("eco", "a", None)], holders) == {1: (None, CONFLICT)}


@pytest.mark.parametrize(("by", "named"), [("acme", "QBench id 1"), ("beta", "QBench id 1 of integration beta")])
def test_a_conflict_with_another_integration_names_it_for_its_ids_are_its_own(by: str, named: str) -> None:
    asked = pd.DataFrame({"qbench_id": [1], "value": ["eco"], "key": ["1"]})
    holders = pd.DataFrame({"crm_id": ["a"], "integration": [by], "qbench_id": [1]})
    found = FOUND.build(pd.DataFrame({"value": ["eco"], "crm_id": ["a"]}))
    [row] = choose(asked, found, holders, origin=LinkOrigin.MATCHED, integration="acme").itertuples()
    assert row.reason == f"a is linked to {named}"


def test_a_conflict_waits_for_the_link_of_the_record_that_is_held() -> None:
    asked = pd.DataFrame({"qbench_id": [1], "value": ["eco"], "key": ["1"]})
    holders = pd.DataFrame({"crm_id": ["a"], "integration": ["acme"], "qbench_id": [2]})
    found = FOUND.build(pd.DataFrame({"value": ["eco"], "crm_id": ["a"]}))
    [row] = choose(asked, found, holders, origin=LinkOrigin.MATCHED, integration="acme").itertuples()
    assert (row.error_type, row.waits_on, row.waits_for) == (CONFLICT, "holder", "a")
