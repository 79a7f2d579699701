from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.filters import fields_named, meets
from crm_pipeline_tests.mapping.builders import JSON_VALUES, quickly


def verdict(value: Any, **rule: Any) -> bool:
    content = pd.Series([{"x": value}], dtype=object)
    return bool(meets(content, Filter.model_validate({"field": "x", **rule})).iloc[0])


@pytest.mark.parametrize(
    ("value", "rule", "met"),
    [
        (" active ", {"is": "ACTIVE"}, True),
        ("INACTIVE", {"is": "ACTIVE"}, False),
        (5.0, {"is": 5}, True),
        (True, {"is": True}, True),
        (["Food", "Water"], {"is": "food"}, True),
        (None, {"is": "ACTIVE"}, False),
        ("TEST", {"is_not": "test"}, False),
        (None, {"is_not": "test"}, True),
        (["a", "test"], {"is_not": "test"}, False),
        ("b", {"in": ["A", "B"]}, True),
        (["x", "b"], {"in": ["A", "B"]}, True),
        ("c", {"in": ["A", "B"]}, False),
        ("b", {"not_in": ["A", "B"]}, False),
        (None, {"not_in": ["A", "B"]}, True),
        ("Eco Labs Ltd", {"contains": "LABS"}, True),
        (["eco labs"], {"contains": "labs"}, False),
        (["Labs"], {"contains": "labs"}, True),
        ("a.c", {"contains": "a.c"}, True),
        ("abc", {"contains": "a.c"}, False),
        ("us-17", {"starts_with": "US-"}, True),
        ("x us-17", {"starts_with": "US-"}, False),
        ("  ", {"is_blank": True}, True),
        ([], {"is_blank": True}, True),
        ({"a": 1}, {"is_blank": True}, False),
        ("x", {"is_blank": False}, True),
        ("1,200", {"greater_than": 1000}, True),
        (10, {"greater_than": 10}, False),
        ("many", {"greater_than": 0}, False),
        ("1.000", {"greater_than": 0}, False),
        (1.125, {"greater_than": 1}, True),
        ("inf", {"greater_than": 0}, False),
        (None, {"greater_than": -1}, False),
    ],
)
def test_operator(value: Any, rule: dict[str, Any], met: object) -> None:
    assert verdict(value, **rule) is met


def test_rules_nest_with_all_and_any() -> None:
    rule = Filter.model_validate(
        {
            "all": [
                {"field": "status", "is": "ACTIVE"},
                {"any": [{"field": "tags", "contains": "food"}, {"field": "size", "greater_than": 9}]},
            ]
        }
    )
    content = pd.Series(
        [{"status": "ACTIVE", "tags": ["food"]}, {"status": "ACTIVE", "size": 10}, {"status": "ACTIVE"}, {"tags": ["food"], "size": 10}],
        dtype=object,
    )
    assert meets(content, rule).tolist() == [True, True, False, False]
    assert fields_named(rule) == ["status", "tags", "size"]


@pytest.mark.parametrize("rule", [{"all": []}, {"any": []}, {"field": "x", "in": []}, {"field": "x", "not_in": []}, {"crm_list": {}}])
def test_rule_that_names_nothing_is_refused(rule: dict[str, Any]) -> None:
    (key,) = {*rule} - {"field"}
    with pytest.raises(ValidationError, match=f"`{key}` names nothing; give it at least one"):
        Filter.model_validate(rule)


def test_contact_rule_reads_the_customers_field() -> None:
    rule = Filter.model_validate({"field": "customer.status", "is": "ACTIVE"})
    content = pd.Series([{}, {}, {}], dtype=object)
    customers = pd.Series([{"status": "active"}, {"status": "CLOSED"}, None], dtype=object)
    assert meets(content, rule, customers=customers).tolist() == [True, False, False]


def test_customer_rule_without_customers_names_the_field() -> None:
    with pytest.raises(ConfigurationError, match=r"customer\.status"):
        meets(pd.Series([{}], dtype=object), Filter.model_validate({"field": "customer.status", "is": "ACTIVE"}))


RULES = [
    {"is": "a"}, {"is_not": "a"}, {"in": ["a", 1]}, {"not_in": ["a", 1]}, {"contains": "a"}, {"starts_with": "a"}, {"is_blank": True},
    {"greater_than": 0},
]  # fmt: skip


@pytest.mark.parametrize("beside", ["x", ["x"]])
def test_object_has_no_text_whatever_stands_beside_it(beside: Any) -> None:
    content = pd.Series([{"x": {"a": 1}}, {"x": beside}], dtype=object)
    assert meets(content, Filter.model_validate({"field": "x", "in": ["a", "x"]})).tolist() == [False, True]


@quickly
@given(st.lists(JSON_VALUES, max_size=4), st.sampled_from(RULES))
def test_any_value_has_a_verdict_of_its_own(values: list[Any], rule: dict[str, Any]) -> None:
    content = pd.Series([{"x": value} for value in values], dtype=object)
    together = meets(content, Filter.model_validate({"field": "x", **rule}))
    assert together.dtype == bool
    assert together.tolist() == [verdict(value, **rule) for value in values]
