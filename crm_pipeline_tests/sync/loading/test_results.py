"""What the CRM's answers become: outcomes and links."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.crms.batch import account_for
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.planning.plan import PLAN


def planned(*rows: dict[str, Any]) -> pd.DataFrame:
    """PLAN rows 1, 2 …: creates, but for what is said."""
    common = {"version": 5, "operation": "create", "origin": "created", "retryable": False, "content": 0, "digests": {"Name": 1}}
    given = [{"qbench_id": number, **common, **row} for number, row in enumerate(rows, start=1)]
    return PLAN.build(pd.DataFrame(given, columns=PLAN.names))


def answers(*rows: dict[str, Any]) -> pd.DataFrame:
    """WRITE_RESULTS rows 1, 2 …: written as crm-1, crm-2 …, but for what is said."""
    given = [{"qbench_id": number, "crm_id": f"crm-{number}", "parent_sent": False, **row} for number, row in enumerate(rows, start=1)]
    return WRITE_RESULTS.build(pd.DataFrame(given, columns=WRITE_RESULTS.names))


def holders(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["crm_id", "integration", "qbench_id"])


@pytest.mark.parametrize(
    ("operation", "created", "expected", "origin"),
    [
        ("create", True, "created", "created"),
        ("create", False, "linked", "key"),
        ("create", None, "created", "created"),
        ("link", False, "linked", "created"),
        ("update", False, "updated", "created"),
    ],
    ids=["made", "found by its key", "not said, after a repeat", "link", "update"],
)
def test_the_outcome_says_what_the_crm_did(operation: str, *, created: bool | None, expected: str, origin: str) -> None:
    rows, answer = planned({"operation": operation}), answers({"created": created})
    assert results.outcomes(rows, answer)["outcome"].tolist() == [expected]
    assert results.links(rows, answer)["origin"].tolist() == [origin]


def test_rows_are_accounted_for_in_their_own_order_whatever_the_answer_s() -> None:
    rows = planned({}, {}, {})
    answer = answers({}, {}, {}).iloc[[2, 0]].reset_index(drop=True)
    accounted = account_for(rows, answer)
    assert accounted["qbench_id"].tolist() == [1, 2, 3]
    assert accounted["error_type"].isna().tolist() == [True, False, True]
    assert accounted.loc[1, "error_type"] == "UnaccountedException"


def test_a_success_without_an_id_is_unaccounted_never_assumed() -> None:
    assert account_for(planned({}), answers({"crm_id": None}))["error_type"].tolist() == ["UnaccountedException"]


def test_a_refused_row_gets_no_link_and_an_outcome_of_codes_and_names() -> None:
    rows = planned({})
    answer = answers({"error_type": "ValueTooLongException", "error_code": "STRING_TOO_LONG", "error_fields": "Name"})
    assert results.links(rows, answer).empty
    (outcome,) = results.outcomes(rows, answer).itertuples()
    assert (outcome.outcome, outcome.reason, outcome.retryable) == ("failed", "code: STRING_TOO_LONG; fields: Name", False)


def test_a_contact_whose_parent_did_not_go_is_failed_for_now_and_its_link_keeps_the_parent_open() -> None:
    rows = planned({"parent_crm_id": "acc-1", "parent_qbench_id": 41})
    (outcome,) = results.outcomes(rows, answers({})).itertuples()
    assert (outcome.outcome, outcome.error_type, outcome.retryable) == ("failed", "AssociationPendingException", True)
    assert results.links(rows, answers({}))["parent_qbench_id"].isna().tolist() == [True]
    assert results.links(rows, answers({"parent_sent": True}))["parent_qbench_id"].tolist() == [41]


@pytest.mark.parametrize(
    ("held_by", "named"),
    [
        ([], None),
        ([("crm-1", "acme", 1)], None),
        ([("crm-1", "acme", 9)], "crm-1 is linked to QBench id 9"),
        ([("crm-1", "beta", 1)], "crm-1 is linked to QBench id 1 of integration beta"),
    ],
    ids=["nobody", "itself", "another record", "another integration"],
)
def test_a_write_that_ends_in_another_record_s_crm_record_is_a_conflict(held_by: list[Any], named: str | None) -> None:
    answer = results.refuse_held(answers({}), holders(*held_by), integration="acme")
    assert answer["error_type"].eq("LinkConflictException").tolist() == [named is not None]
    assert answer["error_ids"].astype(object).where(answer["error_ids"].notna(), None).tolist() == [named]
    assert len(results.links(planned({}), answer)) == (1 if named is None else 0)


def test_of_two_rows_of_a_batch_that_end_in_one_crm_record_only_the_first_is_linked() -> None:
    answer = results.refuse_held(answers({}, {"crm_id": "crm-1"}), holders(), integration="acme")
    assert answer["error_type"].eq("LinkConflictException").tolist() == [False, True]


def test_refused_rows_without_an_id_are_no_conflict() -> None:
    refused = {"crm_id": None, "error_type": "ServiceFailedException"}
    answer = results.refuse_held(answers(refused, refused), holders(), integration="acme")
    assert answer["error_type"].tolist() == ["ServiceFailedException", "ServiceFailedException"]
