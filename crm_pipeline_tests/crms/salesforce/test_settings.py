"""What a user may write under ``crms.salesforce``."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.crms.salesforce import SalesforceSettings

CREDENTIALS = {"client_id": {"env": "SALESFORCE_CLIENT_ID"}, "client_secret": {"env": "SALESFORCE_CLIENT_SECRET"}}


def settings(**given: Any) -> SalesforceSettings:
    return SalesforceSettings.model_validate({**CREDENTIALS, **given})


def test_domain_is_enough_beside_the_credentials() -> None:
    read = settings(domain="acme--uat.sandbox.my")
    assert (read.api_version, read.keep_free, read.allow_duplicates, read.external_key) == ("64.0", 0.1, "none", None)


@pytest.mark.parametrize("given", [{}, {"domain": "acme.my", "url": "http://127.0.0.1:1"}])
def test_exactly_one_address_is_given(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give either `domain`"):
        settings(**given)


@pytest.mark.parametrize("domain", ["login", "test", "acme.my.salesforce.com", "https://acme.my", "acme.my/", ""])
def test_domain_is_my_domain_without_the_rest(domain: str) -> None:
    with pytest.raises(ValidationError, match="give My Domain only"):
        settings(domain=domain)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("acme.example.com", "must begin with https://"),
        ("ftp://acme.example.com", "must begin with https://"),
        ("https://", "names no host"),
        ("https://user:s3cret@acme.example.com", "must not hold credentials"),
        ("https://acme.example.com/salesforce?key=s3cret", "must end before ? and #"),
        ("https://acme.example.com#s3cret", "must end before ? and #"),
    ],
)
def test_url_is_a_whole_address_without_credentials(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as raised:
        settings(url=url)
    assert "s3cret" not in str(raised.value)


def test_url_may_lead_to_a_path_of_a_gateway() -> None:
    assert settings(url="https://gateway.example.com/salesforce/").url == "https://gateway.example.com/salesforce"


@pytest.mark.parametrize("version", ["v64.0", "64", "45.0"])
def test_api_version_knows_upserts_of_collections(version: str) -> None:
    with pytest.raises(ValidationError, match="api_version"):
        settings(domain="acme.my", api_version=version)


def test_every_setting_says_what_it_is_and_shows_an_example() -> None:
    for name, field in SalesforceSettings.model_fields.items():
        assert field.description, name
        assert field.examples, name
