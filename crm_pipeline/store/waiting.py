"""For which records has what they waited for changed? One query per cause; ids only (docs/rules.md, 25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from crm_pipeline.errors import (
    AmbiguousMatchException,
    DeletedInCrmException,
    DeletedInQBenchException,
    LinkConflictException,
)
from crm_pipeline.model import WaitsOn
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.open_rows import DOUBTED_BLOCKS, of_another_state
from crm_pipeline.store.rows import execute
from crm_pipeline.store.statistics import refresh_statistics
from crm_pipeline.store.tables.links import TOLD, is_polled

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

# That something is waited for, and looked for, is said on its own: it lets the index leave out all others.
_OURS = f"""
waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.waits_on IS NOT NULL AND {is_polled("waiting.")}"""

_ON_A_LINK = f"waiting.waits_on IN ('{WaitsOn.LINK}', '{WaitsOn.HOLDER}')"
_ON_ITS_LINK = f"waiting.waits_on = '{WaitsOn.LINK}'"
_ON_A_HOLDER = f"waiting.waits_on = '{WaitsOn.HOLDER}'"
_ON_A_CUSTOMER = f"waiting.waits_on = '{WaitsOn.CUSTOMER}'"
# Of a customer alone what is waited for is a number, and PostgreSQL may compare before it leaves the others out.
_CUSTOMER = f"CASE WHEN {_ON_A_CUSTOMER} THEN CAST(waiting.waits_for AS bigint) END"

_CUSTOMER_IS_SYNCED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.link AS parent
  ON parent.integration = waiting.integration AND parent.crm = waiting.crm AND parent.record_type = :account
 AND parent.qbench_id = {_CUSTOMER}
 AND (parent.status = 'live' OR parent.merged_into IS NOT NULL)
LEFT JOIN crm_pipeline.normalized_record AS customer
  ON customer.integration = parent.integration AND customer.record_type = :account AND customer.qbench_id = parent.qbench_id
WHERE {_OURS} AND {_ON_A_CUSTOMER} AND (customer.error_type IS NULL OR customer.error_type <> ALL(:holding))
"""

_CUSTOMER_ENDED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.outcome AS customer
  ON customer.integration = waiting.integration AND customer.crm = waiting.crm AND customer.record_type = :account
 AND customer.qbench_id = {_CUSTOMER}
WHERE {_OURS} AND {_ON_A_CUSTOMER} AND waiting.outcome = 'deferred'
  AND customer.outcome IN ('failed', 'skipped') AND NOT customer.retryable AND customer.at > waiting.at
"""
# What was deferred for a customer that ended without a link, given up for instance, is not deferred any more: it says why.

_LINK_CHANGED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.link AS changed
  WHERE changed.integration = waiting.integration AND changed.crm = waiting.crm AND changed.record_type = waiting.record_type
    AND changed.qbench_id = waiting.qbench_id
  OFFSET 0) AS changed
WHERE {_OURS} AND {_ON_A_LINK} AND changed.updated_at > waiting.at
"""
# OFFSET keeps PostgreSQL from a join that reads all records: here and below, few rows are looked up.

_HOLDER_CHANGED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.organization AS organization
  ON organization.integration = waiting.integration AND organization.service = waiting.crm
LEFT JOIN crm_pipeline.link AS changed
  ON changed.crm = waiting.crm AND changed.org_id = organization.org_id AND changed.record_type = waiting.record_type
 AND changed.crm_id = waiting.waits_for
WHERE {_OURS} AND {_ON_A_HOLDER}
  AND (changed.updated_at >= waiting.at OR (changed.crm_id IS NULL AND waiting.error_type = :conflict))
