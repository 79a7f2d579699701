"""Who may sync to a CRM: from the record's own verdict, its customer and its link."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import LINKS, OUTCOMES, normalized_schema
from crm_pipeline.sync.planning.eligibility import PARENTS, assess, known_parents, parent_crm_ids

CONTACT = RecordType.CONTACT


def rows(*customers: int | None, error: str | None = None) -> pd.DataFrame:
    """Contacts 1, 2 … of these customers."""
    count = len(customers)
    return normalized_schema(CONTACT).build(
        {
            "qbench_id": pd.Series(range(1, count + 1)),
            "version": pd.Series([1] * count),
            "customer_id": pd.Series(list(customers), dtype="Int64"),
            "error_type": pd.Series([error] * count, dtype="str"),
        }
    )


def link(qbench_id: int, status: str = "live") -> dict[str, Any]:
    return {"qbench_id": qbench_id, "crm_id": f"crm-{qbench_id}", "origin": "created", "version": 1, "digests": {}, "status": status}


def links(*given: dict[str, Any]) -> pd.DataFrame:
    return LINKS.build(pd.DataFrame(list(given), columns=LINKS.names))


def outcome(qbench_id: int, name: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"qbench_id": qbench_id, "version": 1, "outcome": name, "retryable": retryable}


def outcomes(*given: dict[str, Any]) -> pd.DataFrame:
    return OUTCOMES.build(pd.DataFrame(list(given), columns=OUTCOMES.names))


def verdict(customer_links: pd.DataFrame, customer_outcomes: pd.DataFrame) -> tuple[str | None, str | None, str | None]:
    contacts = rows(41)
    known = known_parents(contacts["customer_id"], customer_links, customer_outcomes)
    judged = assess(contacts, links(), parents=known).astype(object).where(lambda frame: frame.notna(), None)
    return judged.loc[0, "error_type"], judged.loc[0, "waits_on"], judged.loc[0, "waits_for"]


@pytest.mark.parametrize(
    ("customer_links", "customer_outcomes", "expected"),
    [
        ([link(41)], [outcome(41, "created")], None),
        ([link(41)], [outcome(41, "failed")], None),
        ([], [], "CustomerNotYetSyncedException"),
        ([], [outcome(41, "failed", retryable=True)], "CustomerNotYetSyncedException"),
        ([], [outcome(41, "skipped")], "CustomerNotSyncedException"),
        ([], [outcome(41, "failed")], "CustomerNotSyncedException"),
        ([link(41, "deleted")], [outcome(41, "unchanged")], "CustomerNotSyncedException"),
        ([link(41, "conflict")], [outcome(41, "skipped")], "CustomerNotSyncedException"),
    ],
    ids=["linked", "linked, update failed", "not planned", "to be tried again", "skipped", "failed for data", "deleted in CRM", "conflict"],
)
def test_a_contact_is_deferred_only_if_its_customer_can_still_sync_by_itself(
    customer_links: list[Any], customer_outcomes: list[Any], expected: str | None
) -> None:
    assert verdict(links(*customer_links), outcomes(*customer_outcomes)) == (
        (expected, "customer", "41") if expected else (None, None, None)
    )


def test_the_record_s_own_error_comes_before_its_customer_s() -> None:
    contacts = rows(41, error="InvalidEmailException")
    known = known_parents(contacts["customer_id"], links(), outcomes())
    assert assess(contacts, links(), parents=known)["error_type"].tolist() == ["InvalidEmailException"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("live", None),
        ("deleted", "DeletedInCrmException"),
        ("conflict", "LinkConflictException"),
    ],
)
def test_a_link_that_cannot_be_used_keeps_the_record_back(status: str, expected: str | None) -> None:
    contacts = rows(41)
    known = known_parents(contacts["customer_id"], links(link(41)), outcomes())
    judged = assess(contacts, links(link(1, status)), parents=known)
    assert judged["error_type"].astype(object).where(judged["error_type"].notna(), None).tolist() == [expected]


def test_each_contact_gets_its_own_customer_s_crm_id() -> None:
    known = {"customer_id": pd.Series([41, 42]), "parent_crm_id": pd.Series(["a", None], dtype="str"), "blocked": [False, False]}
    accounts = PARENTS.build(known)
    ids = parent_crm_ids(pd.Series([42, 41, None, 41], dtype="Int64"), accounts)
    assert ids.astype(object).where(ids.notna(), None).tolist() == [None, "a", None, "a"]
