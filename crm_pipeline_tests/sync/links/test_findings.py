"""What links are now, by what the CRM has (docs/rules.md, 27)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.schemas import EXAMINED, LINKS, OUTCOMES
from crm_pipeline.sync.links.findings import FINDINGS, noteworthy, outcomes, reconcile


def links(*rows: dict[str, Any]) -> pd.DataFrame:
    """Links of QBench ids 1, 2 … to CRM records A, B …, live unless said otherwise."""
    base = [
        {"qbench_id": number, "crm_id": chr(64 + number), "origin": "created", "version": 7, "digests": {}, "status": "live", "held": False}
        for number in range(1, len(rows) + 1)
    ]
    return LINKS.build(pd.DataFrame([{**one, **row} for one, row in zip(base, rows, strict=True)]))


def examined(**found: tuple[str, str | None, str | None]) -> pd.DataFrame:
    """By CRM id: state, the record it leads to, and the key there."""
    rows = [{"crm_id": crm_id, "state": state, "leads_to": to, "key": key} for crm_id, (state, to, key) in found.items()]
    return EXAMINED.build(pd.DataFrame(rows, columns=EXAMINED.names))


def findings(stored: pd.DataFrame, now: pd.DataFrame, *, holders: dict[str, tuple[str, int]] | None = None) -> dict[int, dict[str, Any]]:
    """The findings by QBench id, nulls as None; keys are ``k1``, ``k2`` …"""
    held = [(crm_id, integration, qbench_id) for crm_id, (integration, qbench_id) in (holders or {}).items()]
    rows = noteworthy(stored, now, key_of=lambda ids: "k" + ids.astype("str"), accounts=None)
    found = FINDINGS.check(reconcile(rows, pd.DataFrame(held, columns=["crm_id", "integration", "qbench_id"]), integration="acme"))
    plain = found.astype(object).where(found.notna(), None)
    return {row["qbench_id"]: row for row in plain.to_dict("records")}


def test_links_in_order_are_not_worth_a_word() -> None:
    assert findings(links({}, {}), examined(A=("live", "A", "k1"), B=("live", "B", "k2"))) == {}


def test_the_link_whose_key_the_winner_carries_follows_and_the_other_one_is_a_conflict() -> None:
    found = findings(links({}, {}), examined(A=("merged", "W", "k2"), B=("merged", "W", "k2")))
    assert [(found[one]["finding"], found[one]["crm_id"], found[one]["merged_into"]) for one in (1, 2)] == [
        ("conflict", "A", "W"),
        ("relinked", "W", None),
    ]


def test_of_two_links_that_lead_to_one_record_the_one_that_was_live_till_now_follows() -> None:
    found = findings(links({}, {"status": "conflict", "merged_into": "A"}), examined(A=("merged", "W", None), B=("merged", "W", None)))
    assert (found[1]["finding"], found[1]["crm_id"]) == ("relinked", "W")
    assert (found[2]["finding"], found[2]["changed"], found[2]["merged_into"]) == (None, True, "W")


@pytest.mark.parametrize(("holder", "named"), [(("acme", 9), "QBench id 9"), (("other", 1), "QBench id 1 of integration other")])
def test_winner_of_another_record_or_integration_is_a_conflict_that_names_it(holder: tuple[str, int], named: str) -> None:
    found = findings(links({}), examined(A=("merged", "W", None)), holders={"W": holder})[1]
    assert (found["finding"], found["crm_id"], found["status"]) == ("conflict", "A", "conflict")
    assert found["reason"] == f"A was merged into W, which is linked to {named}"


def test_deleted_link_stays_deleted_without_news_and_a_live_record_restores_it() -> None:
    found = findings(links({"status": "deleted"}, {"status": "deleted"}), examined(A=("deleted", None, None), B=("live", "B", "k2")))
    assert (found[1]["finding"], found[1]["changed"]) == (None, False)
    assert (found[2]["finding"], found[2]["status"], found[2]["key_lost"]) == ("restored", "live", False)


def test_record_that_is_followed_through_a_merge_gets_a_lost_key_back() -> None:
    found = findings(links({}), examined(A=("merged", "W", None)))[1]
    assert (found["finding"], found["key_lost"], found["other_key"]) == ("relinked", True, False)


def test_outcome_that_a_check_writes_speaks_of_the_state_of_the_one_before() -> None:
    rows = noteworthy(links({}), examined(A=("deleted", None, None)), key_of=None, accounts=None)
    found = reconcile(rows, pd.DataFrame(columns=["crm_id", "integration", "qbench_id"], dtype=object), integration="acme")
    before = {"qbench_id": [1], "version": [7], "outcome": ["updated"], "retryable": [False], "state_digest": [42]}
    told = outcomes(found, OUTCOMES.build(pd.DataFrame(before)))
    assert (told["version"].tolist(), told["state_digest"].tolist()) == ([7], [42])