"""
# The link may be another integration's, or a person may have removed it: a conflict is with a link that was there.
# What is stored at once may have been answered in any order: the other one may have been written right after the refusal.

_RECORD_LEFT_BEHIND = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
WHERE {_OURS} AND {_ON_A_LINK} AND waiting.at < (
  SELECT max(updated_at) FROM crm_pipeline.link AS changed
  WHERE changed.integration = :integration AND changed.crm = :crm AND changed.record_type = :record_type
    AND changed.status = 'source_deleted')
"""

_ACCOUNT_LINK_CHANGED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
  OFFSET 0) AS staged
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.link AS account
  WHERE account.integration = waiting.integration AND account.crm = waiting.crm AND account.record_type = :account
    AND account.qbench_id = staged.customer_id
  OFFSET 0) AS account
WHERE {_OURS} AND {_ON_ITS_LINK} AND account.updated_at > waiting.at
"""

_CUSTOMER_TO_BE_WRITTEN = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
WHERE {_OURS} AND {_ON_A_CUSTOMER}
  AND waiting.waits_for = ANY(SELECT CAST(customer AS text) FROM unnest(CAST(:customers AS bigint[])) AS customer)
"""

_ACCOUNT_LINK_TO_BE_CHANGED = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
WHERE {_OURS} AND {_ON_ITS_LINK} AND staged.customer_id = ANY(:customers)
"""

_LINK_FORGOTTEN = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
WHERE {_OURS} AND {_ON_ITS_LINK} AND waiting.error_type = :gone AND NOT EXISTS (
  SELECT FROM crm_pipeline.link AS forgotten
  WHERE forgotten.integration = waiting.integration AND forgotten.crm = waiting.crm AND forgotten.record_type = waiting.record_type
    AND forgotten.qbench_id = waiting.qbench_id)
"""

_NORMALIZED_ANEW = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
  OFFSET 0) AS staged
WHERE {_OURS} AND {of_another_state("waiting")}
"""

_TOLD = f"""
SELECT told.qbench_id {DOUBTED_BLOCKS}
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.outcome AS told
  WHERE told.integration = :integration AND told.crm = :crm AND told.record_type = :record_type AND told.error_type IN ({TOLD})
    AND told.qbench_id >= doubted.block << 12 AND told.qbench_id < (doubted.block + 1) << 12
  OFFSET 0) AS told
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id = told.qbench_id
  OFFSET 0) AS staged
WHERE {of_another_state("told")}
"""
# Whoever told them of a change left their outcomes without a state (store.telling), or they were normalized anew.

_CUSTOMERS_COUNTED_ANEW = f"""
SELECT planned.qbench_id FROM crm_pipeline.normalized_record AS staged
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.outcome AS planned
  WHERE planned.integration = staged.integration AND planned.crm = :crm AND planned.record_type = staged.record_type
    AND planned.qbench_id = staged.qbench_id
  OFFSET 0) AS planned
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.customers IS NOT NULL
  AND {of_another_state("planned")}
"""

_CUSTOMER_CHANGED = f"""
SELECT planned.qbench_id {DOUBTED_BLOCKS}
CROSS JOIN LATERAL (
  SELECT latest.qbench_id, latest.version, latest.state_digest FROM crm_pipeline.outcome AS latest
  WHERE latest.integration = :integration AND latest.crm = :crm AND latest.record_type = :record_type
    AND latest.qbench_id >= doubted.block << 12 AND latest.qbench_id < (doubted.block + 1) << 12
  OFFSET 0) AS planned
CROSS JOIN LATERAL (
  SELECT record.version, record.state_digest FROM crm_pipeline.normalized_record AS record
  WHERE record.integration = :integration AND record.record_type = :record_type AND record.qbench_id = planned.qbench_id
    AND record.customer_revision IS NOT NULL
  OFFSET 0) AS staged
WHERE planned.version = staged.version AND planned.state_digest IS DISTINCT FROM staged.state_digest
  AND EXISTS (SELECT FROM crm_pipeline.customers_seen AS seen
    WHERE seen.integration = :integration AND seen.record_type = :record_type)
