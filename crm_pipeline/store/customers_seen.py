"""Since when may a customer have changed without the rules that look at it having seen that?

Contacts are compared with the customers that were staged since then alone: an hour without changes compares none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType

LONGEST_TRANSACTION = timedelta(hours=1)
"""A customer, and a contact that was made of its state before, may be committed so much later than the time they carry; the server ends
a transaction whose client waits for a quarter of that (store.database)."""

_BEGIN = text("""
INSERT INTO crm_pipeline.customers_seen AS seen (integration, record_type, until)
VALUES (:integration, :record_type, now() - interval '1000 years')
ON CONFLICT (integration, record_type) DO UPDATE SET until = seen.until
RETURNING until AS before, least(until, now() - CAST(:longest AS interval)) AS since, now() - CAST(:longest AS interval) AS until
""")
"""After the last look, or, where the server's clock was set back since, where this one ends. A first one begins before all customers, and
at a time of its own: what was forgotten while it is under way stays so.
"""

_SAVE = text("""
UPDATE crm_pipeline.customers_seen SET until = :until
WHERE integration = :integration AND record_type = :record_type AND until = :before
""")

_FORGET = text("DELETE FROM crm_pipeline.customers_seen WHERE integration = :integration AND record_type = :record_type")


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the customers that were staged after ``since``; once it is over, those of before ``until`` are seen.

    ``before``: what was stored when it began.
    """

    before: datetime
    since: datetime
    until: datetime


def begin_look(connection: Connection, integration: str, record_type: RecordType) -> Look:
    """What is to be looked at for these records, beginning now: all customers, where nothing tells of an earlier look."""
    parameters = {"integration": integration, "record_type": record_type, "longest": LONGEST_TRANSACTION}
    row = connection.execute(_BEGIN, parameters).one()
    return Look(row.before, row.since, row.until)


def save_look(connection: Connection, integration: str, record_type: RecordType, look: Look) -> None:
    """Store that all records of this type which the look found were normalized anew; not where looks were forgotten since it began."""
    connection.execute(_SAVE, {"integration": integration, "record_type": record_type, "before": look.before, "until": look.until})


def forget_looks(connection: Connection, integration: str, record_type: RecordType) -> None:
    """Store that records of this type were normalized without a look at customers: rules that come to look at them see all."""
    connection.execute(_FORGET, {"integration": integration, "record_type": record_type})
