"""Was this very write refused before? Then it is not sent again by itself (docs/rules.md, 8); no I/O.

A refusal for good is an answer to one write: these values to that record, under these settings. It is sent again when the write is
another one (the record, the mapping, its link or account, or the settings changed), when what it waits on changed, or on demand.

Each row that waits keeps ``<settings>:<write>``: a digest of the settings by which it was judged, and one of the write that was
refused, nothing where none was made.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from crm_pipeline.crms.base import CrmSettings
from crm_pipeline.frames import aligned, blank, equal, looked_up, text_column, where
from crm_pipeline.mapping.digests import NO_DIGEST
from crm_pipeline.model import Operation
from crm_pipeline.sync.planning.plan import Plan

_TARGET = ["version", "operation", "crm_id", "key", "parent_crm_id"]
_SAID = ["outcome", "error_type", "reason", "waits_on", "waits_for"]


def with_write_digests(planned: Plan, digests: pd.DataFrame, *, settings: CrmSettings) -> Plan:
    """The plan with a digest of each write: of its record, its values, and the settings by which the CRM takes or refuses them.

    And of the settings alone, of rows that wait by the plan. ``digests``: of the payload's values (mapping.digests), row by row.
    """
    writes = ~equal(planned.rows["operation"], Operation.NONE)
    waits = ~writes & ~blank(planned.rows["waits_on"]) & ~planned.rows["retryable"].to_numpy()
    if not (writes | waits).any():
        return planned
    rows = where(planned.rows, writes)
    goes, told = planned.sent.to_numpy()[writes], digests.to_numpy()[writes]
    target = {name: rows[name] if rows[name].dtype == "str" else rows[name].astype("str") for name in _TARGET}
    what = target | dict(enumerate(np.where(goes, told, NO_DIGEST).T))
    # How many fields it empties, which have no digest.
    blanks = (goes & (told == NO_DIGEST)).sum(axis=1)
    hashed = pd.util.hash_pandas_object(pd.DataFrame(what | {"blanks": blanks}, index=rows.index, copy=False), index=False)
    judged_by = f"{settings.decisive}:"
    said = np.full(len(writes), None, dtype=object)
    said[writes] = [f"{judged_by}{settings.permits}{one:016x}" for one in hashed.tolist()]
    said[waits] = judged_by
    return Plan(planned.rows.assign(write_digest=text_column(said)), planned.values, planned.sent)


def without_refused(planned: Plan, latest: pd.DataFrame, *, released: Collection[int]) -> Plan:
    """The plan without the writes that were refused before, which keep their outcomes.

    ``latest``: the latest outcomes (schemas.OUTCOMES). ``released``: QBench ids of records for which what they wait on has changed.
    """
    refused = repeats(planned, latest) & ~planned.rows["qbench_id"].isin(released)
    if not refused.any():
        return planned
    before = aligned(latest, planned.rows["qbench_id"], columns={name: name for name in _SAID})
    said = {name: planned.rows[name].mask(refused, before[name]) for name in _SAID}
    rows = planned.rows.assign(
        **said,
        operation=planned.rows["operation"].mask(refused, str(Operation.NONE)),
        parent_crm_id=planned.rows["parent_crm_id"].mask(refused),
        previous_parent_crm_id=planned.rows["previous_parent_crm_id"].mask(refused),
    )
    return Plan(rows, planned.values, planned.sent & ~refused.to_numpy()[:, None])


def repeats(planned: Plan, latest: pd.DataFrame) -> pd.Series:
    """Which rows would write what was refused before; ``latest``: the latest outcomes (schemas.OUTCOMES)."""
    if blank(latest["write_digest"]).all():
        return pd.Series(False, index=planned.rows.index)
    before = _write(looked_up(planned.rows["qbench_id"], latest, "write_digest"))
    return planned.rows["operation"].ne(Operation.NONE) & before.notna() & _write(planned.rows["write_digest"]).eq(before)


def left_aside(rows: pd.DataFrame) -> int:
    """How many of a plan's rows (plan.PLAN) are writes that were refused before and are not sent again."""
    return int((rows["operation"].eq(Operation.NONE) & _write(rows["write_digest"]).notna()).sum())


def _write(digests: pd.Series) -> pd.Series:
    """What of these digests is of a write, null where there was none."""
    return digests.str.extract(":(.+)", expand=False)
