"""How Salesforce's answers are asked for."""

from __future__ import annotations

from crm_pipeline.crms.salesforce.encoding import Client


def test_answers_are_not_laid_out_for_people() -> None:
    assert set(Client(session_id="token", instance_url="https://acme.example").headers) == {"Content-Type", "Authorization"}
