from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.meaningless import match_values, own_host
from crm_pipeline.mapping.values import host_form
from crm_pipeline.model import FieldKind
from crm_pipeline_tests.mapping.builders import FREE_TEXT, account_spec, customer, in_frames, listed, normalized


def compared(*values: str, kind: FieldKind = "text", meaningless: tuple[str, ...] = ()) -> list[str | None]:
    return listed(match_values(pd.Series(values, dtype=object), kind, default_region="US", meaningless=meaningless))


@pytest.mark.parametrize("kind", ["text", "url", "phone", "email"])
@pytest.mark.parametrize(
    "placeholder",
    [
        *("n/a", "N.A.", "Ｎ／Ａ", "none", "NULL", "-", "—", "...", "?", "Unknown", "TEST", "t.b.d.", "not available", "xxx", "0", "00000"),
        *("unbekannt", "Не указано", "ТЕСТ", "不明", "없음", "غير معروف", "n\u200b/a"),
        *("unknown unknown", "None, none", "Test 1", "Testing123", "N/A - see notes", "#REF!", "S/N", "нет данных"),
    ],
)
def test_placeholder_is_no_key_in_any_case_and_script(placeholder: str, kind: FieldKind) -> None:
    assert compared(placeholder, kind=kind) == [None]


@pytest.mark.parametrize(
    "number",
    [
        "0000000000",
        "+1 000 000 0000",
        "111-111-1111",
        "(555) 555-5555",
        "1234567890",
        "٠٠٠٠٠٠٠",
        "+1",
        "+49",
        "+",
        "+x",
        "+1 see notes",
        "555-1234",
        "12345",
        "call office",
        "1-800-000-0000",
    ],
)
def test_number_that_nobody_has_is_no_key(number: str) -> None:
    assert compared(number, kind="phone") == [None]
    assert compared("+1 512 555 0101", kind="phone") == ["+15125550101"]


@pytest.mark.parametrize(
    ("address", "known"),
    [
        *(("none@none.com", None), ("test@test.com", None), ("noemail@acme.com", None), ("no-email@acme.com", None)),
        *(("na@acme.com", "na@acme.com"), ("nora@acme.com", "nora@acme.com"), ("ana@test.com", "ana@test.com")),
        *(("unknown@acme.org", None), ("noreply@acme.org", None), ("n/a@n/a.com", None), ("-@-.com", None), ("info@example.com", None)),
        *(("noname1@acme.com", None), ("norma1@acme.com", "norma1@acme.com"), ("Test@Acme.com", None), ("test", None)),
    ],
)
def test_mail_address_of_placeholders_is_no_key(address: str, known: str | None) -> None:
    assert compared("jane@acme.com", address, kind="email") == ["jane@acme.com", known]


def test_mail_address_that_an_integration_calls_meaningless_is_no_key() -> None:
    assert compared("labs@acme.com", "jane@acme.com", kind="email", meaningless=("Labs@ACME.com",)) == [None, "jane@acme.com"]


@pytest.mark.parametrize("name", ["Nathan Labs", "Tested & True", "No. 1 Bakery", "Nonesuch", "Unknown Pleasures", "A", "7", "11", "C++"])
def test_name_that_only_holds_a_placeholder_stays_a_key(name: str) -> None:
    assert compared(name) != [None]


@pytest.mark.parametrize(
    "address",
    [
        *("localhost", "http://n", "192.168.1.1", "https://10.0.0.7/x", "www", "http://", "acme", "see notes", "a b.com c"),
        *("facebook.com", "https://www.linkedin.com/", "wixsite.com", "github.io", "weebly.com", "co.uk", "example.com", "none.com"),
        *("gmail.com", "yahoo.co.uk", "https://bit.ly/3xYz", "u.s", "google.de", "linkedin.com/company", "facebook.com/profile.php"),
        *("youtube.com/watch", "acme.local", "www.acme", "yourdomain.com", "forms.gle"),
    ],
)
def test_web_address_of_nobody_is_no_key(address: str) -> None:
    assert compared(address, kind="url") == [None]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://www.facebook.com/acmelabs", "https://facebook.com/borealis.bakery", False),
        ("https://m.facebook.com/AcmeLabs/?ref=page", "facebook.com/acmelabs", True),
        ("https://www.facebook.com/profile.php?id=1", "https://www.facebook.com/profile.php?id=2", False),
        ("https://www.google.com/search?q=acme", "https://www.google.com/search?q=other", False),
        ("https://www.amazon.fr/stores/acme", "https://www.amazon.fr/stores/other", False),
        ("https://sites.google.com/view/acme", "https://sites.google.com/view/other", False),
        ("https://de.linkedin.com/company/acme", "http://www.linkedin.com/company/acme/", True),
        ("https://acme.wixsite.com/lab", "https://www.ACME.wixsite.com/home", True),
        ("https://acme.wixsite.com", "https://other.wixsite.com", False),
        ("https://acme.github.io", "https://other.github.io", False),
        ("https://www.ecolabs.example/contact", "EcoLabs.example", True),
        ("https://labs.example", "https://eco.labs.example", False),
    ],
)
def test_address_on_a_shared_host_is_compared_by_its_page(one: str, other: str, *, same: bool) -> None:
    first, second = compared(one, other, kind="url")
    assert first is not None
    assert (first == second) is same


def test_integration_names_further_values_and_hosts() -> None:
    further = ("Walk-in Customer", "ClubExpress.com")
    assert compared("walk-in  customer", "acme", meaningless=further) == [None, "acme"]
    pages = compared("acme.clubexpress.com/a", "clubexpress.com/b", "clubexpress.com", kind="url", meaningless=further)
    assert pages == ["clubexpress.com/a", "clubexpress.com/b", None]


def test_host_that_many_share_is_not_sent_as_a_companys() -> None:
    spec = account_spec({"hubspot.domain": {"from": "site", "as": "host"}}, meaningless=["clubexpress.com"])
    sites = ["https://www.acme-labs.com/x", "ana@gmail.com", "facebook.com/acme", "N/A", "call us", "acme.clubexpress.com", "10.0.0.1"]
    read = normalized(spec, *(customer(site=site) for site in sites))
    assert listed(read.frame["hubspot.domain"]) == ["acme-labs.com", *[None] * 6]
    assert read.counts["hosts_left_out"] == 6


@in_frames
@given(st.lists(FREE_TEXT, max_size=15))
def test_match_values_of_match_values_are_the_same(values: list[str]) -> None:
    for kind in ("text", "url"):
        once = match_values(pd.Series(values, dtype=object), kind, default_region="US")
        assert listed(match_values(once, kind, default_region="US")) == listed(once), kind


@given(FREE_TEXT | st.from_regex(r"https?://[a-z0-9.-]{1,20}/[a-z?=&#]{0,9}", fullmatch=True))
def test_any_text_can_be_asked_for_its_host(text: str) -> None:
    assert own_host(host_form(text)) in (True, False)
    compared(text, kind="url")
