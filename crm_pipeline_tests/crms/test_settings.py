"""What the YAML may say about any CRM."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.configuration.model import sends_in_clear
from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmSettings


@pytest.mark.parametrize("name", list(crm_kinds()))
@pytest.mark.parametrize("prefix", ["1", "lab-2"])
def test_key_prefix_that_could_run_into_another_integrations_ids_is_refused(name: str, prefix: str) -> None:
    with pytest.raises(ValidationError) as refused:
        crm_kinds()[name].settings.model_validate({"external_key_prefix": prefix})
    [says] = [error["msg"] for error in refused.value.errors() if error["loc"] == ("external_key_prefix",)]
    assert "must not end in a digit" in says


@pytest.mark.parametrize("prefix", [" uk-", "\u200buk-", "uk\n-"])
def test_key_prefix_that_a_crm_would_not_keep_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="the CRMs do not keep them"):
        CrmSettings(external_key_prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "uk-", "lab2-", "uk"])
def test_key_prefix_that_keeps_its_ids_apart_is_taken(prefix: str) -> None:
    assert CrmSettings(external_key_prefix=prefix).external_key_prefix == prefix


ABROAD = ["http://crm.example.org", "http://10.0.0.7:8080", "http://127.0.0.1.example.org", "http://2130706433"]
NEAR_OR_SAFE = ["https://crm.example.org", "http://localhost:8081", "http://127.0.0.1:8081", "http://[::1]:8081", "http://a.localhost"]


@pytest.mark.parametrize("url", ABROAD)
@pytest.mark.parametrize("name", list(crm_kinds()))
def test_secrets_go_unencrypted_to_another_machine_only_where_the_yaml_says_so(name: str, url: str) -> None:
    credentials = {
        key: {"env": "SECRET"}
        for key in ("token", "client_id", "client_secret", "user", "password")
        if key in crm_kinds()[name].settings.model_fields
    }
    with pytest.raises(ValidationError, match="credentials would go there unencrypted") as refused:
        crm_kinds()[name].settings.model_validate({"url": url, **credentials})
    assert url not in str(refused.value)
    assert crm_kinds()[name].settings.model_validate({"url": url, "allow_http": True, **credentials})


@pytest.mark.parametrize("url", NEAR_OR_SAFE)
def test_what_stays_on_the_machine_or_is_encrypted_may_be_sent(url: str) -> None:
    assert not sends_in_clear(url)


DECISIVE: dict[str, Any] = {"country_format": "code", "external_key": "Other_Key", "external_key_prefix": "uk-", "allow_duplicates": "all"}
"""Settings by which another thing becomes of a record, each with a value that is no default."""

WHERE_AND_HOW = {
    "send", "receive",
    "domain", "url", "allow_http", "client_id", "client_secret", "token", "api_version", "path_family",
    "limits", "keep_free", "calls_in_flight", "bulk_from", "bulk_seconds", "timeout_seconds", "late_seconds", "attempts",
    "fields_kept_hours", "waits", "association_batch_size", "search_lag_seconds",
    "sensitive_properties", "user", "password", "pages", "batch_size", "contacts_as", "auto_assign",
}  # fmt: skip
"""Settings that say where the CRM is and how it is called. Without sensitive_properties a load that needs it stops; no record waits.

By ``contacts_as`` contacts are normalized, and planned again once they are of another mapping. ``auto_assign`` refuses no record.
"""


@pytest.mark.parametrize("name", list(crm_kinds()))
def test_each_setting_says_what_becomes_of_a_record_or_how_the_crm_is_called(name: str) -> None:
    settings = crm_kinds()[name].settings
    assert set(settings.model_fields) - WHERE_AND_HOW - DECISIVE.keys() == set()
    usual = settings.model_construct()
    decisive = {key for key, value in DECISIVE.items() if settings.model_construct(**{key: value}).decisive != usual.decisive}
    assert decisive == settings.model_fields.keys() & DECISIVE
