"""Which owner rules a record meets, and which of them applies in a CRM."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from crm_pipeline.mapping.owners import OWNER_RULES, applying_rule, rules_met
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec

IN_US = {"only": {"field": "country_name", "is": "US"}, "salesforce": "us@acme.example"}
ALL = {"salesforce": "all@acme.example", "hubspot": 300}


def met(*owner: object, customers: pd.Series | None = None) -> list[str | None]:
    spec = ContactSpec.model_validate({"map": {"email": "email"}, "owner": owner})
    content = pd.Series([{"country_name": "us"}, {"country_name": "CA"}], dtype=object)
    return list(rules_met(content, spec, customers=customers)[OWNER_RULES])


def test_every_rule_that_a_record_meets_is_kept_in_order() -> None:
    assert met(IN_US, ALL) == ["0,1", "1"]


def test_a_record_that_meets_no_rule_has_none() -> None:
    assert met(IN_US) == ["0", None]


def test_a_rule_may_look_at_the_customer() -> None:
    customers = pd.Series([{"tier": "gold"}, {"tier": "tin"}], dtype=object)
    assert met({"only": {"field": "customer.tier", "is": "gold"}, "same_as_account": True}, customers=customers) == ["0", None]


def test_an_integration_without_owner_rules_has_no_column() -> None:
    assert rules_met(pd.Series([{}], dtype=object), AccountSpec.model_validate({"map": {"name": "name"}}), customers=None) == {}


@pytest.mark.parametrize(("crm", "expected"), [("salesforce", [0, 1, None]), ("hubspot", [1, 1, None])])
def test_the_first_rule_that_names_the_crm_applies(crm: str, expected: list[int | None]) -> None:
    rules = AccountSpec.model_validate({"map": {"name": "name"}, "owner": [IN_US, ALL]}).owner
    found = applying_rule(pd.Series(["0,1", "1", None], dtype=object), rules, crm=crm)
    assert [None if pd.isna(position) else position for position in found] == expected


@pytest.mark.parametrize("rule", [{}, {"only": {"field": "a", "is": 1}}, {"same_as_account": True, "salesforce": "a"}])
def test_a_rule_says_exactly_one_thing(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="an owner rule names a user per CRM"):
        ContactSpec.model_validate({"map": {"email": "email"}, "owner": [rule]})
