from __future__ import annotations

import pytest
from hypothesis import given

from crm_pipeline.mapping.countries import country_code, country_name, state_code
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
