"""What became of CRM records' changes on their way into QBench, in words; pure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.errors import NotFitForQBenchException, PingPongException, record_errors
from crm_pipeline.field_names import names_in
from crm_pipeline.frames import no_text
from crm_pipeline.model import Outcome, WaitsOn
from crm_pipeline.schemas import CHANGE_OUTCOMES
from crm_pipeline.sync.returning.looking import Linked, Seen
from crm_pipeline.sync.returning.reasons import PING_PONG, written


def of_stopped(linked: Linked, error_type: pd.Series, reasons: pd.Series) -> pd.DataFrame:
    """The outcomes (schemas.CHANGE_OUTCOMES) of readings that change nothing, for these record errors (str) and reasons (str)."""
    return _outcomes(linked, error_type, reasons.tolist(), done=Outcome.SKIPPED)


def of_unwritten(seen: Seen) -> pd.DataFrame:
    """The outcomes (schemas.CHANGE_OUTCOMES) of readings that need no write."""
    return _outcomes(
        seen.linked, unfit(seen.reasons), _reasons(seen, [[] for _ in seen.values], [None] * len(seen.values)), done=Outcome.UNCHANGED
    )


def of_written(seen: Seen, results: pd.DataFrame) -> pd.DataFrame:
    """The outcomes (schemas.CHANGE_OUTCOMES) of readings that were written, by what QBench answered (schemas.SOURCE_RESULTS, in order)."""
    lost = [set(names_in(str(names))) if pd.notna(names) else set() for names in results["error_fields"]]
    there = results["content"].notna()
    fields = [
        [name for name in values if is_there and name not in missing]
        for values, is_there, missing in zip(seen.values, there, lost, strict=True)
    ]
    details = [_listed(code=code, fields=names) for code, names in zip(results["error_code"], results["error_fields"], strict=True)]
    error_type = results["error_type"].fillna(unfit(seen.reasons))
    return _outcomes(seen.linked, error_type, _reasons(seen, fields, details), done=Outcome.UPDATED)


def of_newcomers(told: pd.DataFrame, *, done: Outcome = Outcome.CREATED) -> pd.DataFrame:
    """The outcomes (schemas.CHANGE_OUTCOMES) of records without a link, or that just got one.

    ``told``: columns ``crm_id``, ``qbench_id``, ``stamp``, ``error_type``, ``reason``, and what of ``waits_for`` and ``waits_on`` the
    errors do not say.
    """
    rows = told.reset_index(drop=True)
    errors = [record_errors().get(name) for name in rows["error_type"]]
    own = pd.Series([None if error is None else str(error.waits_on) for error in errors], dtype="str")
    waits_on = own if "waits_on" not in rows else rows["waits_on"].astype("str").fillna(own)
    passing = pd.Series([error is not None and error.retryable for error in errors], dtype=bool)
    outcome = pd.Series([str(done if error is None else error.outcome) for error in errors], dtype="str")
    return CHANGE_OUTCOMES.build(rows.assign(outcome=outcome, waits_on=waits_on, retryable=passing | waits_on.eq(str(WaitsOn.TIME))))


def unfit(reasons: pd.DataFrame) -> pd.Series:
    """The record error (str) of each row whose units are not all taken; ``reasons``: a column per unit."""
    some = reasons.notna().any(axis=1)
    if not some.any():
        return no_text(reasons.index)
    held = reasons.eq(PING_PONG).any(axis=1)
    error = no_text(reasons.index).mask(some, NotFitForQBenchException.__name__)
    return error.mask(held, PingPongException.__name__)


def _outcomes(linked: Linked, error_type: pd.Series, reasons: Sequence[str | None], *, done: Outcome) -> pd.DataFrame:
    errors = record_errors()
    wrong = [errors.get(name) for name in error_type]
    return CHANGE_OUTCOMES.build(
        {
            "crm_id": linked.readings["crm_id"],
            "qbench_id": linked.links["qbench_id"].astype("Int64"),
            "stamp": linked.readings["stamp"],
            "outcome": pd.Series([str(done if error is None else error.outcome) for error in wrong], dtype="str"),
            "error_type": error_type.reset_index(drop=True),
            "reason": pd.Series(list(reasons), dtype="str"),
            "waits_on": pd.Series([None if error is None else str(error.waits_on) for error in wrong], dtype="str"),
            "retryable": pd.Series([error is not None and error.retryable for error in wrong], dtype=bool),
        }
    )


def _reasons(seen: Seen, fields: Sequence[Sequence[str]], details: Sequence[str | None]) -> list[str | None]:
    """Per row: what was written, what was not taken and why, another account, and which conflicts were decided for whom."""
    told: list[list[str]] = [
        [*([written(names)] if names else []), *([detail] if detail else [])] for names, detail in zip(fields, details, strict=True)
    ]
    for row in seen.reasons.index[seen.reasons.notna().any(axis=1)]:
        told[row].append("not taken: " + ", ".join(f"{unit} ({why})" for unit, why in seen.reasons.loc[row].dropna().items()))
    for row, account in seen.linked.readings.loc[seen.linked.moved, "parent_crm_id"].items():
        told[row].append(f"other_account: {'none' if pd.isna(account) else account}")
    lost = seen.conflicts
    rows = dict(zip(seen.linked.links["crm_id"], seen.reasons.index, strict=True))
    for (crm_id, winner), units in lost.groupby(["crm_id", "winner"], sort=False)["field"] if len(lost) else ():
        told[rows[crm_id]].append(f"conflict, the value of {winner} stands: " + ", ".join(units))
    return ["; ".join(parts) or None for parts in told]


def _listed(**parts: object) -> str | None:
    return "; ".join(f"{name}: {value}" for name, value in parts.items() if pd.notna(value)) or None
