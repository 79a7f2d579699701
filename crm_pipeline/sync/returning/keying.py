"""Gives CRM records their external keys that were linked on the way back, in the run that linked them.

Which ones they are is read from the state: what an earlier run did not get to, or whose answer was lost, goes again and does no harm.
What the CRM refuses goes again once its record changed there, or its time has come.
"""

from __future__ import annotations

import logging

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.store.creations import carry_keys, keyless
from crm_pipeline.store.crm_records import staged_readings
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.sync.links.keys import write_keys
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.reasons import KEY_REFUSED
from crm_pipeline.sync.writing_turns import turn_at

logger = logging.getLogger(__name__)

KEYS_REFUSED = FrameSchema(
    "keys_refused",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("qbench_id", "int64", "QBench id of the record that it is linked to"),
        Column("stamp", "datetime64[us, UTC]", "the CRM's stamp of its reading"),
        Column("error_type", "str", "name of the record error"),
        Column("reason", "str", "codes and field names"),
    ),
)
"""Linked CRM records that did not take their external key."""


def give_keys(order: LoadOrder, *, store: Store, crm: Crm) -> pd.DataFrame:
    """Write the keys, where the integration has any and sends to the CRM; those that it refuses (KEYS_REFUSED).

    Raises the CRM's ServiceError; what is written stays.
    """
    state = order.state
    if order.settings.external_key is None or not order.settings.send:
        return KEYS_REFUSED.empty()
    with store.transaction() as connection:
        without = keyless(connection, state, refused=KEY_REFUSED)
    if without.empty:
        return KEYS_REFUSED.empty()
    org_id = crm.organization()
    with store.transaction() as connection:
        require_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)
    answers = []
    with turn_at(store, order.crm, org_id=org_id, record_type=state.record_type):
        for answer in write_keys(order, crm, without):
            done = answer["error_type"].isna()
            with store.transaction() as connection:
                carry_keys(connection, state, crm_ids=answer.loc[done, "crm_id"].tolist(), keys=order.key_of(answer.loc[done, "qbench_id"]))
            answers.append(answer[~done])
    return _refused(pd.concat(answers, ignore_index=True), order, without, store=store)


def _refused(answers: pd.DataFrame, order: LoadOrder, written: pd.DataFrame, *, store: Store) -> pd.DataFrame:
    """Those of the results (schemas.WRITE_RESULTS) of refused rows as KEYS_REFUSED; ``written``: what the rows were."""
    if answers.empty:
        return KEYS_REFUSED.empty()
    # A result names a record of its own where that is in the way.
    crm_ids = answers["qbench_id"].map(written.set_index("qbench_id")["crm_id"])
    with store.transaction() as connection:
        stamps = staged_readings(connection, order.state, crm_ids=crm_ids.tolist()).set_index("crm_id")["stamp"]
    ids = ", ".join(map(str, answers["qbench_id"]))
    logger.warning("%s %s %ss: keys are refused of QBench ids %s", order.integration, order.crm, order.state.record_type, ids)
    reason = pd.Series(KEY_REFUSED, index=answers.index, dtype="str")
    for label in ("code", "fields", "ids"):
        part = answers[f"error_{label}"]
        reason = reason.where(part.isna(), reason + f"; {label}: " + part.fillna(""))
    told = {"crm_id": crm_ids, "qbench_id": answers["qbench_id"], "stamp": crm_ids.map(stamps), "reason": reason}
    return KEYS_REFUSED.build({**told, "error_type": answers["error_type"]})
