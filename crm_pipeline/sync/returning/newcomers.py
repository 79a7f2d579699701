"""Which records of a CRM, that have no link, may be made in QBench, and which of its records are they already? Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.errors import (
    AmbiguousMatchException,
    CrmFailsOnRecordException,
    CustomerNotSyncedException,
    CustomerNotYetSyncedException,
    DuplicateEmailException,
    InvalidEmailException,
    LinkConflictException,
    MissingFieldForContactException,
    NoCustomerForContactException,
    NoEmailForContactException,
    NoNameForCustomerException,
    NotInListException,
    PersonAccountException,
    RecordError,
)
from crm_pipeline.frames import Column, FrameSchema, no_text, one_text, texts_where
from crm_pipeline.mapping.direction_keys import direction_in
from crm_pipeline.mapping.filters import fields_named, meets
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.values import valid_emails
from crm_pipeline.model import RecordType, WaitsOn
from crm_pipeline.sync.planning.inclusion import Listed

NEEDED = {RecordType.ACCOUNT: ("name",), RecordType.CONTACT: ("email", "first_name", "last_name")}
"""The normalized fields without which a record is not made in QBench."""

NEWCOMERS = FrameSchema(
    "newcomers",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("stamp", "datetime64[us, UTC]", "the CRM's stamp of its reading"),
        Column("parent_crm_id", "str", "contacts: CRM id of its account, null without one"),
        Column("parent_qbench_id", "Int64", "contacts: QBench id that the account is linked to, null without a live link"),
        Column("parent_error", "str", "contacts: why that record of QBench does not sync, null where it does"),
        Column("is_person", "bool", "the CRM has an account and a contact in it at once"),
        Column("shown", "object", "dict of CRM field to value"),
    ),
)
"""Live CRM records without a link and without a key of ours; behind the columns those of NEEDED."""

TOLD = FrameSchema(
    "told",
    (
        Column("qbench_id", "Int64", "the record of QBench that it is already, null: none"),
        Column("error_type", "str", "record error that keeps it from being made, null: none"),
        Column("reason", "str", "ids and field names"),
        Column("waits_for", "str", "CRM id of the account, QBench ids of the records, or the first of the CRM ids, that it waits for"),
        Column("waits_on", "str", "what must change (model.WaitsOn) where that is not the error's own, else null"),
    ),
)
"""What is decided about each newcomer; where all is null, it is to be made."""

MEANT = FrameSchema(
    "meant",
    (
        Column("crm_id", "str", "id of a CRM record"),
        Column("qbench_id", "int64", "a staged record of QBench with the same value"),
        Column("held_by", "str", "the other CRM record that it is linked to; null without one"),
    ),
)
"""The records of QBench that CRM records could be."""


def makes_from(spec: RecordSpec, crm: str) -> bool:
    """Whether records of a CRM are made in QBench: the integration asks for it, and all that needs to be there comes back from it."""
    if spec.creates_in_qbench is None:
        return False
    sources = spec.map.sources()
    needed = [sources.get(name) for name in NEEDED[spec.record_type]]
    return all(source is not None and direction_in(source, crm).comes_back for source in needed)


def asked_for(newcomers: pd.DataFrame, only: Filter | None, *, crm: str) -> pd.DataFrame:
    """Those that the rule lets in; its fields are named ``<crm>.<field>``."""
    if only is None:
        return newcomers
    content = [{f"{crm}.{name}": value for name, value in shown.items()} for shown in newcomers["shown"]]
    return newcomers[meets(pd.Series(content, index=newcomers.index, dtype=object), only)].reset_index(drop=True)


def fields_of(only: Filter, *, crm: str) -> list[str]:
    """The fields of a CRM that a rule names as ``<crm>.<field>``."""
    prefix = f"{crm}."
    return [name.removeprefix(prefix) for name in fields_named(only) if name.startswith(prefix)]


def faults(newcomers: pd.DataFrame, record_type: RecordType) -> pd.DataFrame:
    """What keeps each (TOLD) from being made."""
    told = _tell(_nothing_told(newcomers), newcomers["is_person"], PersonAccountException)
    if record_type is RecordType.ACCOUNT:
        return _tell(told, newcomers["name"].isna(), NoNameForCustomerException)
    told = _tell(told, newcomers["parent_crm_id"].isna(), NoCustomerForContactException)
    unlinked = newcomers["parent_qbench_id"].isna()
    told = _tell(told, unlinked, CustomerNotYetSyncedException, "account " + newcomers["parent_crm_id"], newcomers["parent_crm_id"])
    why = newcomers["parent_qbench_id"].astype("str") + ": " + newcomers["parent_error"]
    told = _tell(told, newcomers["parent_error"].notna(), CustomerNotSyncedException, "customer " + why, newcomers["parent_crm_id"])
    told = _tell(told, newcomers["email"].isna(), NoEmailForContactException)
    told = _tell(told, ~valid_emails(newcomers["email"]), InvalidEmailException)
    for name in ("first_name", "last_name"):
        reason = pd.Series(f"fields: {name}", index=newcomers.index, dtype="str")
        told = _tell(told, newcomers[name].isna(), MissingFieldForContactException, reason)
    return told


def outside(newcomers: pd.DataFrame, found: Listed) -> pd.DataFrame:
    """Which of these are not in the lists that the integration syncs, or may not be (TOLD)."""
    reason = newcomers["crm_id"].map(found.outside).astype("str")
    told = _tell(_nothing_told(newcomers), reason.notna(), NotInListException, reason)
    return _tell(told, newcomers["crm_id"].isin(found.unread), CrmFailsOnRecordException)


def converted(newcomers: pd.DataFrame, meant: pd.DataFrame, *, unread: Collection[str]) -> pd.DataFrame:
    """Which of these contacts leads of ours became (TOLD): they are QBench's, whatever people changed with the conversion.

    ``meant``: MEANT, by the links of the leads. ``unread``: the ids of those of which the CRM fails to tell it.
    """
    return _tell(matched(newcomers, [meant]), newcomers["crm_id"].isin(unread), CrmFailsOnRecordException)


def matched(newcomers: pd.DataFrame, meant: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Which record of QBench each is, or what keeps that from being said (TOLD).

    ``meant``: a frame (MEANT) per match key, in their order. The first that finds any decides; between several nothing is guessed.
    """
    rest = set(newcomers["crm_id"])
    rows: dict[str, tuple[int | None, type[RecordError] | None, str | None, str | None]] = {}
    for pairs in meant:
        near = pairs[pairs["crm_id"].isin(rest)].drop_duplicates(["crm_id", "qbench_id"])
        claims = near.groupby("qbench_id")["crm_id"].nunique()
        for crm_id, group in near.groupby("crm_id", sort=False):
            ids = group["qbench_id"].tolist()
            rest.discard(crm_id)
            if len(ids) > 1 or claims[ids[0]] > 1:
                named = ", ".join(map(str, ids))
                rows[crm_id] = None, AmbiguousMatchException, f"QBench ids {named}", named
            elif pd.notna(group["held_by"].iloc[0]):
                rows[crm_id] = None, LinkConflictException, f"QBench id {ids[0]} is linked to {group['held_by'].iloc[0]}", str(ids[0])
            else:
                rows[crm_id] = ids[0], None, None, None
    found = [rows.get(crm_id, (None, None, None, None)) for crm_id in newcomers["crm_id"]]
    told = {
        "qbench_id": pd.Series([row[0] for row in found], dtype="Int64"),
        "error_type": pd.Series([None if row[1] is None else row[1].__name__ for row in found], dtype="str"),
        "reason": pd.Series([row[2] for row in found], dtype="str"),
        "waits_for": pd.Series([row[3] for row in found], dtype="str"),
        "waits_on": no_text(newcomers.index),
    }
    return TOLD.build(told).set_axis(newcomers.index)


