"""What is to be done about each link? Compares it with what became of its CRM record; no I/O (docs/rules.md, 27 and 28)."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from crm_pipeline.errors import AssociationPendingException, DeletedInCrmException, LinkConflictException, RecordError
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.mapping.folding import same_key
from crm_pipeline.model import LinkStatus
from crm_pipeline.schemas import OUTCOMES
from crm_pipeline.sync.holders import who_holds

FINDINGS = FrameSchema(
    "findings",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "version last sent"),
        Column("object", "str", "API name of the CRM's object that the record is in; null: the usual one of its record type"),
        Column("was", "str", "CRM id that the link had"),
        Column("crm_id", "str", "CRM id that it has now"),
        Column("status", "str", "status that it has now"),
        Column("merged_into", "str", "of a conflict: id of the record that the link's was merged into, else null"),
        Column("changed", "bool", "the link is to be stored anew"),
        Column("finding", "str", "relinked, conflict, deleted or restored where that is new, else null"),
        Column("reason", "str", "of a new conflict or deletion: the CRM ids and QBench ids behind it"),
        Column("key_lost", "bool", "the record carries no external key, though the link is live"),
        Column("other_key", "bool", "the record carries another external key, though the link is live"),
        Column("other_account", "bool", "contacts: the record's account is not its customer's, though the link is live"),
        Column("account_lost", "bool", "contacts: it is not its customer's, because one of the two was away, and nobody gave it another"),
        Column("customer_id", "Int64", "contacts: QBench id of the customer last sent"),
        Column("account", "str", "contacts: CRM id of its account"),
    ),
)
"""What a check found about links, one row per link."""

ERRORS: dict[str, type[RecordError]] = {"conflict": LinkConflictException, "deleted": DeletedInCrmException}
"""What a record is skipped for that a finding keeps from syncing."""


def noteworthy(
    links: pd.DataFrame, examined: pd.DataFrame, *, key_of: Callable[[pd.Series], pd.Series] | None, accounts: pd.Series | None
) -> pd.DataFrame:
    """The links about which there is something to say, with what became of their records (schemas.EXAMINED).

    ``links``: schemas.CHECKED_LINKS, and what else of schemas.LINKS; what is to be done (``reconcile``) asks for all of it.
    Further columns: ``own_key`` (null where the integration has no key), ``account`` (CRM id of the account that the contact
    was last given). ``accounts``: CRM ids by QBench id of customers; None for accounts.
    """
    rows = links.merge(examined.rename(columns={"key": "held_key"}), on="crm_id", how="left")
    nothing = pd.Series(None, index=rows.index, dtype="str")
    rows = rows.assign(
        own_key=key_of(rows["qbench_id"]) if key_of else nothing,
        account=nothing if accounts is None else rows["parent_qbench_id"].map(accounts).astype("str"),
    )
    as_before = (
        rows["status"].eq(LinkStatus.LIVE)
        & rows["state"].eq("live")
        & (same_key(rows["own_key"], rows["held_key"]) | (rows["own_key"].isna() & rows["held_key"].isna()))
    )
    return rows[~as_before | _has_other_account(rows) | rows["back_from"].notna()].reset_index(drop=True)


def contested(rows: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """Those of these links (``noteworthy``) that lead, with others, to one record which is nobody's by link (schemas.HOLDERS) or key."""
    decided = rows.loc[rows["own_key"].notna() & same_key(rows["held_key"], rows["own_key"]), "leads_to"]
    merged = rows[rows["state"].eq("merged") & ~rows["leads_to"].isin([*holders["crm_id"], *decided])]
    return merged[merged["leads_to"].duplicated(keep=False)]


def reconcile(
    rows: pd.DataFrame,
    holders: pd.DataFrame,
    *,
    integration: str,
    standing: pd.Series | None = None,
) -> pd.DataFrame:
    """The findings (FINDINGS) about these links (``noteworthy``).

    ``holders``: schemas.HOLDERS of the records that merges lead to. A link follows a merge unless the winner is another
    record's: linked to it, or carrying its key. Of several that lead to one record, one follows (docs/rules.md, 27): whose key it
    carries, else one that was live till now, whose values stand there, that is the oldest. ``standing``: by QBench id, how
    many values of a contested link its winner has.
    """
    deleted, merged = rows["state"].eq("deleted"), rows["state"].eq("merged")
    obstacle = _obstacle(rows, holders, merged=merged, integration=integration, standing=standing)
    lost, follows = obstacle.notna(), merged & obstacle.isna()
    status = pd.Series(str(LinkStatus.LIVE), index=rows.index, dtype="str")
    status = status.mask(deleted, str(LinkStatus.DELETED)).mask(lost, str(LinkStatus.CONFLICT))
    crm_id, merged_into = rows["crm_id"].mask(follows, rows["leads_to"]), rows["leads_to"].where(lost)
    live = ~deleted & ~lost
    other_key = live & rows["own_key"].notna() & rows["held_key"].notna() & ~same_key(rows["held_key"], rows["own_key"])
    news = pd.Series(None, index=rows.index, dtype="str").mask(live, "restored").mask(deleted, "deleted").mask(lost, "conflict")
    finding = news.where(status.ne(rows["status"])).mask(follows, "relinked")
    account_lost = live & _lost_account(rows, itself=finding.eq("restored"))
    return FINDINGS.build(
        {
            "qbench_id": rows["qbench_id"],
            "version": rows["version"],
            "object": rows["object"],
            "was": rows["crm_id"],
            "crm_id": crm_id,
            "status": status,
            "merged_into": merged_into,
            "changed": status.ne(rows["status"]) | follows | ~_same(merged_into, rows["merged_into"]),
            "finding": finding,
            "reason": rows["crm_id"].where(deleted).mask(lost, rows["crm_id"] + " was merged into " + rows["leads_to"] + obstacle),
            "key_lost": live & rows["own_key"].notna() & rows["held_key"].isna(),
            "other_key": other_key,
            "other_account": live & _has_other_account(rows) & ~account_lost,
            "account_lost": account_lost,
            "customer_id": rows["parent_qbench_id"],
            "account": rows["account"],
        }
    )


