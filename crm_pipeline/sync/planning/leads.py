"""Which contacts of QBench are leads in a CRM? Decided from what became of the contact; no I/O.

A contact is planned first. Where the CRM has it as no contact and the rule makes it a lead, its outcome says so, and a lead is
made only of a contact whose outcome says it.
"""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import DeletedInCrmException, LinkConflictException, SyncsAsContactException, SyncsAsLeadException
from crm_pipeline.frames import aligned, looked_up
from crm_pipeline.sync.planning.eligibility import VERDICTS

_OF_ITS_LINK = (DeletedInCrmException.__name__, LinkConflictException.__name__)
"""What leads say whose links cannot be used; what keeps back the contact comes before that (docs/rules.md, 38)."""


def only_of_contacts_that_leave(
    verdicts: pd.DataFrame, normalized: pd.DataFrame, *, contacts: pd.DataFrame, outcomes: pd.DataFrame
) -> pd.DataFrame:
    """The verdicts (eligibility.VERDICTS) on normalized leads, of which only those may sync whose contact says that it goes as a lead.

    ``contacts``: schemas.CHECKED_LINKS of those that are contacts in the CRM. ``outcomes``: the latest of the contacts (schemas.OUTCOMES).
    """
    ids = verdicts["qbench_id"]
    crm_id = looked_up(ids, contacts, "crm_id")
    told = aligned(outcomes, ids, columns={name: name for name in ("version", "error_type", "outcome")})
    current = told["version"].ge(normalized["version"].reset_index(drop=True)).fillna(value=False).astype(bool)
    leaves = current & told["error_type"].eq(SyncsAsLeadException.__name__) & crm_id.isna()
    kept = (verdicts["error_type"].isna() | verdicts["error_type"].isin(_OF_ITS_LINK)) & ~leaves
    if not kept.any():
        return verdicts
    why = told["error_type"].fillna(told["outcome"]).where(current, "its contact is not planned yet")
    reason = ("contact:" + crm_id).fillna(why)
    judged = {
        "error_type": verdicts["error_type"].mask(kept, SyncsAsContactException.__name__),
        "reason": verdicts["reason"].mask(kept, reason),
        "waits_on": verdicts["waits_on"].mask(kept, str(SyncsAsContactException.waits_on)),
    }
    return VERDICTS.build(verdicts.assign(**judged))
