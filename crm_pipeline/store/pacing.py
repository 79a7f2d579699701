"""Who may call next? The calls that an account allows, leased to all processes of a deployment, a few at a time."""

from __future__ import annotations

import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from crm_pipeline.errors import StoreError
from crm_pipeline.store.database import Store

logger = logging.getLogger(__name__)

AWAY_SECONDS = 10.0
"""How long the database is not asked again once it could not be."""
AHEAD = 3
"""Calls that are leased further ahead than so many windows do not count: the database's clock was set back since."""

# One statement, so that no process holds the account's row while it waits or dies; the clock is read once the row is ours.
_TAKE = f"""
INSERT INTO crm_pipeline.pace AS known (account, times)
SELECT %(account)s, array_agg(at)
FROM (SELECT extract(epoch FROM clock_timestamp())::float8 FROM generate_series(1, %(wanted)s)) AS first (at)
ON CONFLICT (account) DO UPDATE SET times = (
  WITH clock AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::float8 AS now),
    counted AS MATERIALIZED (
      SELECT coalesce(array_agg(at ORDER BY at), '{{}}') AS times FROM unnest(known.times) AS at, clock
      WHERE at > now - %(seconds)s AND at < now + {AHEAD} * %(seconds)s)
  SELECT times || array_agg(greatest(now, times[cardinality(times) - %(calls)s + number] + %(seconds)s) ORDER BY number)
  FROM clock, counted, generate_series(1, %(wanted)s) AS number GROUP BY times
)
RETURNING times[cardinality(times) - %(wanted)s + 1:] AS leased, extract(epoch FROM clock_timestamp())::float8 AS now
"""
"""A new call leaves ``seconds`` after the one that, of those that count, stands ``calls`` before it in the order of their times."""


class PaceLeases:
    """Leases by the database's clock, to all who use this database. Fulfils ``crm_pipeline.pacing.Leases``; safe over threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._away_until = 0.0

    def take(self, account: str, wanted: int, *, calls: int, seconds: float) -> list[float] | None:
        """When the next calls may be made, in seconds from now. Null, and a warning, where the database cannot be asked."""
        import psycopg

        if time.monotonic() < self._away_until:
            return None
        parameters = {"account": account, "wanted": wanted, "calls": calls, "seconds": seconds}
        try:
            with self._store.statements() as connection:
                [(leased, now)] = connection.execute(_TAKE, parameters)
        except (psycopg.Error, SQLAlchemyError, StoreError) as error:
            if not self._away_until:
                logger.warning(
                    "the limits of calls are kept by each process for itself until the state database can be asked again (%s)",
                    type(error).__name__,
                )
            self._away_until = time.monotonic() + AWAY_SECONDS
            return None
        self._away_until = 0.0
        return [max(0.0, at - now) for at in leased]
