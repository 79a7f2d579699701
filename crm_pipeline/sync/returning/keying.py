"""Gives CRM records their external keys that were linked on the way back, in the run that linked them.

Which ones they are is read from the state: what an earlier run did not get to, or whose answer was lost, goes again and does no harm.
"""

from __future__ import annotations

import logging

from crm_pipeline.crms.base import Crm
from crm_pipeline.store.creations import carry_keys, keyless
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.sync.links.keys import write_keys
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.writing_turns import turn_at

logger = logging.getLogger(__name__)


def give_keys(order: LoadOrder, *, store: Store, crm: Crm) -> None:
    """Write the keys, where the integration has any and sends to the CRM. Raises the CRM's ServiceError; what is written stays."""
    state = order.state
    if order.settings.external_key is None or not order.settings.send:
        return
    with store.transaction() as connection:
        without = keyless(connection, state)
    if without.empty:
        return
    org_id = crm.organization()
    with store.transaction() as connection:
        require_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)
    with turn_at(store, order.crm, org_id=org_id, record_type=state.record_type):
        for answer in write_keys(order, crm, without):
            done = answer["error_type"].isna()
            with store.transaction() as connection:
                carry_keys(connection, state, crm_ids=answer.loc[done, "crm_id"].tolist(), keys=order.key_of(answer.loc[done, "qbench_id"]))
            if not done.all():
                # The check of links counts them, and names what refuses them.
                refused = ", ".join(map(str, answer.loc[~done, "qbench_id"]))
                logger.warning("%s %s %ss: keys are refused of QBench ids %s", order.integration, order.crm, state.record_type, refused)
