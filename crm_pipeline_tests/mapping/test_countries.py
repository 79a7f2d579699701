from __future__ import annotations

import pytest
from hypothesis import given

from crm_pipeline.mapping.countries import country_code, country_name, names_no_country, state_code
from crm_pipeline_tests.mapping.builders import FREE_TEXT, quickly


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("US", "US"),
        ("usa", "US"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("united  states", "US"),
        ("UK", "GB"),
        ("Deutschland", "DE"),
        ("Côte d'Ivoire", "CI"),
        ("cote d’ivoire", "CI"),
        ("South Korea", "KR"),
        ("Czech Republic", "CZ"),
        ("Unted States", None),
        ("Georgia, USA", None),
        ("Texas", None),
    ],
)
def test_country_is_named_exactly_or_not_at_all(text: str, code: str | None) -> None:
    assert country_code(text) == code


NO_COUNTRY = ["NA", "na", "N.A.", "n.a.", "n. a.", "N/A", "n/a", "-", "--", "?", "none", "None", "UNKNOWN", "Not applicable", "xxx"]
UNCLEAR = ["in", "In", "no", "No", "is", "me", "to", "at", "are", "can", "per", "I.T.", "I.N.", "AN", "Korea", "Congo or Zaire"]


@pytest.mark.parametrize("text", NO_COUNTRY)
def test_what_only_fills_the_place_of_a_country_is_none(text: str) -> None:
    assert (country_code(text), names_no_country(text)) == (None, True)


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_may_be_a_word_or_two_countries_stays_as_given(text: str) -> None:
    assert (country_code(text), names_no_country(text)) == (None, False)


@pytest.mark.parametrize(
    ("text", "code"),
    [("IN", "IN"), ("NO", "NO"), ("ME", "ME"), ("de", "DE"), ("gb", "GB"), ("DEU", "DE"), ("Namibia", "NA"), ("NAM", "NA"), ("uk", "GB")],
)
def test_codes_written_as_such_are_countries(text: str, code: str) -> None:
    assert country_code(text) == code


def test_kosovo_has_the_code_that_all_use_for_it() -> None:
    assert [country_code("Kosovo"), country_code("XK"), country_name("XK")] == ["XK", "XK", "Kosovo"]


def test_no_state_is_read_from_no_answer_but_naples() -> None:
    assert [state_code(text, "IT") for text in ("N.A.", "n/a", "na", "NA")] == [None, None, None, "NA"]


def test_country_goes_out_by_its_common_english_name() -> None:
    assert [country_name(code) for code in ("KR", "TW", "DE", "Atlantis")] == ["South Korea", "Taiwan", "Germany", "Atlantis"]


@pytest.mark.parametrize(
    ("state", "country", "code"),
    [("Texas", "US", "TX"), ("tx", "US", "TX"), ("Bayern", "DE", "BY"), ("Texas", "DE", None), ("Texas", "Atlantis", None)],
)
def test_state_is_looked_up_in_its_country(state: str, country: str, code: str | None) -> None:
    assert state_code(state, country) == code


@quickly
@given(FREE_TEXT)
def test_country_of_any_text_is_a_code_or_unknown(text: str) -> None:
    code = country_code(text)
    assert code is None or (len(code) == 2 and country_code(country_name(code)) == code)
