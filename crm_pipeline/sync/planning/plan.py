"""What is to be done to each record in one CRM? The pure plan that the load carries out and the preview shows; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.errors import MissingFieldForContactException, ServiceFailedException, record_errors
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.mapping.digests import NO_DIGEST, contents, digest_dicts, digest_frame
from crm_pipeline.mapping.normalize import with_create_defaults
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.mapping.targets import Target
from crm_pipeline.model import LinkOrigin, Operation, Outcome, RecordModel, Verb
from crm_pipeline.schemas import OPEN_CALLS

PLAN = FrameSchema(
    "plan",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "version planned"),
        Column("state_digest", "Int64", "digest of the normalized state planned"),
        Column("operation", "str", "create, update, link or none"),
        Column("verb", "str", "how it is written (model.Verb); null where no write is needed"),
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
            "write_digest", "str", "digest of settings and write (sync.refused); of operation none, of the write that was refused before"
        ),
        Column("digests", "object", "dict of CRM field to digest that the link keeps once the operation succeeded; null without one"),
    ),
)

STALE = "a newer version was sent before"
"""Reason of a row that is left alone because its link holds a newer version."""

UNDER_WAY = "an earlier call with other values may still be carried out"
"""Reason of a row that waits, so that an earlier call cannot undo it later."""


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
    rows = _with_links(inputs)
    stored = digest_frame(rows.pop("stored_digests"), list(inputs.payload.values.columns))
    content = contents(inputs.digests, rows["customer_id"])
    # A parent that is still to be sent is none that the link is wrong about.
    told = contents(stored, rows["link_parent"].fillna(rows["customer_id"]))
    over_at, doubtful = _called_before(inputs.open_calls, rows["qbench_id"], wanted=content, stored=told)
    linked, matched = rows["stored"].notna(), rows["matched"].notna()
    problems = _problems_in_what_is_sent(inputs.payload, linked=linked, matched=matched)
    stale = rows["version"] < rows["link_version"]
    rows = _with_errors(rows, inputs, problems=problems, model=model, under_way=over_at.notna() & ~stale)
    may = rows["error_type"].isna()
    changed = (_changed(inputs.payload, inputs.digests, stored) | doubtful) & ~stale
    same_parent = rows["customer_id"].eq(rows["link_parent"]).fillna(False).astype(bool) & ~doubtful
    new_parent = inputs.parent_crm_ids.notna() & ~same_parent & ~stale

    create, link = may & ~linked & ~matched, may & ~linked & matched
    update = may & linked & (changed | new_parent)
    operation = np.select([create, link, update], [Operation.CREATE, Operation.LINK, Operation.UPDATE], Operation.NONE)
    values, sent = _to_send(inputs.payload, create=create, link=link, update=update & changed)
    writes = create | link | update
    not_pushed = _names(_not_pushed(inputs.payload, inputs.digests, stored))
    keep = sent.to_numpy() | (link.to_numpy()[:, None] & inputs.digests.ne(NO_DIGEST).to_numpy())
    digests = inputs.digests.where(keep, stored)[writes]
    return Plan(
        rows=PLAN.build(
            {
                "qbench_id": rows["qbench_id"],
                "version": rows["version"],
                "state_digest": inputs.normalized["state_digest"],
                "operation": pd.Series(operation, index=rows.index),
                "crm_id": rows["stored"].fillna(rows["matched"]),
                "key": key_of(rows["qbench_id"]) if key_of else pd.Series(None, index=rows.index, dtype="str"),
                "origin": rows["link_origin"].fillna(rows["match_origin"]).fillna(str(LinkOrigin.CREATED)),
                "parent_qbench_id": rows["customer_id"],
                "parent_crm_id": inputs.parent_crm_ids.where(writes & new_parent),
                "previous_parent_qbench_id": rows["link_parent"],
                "previous_parent_crm_id": _parents_to_leave(inputs).where(update & new_parent),
                "outcome": rows["outcome"].mask(may & ~writes, str(Outcome.UNCHANGED)),
                "error_type": rows["error_type"],
                "reason": joined(
                    rows["reason"],
                    rows["match_reason"].where(link),
                    *([] if inputs.match_notes is None else [inputs.match_notes.where(create)]),
                    pd.Series(STALE, index=rows.index, dtype="str").where(may & stale),
                    ("not_pushed: " + not_pushed).where(may),
                    _omitted(problems, rows.index).where(may),
                ),
                "waits_on": rows["waits_on"],
                "retryable": rows["retryable"],
                "due_at": over_at.where(rows["reason"].eq(UNDER_WAY)),
                "content": content,
                "digests": pd.Series(digest_dicts(digests), index=digests.index, dtype=object).reindex(rows.index),
            }
        ),
        values=values,
        sent=sent,
    )


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


def _with_links(inputs: Inputs) -> pd.DataFrame:
    rows = inputs.normalized[["qbench_id", "version", "customer_id"]].copy()
    links = inputs.links.rename(
        columns={
            "crm_id": "stored",
            "origin": "link_origin",
            "version": "link_version",
            "parent_qbench_id": "link_parent",
            "digests": "stored_digests",
        }
    )
    rows = rows.merge(links.drop(columns=["status", "merged_into", "held", "linked_at"]), on="qbench_id", how="left")
    matches = inputs.matches.rename(
        columns={
            "crm_id": "matched",
            "origin": "match_origin",
            "error_type": "match_error",
            "reason": "match_reason",
            "waits_on": "match_waits_on",
        }
    )
    return rows.merge(matches, on="qbench_id", how="left")


def _problems_in_what_is_sent(payload: Payload, *, linked: pd.Series, matched: pd.Series) -> pd.DataFrame:
    """The problems of values that may go out: a create-only field's never hold up a record that is in the CRM already."""
    problems = payload.problems
    at = problems["position"].to_numpy()
    editable, fills = (
        problems["crm_field"].isin([target.crm_field for target in payload.targets if fits(target)]) for fits in (_is_editable, _may_fill)
    )
    creating, linking = (~linked & ~matched).to_numpy()[at], (~linked & matched).to_numpy()[at]
    return problems[editable | creating | (fills & linking)]


