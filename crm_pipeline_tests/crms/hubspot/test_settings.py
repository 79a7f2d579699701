"""What a user may write about HubSpot."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.crms.hubspot import HubSpotSettings
from crm_pipeline.crms.hubspot.settings import HubSpotLimits

TOKEN = {"token": {"env": "HUBSPOT_TOKEN"}}


@pytest.mark.parametrize("model", [HubSpotSettings, HubSpotLimits])
def test_every_key_is_described_with_an_example(model: type[YamlModel]) -> None:
    lacking = [name for name, field in model.model_fields.items() if not (field.description and field.examples)]
    assert lacking == []


def test_token_is_all_that_must_be_given() -> None:
    settings = HubSpotSettings.model_validate(TOKEN)
    assert (settings.url, settings.path_family) == ("https://api.hubapi.com", "v3")


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "pat-na1-plain"},
        {**TOKEN, "path_family": "v4"},
        {**TOKEN, "limits": {"calls": 0}},
        {**TOKEN, "keep_free": 1},
        {**TOKEN, "tokn": "x"},
    ],
)
def test_wrong_settings_are_refused_without_repeating_them(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        HubSpotSettings.model_validate(wrong)
    assert "pat-na1" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("api.hubapi.com", "must begin with https://"),
        ("https://api.hubapi.com/crm/v3", "must end after the host"),
        ("https://api.hubapi.com?hapikey=s3cret", "must end after the host"),
        ("https://api.hubapi.com#s3cret", "must end after the host"),
        ("https://user:s3cret@api.hubapi.com", "must not hold credentials"),
        ("https://s3cret@api.hubapi.com", "must not hold credentials"),
    ],
)
def test_url_is_a_host_alone_and_the_error_does_not_repeat_what_stood_there(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as raised:
        HubSpotSettings.model_validate({**TOKEN, "url": url})
    assert "s3cret" not in str(raised.value)


def test_url_is_kept_without_its_slash() -> None:
    assert HubSpotSettings.model_validate({**TOKEN, "url": "http://127.0.0.1:8080/"}).url == "http://127.0.0.1:8080"
