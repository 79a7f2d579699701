"""Which error keeps a planned row from being written, and what is said of a row? No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from crm_pipeline.errors import MissingFieldForContactException, RecordError, ServiceFailedException, SyncsAsLeadException, record_errors
from crm_pipeline.frames import blank, no_text, one_text, texts_where
from crm_pipeline.mapping.normalize import with_create_defaults

UNDER_WAY = "an earlier call with other values may still be carried out"
"""Reason of a row that waits, so that an earlier call cannot undo it later."""

_WAITS = ("waits_on", "waits_for")

_Reasons = Iterator[tuple[np.ndarray, pd.Series, pd.Series]]
"""Where errors apply (bool), which they are there, and what they name."""


def first_errors(
    verdicts: pd.DataFrame,
    *,
    matches: Mapping[str, pd.Series],
    problems: pd.DataFrame,
    create_problems: pd.DataFrame,
    normalized: pd.DataFrame,
    required: Sequence[str],
    linked: np.ndarray,
    matched: np.ndarray,
    under_way: np.ndarray,
    as_leads: np.ndarray,
) -> dict[str, pd.Series]:
    """Columns error_type, reason, waits_on, waits_for, outcome, retryable: of each row the first error, in the order of reasons.

    ``verdicts``: eligibility.VERDICTS. ``matches``: the rows' match_error, match_reason, match_waits_on, match_waits_for. ``problems`` and
    ``create_problems``: mapping.validity.PROBLEMS. ``required``: the fields that a create of these ``normalized`` rows needs. The
    masks (bool, one per row): rows that are ``linked``, ``matched``, those of which an earlier call is ``under_way``, and contacts that go
    ``as_leads`` where the CRM has them as no contacts.
    """
    index = verdicts.index
    unmatchable = ~linked & matches["match_error"].notna().to_numpy()
    errors = {name: verdicts[name] for name in ("error_type", "reason", *_WAITS)}
    creating = ~linked & ~matched
    leaving = creating & as_leads
    outranked = verdicts["after_match"].to_numpy() & (unmatchable | leaving)
    if outranked.any():
        errors = {name: column.mask(outranked) for name, column in errors.items()}
    reasons = (
        iter([(unmatchable, matches["match_error"], matches["match_reason"])]),
        _where(leaving, SyncsAsLeadException, no_text(index)),
        _failed_values(problems, index),
        _missing_to_create(normalized, required, creating),
        ((creating & failed, error_type, fields) for failed, error_type, fields in _failed_values(create_problems, index)),
        _where(under_way, ServiceFailedException, one_text(UNDER_WAY, index)),
    )
    for applies, error_type, reason in (one for several in reasons for one in several):
        here = applies & errors["error_type"].isna().to_numpy()
        if here.any():
            waits_on = error_type[here].map(_attribute("waits_on")).reindex(index)
            found = {"error_type": error_type, "reason": reason, "waits_on": waits_on}
            errors |= {name: errors[name].mask(here, column) for name, column in found.items()}
    told = matches["match_waits_on"].notna()
    if told.any():
        told &= errors["error_type"].eq(matches["match_error"])
        errors |= {name: errors[name].mask(told, matches["match_" + name]) for name in _WAITS}
    return errors | _judged(errors["error_type"])


def omitted(problems: pd.DataFrame, index: pd.Index) -> pd.Series:
    """Per row of this index what is left out of it or cut, null where nothing is; ``problems``: mapping.validity.PROBLEMS."""
    spared = problems if problems.empty else problems[problems["action"].ne("failed")]
    if spared.empty:
        return no_text(index)
    notes = (spared["action"] + ": " + spared["crm_field"]).groupby(spared["position"]).agg("; ".join)
    return notes.reindex(index).astype("str")


def names(marked: pd.DataFrame) -> pd.Series:
    """Per row the names of the marked columns (bool), joined by ', '; null where none is."""
    return _joined([_marked(marked[name]) for name in marked.columns[marked.to_numpy().any(axis=0)]], ", ", marked.index)


def _marked(marks: pd.Series) -> pd.Series:
    """The name of a column of marks (bool) where it holds, null elsewhere."""
    return texts_where(marks.to_numpy(), one_text(str(marks.name), marks.index))


def joined(*parts: pd.Series) -> pd.Series:
    """Texts of one index joined row by row by '; '; null where all are null."""
    return _joined([part for part in parts if not blank(part).all()], "; ", parts[0].index)


def _joined(texts: Sequence[pd.Series], separator: str, index: pd.Index) -> pd.Series:
    if not texts:
        return no_text(index)
    whole, *others = (text.astype("str") for text in texts)
    for text in others:
        whole = whole.mask(text.notna(), (whole + separator).fillna("") + text)
    return whole


def _judged(error_type: pd.Series) -> dict[str, pd.Series]:
    """What becomes of the rows with an error, and whether another try may help; looked up for the few that have one."""
    wrong = error_type.dropna()
    if wrong.empty:
        return {"outcome": no_text(error_type.index), "retryable": pd.Series(False, index=error_type.index)}
    outcome, retryable = (wrong.map(_attribute(name)).reindex(error_type.index) for name in ("outcome", "retryable"))
    return {"outcome": outcome.astype("str"), "retryable": retryable.eq(True)}


def _attribute(name: str) -> dict[str, object]:
    return {error_name: getattr(error, name) for error_name, error in record_errors().items()}


def _failed_values(problems: pd.DataFrame, index: pd.Index) -> _Reasons:
    """Per row the first failed value's error and the names of all failed fields."""
    failed = problems if problems.empty else problems[problems["action"].eq("failed")]
    if not failed.empty:
        by_row = failed.groupby("position").agg(error_type=("error_type", "first"), fields=("crm_field", ", ".join))
        by_row = by_row.reindex(index).astype("str")
        yield by_row["error_type"].notna().to_numpy(), by_row["error_type"], by_row["fields"]


def _missing_to_create(normalized: pd.DataFrame, required: Sequence[str], creating: np.ndarray) -> _Reasons:
    if creating.any() and any(blank(normalized[name]).any() for name in required):
        missing = names(with_create_defaults(normalized)[list(required)].isna())
        yield from _where(creating & missing.notna().to_numpy(), MissingFieldForContactException, missing)


def _where(rows: np.ndarray, error: type[RecordError], reason: pd.Series) -> _Reasons:
    """The one error of these rows (bool)."""
    if rows.any():
        yield rows, one_text(error.__name__, reason.index), reason
