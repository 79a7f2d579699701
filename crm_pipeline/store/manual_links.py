"""Links that a person changes: one at a time, under the same uniqueness as a load's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from crm_pipeline.errors import LinkRefusedError
from crm_pipeline.model import LinkOrigin, LinkStatus
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.link_digests import NONE
from crm_pipeline.store.raw_records import raw_by_id
from crm_pipeline.store.telling import tell_linked

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_HOLDER = """
SELECT integration, qbench_id FROM crm_pipeline.link
WHERE crm = :crm AND org_id = :org_id AND record_type = :record_type AND crm_id = :crm_id
"""

_MAKE = """
INSERT INTO crm_pipeline.link (integration, crm, record_type, org_id, qbench_id, crm_id, origin, version, status)
VALUES (:integration, :crm, :record_type, :org_id, :qbench_id, :crm_id, :origin, 0, :status)
"""

_MOVE = f"""
UPDATE crm_pipeline.link SET qbench_id = :to, origin = :origin, version = 0, {NONE}, parent_qbench_id = NULL,
  status = :status, merged_into = NULL, held = false, linked_at = now(), updated_at = now()
WHERE {_KEY} AND qbench_id = :qbench_id
"""


def make_link(connection: Connection, state: CrmState, *, org_id: str, qbench_id: int, crm_id: str) -> None:
    """Store a link that keeps no digest, so that the next plan sends the record's present state.

    Its intent, if it has one, is settled by that. Raises LinkRefusedError where either record is linked already, or the QBench
    record was never read.
    """
    _require_free(connection, state, qbench_id)
    holder = connection.execute(
        text(_HOLDER), {"crm": state.crm, "org_id": org_id, "record_type": state.record_type, "crm_id": crm_id}
    ).first()
    if holder is not None:
        raise LinkRefusedError(f"{crm_id} is linked to QBench id {holder.qbench_id} of integration {holder.integration}; move that link")
    _require_read(connection, state, qbench_id)
    values = {"org_id": org_id, "qbench_id": qbench_id, "crm_id": crm_id, "origin": LinkOrigin.MANUAL, "status": LinkStatus.LIVE}
    connection.execute(text(_MAKE), {**_key(state), **values})
    tell_linked(connection, state, ids=[qbench_id])
    state.close_intents(connection, ids=[qbench_id])


def move_link(connection: Connection, state: CrmState, *, qbench_id: int, to: int) -> None:
    """Give a record's link to another QBench record.

    Raises LinkRefusedError where the one has none, or the other has one or was never read.
    """
    _require_free(connection, state, to)
    values = {"qbench_id": qbench_id, "to": to, "origin": LinkOrigin.MANUAL, "status": LinkStatus.LIVE}
    if connection.execute(text(_MOVE), {**_key(state), **values}).rowcount == 0:
        raise _no_link(state, qbench_id)
    _require_read(connection, state, to)
    tell_linked(connection, state, ids=[to])
    state.close_intents(connection, ids=[to])


def remove_link(connection: Connection, state: CrmState, *, qbench_id: int) -> None:
    """Forget a record's link. Raises LinkRefusedError where it has none."""
    statement = text(f"DELETE FROM crm_pipeline.link WHERE {_KEY} AND qbench_id = :qbench_id")
    if connection.execute(statement, {**_key(state), "qbench_id": qbench_id}).rowcount == 0:
        raise _no_link(state, qbench_id)


def _key(state: CrmState) -> dict[str, Any]:
    return {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}


def _require_free(connection: Connection, state: CrmState, qbench_id: int) -> None:
    for crm_id in state.links(connection, ids=[qbench_id])["crm_id"]:
        raise LinkRefusedError(f"QBench id {qbench_id} is linked to {crm_id} in {state.crm}; remove that link first")


def _require_read(connection: Connection, state: CrmState, qbench_id: int) -> None:
    if raw_by_id(connection, state.integration, state.source, ids=[qbench_id]).empty:
        raise LinkRefusedError(f"{state.record_type} {qbench_id} was never read from QBench; check the id, or materialize its hour first")


def _no_link(state: CrmState, qbench_id: int) -> LinkRefusedError:
    return LinkRefusedError(f"QBench id {qbench_id} has no {state.record_type} link in {state.crm}")