def _called_before(open_calls: pd.DataFrame, qbench_ids: pd.Series, *, wanted: pd.Series, stored: pd.Series) -> tuple[pd.Series, pd.Series]:
    """When a call with other values is over that may still be carried out (Int64, null: none), and rows whose link may be wrong.

    A call with the same values does no harm whenever it comes. One that is over and has other values than the link tells of
    may have been carried out last: what the link says is no reason to leave the record alone.
    """
    if open_calls.empty:
        return pd.Series(None, index=qbench_ids.index, dtype="Int64"), pd.Series(False, index=qbench_ids.index)
    calls = open_calls.merge(pd.DataFrame({"qbench_id": qbench_ids, "wanted": wanted, "stored": stored}), on="qbench_id")
    held = calls[~calls["over"] & calls["content"].ne(calls["wanted"])]
    doubtful = calls.loc[calls["over"] & calls["content"].ne(calls["stored"]), "qbench_id"]
    return qbench_ids.map(held.groupby("qbench_id")["over_at"].max()).astype("Int64"), qbench_ids.isin(doubtful)


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


def _with_errors(rows: pd.DataFrame, inputs: Inputs, *, problems: pd.DataFrame, model: RecordModel, under_way: pd.Series) -> pd.DataFrame:
    """Columns error_type, reason, waits_on, outcome, retryable: the first error that applies, in the order of reasons."""
    unlinked = rows["stored"].isna()
    unmatchable = unlinked & rows["match_error"].notna()
    errors = inputs.verdicts[["error_type", "reason", "waits_on"]]
    outranked = inputs.verdicts["after_match"] & unmatchable
    if outranked.any():
        errors = errors.mask(outranked)
    creating = unlinked & rows["matched"].isna()
    failed = _failed_values(problems, rows.index)
    failed_create = _failed_values(inputs.payload.create_problems, rows.index)
    missing = _missing_to_create(inputs.normalized, model) if creating.any() else pd.Series(None, index=rows.index, dtype="str")

    def every(name: str) -> pd.Series:
        return pd.Series(name, index=rows.index, dtype="str")

    for applies, error_type, reason in (
        (unmatchable, rows["match_error"], rows["match_reason"]),
        (failed["error_type"].notna(), failed["error_type"], failed["fields"]),
        (creating & missing.notna(), every(MissingFieldForContactException.__name__), missing),
        (creating & failed_create["error_type"].notna(), failed_create["error_type"], failed_create["fields"]),
        (under_way, every(ServiceFailedException.__name__), every(UNDER_WAY)),
    ):
        here = applies & errors["error_type"].isna()
        if not here.any():
            continue
        errors = pd.DataFrame(
            {
                "error_type": errors["error_type"].mask(here, error_type),
                "reason": errors["reason"].mask(here, reason),
                "waits_on": errors["waits_on"].mask(here, error_type.map(_attribute("waits_on"))),
            }
        )
    told = errors["error_type"].eq(rows["match_error"]) & rows["match_waits_on"].notna()
    errors = errors.assign(waits_on=errors["waits_on"].mask(told, rows["match_waits_on"]))
    # Looked up for the few that have an error.
    wrong = errors["error_type"].dropna()
    judged = pd.DataFrame({"outcome": wrong.map(_attribute("outcome")), "retryable": wrong.map(_attribute("retryable"))})
    judged = judged.reindex(rows.index)
    return pd.concat([rows, errors, judged["outcome"].astype("str"), judged["retryable"].eq(True)], axis=1)


