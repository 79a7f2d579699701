"""May this record be synced to this CRM? Decided from the record, its link and its customer; no I/O."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from crm_pipeline.errors import (
    CustomerNotSyncedException,
    CustomerNotYetSyncedException,
    DeletedInCrmException,
    DeletedInQBenchException,
    DuplicateEmailException,
    FilteredOutException,
    InactiveCustomerException,
    LinkConflictException,
    RecordError,
    record_errors,
)
from crm_pipeline.frames import Column, FrameSchema, aligned, blank, instead, looked_up, no_text, texts_where
from crm_pipeline.model import LinkStatus
from crm_pipeline.sync.links.usable import UNUSABLE, account_crm_ids

VERDICTS = FrameSchema(
    "verdicts",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("error_type", "str", "record error that keeps the record from this CRM, null when it may sync"),
        Column("reason", "str", "field names and ids that the error names"),
        Column("waits_on", "str", "what must change before the record is planned again (model.WaitsOn), null when it may sync"),
        Column("waits_for", "str", "whose, where that is another record: its id (schemas.OUTCOMES)"),
        Column("after_match", "bool", "an error that comes after those of a match in the order of reasons"),
    ),
)

PARENTS = FrameSchema(
    "parents",
    (
        Column("customer_id", "int64", "QBench id of the customer whose account it is"),
        Column("parent_crm_id", "str", "CRM id of the account when it has a usable link, else null"),
        Column("blocked", "bool", "it has no link and will not get one without a change of its own"),
        Column("held", "bool", "it may not sync, linked or not: it is filtered, inactive or deleted"),
        Column("cause", "str", "the record error that keeps it back, else null"),
    ),
)
"""What the accounts are in a CRM that contacts are to have as their parents."""

HOLDING = tuple(error.__name__ for error in (DeletedInQBenchException, InactiveCustomerException, FilteredOutException))
"""Errors of a customer that keep back its contacts too, whether it is linked or not."""


def known_parents(customer_ids: pd.Series, links: pd.DataFrame, outcomes: pd.DataFrame, *, errors: pd.Series | None = None) -> pd.DataFrame:
    """What the account of each customer is in the CRM (PARENTS), from its link (CHECKED_LINKS) and its latest outcome (OUTCOMES) there.

    ``errors``: the customers' own record errors by QBench id, where they have one.
    """
    unique = pd.Series(customer_ids.dropna().astype("int64").unique())
    crm_ids = account_crm_ids(links).reindex(unique).set_axis(unique.index)
    latest = aligned(outcomes, unique, columns={name: name for name in ("outcome", "retryable", "error_type")})
    # Planned, and yet without a usable link: only another try by itself, or a change, can give it one.
    ended = ~blank(latest["outcome"]) & ~latest["retryable"].eq(True).to_numpy(bool)
    own = no_text(unique.index) if errors is None or errors.empty else errors.reindex(unique).set_axis(unique.index)
    held = own.isin(HOLDING).to_numpy()
    return PARENTS.build(
        {
            "customer_id": unique,
            "parent_crm_id": texts_where(~held, crm_ids),
            "held": pd.Series(held),
            "cause": texts_where(~held, latest["error_type"], own),
            "blocked": pd.Series(ended & blank(crm_ids)),
        }
    )


def parent_crm_ids(customer_ids: pd.Series, parents: pd.DataFrame | None) -> pd.Series:
    """The CRM id of each row's account, null without one; ``parents``: PARENTS, None for accounts."""
    if parents is None:
        return no_text(customer_ids.index)
    return looked_up(customer_ids, parents, "parent_crm_id", by="customer_id")


