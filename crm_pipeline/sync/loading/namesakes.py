"""Which of several records did which interrupted create make? Decided by all that was sent (docs/rules.md, 4); no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.mapping.values import texts

PAIRS = FrameSchema(
    "pairs",
    (Column("qbench_id", "int64", "QBench id of an interrupted create"), Column("crm_id", "str", "id of a record that it may have made")),
)


def doubtful(pairs: pd.DataFrame) -> pd.Series:
    """Which pairs (PAIRS) are not the only one of both their create and their record."""
    return pairs["crm_id"].duplicated(keep=False) | pairs["qbench_id"].duplicated(keep=False)


def told_apart(pairs: pd.DataFrame, *, sent: Mapping[int, Mapping[str, object]], held: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs (PAIRS) that are certain, and those that cannot be told apart.

    ``sent``: by QBench id, what its create sent. ``held``: columns ``crm_id``, ``parent_crm_id`` and the fields, as the CRM has
    them now. A pair stands where neither its create nor its record agrees better with another one. Creates that sent the same
    differ in nothing: each has one of their records, in the order of the ids, unless there are more records than creates.
    """
    folded = _folded_records(held)
    wanted = {qbench_id: _folded(values) for qbench_id, values in sent.items()}
    # A field that one of them left blank, but not the others, tells them apart as well.
    names = frozenset().union(*(wanted[qbench_id] for qbench_id in pairs["qbench_id"].unique()))
    differing = pd.Series(
        [
            _differing(wanted[qbench_id], folded.get(crm_id, {}), names)
            for qbench_id, crm_id in zip(pairs["qbench_id"], pairs["crm_id"], strict=True)
        ],
        index=pairs.index,
        dtype="int64",
    )
    best = differing.eq(differing.groupby(pairs["qbench_id"]).transform("min")) & differing.eq(
        differing.groupby(pairs["crm_id"]).transform("min")
    )
    left = pairs[best]
    certain, open_pairs = left[~doubtful(left)], left[doubtful(left)]
    alike = pd.Series(
        [repr(sorted(wanted[qbench_id].items())) for qbench_id in open_pairs["qbench_id"]], index=open_pairs.index, dtype="str"
    )
    given, unsure = [certain], []
    for _, group in open_pairs.groupby(alike):
        creates, records = sorted(group["qbench_id"].unique()), sorted(group["crm_id"].unique())
        elsewhere = open_pairs.loc[~open_pairs.index.isin(group.index), "crm_id"].isin(records).any()
        if elsewhere or len(records) > len(creates):
            unsure.append(group)
        else:
            given.append(PAIRS.build({"qbench_id": pd.Series(creates[: len(records)]), "crm_id": pd.Series(records, dtype="str")}))
    return PAIRS.build(pd.concat(given, ignore_index=True)), PAIRS.build(pd.concat([PAIRS.empty(), *unsure], ignore_index=True))


def _folded(values: Mapping[str, object]) -> dict[str, str]:
    read = texts(list(values.values())).values
    return {name: fold_text(value) for name, value in zip(values, read, strict=True) if isinstance(value, str)}


def _folded_records(held: pd.DataFrame) -> dict[str, dict[str, str]]:
    rows = held.astype(object).where(held.notna(), None).to_dict("records")
    return {str(row["crm_id"]): _folded({str(name): value for name, value in row.items()}) for row in rows}


def _differing(sent: Mapping[str, str], held: Mapping[str, str], names: Iterable[str]) -> int:
    return sum(held.get(name) != sent.get(name) for name in names)
