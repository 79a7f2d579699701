"""What is to be done to each record in one CRM? The pure plan that the load carries out and the preview shows; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.errors import CrmFailsOnRecordException, RecordError
from crm_pipeline.frames import Column, FrameSchema, aligned, no_text, text_where
from crm_pipeline.mapping.digests import NO_DIGEST, contents, digest_dicts, digest_frame
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.mapping.targets import Target
from crm_pipeline.model import LinkOrigin, Operation, Outcome, RecordModel, Verb
from crm_pipeline.schemas import OPEN_CALLS
from crm_pipeline.sync.planning.reasons import UNDER_WAY, first_errors, joined, names, omitted

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
        Column("waits_on", "str", "what must change before the record is planned again"),
        Column("retryable", "bool", "trying again unchanged may help"),
        Column("due_at", "Int64", "of a row that waits for an earlier call: when that is over, Unix seconds; else null"),
        Column("content", "int64", "digest of all that is wanted of the record (mapping.digests.contents)"),
        Column(
            "write_digest",
            "str",
            "digest of settings and write; of operation none, of the write that was refused before",
        ),
        Column("digests", "object", "dict of CRM field to digest that the link keeps once the operation succeeded; null without one"),
    ),
)

STALE = "a newer version was sent before"
"""Reason of a row that is left alone because its link holds a newer version."""

Mask = np.ndarray
"""A bool for each normalized row, in order."""


class Plan(WriteBatch):
    """What is to be done to records: a batch whose ``rows`` are PLAN, those that need no write among them."""

    __slots__ = ()

    def with_write(self) -> Plan:
        """The rows that a write carries out."""
        return self.take(self.rows["verb"].notna())

    def without_write(self) -> Plan:
        """The rows that change something without a write: a link to a record that is as wanted, a contact's account alone."""
        return self.take(self.rows["verb"].isna() & (self.rows["operation"] != Operation.NONE))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made from; every frame but ``links`` and ``matches`` has one row per normalized row, in its order.

    ``normalized``: schemas.normalized_schema. ``payload`` and ``digests``: mapping.payload and its digests. ``verdicts``:
    eligibility.VERDICTS. ``links``: schemas.LINKS, a row per linked record. ``matches``: matching.MATCHES, a row per match.
    ``parent_crm_ids``: CRM id of each contact's account, null for accounts. ``previous_parent_crm_ids``: that of the account
    it was given before, as far as it is another customer's. ``match_notes``: what to say of rows for which match keys were of no use.
    ``open_calls``: schemas.OPEN_CALLS.
    """

    normalized: pd.DataFrame
    payload: Payload
    digests: pd.DataFrame
    verdicts: pd.DataFrame
    links: pd.DataFrame
    matches: pd.DataFrame
    parent_crm_ids: pd.Series
    previous_parent_crm_ids: pd.Series | None = None
    match_notes: pd.Series | None = None
    open_calls: pd.DataFrame = field(default_factory=OPEN_CALLS.empty)


def plan(inputs: Inputs, *, model: RecordModel, key_of: Callable[[pd.Series], pd.Series] | None) -> Plan:
    """The plan of these rows: exactly one PLAN row per normalized row.

    ``key_of`` makes external key values from QBench ids; None where the integration names no external key.
    """
    index, payload = inputs.normalized.index, inputs.payload
    rows = _with_links(inputs)
    stored = digest_frame(rows["stored_digests"], list(payload.values.columns))
    content = contents(inputs.digests, rows["customer_id"])
    over_at, doubtful = _called_before(inputs.open_calls, rows, wanted=content, stored=stored)
    linked, matched = (rows[name].notna().to_numpy() for name in ("stored", "matched"))
    stale = (rows["version"] < rows["link_version"]).to_numpy()
    problems = _problems_in_what_is_sent(payload, linked=linked, matched=matched)
    errors = first_errors(
        inputs.verdicts,
        matches=rows,
        problems=problems,
        create_problems=payload.create_problems,
        normalized=inputs.normalized,
        required=[name for name in model.required_to_create if name != model.identifying],
        linked=linked,
        matched=matched,
        under_way=over_at.notna().to_numpy() & ~stale,
    )
    may = errors["error_type"].isna().to_numpy()
    changed = (_changed(payload, inputs.digests, stored) | doubtful) & ~stale
    same_parent = rows["customer_id"].eq(rows["link_parent"]).to_numpy(dtype=bool, na_value=False) & ~doubtful
    new_parent = inputs.parent_crm_ids.notna().to_numpy() & ~same_parent & ~stale

    create, link = may & ~linked & ~matched, may & ~linked & matched
    update = may & linked & (changed | new_parent)
    operation = np.select([create, link, update], [Operation.CREATE, Operation.LINK, Operation.UPDATE], Operation.NONE)
    values, sent = _to_send(payload, create=create, link=link, update=update & changed)
    writes = create | link | update
    wanted = inputs.digests.to_numpy()
    keep = sent.to_numpy() | (link[:, None] & (wanted != NO_DIGEST))
    kept = pd.DataFrame(np.where(keep, wanted, stored.to_numpy())[writes], index=index[writes], columns=inputs.digests.columns)
    return Plan(
        rows=PLAN.build(
            {
                "qbench_id": rows["qbench_id"],
                "version": rows["version"],
                "state_digest": inputs.normalized["state_digest"],
                "operation": pd.Series(operation, index=index),
                "object": rows["object"],
                "crm_id": rows["stored"].fillna(rows["matched"]),
                "key": key_of(rows["qbench_id"]) if key_of else no_text(index),
                "origin": rows["link_origin"].fillna(rows["match_origin"]).fillna(str(LinkOrigin.CREATED)),
                "parent_qbench_id": rows["customer_id"],
                "parent_crm_id": inputs.parent_crm_ids.where(writes & new_parent),
                "previous_parent_qbench_id": rows["link_parent"],
                "previous_parent_crm_id": _parents_to_leave(inputs).where(update & new_parent),
                "outcome": errors["outcome"].mask(may & ~writes, str(Outcome.UNCHANGED)),
                "error_type": errors["error_type"],
                "reason": joined(
                    errors["reason"],
                    rows["match_reason"].where(link),
                    *([] if inputs.match_notes is None else [inputs.match_notes.where(create)]),
                    text_where(pd.Series(may & stale, index=index), STALE),
                    ("not_pushed: " + names(_not_pushed(payload, inputs.digests, stored))).where(may),
                    omitted(problems, index).where(may),
                ),
                "waits_on": errors["waits_on"],
                "retryable": errors["retryable"],
                "due_at": over_at.where(errors["reason"].eq(UNDER_WAY)),
                "content": content,
                "digests": pd.Series(digest_dicts(kept), index=kept.index, dtype=object).reindex(index),
            }
        ),
        values=values,
        sent=sent,
    )


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
        "waits_on": error.waits_on,
        "retryable": error.retryable,
    }
    rows = planned.rows.assign(**{name: planned.rows[name].mask(mask, value) for name, value in decided.items()})
    if error.retryable:
        # It is to be tried again, so this write must not be taken for one that was refused for good.
        rows = rows.assign(write_digest=rows["write_digest"].mask(mask))
    sent = planned.sent.mask(pd.Series(mask.to_numpy(), index=planned.sent.index), other=False)
    return Plan(PLAN.build(rows), planned.values, sent)


def unrepeatable(rows: pd.DataFrame) -> pd.Series:
    """Which rows (PLAN) are creates that the CRM would not recognize when they were sent again."""
    return (rows["operation"] == Operation.CREATE) & rows["key"].isna()


def blank_only(payload: Payload) -> list[Target]:
    """The targets that may only be filled where the CRM has nothing; their current values must be read first."""
    return [target for target in payload.targets if target.policy == "if_blank"]


def left_parent(wanted: pd.Series, previous: pd.Series | None) -> pd.Series:
    """The CRM ids of accounts that contacts leave, null where the account stays the same record."""
    return wanted.mask(wanted.notna()) if previous is None else previous.where(previous.ne(wanted)).astype("str")


def with_verbs(planned: Plan, *, parent_goes_with: Collection[Verb]) -> Plan:
    """The plan with the verb of each row that needs a write: with something to send, a key to leave, or a parent that goes with it."""
    rows = planned.rows
    known, keyed = rows["crm_id"].notna(), rows["key"].notna()
    verb = pd.Series(str(Verb.CREATE), index=rows.index, dtype="str").mask(keyed, str(Verb.UPSERT)).mask(known, str(Verb.UPDATE))
    leaves_key = rows["operation"].eq(Operation.LINK) & keyed
    carries_parent = rows["parent_crm_id"].notna() & verb.isin(list(parent_goes_with))
    needed = ~known | planned.sent.any(axis=1) | leaves_key | carries_parent
    return Plan(rows.assign(verb=verb.where(needed & rows["operation"].ne(Operation.NONE))), planned.values, planned.sent)


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


def _with_links(inputs: Inputs) -> dict[str, pd.Series]:
    """Each row's ids and version, its link and its match: columns, null where it has none."""
    ids = inputs.normalized["qbench_id"]
    links = {
        "object": "object",
        "stored": "crm_id",
        "link_origin": "origin",
        "link_version": "version",
        "link_parent": "parent_qbench_id",
        "stored_digests": "digests",
    }
    matches = {
        "matched": "crm_id",
        "match_origin": "origin",
        "match_error": "error_type",
        "match_reason": "reason",
        "match_waits_on": "waits_on",
    }
    own = {"qbench_id": ids, "version": inputs.normalized["version"], "customer_id": inputs.normalized["customer_id"]}
    return {**own, **aligned(inputs.links, ids, columns=links), **aligned(inputs.matches, ids, columns=matches)}


