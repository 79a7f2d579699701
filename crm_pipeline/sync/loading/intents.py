"""What became of creates whose answer was lost, where no external key makes a repeat safe (docs/rules.md, 4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.errors import AmbiguousMatchException, CrmFailsOnRecordException, ServiceFailedException
from crm_pipeline.model import LinkOrigin, LinkStatus
from crm_pipeline.schemas import LINKS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_calls import open_accounts
from crm_pipeline.store.organizations import moment
from crm_pipeline.store.telling import tell_linked
from crm_pipeline.sync.loading.namesakes import PAIRS, doubtful, told_apart
from crm_pipeline.sync.order import objects_of, read
from crm_pipeline.sync.planning.lookup import Undecided
from crm_pipeline.sync.planning.plan import Plan

logger = logging.getLogger(__name__)


SMALLER = 20
"""How many parts creates are sent in that were not made by the call which carried them all."""

UNDER_WAY = Undecided(ServiceFailedException, "the CRM may still be carrying out the create of an interrupted run")
UNTOLD = Undecided(CrmFailsOnRecordException, "the CRM fails to tell what an interrupted run created")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of open intents. ``undecided``: by QBench id, why a create is not decided. ``parts``: by QBench id of one that

    was not made, how many may go with it in one call: it, or another one, may be what the CRM failed on.
    """

    undecided: Mapping[int, Undecided] = field(default_factory=dict)
    parts: Mapping[int, int] = field(default_factory=dict)


def sent_fields(creates: Plan) -> pd.Series:
    """Per row, a dict of what the create sends: CRM field to value, and the account's id under ``parent_crm_id``."""
    payloads = creates.payloads()
    parents = creates.rows["parent_crm_id"]
    dicts = [
        {**payload, **({} if pd.isna(parent) else {"parent_crm_id": parent})} for payload, parent in zip(payloads, parents, strict=True)
    ]
    return pd.Series(dicts, index=creates.rows.index, dtype=object)


