"""Outcomes in words for people who know the record and not the pipeline."""

from __future__ import annotations

import pytest

from crm_pipeline.errors import record_errors
from crm_pipeline.errors.wording import told

SAID = {
    "what the reason names stands in brackets": (
        ("ValueTooLongException", "fields: Name"),
        "A value is longer than the CRM field holds (fields: Name).",
    ),
    "an error without a reason says what it means": (
        ("NoEmailForContactException", None),
        "The contact has no value in the field mapped to email.",
    ),
    "of several sentences the first is told": (
        ("EmailTakenException", "ids: 0035f000001"),
        "Another CRM contact owns this email address (ids: 0035f000001).",
    ),
    "a customer's own error is told in words": (
        ("CustomerNotSyncedException", "customer:12 (InactiveCustomerException)"),
        "The contact's customer is not in this CRM and will not be without a change "
        "(customer 12: the customer is not active in QBench and the integration syncs active customers only).",
    ),
    "a customer without an error is named": (
        ("CustomerNotYetSyncedException", "customer:12"),
        "The contact's customer is not in this CRM yet (customer 12).",
    ),
    "an error of another version is told by its name": (("ForgottenException", "fields: Name"), "ForgottenException (fields: Name)."),
    "without an error there is the reason alone": ((None, "not_pushed: Phone"), "not_pushed: Phone"),
    "without anything there is nothing": ((None, None), ""),
}


@pytest.mark.parametrize(("outcome", "said"), SAID.values(), ids=SAID)
def test_an_outcome_is_told_in_one_sentence(outcome: tuple[str | None, str | None], said: str) -> None:
    assert told(*outcome) == said


@pytest.mark.parametrize("error_type", record_errors())
def test_what_an_error_means_fits_in_one_sentence_that_does_not_speak_of_outcomes(error_type: str) -> None:
    said = told(error_type, None)
    assert said.count(". ") == 0
    assert "the outcome names" not in said
