"""What is to be done to each record in one CRM? Decides a plan's rows from what is known of them; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crm_pipeline.frames import aligned, blank, instead, no_text, one_text, text_column, texts_where
from crm_pipeline.mapping.digests import NO_DIGEST, contents, digest_dicts, digest_frame
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.mapping.targets import Target
from crm_pipeline.model import LinkOrigin, Operation, Outcome, RecordModel
from crm_pipeline.schemas import OPEN_CALLS
from crm_pipeline.sync.planning.plan import PLAN, Plan
from crm_pipeline.sync.planning.reasons import UNDER_WAY, first_errors, joined, names, omitted

STALE = "a newer version was sent before"
"""Reason of a row that is left alone because its link holds a newer version."""

Mask = np.ndarray
"""A bool for each normalized row, in order."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made from; every frame but ``links`` and ``matches`` has one row per normalized row, in its order.

    ``normalized``: schemas.normalized_schema. ``payload`` and ``digests``: mapping.payload and its digests. ``verdicts``:
    eligibility.VERDICTS. ``links``: schemas.LINKS, a row per linked record. ``matches``: matching.MATCHES, a row per match.
    ``parent_crm_ids``: CRM id of each contact's account, null for accounts. ``previous_parent_crm_ids``: that of the account
    it was given before, as far as it is another customer's. ``match_notes``: what to say of rows for which match keys were of no use.
    ``differs``: rows of which a field that comes back is to be decided about; None where nothing comes back.
    ``open_calls``: schemas.OPEN_CALLS. ``as_leads``: contacts that go as leads unless the CRM has them as contacts. ``stores``: whether
    the digests that links keep are wanted of creates too.
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
    differs: Mask | None = None
    as_leads: Mask | None = None
    open_calls: pd.DataFrame = field(default_factory=OPEN_CALLS.empty)
    stores: bool = True


def plan(inputs: Inputs, *, model: RecordModel, key_of: Callable[[pd.Series], pd.Series] | None) -> Plan:
    """The plan of these rows: exactly one PLAN row per normalized row.

    ``key_of`` makes external key values from QBench ids; None where the integration names no external key.
    """
    index, payload = inputs.normalized.index, inputs.payload
    rows = _with_links(inputs)
    stored = digest_frame(rows["stored_digests"], list(payload.values.columns))
    content = contents(inputs.digests, rows["customer_id"])
    decided = _decided(inputs, rows, stored=stored, content=content, model=model)
    values, sent = _to_send(payload, create=decided.create, link=decided.link, update=decided.update & decided.changed)
    return Plan(
        rows=PLAN.build(
            {
                "qbench_id": rows["qbench_id"],
                "version": rows["version"],
                "state_digest": inputs.normalized["state_digest"],
                "operation": text_column(decided.operation),
                "object": rows["object"],
                "crm_id": _first(rows["stored"], rows["matched"]),
                "key": key_of(rows["qbench_id"]) if key_of else no_text(index),
                "origin": _first(rows["link_origin"], rows["match_origin"]).fillna(str(LinkOrigin.CREATED)),
                "parent_qbench_id": rows["customer_id"],
                "parent_crm_id": texts_where(decided.writes & decided.new_parent, inputs.parent_crm_ids),
                "previous_parent_qbench_id": rows["link_parent"],
                "previous_parent_crm_id": texts_where(decided.update & decided.new_parent, _parents_to_leave(inputs)),
                "outcome": instead(decided.errors["outcome"], decided.may & ~decided.writes, str(Outcome.UNCHANGED)),
                "error_type": decided.errors["error_type"],
                "reason": joined(decided.errors["reason"], *_said(inputs, rows, decided, stored=stored)),
                "waits_on": decided.errors["waits_on"],
                "waits_for": decided.errors["waits_for"],
                "retryable": decided.errors["retryable"],
                "due_at": decided.due_at,
                "content": content,
                "digests": _digests_to_keep(inputs, stored, decided, sent=sent),
            }
        ),
        values=values,
        sent=sent,
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    """What is to be done to each row. ``may``: no error of ``errors`` (reasons.first_errors) keeps it from being done.

    ``problems``: those of what would be sent. ``over_at``: when an earlier call is over that may still be carried out.
    ``stale``: a newer version was sent. ``changed``: other values than sent before; ``new_parent``: another account than before.
    """

    errors: pd.DataFrame
    problems: pd.DataFrame
    over_at: pd.Series
    stale: Mask
    may: Mask
    changed: Mask
    new_parent: Mask
    create: Mask
    link: Mask
    update: Mask

    @property
    def due_at(self) -> pd.Series:
        """When the earlier call is over that a row waits for (Int64), null where it waits for none."""
        return self.over_at if blank(self.over_at).all() else self.over_at.where(self.errors["reason"].eq(UNDER_WAY))

    @property
    def writes(self) -> Mask:
        writes: Mask = self.create | self.link | self.update
        return writes

    @property
    def operation(self) -> np.ndarray:
        kinds = [Operation.CREATE, Operation.LINK, Operation.UPDATE]
        chosen: np.ndarray = np.select([self.create, self.link, self.update], kinds, Operation.NONE)
        return chosen


def _decided(inputs: Inputs, rows: dict[str, pd.Series], *, stored: pd.DataFrame, content: pd.Series, model: RecordModel) -> _Decided:
    """Decide each row by its link, match and errors. ``stored``: the links' digests; ``content``: digests of all that is wanted."""
    payload = inputs.payload
    over_at, doubtful, untold = _called_before(inputs.open_calls, rows, wanted=content, stored=stored)
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
        as_leads=np.zeros(len(linked), dtype=bool) if inputs.as_leads is None else inputs.as_leads,
    )
    may = errors["error_type"].isna().to_numpy()
    changed = (doubtful | (linked.any() and _changed(payload, inputs.digests, stored))) & ~stale
    same_parent = rows["customer_id"].eq(rows["link_parent"]).to_numpy(dtype=bool, na_value=False) & ~doubtful & ~untold
    new_parent = inputs.parent_crm_ids.notna().to_numpy() & ~same_parent & ~stale
    return _Decided(
        errors=errors,
        problems=problems,
        over_at=over_at,
        stale=stale,
        may=may,
        changed=changed,
        new_parent=new_parent,
        create=may & ~linked & ~matched,
        link=may & ~linked & matched,
        update=may & linked & (changed | new_parent | (False if inputs.differs is None else inputs.differs & ~stale)),
    )