def emails_taken(newcomers: pd.DataFrame, meant: pd.DataFrame, *, under_way: Collection[str]) -> pd.DataFrame:
    """Which of these contacts have an email that another one has (TOLD): in QBench (MEANT), among them, or ``under_way``."""
    there = meant.drop_duplicates("crm_id").set_index("crm_id")["qbench_id"]
    holder = newcomers["crm_id"].map(there).astype("Int64").astype("str")
    told = _tell(_nothing_told(newcomers), newcomers["crm_id"].isin(there.index), DuplicateEmailException, "QBench id " + holder, holder)
    folded = newcomers["email"].str.lower()
    shared = folded.duplicated(keep=False) | folded.isin({email.lower() for email in under_way})
    together = newcomers["crm_id"].groupby(folded).transform("min")
    # Nobody tells that a record without a link is gone.
    time = texts_where((shared & told["error_type"].isna()).to_numpy(), one_text(WaitsOn.TIME, shared.index))
    several = texts_where(shared.to_numpy(), one_text("several new records", shared.index))
    return _tell(told, shared, DuplicateEmailException, several, together).assign(waits_on=time)


def _nothing_told(newcomers: pd.DataFrame) -> pd.DataFrame:
    return TOLD.build(pd.DataFrame(index=range(len(newcomers)))).set_axis(newcomers.index)


def _tell(
    told: pd.DataFrame, rows: pd.Series, error: type[RecordError], reason: pd.Series | None = None, waits_for: pd.Series | None = None
) -> pd.DataFrame:
    """Tell an error of these rows (bool) that have none yet."""
    rows = rows.astype(bool) & told["error_type"].isna()
    told = told.assign(error_type=told["error_type"].mask(rows, error.__name__))
    for name, values in {"reason": reason, "waits_for": waits_for}.items():
        if values is not None:
            told[name] = told[name].mask(rows, values)
    return told
