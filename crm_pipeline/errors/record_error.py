"""What an error of a record is: the outcome that it ends as, its words, and whether trying again can help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crm_pipeline.model import Outcome, WaitsOn


@dataclass(frozen=True, slots=True)
class Patience:
    """How what failed for a passing cause is tried again.

    ``first_minutes``: to the first try, None: as ``retries:`` in the YAML says. ``gives_up``: after as many tries as it says; where
    the cause says nothing about the record, or may last for weeks, never.
    """

    first_minutes: float | None = None
    gives_up: bool = True


class RecordError(Exception):
    """What is wrong with one record. A class is a row of the error table: it is named in outcomes, not raised.

    ``outcome`` is what the record ends as; ``retryable`` whether trying again unchanged can help, and ``patience`` how that is done;
    ``waits_on`` what must change for it to be tried again; ``wanted`` whether the record is left out on purpose, or is counted with its
    customer or as another record; ``meaning`` and ``remedy`` are the words shown to the user. The first sentence of ``meaning`` says it all
    to who has the record before him; ``names`` is what the outcome's reason names beside, empty where that is nothing.
    """

    outcome: ClassVar[Outcome] = Outcome.FAILED
    retryable: ClassVar[bool] = False
    patience: ClassVar[Patience] = Patience()
    waits_on: ClassVar[WaitsOn] = WaitsOn.RECORD
    wanted: ClassVar[bool] = False
    meaning: ClassVar[str] = ""
    names: ClassVar[str] = ""
    remedy: ClassVar[str] = ""


def record_errors() -> dict[str, type[RecordError]]:
    """Every record error by its name, in the order of the table in docs/errors.md."""
    return {error.__name__: error for error in RecordError.__subclasses__()}


def wanted_errors() -> frozenset[str]:
    """The names of those that leave a record out on purpose: nothing is wrong with it."""
    return frozenset(name for name, error in record_errors().items() if error.wanted)
