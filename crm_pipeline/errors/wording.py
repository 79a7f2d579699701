"""What is wrong with a record, in one sentence for people who know the record and not the pipeline. Pure."""

from __future__ import annotations

import re

from crm_pipeline.errors.record_error import RecordError, record_errors

_ERROR_NAME = re.compile(r"\b[A-Za-z]+Exception\b")
_NAMED_RECORD = re.compile(r"\b(customer|contact):(?=\w)")
_BEHIND_A_CAUSE = re.compile(r"(\S+) \(([A-Z]\w+Exception)\)")


def told(error_type: str | None, reason: str | None) -> str:
    """One sentence about an outcome: what its error means, and in brackets the ids and fields that its reason names.

    Without an error it is the reason alone, empty where there is none. An error of another version is told by its name.
    """
    named = _readable(reason or "")
    if error_type is None:
        return named
    error = record_errors().get(error_type)
    meaning = error_type if error is None else in_short(error)
    return f"{meaning} ({named})." if named else f"{meaning}."


def in_short(error: type[RecordError]) -> str:
    """The first sentence of what an error means, without its full stop."""
    return error.meaning.partition(". ")[0].removesuffix(".")


def inside(sentence: str) -> str:
    """A sentence as it stands inside another one, QBench's name as it is."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _readable(reason: str) -> str:
    """A reason with the errors that it names in words: ``customer:12 (FilteredOutException)`` tells of customer 12 why it is kept back."""
    causes_behind = _BEHIND_A_CAUSE.sub(r"\1: \2", reason)
    return _ERROR_NAME.sub(_meant, _NAMED_RECORD.sub(r"\1 ", causes_behind))


def _meant(name: re.Match[str]) -> str:
    error = record_errors().get(name[0])
    if error is None:
        return name[0]
    return inside(in_short(error))
