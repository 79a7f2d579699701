"""What a look at the set-up of an integration found: one finding for each thing that was looked at, good or bad."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

from crm_pipeline.errors import CrmPipelineError, ServiceError

Level = Literal["ok", "warning", "problem"]
"""ok: as it should be. warning: it works, but not as one may think. problem: nothing of it works, or records would fail."""

_WHOSE = re.compile(r"^integration \w+: ")
"""How errors begin that name the integration, which stands beside the finding anyway."""

AGAIN = "look again with `crm-pipeline doctor`; if it stays, docs/errors.md says more about errors of this kind"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    ``area``: the service or part that it belongs to, ``qbench`` or ``salesforce`` for instance; ``subject``: the thing, ``sign-in`` or
    ``Account.Name``; ``text``: what was found; ``remedy``: what to do, blank where nothing is to be done. Neither holds a credential or
    a value of a record.
    """

    level: Level
    area: str
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """What was found and what to do, without area and subject."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    def as_json(self) -> dict[str, str]:
        """The same in plain values."""
        return asdict(self)


def of_error(area: str, subject: str, error: CrmPipelineError, *, remedy: str = AGAIN) -> Finding:
    """The problem of a check that raises: its errors say what is wrong and, behind a semicolon, what to do; else the ``remedy`` does."""
    told = _WHOSE.sub("", str(error))
    if isinstance(error, ServiceError):
        told = told.removeprefix(f"{error.service}: ")
    text, _, own = told.partition("; ")
    return Finding("problem", area, subject, text, own or remedy)
