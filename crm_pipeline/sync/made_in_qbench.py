"""Which record did a create in QBench make, whose answer was lost, and how is it kept?

Asked before every load as well: one that found the record first would make it in the CRM a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm
from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.mapping.values import text_form
from crm_pipeline.model import MODELS, LinkOrigin, LinkStatus
from crm_pipeline.schemas import BASES, LINKS, RAW
from crm_pipeline.store.bases import save_bases
from crm_pipeline.store.creations import answered, forget, open_creations, unlinked_since
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import stored_organization
from crm_pipeline.store.telling import tell_linked
from crm_pipeline.sync.holders import who_holds
from crm_pipeline.sync.order import LoadOrder

logger = logging.getLogger(__name__)

CLOCKS_APART = timedelta(minutes=5)
"""How far QBench's clock may be behind ours; assumed. What it made earlier than this before its create was asked for is not ours."""


def showing(sent: Mapping[str, Any], found: pd.DataFrame, *, marker: str | None) -> pd.DataFrame:
    """The records (schemas.RAW) that show all that was sent; those with its own mark alone, where any has it.

    ``marker``: the QBench field of the mark.
    """
    if marker is not None and marker in sent:
        marked = found[[_form(content.get(marker)) == _form(sent[marker]) for content in found["content"]]]
        if len(marked):
            return marked.reset_index(drop=True)
    wanted = {name: _form(value) for name, value in sent.items() if name != marker}
    rows = [all(_form(content.get(name)) == form for name, form in wanted.items()) for content in found["content"]]
    return found[pd.Series(rows, index=found.index, dtype=bool)].reset_index(drop=True)


def keep(connection: Connection, order: LoadOrder, *, way: WayBack, org_id: str, crm_id: str, raw: pd.DataFrame) -> str | None:
    """Link a record of QBench (schemas.RAW, one row) to the CRM record that it was made of. Both are agreed on what QBench wants there.

    Its create is over, but for a contact, whose customer is still to be linked. Returns to whom the CRM record is linked already, None
    where it was free: somebody else linked it meanwhile, and the create is over too.
    """
    state, qbench_id = order.state, int(raw["qbench_id"].iloc[0])
    held_by = link_anew(connection, order, org_id=org_id, crm_id=crm_id, qbench_id=qbench_id)
    if held_by is not None:
        forget(connection, state, crm_id=crm_id)
        return held_by
    [forms] = digests(way.wanted(raw).forms).to_dict("records")
    save_agreed(connection, order, crm_id=crm_id, qbench_id=qbench_id, bases={unit: [digest, digest] for unit, digest in forms.items()})
    if MODELS[state.record_type].parent is None:
        forget(connection, state, crm_id=crm_id)
    else:
        answered(connection, state, crm_id=crm_id, qbench_id=qbench_id)
    return None


def link_anew(connection: Connection, order: LoadOrder, *, org_id: str, crm_id: str, qbench_id: int) -> str | None:
    """Link two records so that the next load sends what the CRM lacks, the key included.

    Returns to whom the CRM record is linked already, over all integrations, in words; None where it was free, and is linked now.
    """
    held = order.state.holders(connection, org_id=org_id, crm_ids=[crm_id])
    if len(held):
        return str(who_holds(held, integration=order.integration).iloc[0])
    link = {
        "qbench_id": [qbench_id],
        "crm_id": [crm_id],
        "origin": [LinkOrigin.MATCHED],
        "version": [0],
        "digests": pd.Series([{}], dtype=object),
        "status": [LinkStatus.LIVE],
    }
    order.state.save_links(connection, org_id=org_id, links=LINKS.build(pd.DataFrame(link)))
    tell_linked(connection, order.state, ids=[qbench_id])
    return None


def save_agreed(connection: Connection, order: LoadOrder, *, crm_id: str, qbench_id: int, bases: Mapping[str, Any]) -> None:
    """Store what a link begins with (schemas.BASES, ``bases``)."""
    frame = BASES.build({"qbench_id": pd.Series([qbench_id]), "bases": pd.Series([dict(bases)], dtype=object)})
    save_bases(connection, order.state, bases=frame, crm_ids=pd.Series([crm_id]))


def settle_staged(order: LoadOrder, *, store: Store, crm: Crm) -> None:
    """Link the staged records that creates with lost answers made. Raises the CRM's ServiceError."""
    if order.record.creates_in_qbench is None:
        return
    with store.transaction() as connection:
        creations = open_creations(connection, order.state)
    creations = creations[creations["qbench_id"].isna()]
    if creations.empty:
        return
    way = order.way_back(crm.fields(order.crm_object))
    for create in creations.itertuples():
        with store.transaction() as connection:
            since = int((create.created_at - CLOCKS_APART).timestamp())
            found = showing(create.sent, unlinked_since(connection, order.state, since=since), marker=order.marker_field)
            org_id = stored_organization(connection, order.integration, order.crm)
            if len(found) == 1 and org_id is not None:
                held_by = keep(connection, order, way=way, org_id=org_id, crm_id=create.crm_id, raw=RAW.build(found[RAW.names]))
                logger.info(
                    "%s %s: %s was made in QBench by a call whose answer was lost%s",
                    order.integration,
                    order.crm,
                    create.crm_id,
                    f", and is linked to {held_by} by now" if held_by is not None else "",
                )


def _form(value: Any) -> str:
    return fold_text(text_form(value) or "")
