"""A plan: what is to be done to each record in one CRM, and how planning takes things out of it again; no I/O."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.errors import CrmFailsOnRecordException, RecordError
from crm_pipeline.frames import Column, FrameSchema, blank, equal, text_column
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.mapping.targets import Target
from crm_pipeline.model import Operation, Verb

PLAN = FrameSchema(
    "plan",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "version planned"),
        Column("state_digest", "Int64", "digest of the normalized state planned"),
        Column("operation", "str", "create, update, link or none"),
        Column("verb", "str", "how it is written (model.Verb); null where no write is needed"),
        Column("object", "str", "API name of the CRM's object that it is or will be in; null: the usual one of the record type"),
        Column("crm_id", "str", "CRM record to change; null for create"),
        Column("key", "str", "external key value to write, null without one"),
        Column("origin", "str", "origin of the link: of the stored one, or of the one to be made"),
        Column("parent_qbench_id", "Int64", "contacts: customer whose account is the wanted parent"),
        Column("parent_crm_id", "str", "contacts: CRM id to send as parent; null: leave the parent alone"),
        Column("beside", "bool", "contacts: the parent is added beside the main one that the contact has"),
        Column("previous_parent_qbench_id", "Int64", "contacts: customer last sent as parent, null when none was"),
        Column("previous_parent_crm_id", "str", "contacts: CRM ids of accounts to leave, joined by ', '; null when there is none"),
        Column("outcome", "str", "the outcome where the plan itself decides it (operation none), else null"),
        Column("error_type", "str", "record error that decided it, else null"),
        Column("reason", "str", "field names and ids: what an error names, what was not pushed or omitted"),
        Column("waits_on", "str", "what must change before the record is planned again (model.WaitsOn)"),
        Column("waits_for", "str", "whose, where that is another record: its id (schemas.OUTCOMES)"),
        Column("retryable", "bool", "trying again unchanged may help"),
        Column("due_at", "Int64", "of a row that waits for an earlier call: when that is over, Unix seconds; else null"),
        Column("content", "int64", "digest of all that is wanted of the record (mapping.digests.contents)"),
        Column(
            "write_digest",
            "str",
            "digest of settings and write; of operation none, of the write that was refused before",
        ),
        Column("digests", "object", "dict of CRM field to digest that the link keeps once the operation succeeded; null without one"),
        Column("settled", "object", "what is to be stored about fields that come back (both_ways.Settled); null where none were looked at"),
    ),
)


class Plan(WriteBatch):
    """What is to be done to records: a batch whose ``rows`` are PLAN, those that need no write among them."""

    __slots__ = ()

    def with_write(self) -> Plan:
        """The rows that a write carries out."""
        return self.take(~blank(self.rows["verb"]))

    def without_write(self) -> Plan:
        """The rows that change something without a write: a link to a record that is as wanted, a contact's account alone."""
        return self.take(blank(self.rows["verb"]) & ~equal(self.rows["operation"], Operation.NONE))


def left_alone(planned: Plan, unread: pd.Series) -> Plan:
    """The plan without the writes to CRM records that the CRM fails to read: what is there could be written over."""
    fails = planned.rows["crm_id"].isin(unread) & planned.rows["operation"].ne(Operation.NONE)
    if not fails.any():
        return planned
    reason = "the CRM fails whenever it is asked for " + planned.rows["crm_id"]
    return undone(planned, fails, error=CrmFailsOnRecordException, reason=reason)


def undone(planned: Plan, mask: pd.Series, *, error: type[RecordError], reason: pd.Series) -> Plan:
    """The plan in which the rows of the mask are not written, for this error."""
    decided = {
        "operation": str(Operation.NONE),
        "outcome": str(error.outcome),
        "error_type": error.__name__,
        "reason": reason.astype("str"),
        "waits_on": str(error.waits_on),
        "retryable": error.retryable,
    }
    told = {name: planned.rows[name].mask(mask, value) for name, value in decided.items()}
    rows = planned.rows.assign(**told, waits_for=planned.rows["waits_for"].mask(mask))
    if error.retryable:
        # It is to be tried again, so this write must not be taken for one that was refused for good.
        rows = rows.assign(write_digest=rows["write_digest"].mask(mask))
    sent = planned.sent.mask(pd.Series(mask.to_numpy(), index=planned.sent.index), other=False)
    return Plan(PLAN.build(rows), planned.values, sent)


def unrepeatable(rows: pd.DataFrame) -> pd.Series:
    """Which rows (PLAN) are creates that the CRM would not recognize when they were sent again."""
    return pd.Series(equal(rows["operation"], Operation.CREATE) & blank(rows["key"]), index=rows.index)


def blank_only(payload: Payload) -> list[Target]:
    """The targets that may only be filled where the CRM has nothing; their current values must be read first."""
    return [target for target in payload.targets if target.only_fills]


def with_verbs(planned: Plan, *, parent_goes_with: Collection[Verb]) -> Plan:
    """The plan with the verb of each row that needs a write: with something to send, a key to leave, or a parent that goes with it."""
    rows = planned.rows
    known, keyed, has_parent = (~blank(rows[name]) for name in ("crm_id", "key", "parent_crm_id"))
    verb = np.select([known, keyed], [str(Verb.UPDATE), str(Verb.UPSERT)], str(Verb.CREATE)).astype(object)
    leaves_key = equal(rows["operation"], Operation.LINK) & keyed
    carries_parent = has_parent & np.isin(verb, list(map(str, parent_goes_with)))
    needed = ~known | planned.sent.to_numpy().any(axis=1) | leaves_key | carries_parent
    verb[~needed | equal(rows["operation"], Operation.NONE)] = None
    return Plan(rows.assign(verb=text_column(verb)), planned.values, planned.sent)


def keep_filled(planned: Plan, current: pd.DataFrame, targets: list[Target]) -> Plan:
    """The plan without the ``if_blank`` targets that the CRM has filled; of a group, one filled field keeps all of it.

    ``current``: columns ``crm_id`` and the targets' CRM fields, as read.
    """
    held = current.drop_duplicates("crm_id").set_index("crm_id").reindex(planned.rows["crm_id"])
    existing = planned.rows["operation"].ne(Operation.CREATE).to_numpy()
    sent = planned.sent.copy()
    for fields in _groups(targets):
        values = held[fields]
        filled = (values.notna() & values.astype("str").ne("")).any(axis=1).to_numpy()
        sent.loc[filled & existing, fields] = False
    return Plan(planned.rows, planned.values, sent)


def _groups(targets: list[Target]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for target in targets:
        groups.setdefault(target.group or target.crm_field, []).append(target.crm_field)
    return list(groups.values())
