"""What the YAML may say about QBench."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.settings import QBenchLimits, QBenchSettings
from crm_pipeline_tests.qbench.bench import settings_for


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://acme.qbench.net", "https://acme.qbench.net"),
        ("https://acme.qbench.net/", "https://acme.qbench.net"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_address_is_kept_without_its_slash(given: str, kept: str) -> None:
    assert settings_for(given).url == kept


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("acme.qbench.net", "must begin with https://"),
        ("ftp://acme.qbench.net", "must begin with https://"),
        ("https://", "names no host"),
        ("https://ac me.net", "names no host"),
        ("https://acme..qbench.net", "names no host"),
        (f"https://{'a' * 64}.net", "names no host"),
        ("https://acme.qbench.net:port", "no web address"),
        ("https://acme.qbench.net/qbench/api/v2", "must end after the host"),
        ("https://acme.qbench.net?x=1", "must end after the host"),
        ("https://me:hunter2@acme.qbench.net", "must not hold credentials"),
    ],
)
def test_wrong_address_is_refused_with_what_is_right(url: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for(url)
    assert words in str(refused.value)
    assert "https://acme.qbench.net" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="America/Chicago"):
        settings_for("https://acme.qbench.net", time_zone=name)


@pytest.mark.parametrize(
    "changes", [{"page_size": 51}, {"page_size": 0}, {"attempts": 0}, {"timeout_seconds": 0}, {"client_secret": "plain"}, {"colour": 1}]
)
def test_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_for("https://acme.qbench.net", **changes)


@pytest.mark.parametrize("model", [QBenchSettings, QBenchLimits])
def test_every_field_is_described_and_shown(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not (field.description and field.examples)] == []


def test_secrets_go_unencrypted_to_another_machine_only_where_the_yaml_says_so() -> None:
    with pytest.raises(ValidationError, match="credentials would go there unencrypted"):
        settings_for("http://acme.qbench.net")
    assert settings_for("http://acme.qbench.net", allow_http=True).url == "http://acme.qbench.net"


@pytest.mark.parametrize(
    ("record_type", "page"),
    [
        (RecordType.ACCOUNT, "https://acme.qbench.net/customer?id=7"),
        (RecordType.CONTACT, "https://acme.qbench.net/contact?id=7"),
        (RecordType.LEAD, "https://acme.qbench.net/contact?id=7"),
    ],
)
def test_page_of_a_record_is_that_of_its_customer_or_contact(record_type: RecordType, page: str) -> None:
    assert settings_for("https://acme.qbench.net").record_url(record_type, 7) == page


def test_page_of_a_record_can_be_set() -> None:
    settings = settings_for("https://acme.qbench.net", record_page="/app/{record}s/{id}")
    assert settings.record_url(RecordType.CONTACT, 7) == "https://acme.qbench.net/app/contacts/7"


def test_page_of_a_record_names_it() -> None:
    with pytest.raises(ValidationError, match="record_page"):
        settings_for("https://acme.qbench.net", record_page="/customers")
