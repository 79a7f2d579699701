"""Which alert settings are refused, and what the YAML's author is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.configuration.problems import dotted, problems_of

MAIL: dict[str, Any] = {"host": "smtp.example.org", "from": "crm@example.org", "to": ["data@example.org"]}


@pytest.mark.parametrize(
    ("written", "path", "said"),
    [
        ({}, "", "tells nobody; give at least one of: slack, webhook, email"),
        ({"silent_hours": 6}, "", "tells nobody"),
        ({"slack": "https://hooks.slack.com/services/T0/B0/x"}, "slack", "a credential is never written here"),
        ({"email": {**MAIL, "username": {"env": "USER"}}}, "email", "give both username and password, or neither"),
        (
            {"email": {**MAIL, "security": "none", "username": {"env": "USER"}, "password": {"env": "PASSWORD"}}},
            "email",
            "a password is not sent unencrypted",
        ),
        ({"email": {**MAIL, "to": []}}, "email.to", "names nobody"),
        ({"email": {**MAIL, "to": ["nobody"]}}, "email.to[0]", "is no e-mail address"),
        ({"slack": {"env": "SLACK"}, "failed_share": 1.5}, "failed_share", "less than or equal to 1"),
        ({"slack": {"env": "SLACK"}, "dagster_url": "dagster.example.org"}, "dagster_url", "does not have the right form"),
    ],
)
def test_settings_that_cannot_work_are_refused(written: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AlertSettings.model_validate(written)
    [problem] = problems_of(refused.value, model=AlertSettings, raw=written)
    assert dotted(problem.path) == path
    assert said in problem.message
    assert "T0/B0" not in problem.message