def _problems_in_what_is_sent(payload: Payload, *, linked: Mask, matched: Mask) -> pd.DataFrame:
    """The problems of values that may go out: a create-only field's never hold up a record that is in the CRM already."""
    problems = payload.problems
    if problems.empty:
        return problems
    at = problems["position"].to_numpy()
    editable, fills = (
        problems["crm_field"].isin([target.crm_field for target in payload.targets if fits(target)]) for fits in (_is_editable, _may_fill)
    )
    creating, linking = (~linked & ~matched)[at], (~linked & matched)[at]
    return problems[editable | creating | (fills & linking)]


def _called_before(
    open_calls: pd.DataFrame, rows: dict[str, pd.Series], *, wanted: pd.Series, stored: pd.DataFrame
) -> tuple[pd.Series, Mask]:
    """When a call with other values is over that may still be carried out (Int64, null: none), and rows whose link may be wrong.

    A call with the same values does no harm whenever it comes. One that is over and has other values than the link tells of
    may have been carried out last: what the link says is no reason to leave the record alone. ``wanted``: the rows' contents.
    ``stored``: the links' digests.
    """
    ids = rows["qbench_id"]
    if open_calls.empty:
        return pd.Series(pd.NA, index=ids.index, dtype="Int64"), np.zeros(len(ids), dtype=bool)
    # A parent that is still to be sent is none that the link is wrong about.
    told = contents(stored, rows["link_parent"].fillna(rows["customer_id"]))
    calls = open_calls.merge(pd.DataFrame({"qbench_id": ids, "wanted": wanted, "stored": told}), on="qbench_id")
    held = calls[~calls["over"] & calls["content"].ne(calls["wanted"])]
    doubtful = calls.loc[calls["over"] & calls["content"].ne(calls["stored"]), "qbench_id"]
    return ids.map(held.groupby("qbench_id")["over_at"].max()).astype("Int64"), ids.isin(doubtful).to_numpy()


