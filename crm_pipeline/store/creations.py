"""Records that are made in QBench because a CRM has them: creates whose answer is not stored, and what is staged that they may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import (
    CustomerNotSyncedException,
    CustomerNotYetSyncedException,
    DeletedInQBenchException,
    DuplicateEmailException,
)
from crm_pipeline.frames import Column, FrameSchema, plain
from crm_pipeline.model import LinkStatus, WaitsOn
from crm_pipeline.schemas import CREATIONS, STAGED_VALUES
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_fields import joined, value_of
from crm_pipeline.store.packing import fetch_contents
from crm_pipeline.store.raw_records import STAGED_RAW
from crm_pipeline.store.rows import execute_rows, fetch, json_column, locked_in_order
from crm_pipeline.store.staging import FRAME_ROWS

KEYLESS = FrameSchema(
    "keyless",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("object", "str", "API name of the CRM's object that the record is in; null: the usual one of its record type"),
        Column("crm_id", "str", "id of the CRM record"),
    ),
)
"""Linked CRM records without their external key."""

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_CLAIM = """
INSERT INTO crm_pipeline.creation (integration, crm, record_type, org_id, crm_id, sent, run_id)
SELECT :integration, :crm, :record_type, :org_id, :crm_id, sent, :run_id FROM unnest(CAST(:sent AS jsonb[])) AS row (sent)
WHERE NOT EXISTS (
  SELECT FROM crm_pipeline.link
  WHERE link.crm = :crm AND link.org_id = :org_id AND link.record_type = :record_type AND link.crm_id = :crm_id)
ON CONFLICT DO NOTHING
"""

_STAGED_VALUES = f"""
SELECT staged.qbench_id, {value_of("staged", ":source")} AS value, link.crm_id
FROM crm_pipeline.normalized_record AS staged {joined("staged")}
LEFT JOIN crm_pipeline.link ON link.integration = staged.integration AND link.crm = :crm
  AND link.record_type = staged.record_type AND link.qbench_id = staged.qbench_id
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id > :last
  AND staged.error_type IS DISTINCT FROM '{DeletedInQBenchException.__name__}' AND {value_of("staged", ":source")} IS NOT NULL
ORDER BY staged.qbench_id LIMIT :rows
"""

_UNLINKED_SINCE = f"""
SELECT {", ".join(STAGED_RAW.names)} FROM crm_pipeline.raw_record AS staged
WHERE staged.integration = :integration AND staged.record_type = :record_type AND NOT staged.deleted AND staged.version >= :since
  AND NOT EXISTS (
    SELECT FROM crm_pipeline.link
    WHERE link.integration = staged.integration AND link.crm = :crm AND link.record_type = staged.record_type
      AND link.qbench_id = staged.qbench_id)
ORDER BY staged.qbench_id
"""

_KEYLESS = f"""
SELECT link.qbench_id, link.object, crm_id FROM crm_pipeline.link
JOIN crm_pipeline.crm_record AS staged USING (integration, crm, record_type, crm_id)
LEFT JOIN crm_pipeline.change_outcome AS latest USING (integration, crm, record_type, crm_id)
WHERE {_KEY} AND link.status = '{LinkStatus.LIVE}' AND link.version = 0 AND staged.key IS NULL
  AND NOT (coalesce(starts_with(latest.reason, :refused), false) AND latest.stamp IS NOT DISTINCT FROM staged.stamp
    AND coalesce(latest.next_attempt_at > now(), true))
ORDER BY link.qbench_id
"""

_CARRY_KEYS = f"""
{locked_in_order("crm_record", "crm_id", which=f"{_KEY} AND crm_id = ANY(CAST(:ids AS text[]))")}
UPDATE crm_pipeline.crm_record AS staged SET key = row.key
FROM locked JOIN unnest(CAST(:ids AS text[]), CAST(:keys AS text[])) AS row (crm_id, key) USING (crm_id)
WHERE {_KEY} AND staged.crm_id = locked.crm_id
"""

_WITH_ACCOUNTS_NOW = f"""
SELECT waiting.crm_id FROM crm_pipeline.change_outcome AS waiting
JOIN crm_pipeline.link AS account ON account.integration = waiting.integration AND account.crm = waiting.crm
  AND account.record_type = :parent AND account.crm_id = waiting.waits_for AND account.status = '{LinkStatus.LIVE}'
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.error_type IN ('{CustomerNotYetSyncedException.__name__}', '{CustomerNotSyncedException.__name__}')
  AND NOT EXISTS (
    SELECT FROM crm_pipeline.normalized_record AS customer
    WHERE customer.integration = waiting.integration AND customer.record_type = :parent AND customer.qbench_id = account.qbench_id
      AND customer.error_type = ANY(:stopping))
