"""What may be written about the lists of a CRM that limit what comes back."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from crm_pipeline.crms.receiving import Receiving
from crm_pipeline.model import RecordType


@pytest.mark.parametrize(
    ("only_in_list", "accounts", "contacts"),
    [
        ("Lab customers", "Lab customers", "Lab customers"),
        ({"accounts": "Lab customers", "contacts": "Lab people"}, "Lab customers", "Lab people"),
        ({"accounts": "Lab customers"}, "Lab customers", None),
        ({"contacts": 42}, None, "42"),
        (42, "42", "42"),
    ],
)
def test_one_name_is_for_all_record_types_and_a_table_for_those_that_it_names(
    only_in_list: object, accounts: str | None, contacts: str | None
) -> None:
    receiving = Receiving.model_validate({"only_in_list": only_in_list})
    assert (receiving.list_of(RecordType.ACCOUNT), receiving.list_of(RecordType.CONTACT)) == (accounts, contacts)


@pytest.mark.parametrize(
    ("only_in_list", "said"),
    [
        (" ", "names no list; give its name or its id"),
        ({"accounts": ""}, "names no list; give its name or its id"),
        ({}, "give one for `accounts`, for `contacts`, or for both"),
        ({"companies": "x"}, "companies"),
        (True, "valid string"),
        (None, "valid string"),
    ],
)
def test_list_that_could_not_be_meant_is_refused(only_in_list: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Receiving.model_validate({"only_in_list": only_in_list})
