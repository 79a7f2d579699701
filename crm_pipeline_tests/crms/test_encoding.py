"""Requests as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_pipeline.crms.encoding import json_body


@pytest.mark.parametrize("value", ["Žofie", "\ud800", "\x00", 2**70, 1.5, None, True, [{"a": "\ud800"}]])
def test_request_carries_each_value_as_it_is(value: Any) -> None:
    assert json.loads(json_body({"value": value})) == {"value": value}