ORDER BY waiting.crm_id
"""

_NAMESAKES = f"""
WITH waiting AS (
  SELECT crm_id, waits_for FROM crm_pipeline.change_outcome
  WHERE {_KEY} AND error_type = '{DuplicateEmailException.__name__}' AND waits_on = '{WaitsOn.TIME}'
), address AS (
  SELECT crm_id, lower(btrim(fields ->> :email)) AS email FROM crm_pipeline.crm_record WHERE {_KEY}
    AND (crm_id = ANY(:ids) OR crm_id IN (SELECT crm_id FROM waiting))
)
SELECT crm_id FROM waiting JOIN address USING (crm_id)
WHERE waits_for IN (SELECT waits_for FROM waiting WHERE crm_id = ANY(:ids))
  OR email IN (SELECT email FROM address WHERE crm_id = ANY(:ids))
ORDER BY crm_id
"""


def claim(connection: Connection, state: CrmState, *, org_id: str, run_id: str, crm_id: str, sent: Mapping[str, Any]) -> bool:
    """Store what is about to be made of a CRM record, before it is sent; False where the record is another one's already.

    ``sent``: QBench field to value. Over all integrations a CRM record is one record's: the first claims it.
    """
    values = json_column(pd.Series([dict(sent)], dtype=object))
    return execute_rows(connection, _CLAIM, 1, **asdict(state), org_id=org_id, run_id=run_id, crm_id=crm_id, sent=values) == 1


def open_creations(connection: Connection, state: CrmState) -> pd.DataFrame:
    """The creates that are not over (schemas.CREATIONS), the oldest first."""
    statement = f"SELECT {', '.join(CREATIONS.names)} FROM crm_pipeline.creation WHERE {_KEY} ORDER BY created_at, crm_id"
    return fetch(connection, statement, asdict(state), CREATIONS)


def answered(connection: Connection, state: CrmState, *, crm_id: str, qbench_id: int) -> None:
    """Store which record was made; its link to its customer is still to come."""
    statement = f"UPDATE crm_pipeline.creation SET answered_at = now(), qbench_id = :qbench_id WHERE {_KEY} AND crm_id = :crm_id"
    connection.execute(text(statement), {**asdict(state), "crm_id": crm_id, "qbench_id": qbench_id})


def forget(connection: Connection, state: CrmState, *, crm_id: str) -> None:
    """The create of a CRM record is over."""
    connection.execute(text(f"DELETE FROM crm_pipeline.creation WHERE {_KEY} AND crm_id = :crm_id"), {**asdict(state), "crm_id": crm_id})


def staged_values(store: Store, state: CrmState, *, source: str) -> Iterator[pd.DataFrame]:
    """One normalized column of all staged records that are not deleted, where it has a value (schemas.STAGED_VALUES)."""
    last = 0
    while True:
        parameters = {**asdict(state), "source": source, "last": last, "rows": FRAME_ROWS}
        with store.transaction() as connection:
            found = fetch(connection, _STAGED_VALUES, parameters, STAGED_VALUES)
        if len(found):
            yield found
        if len(found) < FRAME_ROWS:
            return
        last = int(found["qbench_id"].iloc[-1])


def unlinked_since(connection: Connection, state: CrmState, *, since: int) -> pd.DataFrame:
    """The staged records of QBench without a link in the CRM whose version (Unix seconds) is that or later (STAGED_RAW)."""
    return fetch_contents(connection, _UNLINKED_SINCE, {**asdict(state), "since": since}, STAGED_RAW)


def with_accounts_now(connection: Connection, state: CrmState, *, stopping: Sequence[str]) -> Sequence[str]:
    """CRM ids of contacts that waited for their account, which has a link by now, and a customer that syncs.

    ``stopping``: the record errors of a customer that does not.
    """
    parameters = {**asdict(state), "parent": state.accounts.record_type, "stopping": list(stopping)}
    return list(connection.execute(text(_WITH_ACCOUNTS_NOW), parameters).scalars())


def namesakes(connection: Connection, state: CrmState, *, crm_ids: Sequence[str], email: str) -> Sequence[str]:
    """CRM ids of new contacts that wait because several had one email address: those with the address of one of these records, or which
    one of these had an address with.

    ``email``: the CRM field of the address.
    """
    return list(connection.execute(text(_NAMESAKES), {**asdict(state), "ids": list(crm_ids), "email": email}).scalars())


def keyless(connection: Connection, state: CrmState, *, refused: str) -> pd.DataFrame:
    """The links that no load sent anything of yet, and whose CRM record was read without a key (KEYLESS).

    Without those whose latest outcome's reason begins with ``refused``, until the record changes or its time has come.
    """
    return fetch(connection, _KEYLESS, {**asdict(state), "refused": refused}, KEYLESS)


def carry_keys(connection: Connection, state: CrmState, *, crm_ids: Sequence[str], keys: pd.Series) -> None:
    """Store that these CRM records carry their keys now."""
    execute_rows(connection, _CARRY_KEYS, len(crm_ids), **asdict(state), ids=list(crm_ids), keys=plain(keys))
