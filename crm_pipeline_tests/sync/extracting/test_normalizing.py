"""By what a normalized record is told from the one that other settings made of the same record."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.revision import mapping_digest
from crm_pipeline.model import RecordType

KEYS: dict[str, Any] = {
    "name": "acme",
    "start": "2026-11-01T00:00Z",
    "qbench": {"url": "https://acme.qbench.net", "client_id": {"env": "A"}, "client_secret": {"env": "B"}},
    "crms": {"hubspot": {"token": {"env": "C"}}},
    "accounts": {"map": {"name": "customer_name", "website": "website"}},
    "contacts": {"map": {"email": "email_address"}},
}
MAP: dict[str, Any] = KEYS["accounts"]["map"]


def digests(**changes: Any) -> dict[RecordType, str]:
    """The digests of an integration's mappings; dicts that are given are put into those of the example."""
    keys = {**KEYS, **{name: {**KEYS.get(name, {}), **value} if isinstance(value, dict) else value for name, value in changes.items()}}
    spec = IntegrationSpec.model_validate(keys)
    return {record_type: mapping_digest(record, spec.reading) for record_type, record in spec.records.items()}


@pytest.mark.parametrize(
    "change",
    [
        {"map": {**MAP, "website": "url"}},
        {"map": {**MAP, "website": {"from": "website", "policy": "if_blank"}}},
        {"map": {**MAP, "website": {"from": "website", "clear": True}}},
        {"map": {**MAP, "hubspot.tier": "group_name"}},
        {"sync_on": [{"name": {"hubspot": "name"}}]},
        {"meaningless": ["walk-in"]},
        {"only": {"field": "status", "is": "ACTIVE"}},
        {"active_only": True},
        {"owner": [{"hubspot": "pat@example.org"}]},
    ],
    ids=str,
)
def test_whatever_is_written_about_a_record_type_makes_its_records_out_of_date_and_no_others(change: dict[str, Any]) -> None:
    before, after = digests(), digests(accounts=change)
    assert before[RecordType.ACCOUNT] != after[RecordType.ACCOUNT]
    assert before[RecordType.CONTACT] == after[RecordType.CONTACT]


@pytest.mark.parametrize("change", [{"default_region": "DE"}, {"qbench": {"time_zone": "America/Chicago"}}], ids=str)
def test_how_values_are_read_makes_every_record_out_of_date(change: dict[str, Any]) -> None:
    before, after = digests(), digests(**change)
    assert all(before[record_type] != after[record_type] for record_type in before)


def test_how_the_crms_and_qbench_are_called_makes_no_record_out_of_date() -> None:
    other_crm = {"salesforce": {"domain": "acme.my", "client_id": {"env": "D"}, "client_secret": {"env": "E"}}}
    assert digests(crms=other_crm, qbench={"page_size": 10}, retries={"attempts": 3}, hours_per_run=5) == digests()
