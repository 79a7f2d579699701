"""Which creates did the CRM refuse because the record is there already? No I/O."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import ExistingRecordException
from crm_pipeline.model import Operation


def existing(rows: pd.DataFrame, answer: pd.DataFrame) -> pd.Series:
    """Which of the sent rows (planning.PLAN) are creates whose result (schemas.WRITE_RESULTS) says that the record is there."""
    return rows["operation"].eq(Operation.CREATE) & answer["error_type"].eq(ExistingRecordException.__name__)


def named_ids(answer: pd.DataFrame) -> list[str]:
    """Every CRM id that the results name."""
    named = answer["error_ids"].dropna().str.split(", ").explode()
    return [str(crm_id) for crm_id in named.unique()]
