"""One CRM's side of the state, for one integration and record type: links, outcomes and intents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import AssociationPendingException, CrmFailsOnRecordException, ServiceFailedException
from crm_pipeline.frames import plain
from crm_pipeline.model import MODELS, RecordType, WaitsOn
from crm_pipeline.schemas import BASES, CHECKED_LINKS, HOLDERS, INTENTS, LINKS, OUTCOMES
from crm_pipeline.store.attempts import KEPT as KEPT_ATTEMPT
from crm_pipeline.store.attempts import NAMED as NAMED_ATTEMPT
from crm_pipeline.store.attempts import attempt_id, joined, told
from crm_pipeline.store.bases import KEPT, bases_of_the_same, kept_columns
from crm_pipeline.store.field_names import NAMED
from crm_pipeline.store.formats import is_later
from crm_pipeline.store.link_digests import COLUMNS, pack, read_links
from crm_pipeline.store.rows import ANY_OF_IDS, execute, execute_rows, fetch, json_column

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"
_OUTCOME_COLUMNS = ", ".join(name for name in OUTCOMES.names if name != "due_at")

_TOLD = (
    *("integration", "crm", "record_type", "qbench_id", "version", "outcome", "error_type", "reason", "waits_on", "waits_for", "retryable"),
    *("run_id", "partition_key", "at"),
)
"""What the history tells of an outcome."""

GIVEN_UP = "'given up after ' || attempt || CASE attempt WHEN 1 THEN ' attempt' ELSE ' attempts' END"
"""What an outcome's reason says of a record that was tried so often."""

_SAVE_LINKS = f"""
WITH {NAMED}
INSERT INTO crm_pipeline.link AS stored
  (integration, crm, record_type, org_id, qbench_id, object, crm_id, origin, version, digests, digest_bytes, parent_qbench_id, status,
   bases, sending, open_until, touched_at)
SELECT :integration, :crm, :record_type, :org_id, row.qbench_id, object, row.crm_id, origin, version, NULL, decode(digests, 'hex'), parent,
  status, kept.bases, kept.sending, kept.open_until, kept.touched_at
FROM unnest(CAST(:ids AS bigint[]), CAST(:objects AS text[]), CAST(:crm_ids AS text[]), CAST(:origins AS text[]),
            CAST(:versions AS bigint[]), CAST(:digests AS text[]), CAST(:parents AS bigint[]), CAST(:statuses AS text[]))
  AS row (qbench_id, object, crm_id, origin, version, digests, parent, status)
LEFT JOIN {KEPT} ON kept.qbench_id = row.qbench_id AND kept.crm_id = row.crm_id
ON CONFLICT (integration, crm, record_type, qbench_id) DO UPDATE
SET object = excluded.object, crm_id = excluded.crm_id, version = excluded.version, digests = NULL, field_digests = NULL,
    digest_bytes = excluded.digest_bytes, parent_qbench_id = excluded.parent_qbench_id, status = excluded.status, merged_into = NULL,
    held = false, updated_at = now(), {bases_of_the_same("stored", now="excluded")}
WHERE stored.version <= excluded.version
"""

_NOTHING_KEPT = kept_columns(BASES.empty(), BASES.empty()["qbench_id"])