def settle_intents(state: CrmState, *, store: Store, crm: Crm, org_id: str) -> Settled:
    """Ask the CRM what became of every open intent: link what it made, forget what it did not make.

    A record that is linked already was not made by an open intent. A create is not decided where several records could be
    meant or the record could be another's (AmbiguousMatchException), nothing is found while it may still be under way
    (ServiceFailedException), or the CRM fails to tell (CrmFailsOnRecordException). These intents stay open, and nothing is
    sent for them.
    """
    with store.transaction() as connection:
        intents = state.open_intents(connection)
        if intents.empty:
            return Settled()
        now = moment(connection)
    too_young, found = _asked(crm, state, intents, now=now)
    untold = found.loc[found["crm_id"].isna(), "qbench_id"]
    found = found[~found["qbench_id"].isin(untold)]
    with store.transaction() as connection:
        holders = state.holders(connection, org_id=org_id, crm_ids=found["crm_id"].tolist())
    found = PAIRS.build(found.loc[~found["crm_id"].isin(holders["crm_id"])].drop_duplicates().reset_index(drop=True))
    made, unsure = _made(crm, state, intents, found)
    under_way = intents.loc[too_young & ~intents["qbench_id"].isin([*made["qbench_id"], *unsure["qbench_id"]]), "qbench_id"]
    undecided = {
        **{int(qbench_id): _ambiguous(records) for qbench_id, records in unsure.groupby("qbench_id")["crm_id"]},
        **{int(qbench_id): UNDER_WAY for qbench_id in under_way},
        **{int(qbench_id): UNTOLD for qbench_id in untold},
    }
    with store.transaction() as connection:
        # No digest is kept, so that the next plan sends the record's present state.
        links = _links(made, intents, customers=_customers(connection, state, made, intents))
        state.save_links(connection, org_id=org_id, links=links)
        tell_linked(connection, state, ids=links["qbench_id"].tolist())
        if (given := links["parent_qbench_id"].notna()).any():
            open_accounts(connection, state, ids=links.loc[given, "qbench_id"].tolist())
        settled = intents[~intents["qbench_id"].isin(list(undecided))]
        state.close_intents(connection, ids=settled["qbench_id"].tolist())
    logger.info("%d creates without an answer settled: %d were made, %d cannot be told", len(intents), len(made), len(undecided))
    unmade = settled[~settled["qbench_id"].isin(made["qbench_id"])].dropna(subset="sent_with")
    return Settled(undecided, dict(zip(unmade["qbench_id"], (unmade["sent_with"] // SMALLER).clip(lower=1), strict=True)))


def _asked(crm: Crm, state: CrmState, intents: pd.DataFrame, *, now: datetime) -> tuple[pd.Series, pd.DataFrame]:
    """Which intents may have made a record that cannot be found yet, and the pairs that the CRM tells, object by object."""
    too_young, found = pd.Series(False, index=intents.index), []
    for crm_object, rows in objects_of(state, intents["object"]):
        part = intents[rows].reset_index(drop=True)
        too_young[rows] = _too_young(part, crm, crm_object, now=now).to_numpy()
        found.append(crm.resolve_intents(crm_object, part))
    return too_young, pd.concat(found, ignore_index=True)


def _too_young(intents: pd.DataFrame, crm: Crm, crm_object: CrmObject, *, now: datetime) -> pd.Series:
    """Which intents may have made a record that cannot be found yet; ``now`` is by the clock that dated them, the database's."""
    found = intents["created_at"] <= now - crm.settles_after(crm_object)
    return ~(found | (intents["answered_at"] <= now - crm.settles_after(crm_object, answered=True)))


def _made(crm: Crm, state: CrmState, intents: pd.DataFrame, found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs (namesakes.PAIRS) of creates and the records they made, and those that cannot be told; a call only for namesakes."""
    doubt = doubtful(found)
    if not doubt.any():
        return found, PAIRS.empty()
    asked = found[doubt].reset_index(drop=True)
    sent = {int(qbench_id): values for qbench_id, values in zip(intents["qbench_id"], intents["sent"], strict=True)}
    fields = {name for qbench_id in asked["qbench_id"].unique() for name in sent[qbench_id]} - {"parent_crm_id"}
    objects = asked["qbench_id"].map(intents.set_index("qbench_id")["object"])
    held = read(crm, state, asked.assign(object=objects), sorted(fields))
    unread = asked["crm_id"].isin(held.loc[held["error_type"].notna(), "crm_id"])
    open_yet = asked["qbench_id"].isin(asked.loc[unread, "qbench_id"])
    told, unsure = told_apart(asked[~open_yet].reset_index(drop=True), sent=sent, held=held)
    return (
        PAIRS.build(pd.concat([found[~doubt], told], ignore_index=True)),
        PAIRS.build(pd.concat([unsure, asked[open_yet]], ignore_index=True)),
    )


def _ambiguous(records: pd.Series) -> Undecided:
    return Undecided(AmbiguousMatchException, f"several records could be the one an interrupted run created: {', '.join(records)}")


def _customers(connection: Connection, state: CrmState, made: pd.DataFrame, intents: pd.DataFrame) -> pd.Series:
    """Of each contact that was made, the customer (Int64) whose account its create gave it, to be left where it has another one by now."""
    accounts = made["qbench_id"].map(intents.set_index("qbench_id")["sent"].map(lambda sent: sent.get("parent_crm_id"))).astype("str")
    if accounts.isna().all():
        return pd.Series(pd.NA, index=made.index, dtype="Int64")
    links = state.accounts.links_of(connection, crm_ids=accounts.dropna().unique().tolist())
    return accounts.map(links.drop_duplicates("crm_id").set_index("crm_id")["qbench_id"]).astype("Int64")


def _links(made: pd.DataFrame, intents: pd.DataFrame, *, customers: pd.Series) -> pd.DataFrame:
    return LINKS.build(
        {
            "qbench_id": made["qbench_id"],
            "object": made["qbench_id"].map(intents.set_index("qbench_id")["object"]),
            "crm_id": made["crm_id"],
            "origin": pd.Series(str(LinkOrigin.CREATED), index=made.index, dtype="str"),
            "version": pd.Series(0, index=made.index, dtype="int64"),
            "digests": pd.Series([{} for _ in range(len(made))], index=made.index, dtype=object),
            "parent_qbench_id": customers,
            "status": pd.Series(str(LinkStatus.LIVE), index=made.index, dtype="str"),
        }
    )