def outcomes(findings: pd.DataFrame, latest: pd.DataFrame) -> pd.DataFrame:
    """The outcomes (schemas.OUTCOMES) of records that a finding keeps from syncing; ``latest``: theirs before."""
    rows = findings[findings["finding"].isin(list(ERRORS))].reset_index(drop=True)
    return told(rows, rows["finding"].map(ERRORS), latest)


def returned(rows: pd.DataFrame, findings: pd.DataFrame) -> dict[int, str | None]:
    """The records that are there again, by QBench id, with the record that a merge had made of them, null after a deletion.

    ``rows``: the links as they were (``noteworthy``).
    """
    back = rows[rows["qbench_id"].isin(findings.loc[findings["finding"].eq("restored"), "qbench_id"])]
    merged_into = back["merged_into"].astype(object).where(back["merged_into"].notna(), None)
    return dict(zip(back["qbench_id"].tolist(), merged_into.tolist(), strict=True))


def without_account(findings: pd.DataFrame, latest: pd.DataFrame) -> pd.DataFrame:
    """The outcomes (schemas.OUTCOMES) of contacts that could not be given their account back; ``latest``: theirs before."""
    rows = findings.reset_index(drop=True)
    return told(rows, pd.Series([AssociationPendingException] * len(rows), index=rows.index, dtype=object), latest)


def told(rows: pd.DataFrame, errors: pd.Series, latest: pd.DataFrame) -> pd.DataFrame:
    """The outcomes (schemas.OUTCOMES) of these rows: columns ``qbench_id``, ``version``, ``reason``.

    ``errors``: a class of RecordError per row; ``latest``: their outcomes before, whose version and state they speak of.
    """
    before = latest.set_index("qbench_id")
    versions = rows["qbench_id"].map(before["version"]).fillna(rows["version"])
    return OUTCOMES.build(
        {
            "qbench_id": rows["qbench_id"],
            "version": versions.astype("int64"),
            "outcome": errors.map(lambda error: str(error.outcome)).astype("str"),
            "error_type": errors.map(lambda error: error.__name__).astype("str"),
            "reason": rows["reason"],
            "waits_on": errors.map(lambda error: str(error.waits_on)).astype("str"),
            "retryable": errors.map(lambda error: error.retryable).astype("bool"),
            # The check looks at links alone: the outcome speaks of the same state of the record as the one before.
            "state_digest": rows["qbench_id"].map(before["state_digest"]).astype("Int64"),
        }
    )


def _obstacle(rows: pd.DataFrame, holders: pd.DataFrame, *, merged: pd.Series, integration: str, standing: pd.Series | None) -> pd.Series:
    """Why a link cannot follow its record's merge, to be put behind the winner's id; null where it can."""
    winner = rows["leads_to"].where(merged)
    held = holders.drop_duplicates("crm_id").set_index("crm_id").reindex(winner).reset_index(drop=True)
    anothers = held["qbench_id"].notna() & ~(held["qbench_id"].eq(rows["qbench_id"]) & held["integration"].eq(integration))
    other_key = merged & rows["own_key"].notna() & rows["held_key"].notna() & ~same_key(rows["held_key"], rows["own_key"])
    first = _first_to_follow(rows, standing)
    ahead = rows["qbench_id"].where(merged & first).groupby(winner).transform("max").astype("Int64").astype("str")
    reason = pd.Series(None, index=rows.index, dtype="str")
    reason = reason.mask(merged & ~first, ", as the record of QBench id " + ahead + " was")
    reason = reason.mask(other_key, ", which carries another external key")
    return reason.mask(merged & anothers, ", which is linked to " + who_holds(held, integration=integration))


def _first_to_follow(rows: pd.DataFrame, standing: pd.Series | None) -> pd.Series:
    """Of the links that lead to one record, the one that may follow."""
    claims = pd.DataFrame(
        {
            "winner": rows["leads_to"],
            "own_key": rows["own_key"].notna() & same_key(rows["held_key"], rows["own_key"]),
            # One that lost before does not compete with one that was live till now.
            "live": rows["status"].eq(LinkStatus.LIVE),
            "standing": 0 if standing is None else rows["qbench_id"].map(standing).fillna(0),
            "linked_at": rows["linked_at"],
            "qbench_id": rows["qbench_id"],
        }
    )
    order = ["own_key", "live", "standing", "linked_at", "qbench_id"]
    ranked = claims.sort_values(order, ascending=[False, False, False, True, True])
    return ~ranked.duplicated("winner").reindex(rows.index)


def _lost_account(rows: pd.DataFrame, *, itself: pd.Series) -> pd.Series:
    """The contacts that lost their account by a deletion that ended, of either (``itself``: their own), or by a merge taken back."""
    held, back_from = rows["parent_crm_id"], rows["back_from"]
    without = held.isna() & (back_from.notna() | itself)
    with_the_winner = held.notna() & held.eq(back_from).fillna(value=False)
    return _has_other_account(rows) & (without | with_the_winner)


def _has_other_account(rows: pd.DataFrame) -> pd.Series:
    return rows["account"].notna() & ~_same(rows["account"], rows["parent_crm_id"])


def _same(left: pd.Series, right: pd.Series) -> pd.Series:
    """Whether two texts are equal, or both null."""
    return left.eq(right).fillna(value=False).astype("bool") | (left.isna() & right.isna())
