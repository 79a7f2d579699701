"""Leaves undone what cannot be decided because the CRM fails to tell something; no I/O."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import CrmFailsOnRecordException, RecordError
from crm_pipeline.model import Operation
from crm_pipeline.sync.planning.plan import PLAN, Plan


def left_alone(planned: Plan, unread: pd.Series) -> Plan:
    """The plan without the writes to CRM records that the CRM fails to read: what is there could be written over."""
    fails = planned.rows["crm_id"].isin(unread) & planned.rows["operation"].ne(Operation.NONE)
    if not fails.any():
        return planned
    reason = "the CRM fails whenever it is asked for " + planned.rows["crm_id"]
    return undone(planned, fails, error=CrmFailsOnRecordException, reason=reason)


def undone(planned: Plan, mask: pd.Series, *, error: type[RecordError], reason: pd.Series) -> Plan:
    """The plan in which the rows of the mask are not written, for this error."""
    decided = {
        "operation": str(Operation.NONE),
        "outcome": str(error.outcome),
        "error_type": error.__name__,
        "reason": reason.astype("str"),
        "waits_on": error.waits_on,
        "retryable": error.retryable,
    }
    rows = planned.rows.assign(**{name: planned.rows[name].mask(mask, value) for name, value in decided.items()})
    if error.retryable:
        # It is to be tried again, so this write must not be taken for one that was refused for good.
        rows = rows.assign(write_digest=rows["write_digest"].mask(mask))
    sent = planned.sent.mask(pd.Series(mask.to_numpy(), index=planned.sent.index), other=False)
    return Plan(PLAN.build(rows), planned.values, sent)
