"""Ids of CRM records as people type them become ids as links keep them."""

from __future__ import annotations

import pytest

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.salesforce.ids import long_id, record_id
from crm_pipeline.sandbox.salesforce.ids import new_id

SHORT, LONG = "001Qb00000000aB", "001Qb00000000aBIAQ"


@pytest.mark.parametrize("typed", [SHORT, LONG, f" {SHORT}\n", f"\t{LONG} "])
def test_a_salesforce_id_is_the_same_with_15_and_18_characters(typed: str) -> None:
    assert record_id(typed) == LONG


@pytest.mark.parametrize("number", [0, 61, 4_711, 62**5, 62**6 - 1])
def test_the_three_characters_added_are_those_of_the_vendor(number: int) -> None:
    made = new_id("003", number)
    assert (record_id(made[:15]), record_id(made)) == (made, made)


def test_salesforce_ids_that_differ_in_case_only_are_two() -> None:
    assert record_id(SHORT.swapcase()) != record_id(SHORT)
    assert long_id(LONG) == LONG


@pytest.mark.parametrize("typed", [LONG.lower(), LONG.upper(), f"{SHORT}AAA", LONG.replace("Qb", "QB")])
def test_a_salesforce_id_whose_check_characters_do_not_fit_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="last three characters do not fit"):
        record_id(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", "12", SHORT[:14], f"{SHORT}I", f"{LONG}A", "001Qb-0000000aB", "001Qb00000000a\u00df", "\uff10\uff10\uff11Qb00000000aB"),
        f"https://acme.lightning.force.com/lightning/r/Account/{LONG}/view",
    ],
)
def test_what_is_no_salesforce_id_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ValueError, match="15 or 18"):
        record_id(typed)


def test_a_hubspot_id_is_its_digits() -> None:
    record_id_of = crm_kinds()["hubspot"].record_id
    assert record_id_of(" 512345678901 ") == record_id_of("00512345678901") == "512345678901"
    for typed in (
        "",
        "12 34",
        "12,345",
        "1.2E10",
        "-5",
        "\u0661\u0662",
        "https://app.hubspot.com/contacts/44000123/record/0-2/512345678901",
    ):
        with pytest.raises(ValueError, match="no HubSpot record id"):
            record_id_of(typed)
