"""Which creates did the CRM refuse because the record is there already? No I/O."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import CrmFailsOnRecordException, ExistingRecordException
from crm_pipeline.model import Operation
from crm_pipeline.schemas import WRITE_RESULTS


def existing(rows: pd.DataFrame, answer: pd.DataFrame) -> pd.Series:
    """Which of the sent rows (planning.PLAN) are creates whose result (schemas.WRITE_RESULTS) says that the record is there."""
    return rows["operation"].eq(Operation.CREATE) & answer["error_type"].eq(ExistingRecordException.__name__)


def named_ids(answer: pd.DataFrame) -> list[str]:
    """Every CRM id that the results name."""
    named = answer["error_ids"].dropna().str.split(", ").explode()
    return [str(crm_id) for crm_id in named.unique()]


def unread(answer: pd.DataFrame, crm_ids: set[str]) -> pd.DataFrame:
    """The results with those open that name one of these records, which the CRM fails to read: a match key may find them later."""
    named = answer["error_ids"].fillna("").map(lambda ids: not crm_ids.isdisjoint(ids.split(", "))).astype("bool")
    return WRITE_RESULTS.build(answer.assign(error_type=answer["error_type"].mask(named, CrmFailsOnRecordException.__name__)))
