"""What the YAML may say about any CRM."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmSettings


@pytest.mark.parametrize("name", list(crm_kinds()))
@pytest.mark.parametrize("prefix", ["1", "lab-2"])
def test_key_prefix_that_could_run_into_another_integrations_ids_is_refused(name: str, prefix: str) -> None:
    with pytest.raises(ValidationError) as refused:
        crm_kinds()[name].settings.model_validate({"external_key_prefix": prefix})
    [says] = [error["msg"] for error in refused.value.errors() if error["loc"] == ("external_key_prefix",)]
    assert "must not end in a digit" in says


@pytest.mark.parametrize("prefix", ["", "uk-", "lab2-", "uk"])
def test_key_prefix_that_keeps_its_ids_apart_is_taken(prefix: str) -> None:
    assert CrmSettings(external_key_prefix=prefix).external_key_prefix == prefix