_SAVE_OUTCOMES = f"""
WITH {NAMED_ATTEMPT}, row AS (
  SELECT row.*, row.error_type = ANY(CAST(:never_given_up AS text[])) AS is_patient,
    coalesce(CAST(CAST(:own_first_seconds AS jsonb) ->> row.error_type AS double precision), :first_seconds) AS first_seconds,
    CASE WHEN latest.version = row.version
      AND (latest.error_type = ANY(CAST(:never_given_up AS text[]))) = (row.error_type = ANY(CAST(:never_given_up AS text[])))
      THEN latest.attempts ELSE 0 END + CASE WHEN row.due_at IS NULL THEN 1 ELSE 0 END AS attempt, latest.attempts AS attempts_before,
    coalesce(latest.version > row.version, false) AS is_stale, latest AS before,
    row.outcome IN ('unchanged', 'skipped', 'deferred', 'failed') AND NOT row.retryable
      AND (latest.version, latest.outcome, latest.error_type, latest.reason, latest.waits_on, latest.waits_for,
            latest.retryable, latest.state_digest)
        IS NOT DISTINCT FROM
          (row.version, row.outcome, row.error_type, row.reason, row.waits_on, row.waits_for, row.retryable, row.state_digest) AS repeated
  FROM unnest(CAST(:ids AS bigint[]), CAST(:versions AS bigint[]), CAST(:outcomes AS text[]), CAST(:error_types AS text[]),
    CAST(:reasons AS text[]), CAST(:waits_on AS text[]), CAST(:waits_for AS text[]), CAST(:retryable AS boolean[]),
    CAST(:due AS bigint[]), CAST(:state_digests AS bigint[]), CAST(:write_digests AS text[]))
  AS row (qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable, due_at, state_digest, write_digest)
  LEFT JOIN crm_pipeline.outcome AS latest ON latest.integration = :integration AND latest.crm = :crm
    AND latest.record_type = :record_type AND latest.qbench_id = row.qbench_id
), judged AS (
  SELECT *, retryable AND attempt >= :attempts AND NOT is_patient AS given_up FROM row
), settled AS (
  SELECT qbench_id, version, outcome, error_type,
    CASE WHEN given_up THEN concat_ws('; ', reason, {GIVEN_UP}) ELSE reason END AS reason,
    CASE WHEN given_up THEN '{WaitsOn.RECORD}' ELSE waits_on END AS waits_on, CASE WHEN NOT given_up THEN waits_for END AS waits_for,
    retryable AND NOT given_up AS retryable,
    -- One that was given up stays so while it is left aside.
    CASE WHEN retryable THEN attempt WHEN repeated THEN attempts_before ELSE 0 END AS attempts, first_seconds, due_at, given_up,
    state_digest, CASE WHEN given_up OR NOT retryable THEN write_digest END AS write_digest, repeated, is_stale, before,
    -- What waits keeps the time at which it was looked at last: what changed before that is no cause to plan it again.
    NOT repeated OR waits_on IS NOT NULL AS is_saved
  FROM judged
), history AS (
  INSERT INTO crm_pipeline.outcome_history ({", ".join(_TOLD)})
  SELECT {", ".join(told("(before)", name) for name in _TOLD)} FROM settled {joined("(before)")}
  WHERE is_saved AND NOT is_stale AND (before).outcome <> 'unchanged' AND (before).in_history IS NOT TRUE
  UNION ALL
  SELECT :integration, :crm, :record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable,
    :run_id, :partition_key, now()
  FROM settled WHERE is_stale AND outcome <> 'unchanged'
), saved AS (
  INSERT INTO crm_pipeline.outcome AS latest
    (integration, crm, record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable, attempts,
     next_attempt_at, state_digest, write_digest, run_id, partition_key, in_history)
  SELECT :integration, :crm, :record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable, attempts,
    CASE WHEN retryable
      THEN coalesce(to_timestamp(due_at), now() + make_interval(
        secs => least(greatest(:longest_seconds, first_seconds), first_seconds * power(:factor, least(attempts, 50) - 1)))) END,
    state_digest, write_digest, {KEPT_ATTEMPT},
    CASE WHEN repeated THEN true WHEN {is_later("told")} THEN false END
  FROM settled WHERE is_saved
  ON CONFLICT (integration, crm, record_type, qbench_id) DO UPDATE
  SET version = excluded.version, outcome = excluded.outcome, error_type = excluded.error_type, reason = excluded.reason,
      waits_on = excluded.waits_on, waits_for = excluded.waits_for, retryable = excluded.retryable, attempts = excluded.attempts,
      next_attempt_at = excluded.next_attempt_at, state_digest = excluded.state_digest, write_digest = excluded.write_digest,
      run_id = excluded.run_id, partition_key = excluded.partition_key, in_history = excluded.in_history, at = now()
  WHERE latest.version <= excluded.version
)
SELECT qbench_id FROM settled WHERE given_up
"""

_SAVE_INTENTS = """
INSERT INTO crm_pipeline.intent (integration, crm, record_type, org_id, run_id, sent_with, qbench_id, object, sent)
SELECT :integration, :crm, :record_type, :org_id, :run_id, *
FROM unnest(CAST(:sent_with AS integer[]), CAST(:ids AS bigint[]), CAST(:objects AS text[]), CAST(:sent AS jsonb[]))
ON CONFLICT (integration, crm, record_type, qbench_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Backoff:
    """When what failed for a passing cause is tried again: after ``first_seconds``, then ``factor`` times as long each time.

    ``own_first_seconds``: by error, of those that begin with another wait. At ``attempts`` tries in a row of one version a record is
    given up, unless its error is ``never_given_up``; tries that ended in one of those and other ones are counted apart.
    """

    first_seconds: float
    factor: float
    longest_seconds: float
    attempts: int
    own_first_seconds: Mapping[str, float]
    never_given_up: list[str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What outcomes came of: a run's try of a partition (None: of none), and how what failed in it is tried again."""

    run_id: str
    partition_key: str | None
    backoff: Backoff

    @property
    def named(self) -> dict[str, str | None]:
        """What a statement binds of it (store.attempts)."""
        return {
            "attempt_id": attempt_id(self.run_id, self.partition_key),
            "run_id": self.run_id,
            "partition_key": self.partition_key,
        }