"""
# Where rules look at customers, and nowhere else: a change of these makes others of records that did not change, and no hour is theirs.

_DELETED = """
SELECT planned.qbench_id FROM crm_pipeline.raw_record AS source
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = source.integration AND staged.record_type = :record_type AND staged.qbench_id = source.qbench_id
JOIN crm_pipeline.outcome AS planned
  ON planned.integration = staged.integration AND planned.record_type = staged.record_type AND planned.qbench_id = staged.qbench_id
WHERE source.integration = :integration AND source.record_type = :source AND source.deleted
  AND planned.crm = :crm AND planned.error_type IS DISTINCT FROM :deleted AND staged.error_type = :deleted
"""
# One that is back waited as a deleted one, for its own change.

_RIVAL_CHANGED = f"""
WITH ambiguous AS (
  SELECT waiting.qbench_id, {of_another_state("waiting")} OR link.qbench_id IS NOT NULL AS changed FROM crm_pipeline.outcome AS waiting
  JOIN crm_pipeline.normalized_record AS staged
    ON staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
  LEFT JOIN crm_pipeline.link
    ON link.integration = waiting.integration AND link.crm = waiting.crm AND link.record_type = waiting.record_type
   AND link.qbench_id = waiting.qbench_id
  WHERE {_OURS} AND {_ON_ITS_LINK} AND waiting.error_type = :ambiguous
)
SELECT waiting.qbench_id FROM ambiguous AS waiting
WHERE EXISTS (SELECT FROM ambiguous AS rival WHERE rival.changed AND rival.qbench_id <> waiting.qbench_id)
"""
# Of the rivals each may have changed, or been linked by hand; of an outcome that is written anew nobody knows whose rival it was.

_OPEN_RIVALS = f"""
UPDATE crm_pipeline.outcome SET state_digest = NULL
WHERE {_KEY} AND state_digest IS NOT NULL AND qbench_id IN ({_RIVAL_CHANGED})
"""

_NORMALIZED_LATE = f"""
SELECT staged.qbench_id FROM crm_pipeline.raw_record AS source
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = source.integration AND staged.record_type = :record_type AND staged.qbench_id = source.qbench_id
LEFT JOIN crm_pipeline.outcome AS planned
  ON planned.integration = staged.integration AND planned.crm = :crm AND planned.record_type = staged.record_type
 AND planned.qbench_id = staged.qbench_id
WHERE source.integration = :integration AND source.record_type = :source AND source.late
  AND (planned.qbench_id IS NULL OR {of_another_state("planned")})
