"""Which owner rules a record meets, from its QBench fields."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.mapping.filters import meets
from crm_pipeline.mapping.owner_keys import OwnerRule
from crm_pipeline.mapping.spec import RecordSpec

OWNER_RULES = "owner_rules"
"""The column of a normalized frame that holds what ``rules_met`` found; only where the integration has owner rules."""


def rules_met(content: pd.Series, spec: RecordSpec, *, customers: pd.Series | None) -> dict[str, pd.Series]:
    """The column ``OWNER_RULES``: the positions of the owner rules that each record meets, joined by ','; null where none.

    ``content``, ``customers``: as in filters.meets.
    """
    if not spec.owner:
        return {}
    positions = pd.Series("", index=content.index, dtype="str")
    for position, rule in enumerate(spec.owner):
        met = pd.Series(True, index=content.index) if rule.only is None else meets(content, rule.only, customers=customers)
        positions = positions.mask(met, positions + f",{position}")
    positions = positions.str.removeprefix(",")
    return {OWNER_RULES: positions.mask(positions == "").astype(object).where(positions != "", None)}


def applying_rule(met: pd.Series, rules: Sequence[OwnerRule], *, crm: str) -> pd.Series:
    """The position of the first rule that a record meets and that says who owns it in this CRM (Int64, null where none does)."""
    saying = [str(position) for position, rule in enumerate(rules) if crm in rule.users or rule.takes_accounts_owner]
    first = {text: next((int(one) for one in text.split(",") if one in saying), None) for text in met.dropna().unique()}
    return met.map(first).astype("Int64")