def _said(inputs: Inputs, rows: dict[str, pd.Series], decided: _Decided, *, stored: pd.DataFrame) -> Iterator[pd.Series]:
    """What is to be said of rows beside the errors (str, null where nothing is), as far as it is of any row."""
    index, may = inputs.normalized.index, decided.may
    if decided.link.any():
        yield rows["match_reason"].where(decided.link)
    if inputs.match_notes is not None and inputs.match_notes.notna().any():
        yield inputs.match_notes.where(decided.create)
    if decided.stale.any():
        yield texts_where(may & decided.stale, one_text(STALE, index))
    not_pushed = _not_pushed(inputs.payload, inputs.digests, stored)
    if not_pushed.any():
        yield ("not_pushed: " + names(pd.DataFrame(not_pushed, index=index, columns=stored.columns))).where(may)
    if len(decided.problems):
        yield omitted(decided.problems, index).where(may)


def _digests_to_keep(inputs: Inputs, stored: pd.DataFrame, decided: _Decided, *, sent: pd.DataFrame) -> pd.Series:
    """Per row that is written, the digests that its link keeps then: of what is sent, and of a link's fields that stay as they are."""
    wanted = inputs.digests
    writes = decided.writes if inputs.stores else decided.link | decided.update
    keep = sent.to_numpy() | (decided.link[:, None] & (wanted.to_numpy() != NO_DIGEST))
    kept = pd.DataFrame(np.where(keep, wanted.to_numpy(), stored.to_numpy())[writes], index=wanted.index[writes], columns=wanted.columns)
    return pd.Series(digest_dicts(kept), index=kept.index, dtype=object).reindex(wanted.index)


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
        "match_waits_for": "waits_for",
    }
    own = {"qbench_id": ids, "version": inputs.normalized["version"], "customer_id": inputs.normalized["customer_id"]}
    return {**own, **aligned(inputs.links, ids, columns=links), **aligned(inputs.matches, ids, columns=matches)}


def _first(texts: pd.Series, others: pd.Series) -> pd.Series:
    """The texts (str), and the other ones where they are null."""
    return texts_where(~blank(texts), texts, others)


def _problems_in_what_is_sent(payload: Payload, *, linked: Mask, matched: Mask) -> pd.DataFrame:
    """The problems of values that may go out: a create-only field's never hold up a record that is in the CRM already."""
    problems = payload.problems
    if problems.empty:
        return problems
    at = problems["position"].to_numpy()
    editable, fills = (
        problems["crm_field"].isin([target.crm_field for target in payload.targets if fits(target)]) for fits in (_may_be_sent, _may_fill)
    )
    creating, linking = (~linked & ~matched)[at], (~linked & matched)[at]
    return problems[editable | creating | (fills & linking)]


