"""Is this record already in the CRM? Chooses, of the records found by a key or a match field, the one to link; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from crm_pipeline.errors import AmbiguousMatchException, LinkConflictException
from crm_pipeline.frames import Column, FrameSchema, one_text, texts_where
from crm_pipeline.mapping.folding import same_key
from crm_pipeline.model import LinkOrigin, WaitsOn
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import unlinked_values
from crm_pipeline.sync.holders import who_holds

MATCHES = FrameSchema(
    "matches",
    (
        Column("qbench_id", "int64", "QBench id of a record without a link"),
        Column("crm_id", "str", "the CRM record to link it to, null when the match cannot be used"),
        Column("origin", "str", "key, matched or taken_over"),
        Column("error_type", "str", "why the match cannot be used, else null"),
        Column("reason", "str", "the ids that the error names, or from whom the CRM record is taken over"),
        Column("waits_on", "str", "what must change before it is looked for again, where the error does not say it (model.WaitsOn)"),
        Column("waits_for", "str", "of a holder: the CRM record that is held"),
    ),
)
"""Records for which a CRM record was found; a record without a row here has none."""


PAIRS = FrameSchema(
    "pairs",
    (
        Column("qbench_id", "int64", "QBench id of a staged record without a link"),
        Column("crm_id", "str", "a CRM record that it claims"),
    ),
)

LEFT_BEHIND = FrameSchema(
    "left_behind",
    (
        Column("crm_id", "str", "a CRM record whose QBench record was deleted"),
        Column("left_by", "Int64", "the QBench id of the deleted record"),
        Column("left_key", "str", "the external key that it wrote, null without one"),
    ),
)
"""CRM records that others may take over (docs/rules.md, 26)."""


def choose(
    claims: pd.DataFrame,
    candidates: pd.DataFrame,
    holders: pd.DataFrame,
    *,
    origin: LinkOrigin,
    integration: str,
    left_behind: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The CRM record each claim means (MATCHES), one row per claim that has any candidate.

    ``claims``: columns ``qbench_id``, ``value`` (folded; null claims nothing), ``key`` (the key value the record would carry,
    null without one). ``candidates``: schemas.FOUND with folded values. ``holders``: schemas.HOLDERS. ``integration``: the claims'.

    A CRM record that carries another key is no candidate (docs/rules.md, 2). A candidate that another record holds cannot be used;
    between several, or among several that claim one, nothing is guessed (docs/rules.md, 7).

    A candidate in ``left_behind`` (LEFT_BEHIND) is taken over: neither its holder nor its key stands in the way (docs/rules.md, 26).
    """
    pairs = claims.dropna(subset=["value"]).merge(
        candidates[["value", "crm_id", "key"]].drop_duplicates(), on="value", suffixes=("", "_held")
    )
    pairs = pairs.merge(LEFT_BEHIND.empty() if left_behind is None else left_behind, on="crm_id", how="left")
    own, left = same_key(pairs["key_held"], pairs["key"]), same_key(pairs["key_held"], pairs["left_key"])
    pairs = pairs[pairs["key_held"].isna() | own | left]
    if pairs.empty:
        return MATCHES.empty()
    told = pd.DataFrame({"crm_id": holders["crm_id"], "holder": who_holds(holders, integration=integration)})
    pairs = pairs.merge(told, on="crm_id", how="left")
    pairs["holder"] = pairs["holder"].mask(pairs["left_by"].notna())
    pairs["claimants"] = pairs.groupby("crm_id")["qbench_id"].transform("nunique")
    by_record = pairs.groupby("qbench_id", sort=False)
    matches = pd.DataFrame(
        {
            "candidates": by_record["crm_id"].nunique(),
            "crm_id": by_record["crm_id"].first(),
            "holder": by_record["holder"].first(),
            "left_by": by_record["left_by"].first(),
            "claimants": by_record["claimants"].max(),
            "ids": by_record["crm_id"].agg(", ".join),
        }
    ).reset_index()
    return MATCHES.build(_verdicts(matches, origin=origin))


def one_each(matches: pd.DataFrame) -> pd.DataFrame:
    """The matches (MATCHES) without those of several records that lead, by different match keys, to one CRM record (docs/rules.md, 7)."""
    shared = matches["crm_id"].notna() & matches["crm_id"].duplicated(keep=False)
    if not shared.any():
        return matches
    claimants = matches.groupby("crm_id")["qbench_id"].transform("size").astype("Int64").astype("str")
    ambiguous = {
        "error_type": matches["error_type"].mask(shared, AmbiguousMatchException.__name__),
        "reason": matches["reason"].mask(shared, matches["crm_id"] + " claimed by " + claimants + " records"),
        "crm_id": matches["crm_id"].mask(shared),
    }
    return MATCHES.build(matches.assign(**ambiguous))


def _verdicts(matches: pd.DataFrame, *, origin: LinkOrigin) -> pd.DataFrame:
    ambiguous = (matches["candidates"] > 1) | (matches["claimants"] > 1)
    held = ~ambiguous & matches["holder"].notna()
    held_reason = matches["crm_id"] + " is linked to " + matches["holder"]
    several = " claimed by " + matches["claimants"].astype("str") + " records"
    claimed_reason = matches["ids"] + several.where(matches["claimants"] > 1, "")
    taken = ~ambiguous & matches["left_by"].notna()
    taken_reason = "taken over from QBench id " + matches["left_by"].astype("Int64").astype("str") + ", which was deleted"
    error_type = pd.Series(None, index=matches.index, dtype="str")
    reason = pd.Series(None, index=matches.index, dtype="str")
    return matches.assign(
        origin=pd.Series(str(origin), index=matches.index, dtype="str").mask(taken, str(LinkOrigin.TAKEN_OVER)),
        crm_id=matches["crm_id"].mask(ambiguous | held),
        error_type=error_type.mask(ambiguous, AmbiguousMatchException.__name__).mask(held, LinkConflictException.__name__),
        reason=reason.mask(ambiguous, claimed_reason).mask(held, held_reason).mask(taken, taken_reason),
        waits_on=texts_where(held.to_numpy(), one_text(WaitsOn.HOLDER, held.index)),
        waits_for=matches["crm_id"].where(held),
    )


def pairs_of(
    state: CrmState, source: str, candidates: pd.DataFrame, *, store: Store, fold: Callable[[pd.Series], pd.Series]
) -> Iterator[pd.DataFrame]:
    """The staged records without a link that have a candidate by one match key (PAIRS).

    ``source``: the normalized column compared. ``candidates``: schemas.FOUND with folded values. Reads that one column, page by
    page, and gives what has a candidate.
    """
    known = candidates[["value", "crm_id"]].dropna().drop_duplicates() if len(candidates) else candidates
    if len(known):
        for page in unlinked_values(store, state, source=source):
            yield page.assign(value=fold(page["value"])).merge(known, on="value")[["qbench_id", "crm_id"]]


def contested(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs (PAIRS) whose CRM record several records claim."""
    pairs = pairs.drop_duplicates()
    return pairs[pairs["crm_id"].duplicated(keep=False)].reset_index(drop=True)


def rivals_of(qbench_ids: pd.Series, contested_pairs: pd.DataFrame) -> list[int]:
    """The other records that claim a CRM record which one of these claims, in ascending order."""
    own = contested_pairs["qbench_id"].isin(qbench_ids)
    near = contested_pairs["crm_id"].isin(contested_pairs.loc[own, "crm_id"])
    ids: list[int] = sorted(set(contested_pairs.loc[near & ~own, "qbench_id"].tolist()))
    return ids