def _parents_to_leave(inputs: Inputs) -> pd.Series:
    """Per row, the CRM ids of the account it had before and of those that calls, which are over, may have given it unseen."""
    calls, wanted = inputs.open_calls, inputs.parent_crm_ids
    before = left_parent(wanted, inputs.previous_parent_crm_ids)
    if calls.empty:
        return before
    ids = inputs.normalized["qbench_id"]
    given = calls[calls["over"] & calls["parent_crm_id"].ne(calls["qbench_id"].map(wanted.set_axis(ids)))]
    late = ids.map(given.dropna(subset="parent_crm_id").groupby("qbench_id")["parent_crm_id"].agg(lambda ids: ", ".join(ids.unique())))
    both = before + ", " + late.astype("str")
    return both.fillna(before).fillna(late.astype("str"))


def _is_editable(target: Target) -> bool:
    return target.editable


def _may_fill(target: Target) -> bool:
    """Whether a create-only target may fill a blank once, when a record is linked."""
    return not target.editable and target.policy == "if_blank"


def _columns(payload: Payload, fits: Callable[[Target], bool]) -> np.ndarray:
    """A mask over the payload's columns: the targets that fit."""
    fitting = {target.crm_field for target in payload.targets if fits(target)}
    return np.array([name in fitting for name in payload.values.columns], dtype=bool)


def _sendable(payload: Payload) -> np.ndarray:
    """Cells that may be sent: those with a value, and blanks that are to empty the CRM field."""
    sendable: np.ndarray = payload.values.notna().to_numpy() | payload.clears[payload.values.columns].to_numpy()
    return sendable


def _changed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> Mask:
    """Rows of which an editable field differs from what the link keeps; a blank counts only where it clears."""
    editable = _columns(payload, _is_editable)
    differs = digests.to_numpy() != stored.to_numpy()
    changed: Mask = (differs & _sendable(payload) & editable).any(axis=1)
    return changed


def _not_pushed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Create-only fields that differ from what the link keeps."""
    create_only = _columns(payload, lambda target: not target.editable)
    now, before = digests.to_numpy(), stored.to_numpy()
    differs = (now != before) & (now != NO_DIGEST) & (before != NO_DIGEST)
    return pd.DataFrame(differs & create_only, index=digests.index, columns=digests.columns)


def _to_send(payload: Payload, *, create: Mask, link: Mask, update: Mask) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values, and which of them go: all that a create has; what may be edited; with a link, also what may fill a blank."""
    creating, linking, editing = (rows[:, None] for rows in (create, link, link | update))
    values = created = payload.values
    if not payload.create_defaults.empty:
        created = payload.create_values()[values.columns]
        values = values.where(~np.broadcast_to(creating, values.shape), created)
    editable = _columns(payload, _is_editable)
    fills = _columns(payload, _may_fill)
    sendable = _sendable(payload)
    sent = (creating & created.notna().to_numpy()) | (editing & sendable & editable) | (linking & sendable & fills)
    return values, pd.DataFrame(sent, index=values.index, columns=values.columns)
