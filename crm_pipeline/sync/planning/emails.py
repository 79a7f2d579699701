"""Whose is an email address, and in which order do addresses change hands? No I/O (docs/rules.md, 22 and 23)."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.frames import Column, FrameSchema, instead, looked_up
from crm_pipeline.model import Operation
from crm_pipeline.sync.planning.plan import Plan

CLAIMS = FrameSchema(
    "claims",
    (
        Column("email", "str", "the address, as normalized"),
        Column("qbench_id", "int64", "QBench id of a contact that has it"),
        Column("eligible", "bool", "it may sync, apart from the address being another's"),
        Column("linked", "bool", "it has a live link"),
        Column("digest", "Int64", "digest of the address last sent for it, null when none was"),
    ),
)

HELD, WANTED = "email_held", "email_wanted"
"""Columns of a plan's rows: digests (Int64) of the address last sent, and of the one that is sent now."""


def winners(emails: pd.Series, digests: pd.Series, contenders: pd.DataFrame) -> pd.Series:
    """The QBench id to which each row's address belongs (Int64, the rows' index), null where nobody claims it.

    ``digests``: of the addresses, as links keep them. ``contenders``: CLAIMS. A linked contact wins, of several the one for
    which the address was last sent, then the oldest id. One that may not sync holds on to what it has in the CRM, but claims
    nothing new.
    """
    if contenders.empty:
        return pd.Series(pd.NA, index=emails.index, dtype="Int64")
    wanted = pd.DataFrame({"email": emails, "wanted": digests}).dropna(subset=["email"]).drop_duplicates("email")
    claims = contenders.merge(wanted, on="email")
    claims["holds"] = claims["linked"] & claims["digest"].eq(claims["wanted"]).fillna(value=False).astype(bool)
    claims = claims[claims["eligible"] | claims["holds"]]
    ranked = claims.sort_values(["linked", "holds", "qbench_id"], ascending=[False, False, True], kind="stable")
    return looked_up(emails, ranked.drop_duplicates("email"), "qbench_id", by="email").astype("Int64")


def with_emails(planned: Plan, *, held: pd.Series, wanted: pd.Series) -> Plan:
    """The plan with two more columns in ``rows``: digests (Int64) of the address last sent, and of the one that is sent now.

    Both ``held`` and ``wanted`` by row.
    """
    rows = planned.rows
    columns = {HELD: held, WANTED: instead(wanted, rows["operation"].eq(Operation.NONE).to_numpy())}
    return Plan(rows.assign(**columns), planned.values, planned.sent)


def takes(rows: pd.DataFrame, addresses: set[int]) -> pd.Series:
    """Which of these writes take one of the addresses (digests); accounts take none."""
    return rows[WANTED].isin(addresses) if addresses and WANTED in rows else pd.Series(False, index=rows.index)


def given_up(rows: pd.DataFrame) -> set[int]:
    """The addresses (digests) that these writes take away from their CRM records."""
    if WANTED not in rows or rows[HELD].isna().all():
        return set()
    held, wanted = rows[HELD], rows[WANTED]
    leaves = held.notna() & wanted.notna() & held.ne(wanted).fillna(value=False).astype(bool)
    return set(held[leaves])


def in_order(writes: Plan) -> list[Plan]:
    """The writes in parts, so that a row which gives up an address comes in an earlier part than the one that takes it.

    One part where nothing changes hands; rows that swap addresses among each other come together in the last one.
    """
    parts: list[Plan] = []
    rest = writes
    while len(rest.rows):
        waiting = takes(rest.rows, given_up(rest.rows))
        if not waiting.any() or waiting.all():
            return [*parts, rest]
        parts.append(rest.take(~waiting))
        rest = rest.take(waiting)
    return parts