def _called_before(
    open_calls: pd.DataFrame, rows: dict[str, pd.Series], *, wanted: pd.Series, stored: pd.DataFrame
) -> tuple[pd.Series, Mask, Mask]:
    """When a call with other values is over that may still be carried out (Int64, null: none), and rows whose link may be wrong.

    At last those whose link tells of an account that is still to be sent.

    A call with the same values does no harm whenever it comes. One that is over and has other values than the link tells of
    may have been carried out last: what the link says is no reason to leave the record alone. ``wanted``: the rows' contents.
    ``stored``: the links' digests.
    """
    ids = rows["qbench_id"]
    if open_calls.empty:
        return pd.Series(pd.NA, index=ids.index, dtype="Int64"), np.zeros(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
    accounts = open_calls["content"].eq(NO_DIGEST)
    untold = ids.isin(open_calls.loc[accounts, "qbench_id"]).to_numpy()
    # A parent that is still to be sent is none that the link is wrong about.
    told = contents(stored, rows["link_parent"].fillna(rows["customer_id"]))
    calls = open_calls[~accounts].merge(pd.DataFrame({"qbench_id": ids, "wanted": wanted, "stored": told}), on="qbench_id")
    held = calls[~calls["over"] & calls["content"].ne(calls["wanted"])]
    doubtful = calls.loc[calls["over"] & calls["content"].ne(calls["stored"]), "qbench_id"]
    return ids.map(held.groupby("qbench_id")["over_at"].max()).astype("Int64"), ids.isin(doubtful).to_numpy(), untold


def _parents_to_leave(inputs: Inputs) -> pd.Series:
    """Per row, the CRM ids of the account it had before and of those that calls, which are over, may have given it unseen.

    Null where the account stays the same record.
    """
    calls, wanted = inputs.open_calls, inputs.parent_crm_ids
    previous = inputs.previous_parent_crm_ids
    before = no_text(wanted.index) if previous is None or blank(previous).all() else previous.where(previous.ne(wanted)).astype("str")
    if calls.empty:
        return before
    ids = inputs.normalized["qbench_id"]
    given = calls[calls["over"] & calls["parent_crm_id"].ne(calls["qbench_id"].map(wanted.set_axis(ids)))]
    late = ids.map(given.dropna(subset="parent_crm_id").groupby("qbench_id")["parent_crm_id"].agg(lambda ids: ", ".join(ids.unique())))
    both = before + ", " + late.astype("str")
    return both.fillna(before).fillna(late.astype("str"))


def _may_be_sent(target: Target) -> bool:
    return target.editable


def _is_editable(target: Target) -> bool:
    """Whether a change in QBench alone decides that a target is sent; of one that comes back both_ways decides."""
    return target.editable and not target.direction.comes_back


def _may_fill(target: Target) -> bool:
    """Whether a create-only target may fill a blank once, when a record is linked."""
    return not target.editable and target.only_fills


def _columns(payload: Payload, fits: Callable[[Target], bool]) -> np.ndarray:
    """A mask over the payload's columns: the targets that fit."""
    fitting = {target.crm_field for target in payload.targets if fits(target)}
    return np.array([name in fitting for name in payload.values.columns], dtype=bool)


def _sendable(payload: Payload) -> np.ndarray:
    """Cells that may be sent: those with a value, and blanks that are to empty the CRM field."""
    sendable: np.ndarray = payload.values.notna().to_numpy() | payload.clears.to_numpy()
    return sendable


def _changed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> Mask:
    """Rows of which an editable field differs from what the link keeps; a blank counts only where it clears."""
    editable = _columns(payload, _is_editable)
    differs = digests.to_numpy() != stored.to_numpy()
    changed: Mask = (differs & _sendable(payload) & editable).any(axis=1)
    return changed


def _not_pushed(payload: Payload, digests: pd.DataFrame, stored: pd.DataFrame) -> np.ndarray:
    """Cells of create-only fields that differ from what the link keeps."""
    create_only = _columns(payload, lambda target: not target.editable)
    now, before = digests.to_numpy(), stored.to_numpy()
    differs = (now != before) & (now != NO_DIGEST) & (before != NO_DIGEST)
    not_pushed: np.ndarray = differs & create_only
    return not_pushed


def _to_send(payload: Payload, *, create: Mask, link: Mask, update: Mask) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values, and which of them go: all that a create has; what may be edited; with a link, also what may fill a blank."""
    creating = create[:, None]
    values = created = payload.values
    if not payload.create_defaults.empty:
        created = payload.create_values()[values.columns]
        values = values.where(~np.broadcast_to(creating, values.shape), created)
    sent = creating & created.notna().to_numpy()
    editing = link | update
    if editing.any():
        goes = (editing[:, None] & _columns(payload, _is_editable)) | (link[:, None] & _columns(payload, _may_fill))
        sent |= goes & _sendable(payload)
    return values, pd.DataFrame(sent, index=values.index, columns=values.columns)
