"""What a materialization opens with is short enough to be shown in place, whatever there is to tell."""

from __future__ import annotations

from collections import Counter

import pytest

from crm_pipeline.errors import record_errors
from crm_pipeline.model import Outcome, RecordType
from crm_pipeline.orchestration.opening import IN_PLACE, NOTHING_WRONG, errors_metadata, record_link
from crm_pipeline.store.standing import Standing

PAGES = (
    "https://a-laboratory-with-a-long-name.qbench.net/contact?id={}",
    "https://a-laboratory-with-a-long-name.my.salesforce.com/r/{}/view",
)


def standing(error: str, records: int, day_before: int = 0) -> Standing:
    outcome = Outcome.SKIPPED if records else Outcome.FAILED
    return Standing("to_crm", "salesforce", RecordType.CONTACT, outcome, error, retryable=False, records=records, day_before=day_before)


def told(errors: Counter[str], *found: Standing, samples: int = 5) -> dict[str, str]:
    links = [record_link(number, *(page.format(number) for page in PAGES)) for number in range(samples)]
    every = dict.fromkeys([*errors, *(str(each.error_type) for each in found)], links)
    return {name: str(value.value) for name, value in errors_metadata(errors, found, every, crm="Salesforce").items()}


def test_errors_of_the_run_stand_beside_those_of_all_records_most_frequent_first() -> None:
    found = told(
        Counter(RecordLockedException=2), standing("RecordLockedException", 7, 8), standing("InvalidEmailException", 9, 4), samples=1
    )
    _, _, first, second = found["errors"].splitlines()
    assert first.startswith("- **InvalidEmailException** 0 / 9 (+5): The contact's email is not one valid address. [0](https://")
    assert second.startswith("- **RecordLockedException** 2 / 7 (−1): ")
    assert list(found) == ["errors"]


def test_an_error_that_no_record_has_any_more_is_not_told() -> None:
    assert told(Counter(), standing("InvalidEmailException", 0, 3)) == {"errors": NOTHING_WRONG}


@pytest.mark.parametrize("errors", [1, 2, 5, 12, len(record_errors())])
def test_the_list_is_shown_in_place_however_many_errors_there_are_and_whole_behind_it(errors: int) -> None:
    names = list(record_errors())[:errors]
    found = told(Counter(names), *(standing(name, 1) for name in names))
    assert len(found["errors"]) <= IN_PLACE
    assert found["errors"].count("\n- **") >= min(errors, 12)
    whole = found.get("errors_in_full", found["errors"])
    assert all(f"- **{name}** " in whole for name in names)
    assert whole.count("[↗]") == 5 * errors


def test_one_error_with_five_records_is_told_whole() -> None:
    assert list(told(Counter(InvalidEmailException=5), standing("InvalidEmailException", 5))) == ["errors"]


def test_what_room_is_left_is_filled_with_records_by_turns() -> None:
    names = ["InvalidEmailException", "NoEmailForContactException", "DuplicateEmailException"]
    found = told(Counter(dict.fromkeys(names, 9)), *(standing(name, 9) for name in names))
    of_each = [line.count("[↗]") for line in found["errors"].splitlines()[2:]]
    assert sum(of_each) > 0
    assert max(of_each) - min(of_each) <= 1
