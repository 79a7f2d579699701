"""Who has a CRM record already? In words for a reason."""

from __future__ import annotations

import pandas as pd


def who_holds(held: pd.DataFrame, *, integration: str) -> pd.Series:
    """Whom CRM records are linked to (str), a row each of schemas.HOLDERS, null where to none: by the QBench id, which each integration
    has of its own.
    """
    anothers = held["integration"].notna() & held["integration"].ne(integration)
    return "QBench id " + held["qbench_id"].astype("Int64").astype("str") + (" of integration " + held["integration"]).where(anothers, "")