def _attribute(name: str) -> dict[str, object]:
    return {error_name: getattr(error, name) for error_name, error in record_errors().items()}


def _missing_to_create(normalized: pd.DataFrame, model: RecordModel) -> pd.Series:
    required = [name for name in model.required_to_create if name != model.identifying]
    return _names(with_create_defaults(normalized)[required].isna()) if required else pd.Series(None, index=normalized.index, dtype="str")


def _failed_values(problems: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Per row the first failed value's error and the names of all failed fields (columns ``error_type``, ``fields``)."""
    failed = problems[problems["action"] == "failed"]
    if failed.empty:
        return pd.DataFrame({"error_type": None, "fields": None}, index=index, dtype="str")
    by_row = failed.groupby("position").agg(error_type=("error_type", "first"), fields=("crm_field", ", ".join))
    return by_row.reindex(index).astype("str")


def _omitted(problems: pd.DataFrame, index: pd.Index) -> pd.Series:
    spared = problems[problems["action"] != "failed"]
    notes = (spared["action"] + ": " + spared["crm_field"]).groupby(spared["position"]).agg("; ".join)
    return notes.reindex(index).astype("str")


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


def _changed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> pd.Series:
    """Rows of which an editable field differs from what the link keeps; a blank counts only where it clears."""
    editable = _columns(payload, _is_editable)
    differs = digests.to_numpy() != stored.to_numpy()
    return pd.Series((differs & _sendable(payload) & editable).any(axis=1), index=digests.index)


def _not_pushed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Create-only fields that differ from what the link keeps."""
    create_only = _columns(payload, lambda target: not target.editable)
    now, before = digests.to_numpy(), stored.to_numpy()
    differs = (now != before) & (now != NO_DIGEST) & (before != NO_DIGEST)
    return pd.DataFrame(differs & create_only, index=digests.index, columns=digests.columns)


def _to_send(payload: Payload, *, create: pd.Series, link: pd.Series, update: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values, and which of them go: all that a create has; what may be edited; with a link, also what may fill a blank."""
    create_values = payload.create_values()[payload.values.columns]
    creating, linking, editing = (rows.to_numpy()[:, None] for rows in (create, link, link | update))
    values = payload.values
    if not payload.create_defaults.empty:
        values = values.where(~np.broadcast_to(creating, values.shape), create_values)
    editable = _columns(payload, _is_editable)
    fills = _columns(payload, _may_fill)
    sendable = _sendable(payload)
    sent = (creating & create_values.notna().to_numpy()) | (editing & sendable & editable) | (linking & sendable & fills)
    return values, pd.DataFrame(sent, index=values.index, columns=values.columns)


def _names(marked: pd.DataFrame) -> pd.Series:
    """Per row the names of the marked columns, joined by ', '; null where none is."""
    joined = pd.Series("", index=marked.index, dtype="str")
    for name in marked.columns[marked.any()]:
        joined = joined.mask(marked[name], joined + ", " + name)
    joined = joined.str.removeprefix(", ")
    return joined.mask(joined == "")


def joined(*parts: pd.Series) -> pd.Series:
    """Texts of one index joined row by row by '; '; null where all are null."""
    text = pd.Series("", index=parts[0].index, dtype="str")
    for part in (part for part in parts if part.notna().any()):
        text = text.mask(part.notna(), text + "; " + part.astype("str"))
    text = text.str.removeprefix("; ")
    return text.mask(text == "")
