"""What a decision is made of, and what it says: one row per record and field, or group of fields that are one value."""

from __future__ import annotations

from enum import StrEnum

from crm_pipeline.frames import Column, FrameSchema


class Situation(StrEnum):
    """How the record stands to the CRM."""

    LINKED = "linked"
    FIRST_LINK = "first_link"
    NEW_IN_CRM = "new_in_crm"
    NEW_IN_QBENCH = "new_in_qbench"


class Evidence(StrEnum):
    """What a conflict was decided by. The first three are also where the time of the CRM's change is known from."""

    HISTORY = "field history"
    STAMP = "record stamp"
    READING = "reading"
    TIE = "tie"
    UNDATED = "no time"
    PREFERRED = "preferred side"
    DIRECTION = "direction"
    FIRST_LINK = "first link"
    ONLY_CHANGE = "only change"
    OVERTAKEN = "overtaken"


class Side(StrEnum):
    """Whose value stands."""

    QBENCH = "qbench"
    CRM = "crm"


class Verdict(StrEnum):
    """What is done about one field of one record."""

    AGREED = "agreed"
    DRIFT = "drift"
    KEPT = "kept"
    TO_CRM = "to_crm"
    TO_QBENCH = "to_qbench"
    NOT_TAKEN = "not_taken"
    UNREAD = "unread"


FIELDS = FrameSchema(
    "both_ways_fields",
    (
        Column("qbench_id", "Int64", "QBench id; null of a record that is not in QBench yet"),
        Column("field", "str", "CRM field, or name of the group of fields that are one value"),
        Column("direction", "str", "mapping.directions.Direction"),
        Column("rule", "str", "mapping.directions.Rule"),
        Column("clear", "bool", "a blank of the CRM's empties QBench"),
        Column("clears_crm", "bool", "a blank of QBench's empties the CRM"),
        Column("situation", "str", "linked, first_link, new_in_crm (about to be made there) or new_in_qbench"),
        Column("wanted", "int64", "digest of what QBench wants in the CRM, in canonical form; NO_DIGEST: blank"),
        Column("whole", "bool", "what is wanted is all of QBench's value: nothing of it was cut or left out for the CRM"),
        Column("shown", "int64", "digest of what the CRM shows, in canonical form; NO_DIGEST: blank"),
        Column("fits", "bool", "QBench can hold what the CRM shows, and would then want the same there"),
        Column("sent", "int64", "base: digest of what QBench last wanted there, as the link has it; NO_DIGEST: blank, or nothing yet"),
        Column("seen", "Int64", "base: digest of what the CRM last showed; NO_DIGEST: blank; null: nothing was accepted from there yet"),
        Column("sending", "Int64", "digest of what was about to be sent when it was last stored; null: nothing"),
        Column("open_until", "datetime64[us, UTC]", "until when the CRM may still carry that out; null: it is over"),
        Column("read_at", "datetime64[us, UTC]", "when the reading of the CRM's record began, by our clock; null: there is none"),
        Column("touched_at", "datetime64[us, UTC]", "a reading that began then or before says nothing; null: any one counts"),
        Column("wanted_since", "datetime64[us, UTC]", "when a person gave QBench's value, by our clock; null: not known"),
        Column("wanted_grain", "int64", "to how many seconds that is known; 0: to the millisecond"),
        Column("shown_since", "datetime64[us, UTC]", "when a person gave the CRM's value, by our clock; null: not known"),
        Column("shown_grain", "int64", "to how many seconds that is known; 0: to the millisecond"),
        Column("shown_evidence", "str", "where shown_since is from: field history, record stamp or reading"),
    ),
)
"""What both sides hold and held. All digests are of canonical forms, so that those of the two sides can be compared.

A link's digests (docs/rules.md, 9) are of values as they are sent. Where ``seen`` is null, ``sent`` is ``wanted`` where that digest is
unchanged, else that digest; from then on the two bases are kept beside each other.
"""

DECISIONS = FrameSchema(
    "both_ways_decisions",
    (
        Column("verdict", "str", "agreed, drift, kept, to_crm, to_qbench, not_taken or unread (to be read again, then decided)"),
        Column("case", "Int64", "number of the case in docs/both-ways.md; null where it is unread"),
        Column("sent", "int64", "base to store with the decision, before anything is written"),
        Column("seen", "Int64", "base to store with the decision, before anything is written"),
        Column("agreed", "Int64", "what both bases become once the write was answered (of to_crm fields only sent); null: no write"),
        Column("sending", "Int64", "what is still on its way, to store with the decision; null: nothing"),
        Column("touched_at", "datetime64[us, UTC]", "to store with the decision: earlier readings say nothing any more"),
        Column("conflict", "bool", "a value is lost that the other side did not know: both are to be noted with the decision"),
        Column("winner", "str", "of a conflict: qbench or crm, whose value stands; else null"),
        Column("evidence", "str", "of a conflict: what decided it; else null"),
    ),
)
"""What is to be done, row by row of FIELDS. A conflict and the bases are stored in one transaction, before the write."""