@dataclass(frozen=True, slots=True)
class CrmState:
    """What a load reads and stores: the state of one record type of one integration in one CRM."""

    integration: str
    crm: str
    record_type: RecordType

    @property
    def _key(self) -> dict[str, Any]:
        return {"integration": self.integration, "crm": self.crm, "record_type": self.record_type}

    @property
    def source(self) -> RecordType:
        """The type of the QBench records that those of this state are made of."""
        return MODELS[self.record_type].source

    @property
    def contacts(self) -> CrmState:
        """The state of the contacts that leads are made of; that of others is their own."""
        return replace(self, record_type=self.source)

    @property
    def accounts(self) -> CrmState:
        """The state of the accounts that contacts refer to; that of accounts is their own."""
        return replace(self, record_type=MODELS[self.record_type].parent or self.record_type)

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owners of accounts by CRM id, as far as the state has them: it has none, the CRM is asked."""
        return MappingProxyType({})

    def links(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The links of these QBench ids (schemas.LINKS)."""
        if not ids:
            return LINKS.empty()
        statement = f"SELECT {COLUMNS} FROM crm_pipeline.link WHERE {_KEY} AND qbench_id = {ANY_OF_IDS}"
        return read_links(connection, statement, {**self._key, "ids": ids})

    def checked_links(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The links of these QBench ids without what they keep of fields (schemas.CHECKED_LINKS)."""
        if not ids:
            return CHECKED_LINKS.empty()
        statement = f"SELECT {', '.join(CHECKED_LINKS.names)} FROM crm_pipeline.link WHERE {_KEY} AND qbench_id = {ANY_OF_IDS}"
        return fetch(connection, statement, {**self._key, "ids": ids}, CHECKED_LINKS)

    def links_of(self, connection: Connection, *, crm_ids: list[str], left_behind: bool = False) -> pd.DataFrame:
        """The links to these CRM records (schemas.LINKS); ``left_behind``: also those of deleted QBench records."""
        statement = f"SELECT {COLUMNS} FROM crm_pipeline.link WHERE {_KEY} AND crm_id = ANY(:crm_ids)"
        if not left_behind:
            statement += " AND status <> 'source_deleted'"
        return read_links(connection, statement, {**self._key, "crm_ids": crm_ids})

    def holders(self, connection: Connection, *, org_id: str, crm_ids: list[str]) -> pd.DataFrame:
        """Who holds these CRM records, over all integrations (schemas.HOLDERS)."""
        statement = text(
            "SELECT crm_id, integration, qbench_id FROM crm_pipeline.link "
            "WHERE crm = :crm AND org_id = :org_id AND record_type = :record_type AND crm_id = ANY(:crm_ids)"
        )
        key = {"crm": self.crm, "org_id": org_id, "record_type": self.record_type, "crm_ids": crm_ids}
        return fetch(connection, statement, key, HOLDERS)

    def save_links(self, connection: Connection, *, org_id: str, links: pd.DataFrame, kept: Mapping[str, Any] | None = None) -> None:
        """Store links (schemas.LINKS); an older version never replaces a newer one.

        ``kept``: what new ones keep of fields that come back (store.bases.kept_columns); those that are there keep what they have.
        """
        execute_rows(
            connection,
            _SAVE_LINKS,
            len(LINKS.check(links)),
            **self._key,
            org_id=org_id,
            ids=plain(links["qbench_id"]),
            objects=plain(links["object"]),
            crm_ids=plain(links["crm_id"]),
            origins=plain(links["origin"]),
            versions=plain(links["version"]),
            **pack(links["digests"])._asdict(),
            parents=plain(links["parent_qbench_id"]),
            statuses=plain(links["status"]),
            **(kept or _NOTHING_KEPT),
        )

    def outcomes(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The latest outcomes of these QBench ids (schemas.OUTCOMES)."""
        statement = f"SELECT {_OUTCOME_COLUMNS} FROM crm_pipeline.outcome WHERE {_KEY} AND qbench_id = {ANY_OF_IDS}"
        return fetch(connection, statement, {**self._key, "ids": ids}, OUTCOMES)

    def save_outcomes(self, connection: Connection, *, outcomes: pd.DataFrame, attempt: Attempt) -> list[int]:
        """Store outcomes (schemas.OUTCOMES) as the latest; what they replace goes to the history, unless it is ``unchanged``.

        Returns the QBench ids of those that are given up: they failed for a passing cause once too often, and are stored as
        failed for good until the record changes.
        """
        if OUTCOMES.check(outcomes).empty:
            return []
        parameters = {
            **self._key,
            **asdict(attempt.backoff),
            "own_first_seconds": json.dumps(attempt.backoff.own_first_seconds),
            **attempt.named,
            "ids": plain(outcomes["qbench_id"]),
            "versions": plain(outcomes["version"]),
            "outcomes": plain(outcomes["outcome"]),
            "error_types": plain(outcomes["error_type"]),
            "reasons": plain(outcomes["reason"]),
            "waits_on": plain(outcomes["waits_on"]),
            "waits_for": plain(outcomes["waits_for"]),
            "retryable": plain(outcomes["retryable"]),
            "due": plain(outcomes["due_at"]),
            "write_digests": plain(outcomes["write_digest"]),
            "state_digests": plain(outcomes["state_digest"]),
        }
        return list(execute(connection, _SAVE_OUTCOMES, parameters).scalars())

    def failed_inside(self, connection: Connection, *, ids: list[int]) -> list[int]:
        """Which of these QBench ids are open because the CRM failed when they were sent last, alone or with others."""
        statement = (
            f"SELECT qbench_id FROM crm_pipeline.outcome WHERE {_KEY} AND qbench_id = ANY(:ids) AND retryable AND error_type = ANY(:errors)"
        )
        errors = [error.__name__ for error in (ServiceFailedException, CrmFailsOnRecordException, AssociationPendingException)]
        return list(execute(connection, statement, {**self._key, "ids": ids, "errors": errors}).scalars())

    def forget_refusals(self, connection: Connection, *, attempt: Attempt, error_type: str) -> None:
        """Let the writes that an attempt had refused with this error be sent again: nobody wanted to know their own outcome yet."""
        theirs = f"{_KEY} AND run_id IN (:attempt_id, :run_id) AND error_type = :error_type"
        statement = f"UPDATE crm_pipeline.outcome SET write_digest = NULL WHERE {theirs}"
        connection.execute(text(statement), {**self._key, **attempt.named, "error_type": error_type})

    def open_intents(self, connection: Connection) -> pd.DataFrame:
        """The creates whose answer is not stored (schemas.INTENTS)."""
        statement = f"SELECT {', '.join(INTENTS.names)} FROM crm_pipeline.intent WHERE {_KEY}"
        return fetch(connection, statement, self._key, INTENTS)

    def save_intents(
        self,
        connection: Connection,
        *,
        org_id: str,
        run_id: str,
        ids: list[int],
        sent: pd.Series,
        objects: Sequence[str | None] | None = None,
        sent_with: Sequence[int] | None = None,
    ) -> None:
        """Store what is about to be created (a dict of CRM fields per row), before it is sent.

        ``objects``: per row the name of the CRM's object that the record is to be in; None: the usual one. ``sent_with``: per row how
        many creates its call carries; None: all.
        """
        key = {**self._key, "org_id": org_id, "run_id": run_id}
        rows = {"ids": ids, "objects": objects or [None] * len(ids), "sent_with": sent_with or [len(ids)] * len(ids)}
        execute_rows(connection, _SAVE_INTENTS, len(ids), **key, **rows, sent=json_column(sent))

    def answer_intents(self, connection: Connection, *, ids: list[int]) -> None:
        """Store that the call of these intents is over, without telling what it made."""
        statement = f"UPDATE crm_pipeline.intent SET answered_at = now() WHERE {_KEY} AND qbench_id = ANY(:ids)"
        execute(connection, statement, {**self._key, "ids": ids})

    def close_intents(self, connection: Connection, *, ids: list[int]) -> None:
        """Forget the intents whose answer is known."""
        execute(connection, f"DELETE FROM crm_pipeline.intent WHERE {_KEY} AND qbench_id = ANY(:ids)", {**self._key, "ids": ids})
