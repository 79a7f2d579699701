"""What is done about links whose CRM records were deleted, and how many deletions are too many to do it without a person; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from crm_pipeline.configuration.model import YamlModel

WhenDeleted = Literal["report", "recreate", "unlink"]

A_HANDFUL = 5
"""This many deletions are never too many, whatever their share: of ten links, one is ten percent."""


class LinkPolicy(YamlModel):
    """What a check of links does about deleted records (docs/rules.md, 28)."""

    when_deleted: Annotated[
        WhenDeleted,
        Field(
            description="What to do once a linked record is deleted in the CRM. report: it is skipped and listed; recreate: the next load "
            "syncs it as if it never had; unlink: likewise, once the record changes in QBench.",
            examples=["report"],
        ),
    ] = "report"
    most_gone: Annotated[
        int,
        Field(
            ge=0,
            description="More links than this gone at once, of one object: they are reported only, whatever when_deleted says, "
            "and the check few_records_gone fails.",
            examples=[50],
        ),
    ] = 50
    most_gone_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The same limit as a share of the object's links; the lower of the two counts, and five links are never too many.",
            examples=[0.05],
        ),
    ] = 0.05

    def limit(self, links: int) -> int:
        """How many of the ``links`` may be gone at once."""
        return min(self.most_gone, max(A_HANDFUL, int(self.most_gone_share * links)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """``forget``: QBench ids whose links end. ``held``: those about which nothing is done for now. ``reported``: gone, and too many."""

    forget: list[int]
    held: list[int]
    reported: int = 0


def judge(gone: pd.DataFrame, *, new: list[int], links: int, policy: LinkPolicy) -> Verdict:
    """What to do about deleted records, of which ``new`` were noticed by this check; ``links``: how many there are in all.

    ``gone``: store.link_checks.GONE. A mass of deletions stays held until the records are restored, their links removed by
    hand, or the limit raised.
    """
    fresh, nothing = gone["qbench_id"].isin(new), pd.Series(False, index=gone.index, dtype="bool")
    counts = {"report": fresh, "unlink": fresh | gone["held"], "recreate": ~nothing}
    ends = {"report": nothing, "unlink": gone["changed"], "recreate": ~nothing}
    counted = _ids(gone, counts[policy.when_deleted])
    if len(counted) > policy.limit(links):
        return Verdict(forget=[], held=[] if policy.when_deleted == "report" else counted, reported=len(counted))
    return Verdict(forget=_ids(gone, ends[policy.when_deleted]), held=[])


def _ids(gone: pd.DataFrame, rows: pd.Series) -> list[int]:
    return [int(qbench_id) for qbench_id in gone.loc[rows, "qbench_id"]]
