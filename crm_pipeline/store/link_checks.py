"""Which links a check looks at, what it changes of them, and what it found last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import CustomerNotSyncedException, ParentNotFoundException
from crm_pipeline.frames import Column, FrameSchema, plain
from crm_pipeline.model import WaitsOn, children
from crm_pipeline.schemas import CHECKED_LINKS
from crm_pipeline.store.bases import bases_of_the_same
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute_rows, fetch, json_column
from crm_pipeline.store.tables.links import is_polled

GONE = FrameSchema(
    "gone",
    (
        Column("qbench_id", "int64", "QBench id of a link whose record is deleted in the CRM"),
        Column("held", "bool", "it went with too many others at once, so that nothing was done about it"),
        Column("changed", "bool", "the record has changed in QBench since its deletion was noticed"),
    ),
)

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_PAGE = f"""
SELECT {", ".join(CHECKED_LINKS.names)} FROM crm_pipeline.link
WHERE {_KEY} AND status <> 'source_deleted' AND qbench_id > :after ORDER BY qbench_id LIMIT :rows
"""

_COUNT = f"""
SELECT coalesce((SELECT sum(links) FROM crm_pipeline.linked WHERE {_KEY}), 0)
  - (SELECT count(*) FROM crm_pipeline.link WHERE {_KEY} AND status = 'source_deleted')
"""

_IN_DOUBT = f"""
SELECT qbench_id FROM crm_pipeline.link
WHERE {_KEY} AND status <> 'live' AND status <> 'source_deleted'
UNION
SELECT qbench_id FROM crm_pipeline.link WHERE {_KEY} AND status <> 'source_deleted' AND back_from IS NOT NULL
UNION
SELECT qbench_id FROM crm_pipeline.link WHERE {_KEY} AND status <> 'source_deleted' AND crm_id = ANY(:crm_ids)
UNION
SELECT link.qbench_id FROM crm_pipeline.link JOIN crm_pipeline.outcome USING (integration, crm, record_type, qbench_id)
WHERE {_KEY} AND status = 'live' AND waits_on = '{WaitsOn.LINK}' AND {is_polled()}
UNION
SELECT link.qbench_id FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
JOIN crm_pipeline.link
  ON link.integration = waiting.integration AND link.crm = waiting.crm AND link.record_type = :record_type
 AND link.qbench_id = staged.customer_id
JOIN crm_pipeline.normalized_record AS customer
  ON customer.integration = link.integration AND customer.record_type = :record_type AND customer.qbench_id = link.qbench_id
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = ANY(:children)
  AND link.status = 'live' AND customer.error_type IS NULL
  AND waiting.error_type = ANY(:without_account)
"""

_CHANGE = f"""
UPDATE crm_pipeline.link
SET crm_id = row.crm_id, status = row.status, merged_into = row.merged_into, held = false, updated_at = now(),
    {bases_of_the_same("link", now="row")}
FROM unnest(CAST(:ids AS bigint[]), CAST(:was AS text[]), CAST(:crm_ids AS text[]), CAST(:statuses AS text[]), CAST(:merged AS text[]))
  AS row (qbench_id, was, crm_id, status, merged_into)
WHERE integration = :integration AND crm = :crm AND record_type = :record_type
  AND link.qbench_id = row.qbench_id AND link.crm_id = row.was
"""

_GONE = """
SELECT link.qbench_id, link.held, COALESCE(source.read_at > link.updated_at, false) AS changed FROM crm_pipeline.link
LEFT JOIN crm_pipeline.raw_record AS source
  ON source.integration = link.integration AND source.record_type = :source AND source.qbench_id = link.qbench_id