def assess(
    normalized: pd.DataFrame,
    links: pd.DataFrame,
    *,
    parents: pd.DataFrame | None,
    email_winners: pd.Series | None = None,
) -> pd.DataFrame:
    """The verdict on each normalized row (VERDICTS, in the rows' order).

    ``links``: schemas.LINKS of these rows. ``parents``: PARENTS of the rows, for contacts. ``email_winners``: per
    row the QBench id to which its email belongs (emails), null where nobody claims it, or nobody else has it.
    """
    wrong = normalized["error_type"]
    verdicts = VERDICTS.build(
        {
            "qbench_id": normalized["qbench_id"],
            "error_type": normalized["error_type"],
            "reason": normalized["error_fields"],
            "waits_on": no_text(normalized.index) if blank(wrong).all() else wrong.map(_waits_on()),
        }
    )
    if parents is not None:
        of = normalized["customer_id"].reset_index(drop=True)
        columns = {column: column for column in PARENTS.names if column != "customer_id"}
        known = {"customer_id": of, **aligned(parents, of, columns=columns, by="customer_id")}
        verdicts = _with_held_customer(verdicts, known)
        if email_winners is not None:
            # What keeps back a record with such a link is the link, which claims no address either.
            without_claim = looked_up(verdicts["qbench_id"], links, "status").isin(UNUSABLE).to_numpy()
            verdicts = _with_duplicate_email(verdicts, instead(email_winners, without_claim))
        verdicts = _without_customer(verdicts, known)
    return VERDICTS.check(_with_unusable_link(verdicts, links))


def _with_held_customer(verdicts: pd.DataFrame, known: Mapping[str, pd.Series]) -> pd.DataFrame:
    rows = verdicts["error_type"].isna() & known["held"].eq(True)
    return _kept_by_customer(verdicts, rows, CustomerNotSyncedException, known)


def _with_duplicate_email(verdicts: pd.DataFrame, winners: pd.Series) -> pd.DataFrame:
    if blank(winners).all():
        return verdicts
    lost = winners.notna() & winners.ne(verdicts["qbench_id"]).fillna(value=False).astype(bool)
    rows = verdicts["error_type"].isna() & lost
    if not rows.any():
        return verdicts
    winner = winners[rows].astype("str")
    return _judged(verdicts, rows, DuplicateEmailException, reason="it is QBench id " + winner + "'s", waits_for=winner)


def _without_customer(verdicts: pd.DataFrame, known: Mapping[str, pd.Series]) -> pd.DataFrame:
    orphaned = verdicts["error_type"].isna() & known["parent_crm_id"].isna()
    blocked = known["blocked"].eq(True)
    verdicts = _kept_by_customer(verdicts, orphaned & blocked, CustomerNotSyncedException, known)
    verdicts = _kept_by_customer(verdicts, orphaned & ~blocked, CustomerNotYetSyncedException, known)
    return verdicts.assign(after_match=orphaned)


def _kept_by_customer(verdicts: pd.DataFrame, rows: pd.Series, error: type[RecordError], known: Mapping[str, pd.Series]) -> pd.DataFrame:
    if not rows.any():
        return verdicts
    these = {name: column[rows] for name, column in known.items()}
    customer = these["customer_id"].astype("str")
    named = "customer:" + customer
    reason = named.mask(these["cause"].notna(), named + " (" + these["cause"] + ")")
    return _judged(verdicts, rows, error, reason=reason, waits_for=customer)


def _with_unusable_link(verdicts: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    if links.empty or not links["status"].isin(UNUSABLE).any():
        return verdicts
    status = looked_up(verdicts["qbench_id"], links, "status")
    merged = ", merged into " + links["merged_into"]
    named = links["crm_id"].mask(merged.notna(), links["crm_id"] + merged)
    crm_id = verdicts["qbench_id"].map(named.set_axis(links["qbench_id"]))
    open_rows = verdicts["error_type"].isna()
    for error, statuses in (
        (DeletedInCrmException, [LinkStatus.DELETED]),
        (LinkConflictException, [LinkStatus.CONFLICT]),
    ):
        verdicts = _judged(verdicts, open_rows & status.isin(statuses), error, reason=crm_id)
    return verdicts


def _judged(
    verdicts: pd.DataFrame, rows: pd.Series, error: type[RecordError], *, reason: pd.Series, waits_for: pd.Series | None = None
) -> pd.DataFrame:
    """``reason`` and ``waits_for``: of these rows at least."""
    if not rows.any():
        return verdicts
    judged = {
        "error_type": verdicts["error_type"].mask(rows, error.__name__),
        "reason": verdicts["reason"].mask(rows, reason),
        "waits_on": verdicts["waits_on"].mask(rows, str(error.waits_on)),
        "waits_for": verdicts["waits_for"].mask(rows, waits_for),
    }
    return verdicts.assign(**judged)


def _waits_on() -> dict[str, str]:
    return {name: str(error.waits_on) for name, error in record_errors().items()}
