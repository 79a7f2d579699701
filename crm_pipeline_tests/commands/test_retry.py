"""``crm-pipeline retry``: records with an error are tried again, in both directions, and no others."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.sandbox.salesforce import ValidationRule
from crm_pipeline.schemas import CHANGE_OUTCOMES
from crm_pipeline.store.change_outcomes import save_change_outcomes
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline_tests.commands.conftest import Desk
from crm_pipeline_tests.commands.test_resync import both
from crm_pipeline_tests.sync.conftest import ACCOUNT, customer

__all__ = ["both"]

ACCOUNTS = ("retry", "--integration", "acme", "--crm", "salesforce", "--record-type", "account")
REFUSED = "InvalidValueException"


def refused(desk: Desk, *numbers: int) -> None:
    """Customers that a rule of Salesforce's refuses, which is then switched off."""
    org = desk.bench.sandbox.org
    org.add_validation_rule(ValidationRule("Account", lambda _: True))
    desk.bench.stage(desk.spec, ACCOUNT, *(customer(number) for number in numbers))
    desk.bench.load(desk.spec, ACCOUNT)
    assert {error for _, error in desk.bench.outcomes().values()} == {REFUSED}
    org.validation_rules.clear()


@pytest.mark.parametrize(
    ("words", "sent"),
    [(("--type", REFUSED), ["Lab 1", "Lab 2"]), (("--all",), ["Lab 1", "Lab 2"]), (("--ids", "2,3"), ["Lab 2"])],
)
def test_records_with_an_error_are_sent_again_once_its_cause_is_gone_and_no_others(
    desk: Desk, words: tuple[str, ...], sent: list[str]
) -> None:
    refused(desk, 1, 2)
    desk.bench.stage(desk.spec, ACCOUNT, customer(3))
    result = desk.type(*ACCOUNTS, *words)
    assert (result.exit_code, result.output) == (0, f"acme → salesforce accounts: {len(sent)} created\n")
    assert desk.bench.names() == sent


def test_ids_that_are_not_staged_are_named_after_the_others_went(desk: Desk) -> None:
    refused(desk, 1)
    result = desk.type(*ACCOUNTS, "--ids", "1,77")
    assert (result.exit_code, result.stdout) == (1, "acme → salesforce accounts: 1 created\n")
    assert "there is no staged account 77;" in result.stderr


def test_records_with_an_error_are_sent_as_the_mapping_of_today_makes_them(desk: Desk) -> None:
    earlier = desk.bench.spec(accounts={"map": {"name": "comments"}})
    desk.bench.stage(earlier, ACCOUNT, customer(1))
    desk.bench.load(earlier, ACCOUNT)
    result = desk.type("retry", "--type", "NoNameForCustomerException")
    assert "acme → salesforce accounts: 1 created" in result.output
    assert "acme → hubspot accounts: no record has NoNameForCustomerException" in result.output
    assert desk.bench.names() == ["Lab 1"]


def test_what_is_left_out_on_purpose_is_no_part_of_all(desk: Desk) -> None:
    filtered = desk.bench.spec(accounts={"map": {"name": "customer_name"}, "only": {"all": [{"field": "customer_name", "is": "other"}]}})
    desk.bench.stage(filtered, ACCOUNT, customer(1))
    desk.bench.load(filtered, ACCOUNT)
    nothing = {"integration": "acme", "crm": "salesforce", "record_type": "account", "outcomes": {}}
    assert desk.json(*ACCOUNTS, "--all") == [nothing]
    assert "1 created" in desk.type(*ACCOUNTS, "--type", "FilteredOutException").output


def test_an_order_that_is_not_clear_is_refused(desk: Desk) -> None:
    for words, code, remedy in (
        (("--type", "InvalidValueExeption"), 2, f"did you mean `{REFUSED}`?"),
        (("--type", REFUSED, "--all"), 2, "give one of --type, --ids and --all"),
        ((), 2, "give one of --type, --ids and --all"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, remedy in result.output) == (code, True), result.output
    assert "--ids needs --record-type" in desk.type("retry", "--ids", "1").output


def test_what_a_crm_s_changes_ended_with_is_looked_at_again_by_the_next_run(both: Desk) -> None:
    state = CrmState("acme", "salesforce", ACCOUNT)
    told = CHANGE_OUTCOMES.build(
        {
            "crm_id": pd.Series(["001A", "001B", "001C"]),
            "outcome": pd.Series(["skipped", "skipped", "updated"]),
            "error_type": pd.Series([REFUSED, "InvalidEmailException", None], dtype="str"),
            "retryable": pd.Series([False, False, False]),
        }
    )
    with both.bench.store.transaction() as connection:
        save_change_outcomes(connection, state, outcomes=told, attempt=both.bench.order(both.spec, ACCOUNT).attempt)
    result = both.type(*ACCOUNTS, "--type", REFUSED)
    assert result.output.endswith("acme ← salesforce accounts: 1 record is looked at by the next run\n")
    with both.bench.store.transaction() as connection:
        assert pending_crm_ids(connection, state) == ["001A"]