WHERE link.integration = :integration AND link.crm = :crm AND link.record_type = :record_type AND link.status = 'deleted'
ORDER BY link.qbench_id
"""

_SAVE = """
INSERT INTO crm_pipeline.link_check AS latest (integration, crm, record_type, scope, started_at, counts)
VALUES (:integration, :crm, :record_type, :scope, :started_at, CAST(:counts AS jsonb))
ON CONFLICT (integration, crm, record_type) DO UPDATE
SET scope = excluded.scope, started_at = excluded.started_at, counts = excluded.counts, ended_at = now()
"""


def count_links(connection: Connection, state: CrmState) -> int:
    """How many links there are of records that QBench still has."""
    return int(connection.execute(text(_COUNT), asdict(state)).scalar_one())


def links_after(connection: Connection, state: CrmState, *, after: int, rows: int) -> pd.DataFrame:
    """The next links (schemas.CHECKED_LINKS) in the order of their QBench ids, those of deleted QBench records left out."""
    return fetch(connection, _PAGE, {**asdict(state), "after": after, "rows": rows}, CHECKED_LINKS)


def ids_in_doubt(connection: Connection, state: CrmState, *, crm_ids: list[str]) -> list[int]:
    """QBench ids of links that may not be what they were, in ascending order.

    Those of the named CRM records, those that were not live before, contacts that are back or whose account is, and those that a
    load met something wrong with: their record waits for its link, or a contact found no account by it, or a deleted one.
    """
    parameters = {
        **asdict(state),
        "crm_ids": crm_ids,
        "children": list(children(state.record_type)),
        "without_account": [error.__name__ for error in (ParentNotFoundException, CustomerNotSyncedException)],
    }
    return sorted(connection.execute(text(_IN_DOUBT), parameters).scalars())


def mark_back(connection: Connection, state: CrmState, *, customers: Mapping[int, str | None]) -> None:
    """Note of the contacts that were last sent these customers' accounts that these are back (schemas.LINKS, ``back_from``).

    ``customers``: by QBench id, the record that a merge had made of the account, None after a deletion.
    """
    statement = f"""
    UPDATE crm_pipeline.link SET back_from = row.back_from
    FROM unnest(CAST(:customers AS bigint[]), CAST(:back_from AS text[])) AS row (customer, back_from)
    WHERE {_KEY} AND status <> 'source_deleted' AND link.parent_qbench_id = row.customer
    """
    back_from = [merged_into or "" for merged_into in customers.values()]
    execute_rows(connection, statement, len(customers), **asdict(state), customers=list(customers), back_from=back_from)


def settle_back(connection: Connection, state: CrmState, *, ids: list[int], lost: Sequence[int] = ()) -> None:
    """Store that these links were looked at; those of the ``lost`` ones are still to be given their account."""
    statement = text(
        "UPDATE crm_pipeline.link SET back_from = CASE WHEN qbench_id = ANY(:lost) THEN coalesce(back_from, '') END "
        f"WHERE {_KEY} AND qbench_id = ANY(:ids) AND (back_from IS NOT NULL OR qbench_id = ANY(:lost))"
    )
    connection.execute(statement, {**asdict(state), "ids": ids, "lost": list(lost)})


def forget_parents(connection: Connection, state: CrmState, *, ids: list[int]) -> None:
    """Store that contacts were given no account, so that the next plan sends it."""
    statement = text(f"UPDATE crm_pipeline.link SET parent_qbench_id = NULL WHERE {_KEY} AND qbench_id = ANY(:ids)")
    connection.execute(statement, {**asdict(state), "ids": ids})


def change_links(connection: Connection, state: CrmState, *, changes: pd.DataFrame) -> None:
    """Store what links are now: columns ``qbench_id``, ``was`` (the CRM id before), ``crm_id``, ``status``, ``merged_into``."""
    execute_rows(
        connection,
        _CHANGE,
        len(changes),
        **asdict(state),
        ids=plain(changes["qbench_id"]),
        was=plain(changes["was"]),
        crm_ids=plain(changes["crm_id"]),
        statuses=plain(changes["status"]),
        merged=plain(changes["merged_into"]),
    )


def gone_links(connection: Connection, state: CrmState) -> pd.DataFrame:
    """The links whose records are deleted in the CRM (GONE)."""
    return fetch(connection, _GONE, {**asdict(state), "source": state.source}, GONE)


def hold_links(connection: Connection, state: CrmState, *, ids: list[int]) -> None:
    """Mark exactly these of the deleted records' links as held: nothing is done about them for now."""
    statement = text(
        f"UPDATE crm_pipeline.link SET held = qbench_id = ANY(:ids) WHERE {_KEY} AND status = 'deleted' AND held <> (qbench_id = ANY(:ids))"
    )
    connection.execute(statement, {**asdict(state), "ids": ids})


def forget_links(connection: Connection, state: CrmState, *, ids: list[int]) -> None:
    """Forget the links of records that are deleted in the CRM, so that the QBench records sync as if they never had."""
    statement = text(f"DELETE FROM crm_pipeline.link WHERE {_KEY} AND status = 'deleted' AND qbench_id = ANY(:ids)")
    connection.execute(statement, {**asdict(state), "ids": ids})


def last_check(connection: Connection, state: CrmState) -> datetime | None:
    """When the latest finished check of these links began; None before the first."""
    found: datetime | None = connection.execute(
        text(f"SELECT started_at FROM crm_pipeline.link_check WHERE {_KEY}"), asdict(state)
    ).scalar()
    return found


def save_check(connection: Connection, state: CrmState, *, scope: str, started_at: datetime, counts: Mapping[str, Any]) -> None:
    """Store what a check found, in the place of the one before."""
    [written] = json_column(pd.Series([dict(counts)], dtype=object))
    connection.execute(text(_SAVE), {**asdict(state), "scope": scope, "started_at": started_at, "counts": written})
