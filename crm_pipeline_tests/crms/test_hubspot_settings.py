"""What a user may write about HubSpot."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.crms.hubspot import HubSpotSettings
from crm_pipeline.crms.hubspot.settings import HubSpotLimits
from crm_pipeline.settings import YamlModel

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
        {**TOKEN, "url": "api.hubapi.com"},
        {**TOKEN, "url": "https://api.hubapi.com/crm/v3"},
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