"""

_JUDGED_BY_OTHER_SETTINGS = f"""
SELECT waiting.qbench_id FROM crm_pipeline.outcome AS waiting
WHERE {_OURS} AND waiting.write_digest IS NOT NULL AND split_part(waiting.write_digest, ':', 1) <> :settings
"""

_WHAT_IS_WAITED_FOR = f"""
SELECT kind FROM unnest(CAST(:kinds AS text[])) AS kind
WHERE EXISTS (SELECT FROM crm_pipeline.outcome AS waiting WHERE {_OURS} AND waiting.waits_on = kind)
"""

_WHATEVER = frozenset(WaitsOn)
_NOTHING: frozenset[WaitsOn] = frozenset()

CAUSES: Mapping[str, AbstractSet[WaitsOn]] = MappingProxyType(
    {
        _CUSTOMER_IS_SYNCED: {WaitsOn.CUSTOMER},
        _CUSTOMER_ENDED: {WaitsOn.CUSTOMER},
        _LINK_CHANGED: {WaitsOn.LINK, WaitsOn.HOLDER},
        _HOLDER_CHANGED: {WaitsOn.HOLDER},
        _RECORD_LEFT_BEHIND: {WaitsOn.LINK, WaitsOn.HOLDER},
        _ACCOUNT_LINK_CHANGED: {WaitsOn.LINK},
        _CUSTOMER_TO_BE_WRITTEN: {WaitsOn.CUSTOMER},
        _ACCOUNT_LINK_TO_BE_CHANGED: {WaitsOn.LINK},
        _LINK_FORGOTTEN: {WaitsOn.LINK},
        _RIVAL_CHANGED: {WaitsOn.LINK},
        _NORMALIZED_ANEW: _WHATEVER,
        _JUDGED_BY_OTHER_SETTINGS: _WHATEVER,
        _TOLD: _NOTHING,
        _CUSTOMERS_COUNTED_ANEW: _NOTHING,
        _CUSTOMER_CHANGED: _NOTHING,
        _DELETED: _NOTHING,
        _NORMALIZED_LATE: _NOTHING,
    }
)
"""The causes, and what the records that each releases wait for: asked where one does. Those with nothing find records that may not wait."""

_RELEASES = (_CUSTOMER_IS_SYNCED, _LINK_CHANGED, _HOLDER_CHANGED, _RECORD_LEFT_BEHIND, _ACCOUNT_LINK_CHANGED)
"""The causes that make the very write go again which a CRM refused before."""


def ids_to_plan_again(
    connection: Connection, state: CrmState, *, holding: Sequence[str], customers: Sequence[int] = (), settings: str | None = None
) -> list[int]:
    """QBench ids of the records that wait for something which changed since they were last planned, in ascending order.

    And, whether they waited or not, of those that were deleted in QBench or found late, behind the run of their hour, of contacts of
    several customers, one of which came or went, and of contacts and leads that a change of their customer made others of. Whether an
    email address is free by now takes more than one statement: sync.planning.replanned asks it.

    ``holding``: the errors of a customer that keep its contacts back although it is linked. ``customers``: those that are about to
    be written. ``settings``: a digest of what of the settings decides what becomes of a record (crms.base.CrmSettings); records that
    wait since they were judged by other ones are among the found. None: not asked.
    """
    refresh_statistics(connection)
    parameters = {
        **_parameters(state, holding=holding),
        "customers": list(customers),
        "settings": settings,
        "deleted": DeletedInQBenchException.__name__,
        "gone": DeletedInCrmException.__name__,
        "ambiguous": AmbiguousMatchException.__name__,
    }
    waited_for = set(execute(connection, _WHAT_IS_WAITED_FOR, {**asdict(state), "kinds": list(WaitsOn)}).scalars())
    asked = [cause for cause, kinds in CAUSES.items() if not kinds or not waited_for.isdisjoint(kinds)]
    return sorted({found for cause in asked for found in execute(connection, cause, parameters).scalars()})


def open_rivals(connection: Connection, state: CrmState) -> None:
    """Let the records stay open, until they are planned, that were ambiguous together with one which has changed since.

    To be done before anything is planned: the outcome of the one that changed does not tell its rivals any more once it is written anew,
    and the load that writes it may end before it comes to them.
    """
    execute(connection, _OPEN_RIVALS, {**asdict(state), "ambiguous": AmbiguousMatchException.__name__})


def ids_released(connection: Connection, state: CrmState, *, ids: Sequence[int], holding: Sequence[str]) -> frozenset[int]:
    """Which of these records, that the CRM refused, wait for a link that changed since, or for a customer that is linked.

    ``holding``: the errors of a customer that keep its contacts back although it is linked.
    """
    parameters = {**_parameters(state, holding=holding), "ids": list(ids)}
    statements = (f"{cause} AND waiting.qbench_id = ANY(:ids)" for cause in _RELEASES)
    return frozenset(found for statement in statements for found in execute(connection, statement, parameters).scalars())


def _parameters(state: CrmState, *, holding: Sequence[str]) -> dict[str, Any]:
    """What the causes are bound to that release a refused write."""
    account = state.accounts.record_type
    return {
        **asdict(state),
        "source": state.source,
        "account": account,
        "holding": list(holding),
        "conflict": LinkConflictException.__name__,
    }
