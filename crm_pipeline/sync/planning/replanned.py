"""Which records are planned again because what they waited for has changed? (docs/rules.md, 25)"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.model import MODELS, WaitsOn
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.emails import waiting_for_email
from crm_pipeline.store.waiting import ids_to_plan_again
from crm_pipeline.sync.planning import eligibility
from crm_pipeline.sync.planning import email_claims as claims
from crm_pipeline.sync.planning.accounts import Accounts, parents_of


def awakened(
    connection: Connection,
    state: CrmState,
    *,
    settings: str | None = None,
    accounts: Accounts | None = None,
    written_before: Sequence[int] = (),
) -> list[int]:
    """QBench ids of the records that wait for something which changed since they were last planned, in ascending order.

    ``settings``: what of the CRM's settings decides what becomes of a record, None: not asked. ``accounts``: those that
    contacts refer to, as the state has them where left out. ``written_before``: those that are written before this load.
    """
    found = set(ids_to_plan_again(connection, state, holding=eligibility.HOLDING, customers=written_before, settings=settings))
    if MODELS[state.record_type].exclusive is not None:
        found.update(_judged_otherwise(connection, state, accounts or state.accounts))
    return sorted(found)


def _judged_otherwise(connection: Connection, state: CrmState, accounts: Accounts) -> list[int]:
    """The contacts that would not wait any more for the contact that their outcome names, by the verdict that a plan starts from."""
    waiting = waiting_for_email(connection, state)
    if waiting.empty:
        return []
    found = claims.contenders(connection, state, addresses=waiting["email"], ids=waiting["qbench_id"])
    parents = parents_of(
        connection, state, accounts=accounts, customer_ids=pd.concat([waiting["customer_id"], found["customer_id"]], ignore_index=True)
    )
    verdicts = eligibility.assess(
        waiting,
        state.links(connection, ids=waiting["qbench_id"].tolist()),
        parents=parents,
        email_winners=claims.winners(waiting["email"], found, parents),
    )
    stay = verdicts["waits_on"].eq(WaitsOn.EMAIL) & verdicts["waits_for"].eq(waiting["waits_for"])
    ids: list[int] = waiting.loc[~stay, "qbench_id"].tolist()
    return ids
