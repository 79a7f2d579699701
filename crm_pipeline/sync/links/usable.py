"""Which links can be used? By them records are updated, and contacts find their accounts; no I/O."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.frames import texts_where
from crm_pipeline.model import LinkStatus

UNUSABLE = (LinkStatus.DELETED, LinkStatus.CONFLICT)
"""What a link is that keeps back its own record."""


def account_crm_ids(links: pd.DataFrame) -> pd.Series:
    """By QBench id of customers (schemas.CHECKED_LINKS), the CRM id that contacts get as their account; null without one.

    Of a link that lost its record to another customer's in a merge, that is the winner's (docs/rules.md, 27).
    """
    live, lost = (links["status"].eq(status).to_numpy(bool) for status in (LinkStatus.LIVE, LinkStatus.CONFLICT))
    return texts_where(live, links["crm_id"], texts_where(lost, links["merged_into"])).set_axis(links["qbench_id"])
