"""Which readings may change a record of QBench at all? Those of a live link to a record that syncs; pure."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import (
    DeletedInCrmException,
    DeletedInQBenchException,
    FilteredOutException,
    InactiveContactException,
    InactiveCustomerException,
    LinkConflictException,
    RecordError,
    UnreadableRecordException,
)
from crm_pipeline.frames import no_text
from crm_pipeline.model import LinkStatus

STOPPING = [
    error.__name__
    for error in (
        DeletedInQBenchException,
        FilteredOutException,
        InactiveContactException,
        InactiveCustomerException,
        UnreadableRecordException,
    )
]
"""What keeps a record of QBench (schemas.NORMALIZED_META, ``error_type``) from being changed; what else is wrong, a change may mend."""

_BY_STATUS: dict[str, type[RecordError]] = {
    LinkStatus.DELETED: DeletedInCrmException,
    LinkStatus.CONFLICT: LinkConflictException,
    LinkStatus.SOURCE_DELETED: DeletedInQBenchException,
}


def one_each(links: pd.DataFrame) -> pd.DataFrame:
    """One link (schemas.LINKS) per CRM record: the live one, where there are several."""
    live_first = links.assign(dead=links["status"].ne(LinkStatus.LIVE)).sort_values("dead", kind="stable")
    return live_first.drop_duplicates("crm_id")[links.columns.tolist()]


def stopped(links: pd.DataFrame, *, staged: pd.Series, errors: pd.Series) -> pd.Series:
    """Why the record of each link (schemas.LINKS) is not changed: a record error (str), null where it may be.

    ``staged``: QBench ids of records that are staged; ``errors``: what is wrong with them, by QBench id.
    """
    by_link = links["status"].map({str(status): error.__name__ for status, error in _BY_STATUS.items()}).astype("str")
    of_record = links["qbench_id"].map(errors).astype("str") if len(errors) else no_text(links.index)
    of_record = of_record.where(of_record.isin(STOPPING), None)
    return by_link.fillna(of_record).mask(by_link.isna() & ~links["qbench_id"].isin(staged), DeletedInQBenchException.__name__)
