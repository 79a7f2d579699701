"""What links keep of fields that come back from a CRM: what both sides last agreed on, and what is on its way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.schemas import BASES
from crm_pipeline.store.field_names import NAMED
from crm_pipeline.store.link_digests import pack
from crm_pipeline.store.rows import execute_rows, fetch, json_column, time_column

if TYPE_CHECKING:
    from crm_pipeline.store.crm_state import CrmState

_KEPT = ("bases", "sending", "open_until", "touched_at")

_FIND = f"""
SELECT {", ".join(BASES.names)} FROM crm_pipeline.link
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND qbench_id = ANY(:ids)
"""

KEPT = """(
  SELECT given.qbench_id, given.crm_id, nullif(given.bases, 'null') AS bases, nullif(given.sending, 'null') AS sending, given.open_until,
    given.touched_at
  FROM unnest(CAST(:kept_ids AS bigint[]), CAST(:kept_crm_ids AS text[]), CAST(:bases AS jsonb[]), CAST(:sending AS jsonb[]),
              CAST(:open_until AS timestamptz[]), CAST(:touched_at AS timestamptz[]))
    AS given (qbench_id, crm_id, bases, sending, open_until, touched_at)
) AS kept"""
"""What links are to keep, in a statement that binds the parameters of ``kept_columns``."""

# What a link that was just made was given with the rest of it is not written again.
_SAVE = f"""
UPDATE crm_pipeline.link
SET bases = kept.bases, sending = kept.sending, open_until = kept.open_until, touched_at = kept.touched_at
FROM {KEPT}
WHERE integration = :integration AND crm = :crm AND record_type = :record_type
  AND link.qbench_id = kept.qbench_id AND link.crm_id = kept.crm_id
  AND (link.bases, link.sending, link.open_until, link.touched_at)
    IS DISTINCT FROM (kept.bases, kept.sending, kept.open_until, kept.touched_at)
"""

SENT_HOURS = 24
"""How long it is kept when a unit was sent."""

_NOTE_SENT = f"""
UPDATE crm_pipeline.link SET sent = (
  SELECT jsonb_object_agg(unit, times) FROM (
    SELECT unit, jsonb_agg(at ORDER BY at) AS times FROM (
      SELECT before.key AS unit, CAST(moment AS bigint) AS at
      FROM jsonb_each(coalesce(link.sent, '{{}}')) AS before, jsonb_array_elements_text(before.value) AS moment
      WHERE CAST(moment AS bigint) > extract(epoch FROM now()) - {SENT_HOURS * 3_600}
      UNION ALL SELECT name, CAST(extract(epoch FROM now()) AS bigint) FROM jsonb_array_elements_text(row.units) AS name
    ) AS moments GROUP BY unit
  ) AS units)
FROM unnest(CAST(:ids AS bigint[]), CAST(:units AS jsonb[])) AS row (qbench_id, units)
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND link.qbench_id = row.qbench_id
"""

_UNSETTLE = """
WITH unsettled AS (
  UPDATE crm_pipeline.link
  SET bases = (SELECT jsonb_object_agg(unit.key, jsonb_build_array(unit.value -> 0, 0)) FROM jsonb_each(link.bases) AS unit)
  WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND status = 'live'
    AND bases IS NOT NULL AND bases <> '{}' AND (CAST(:ids AS bigint[]) IS NULL OR qbench_id = ANY(CAST(:ids AS bigint[])))
  RETURNING qbench_id, crm_id, object
)
SELECT crm_id, object FROM unsettled ORDER BY qbench_id
"""


_SAVE_DIGESTS = f"""
WITH {NAMED}
UPDATE crm_pipeline.link SET digests = NULL, field_digests = NULL, digest_bytes = decode(row.digests, 'hex')
FROM unnest(CAST(:ids AS bigint[]), CAST(:crm_ids AS text[]), CAST(:digests AS text[])) AS row (qbench_id, crm_id, digests)
WHERE integration = :integration AND crm = :crm AND record_type = :record_type
  AND link.qbench_id = row.qbench_id AND link.crm_id = row.crm_id
"""


def bases_of_the_same(before: str, *, now: str) -> str:
    """The assignments of an UPDATE of links by which one that leads to another CRM record keeps no bases: those were of the other.

    ``before`` and ``now``: what the statement calls the stored row and the new one.
    """
    kept = (*_KEPT, "deleted_by_us", "sent")
    return ", ".join(f"{name} = CASE WHEN {before}.crm_id = {now}.crm_id THEN {before}.{name} END" for name in kept)


def bases_of(connection: Connection, state: CrmState, *, ids: list[int]) -> pd.DataFrame:
    """What the links of these QBench ids keep (schemas.BASES), a row per link."""
    return fetch(connection, _FIND, {**asdict(state), "ids": ids}, BASES)


def kept_columns(bases: pd.DataFrame, crm_ids: pd.Series) -> dict[str, Any]:
    """What links keep (schemas.BASES), and per row the CRM record that it is about, as parameters of KEPT."""
    return {
        "kept_ids": plain(bases["qbench_id"]),
        "kept_crm_ids": plain(crm_ids),
        "bases": json_column(bases["bases"]),
        "sending": json_column(bases["sending"]),
        "open_until": time_column(bases["open_until"]),
        "touched_at": time_column(bases["touched_at"]),
    }


def save_bases(connection: Connection, state: CrmState, *, bases: pd.DataFrame, crm_ids: pd.Series) -> int:
    """Store what links keep (schemas.BASES); ``crm_ids``: per row the CRM record that it is about. Returns how many links changed.

    A link that leads to another record by now, or is gone, keeps nothing of it.
    """
    return save_kept(connection, state, kept=kept_columns(BASES.check(bases), crm_ids))


def save_kept(connection: Connection, state: CrmState, *, kept: Mapping[str, Any]) -> int:
    """The same by the parameters of KEPT (``kept_columns``)."""
    return execute_rows(connection, _SAVE, len(kept["kept_ids"]), **asdict(state), **kept)


def note_sent(connection: Connection, state: CrmState, *, units: Mapping[int, Sequence[str]]) -> None:
    """Keep that these units, by QBench id, were sent just now."""
    execute_rows(connection, _NOTE_SENT, len(units), **asdict(state), ids=list(units), units=json_column(units.values()))


def unsettle(connection: Connection, state: CrmState, *, ids: Sequence[int] | None = None) -> tuple[list[str], list[str | None]]:
    """Have what the CRM shows in these records, or in all, count as changed there, wherever it differs from QBench and is not blank.

    Fields of which nothing was accepted yet stay as they are. The CRM ids and objects of the records, in the same order.
    """
    rows = connection.execute(text(_UNSETTLE), {**asdict(state), "ids": None if ids is None else list(ids)}).all()
    return [row.crm_id for row in rows], [row.object for row in rows]


def save_digests(connection: Connection, state: CrmState, *, links: pd.DataFrame) -> int:
    """Store the digests of links (schemas.LINKS) and nothing else of them: nothing was sent to the CRM. Returns how many links changed."""
    return execute_rows(
        connection,
        _SAVE_DIGESTS,
        len(links),
        **asdict(state),
        ids=plain(links["qbench_id"]),
        crm_ids=plain(links["crm_id"]),
        **pack(links["digests"])._asdict(),
    )
