"""Follows leads that people converted: the link moves to the contact that the lead became (docs/rules.md, 53).

Nothing is ever written to a converted lead, also where the organization would allow it: it is a record that nobody looks at.
"""

from __future__ import annotations

import pandas as pd

from crm_pipeline.crms.abilities import ConvertingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.frames import Column, FrameSchema, looked_up
from crm_pipeline.schemas import HOLDERS
from crm_pipeline.store.conversions import move_to_contacts, stand_still
from crm_pipeline.store.database import Store
from crm_pipeline.sync.holders import who_holds
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.writing_turns import turn_at

CONVERSIONS = FrameSchema(
    "conversions",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("crm_id", "str", "CRM id of the lead"),
        Column("origin", "str", "how the link came to be (model.LinkOrigin)"),
        Column("parent_qbench_id", "Int64", "QBench id of the customer"),
        Column("contact_crm_id", "str", "CRM id of the contact that it became; null where it became none"),
        Column("account_crm_id", "str", "CRM id of the account that this contact belongs to; null without one"),
        Column("obstacle", "str", "why the link cannot move there, in words and ids; null where it can"),
    ),
)
"""Linked leads that people converted, one row per link."""


def follow_conversions(order: LoadOrder, links: pd.DataFrame, *, store: Store, crm: Crm, org_id: str) -> tuple[pd.DataFrame, list[str]]:
    """Move the links of converted leads, and mark those that cannot move: what was found (CONVERSIONS).

    And the CRM ids of leads that the CRM fails to show. ``links``: those of leads, or what is about to be linked: columns
    ``qbench_id``, ``crm_id``, ``origin`` and ``parent_qbench_id``.
    """
    if not isinstance(crm, ConvertingCrm) or links.empty:
        return CONVERSIONS.empty(), []
    found = crm.converted(order.crm_object, links["crm_id"].tolist())
    unread = found["error_type"].notna()
    converted = links[["qbench_id", "crm_id", "origin", "parent_qbench_id"]].merge(found[~unread], on="crm_id")
    if len(converted):
        state = order.state
        # Contacts are linked under their own turn; whoever has it never asks for that of the leads.
        with turn_at(store, order.crm, org_id=org_id, record_type=state.source), store.transaction() as connection:
            holders = state.contacts.holders(connection, org_id=org_id, crm_ids=converted["contact_crm_id"].dropna().tolist())
            contacts = state.contacts.links(connection, ids=converted["qbench_id"].tolist())
            converted = judged(converted, holders, contacts=contacts, integration=order.integration)
            moves = converted["obstacle"].isna()
            move_to_contacts(connection, state, org_id=org_id, moves=converted[moves])
            stand_still(connection, state, rows=converted[~moves])
    else:
        converted = CONVERSIONS.empty()
    return converted, found.loc[unread, "crm_id"].tolist()


def judged(converted: pd.DataFrame, holders: pd.DataFrame, *, contacts: pd.DataFrame, integration: str) -> pd.DataFrame:
    """Which links may move (CONVERSIONS), of converted leads: schemas.CONVERTED with their ``qbench_id``. No I/O.

    ``holders``: schemas.HOLDERS of the contacts that they became. ``contacts``: schemas.LINKS of QBench records that are contacts
    already. Of several leads that became one contact, the first by its QBench id moves.
    """
    rows = converted.sort_values("qbench_id", ignore_index=True)
    contact, ids = rows["contact_crm_id"], rows["qbench_id"]
    held = HOLDERS.check(holders).drop_duplicates("crm_id").set_index("crm_id").reindex(contact).reset_index(drop=True)
    anothers = held["qbench_id"].notna() & ~(held["qbench_id"].eq(ids) & held["integration"].eq(integration))
    own = looked_up(ids, contacts, "crm_id")
    second = contact.notna() & contact.duplicated()
    first = ids.groupby(contact).transform("min").astype("Int64").astype("str")
    obstacle = pd.Series(None, index=rows.index, dtype="str")
    obstacle = obstacle.mask(rows["person"], ", which is a person account")
    obstacle = obstacle.mask(own.notna() & own.ne(contact), ", but its QBench contact is linked to " + own + " already")
    obstacle = obstacle.mask(second, ", as the lead of QBench id " + first + " was")
    obstacle = obstacle.mask(anothers, ", which is linked to " + who_holds(held, integration=integration))
    told = rows["crm_id"] + " was converted into " + contact + obstacle
    nowhere = rows["crm_id"] + " was converted, and into no contact"
    return CONVERSIONS.build({**rows[CONVERSIONS.names[:-1]], "obstacle": told.mask(contact.isna(), nowhere)})
