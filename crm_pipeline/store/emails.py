"""Which staged contacts could claim an email address in one CRM, and which wait until an address is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import DeletedInQBenchException, DuplicateEmailException
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import WaitsOn
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.link_digests import digest_in
from crm_pipeline.store.normalized_fields import email_of, joined, value_of
from crm_pipeline.store.rows import fetch
from crm_pipeline.store.tables.links import is_polled

CONTENDERS = FrameSchema(
    "contenders",
    (
        Column("email", "str", "the address, as normalized"),
        Column("qbench_id", "int64", "QBench id of a contact that has it"),
        Column("customer_id", "Int64", "its one customer"),
        Column("able", "bool", "it may sync, apart from its customer and from the address being another's"),
        Column("linked", "bool", "it has a live link"),
        Column("digest", "Int64", "digest of the address last sent for it, null when none was"),
    ),
)

# A link follows the deletion of its record, and the end of that, only once a load begins: the record itself tells sooner.
# The type stands in the statement, and is not bound to it, so that the planner may take the index of those records alone; OFFSET keeps
# it from a join that reads all links.
_CONTENDERS = f"""
SELECT * FROM (
  SELECT {email_of("staged")} AS email, staged.qbench_id, staged.customer_id,
    staged.error_type IS NULL AND coalesce(own.status, '') <> ALL(:unusable)
      AND (own.qbench_id IS NOT NULL OR NOT EXISTS (
        SELECT FROM unnest(CAST(:required AS text[])) AS required (field)
        WHERE coalesce({value_of("staged", "required.field")}, {value_of("staged", "('default.' || required.field)")}) IS NULL)) AS able,
    own.qbench_id IS NOT NULL AND own.status <> ALL(:unusable) AND staged.error_type IS DISTINCT FROM :deleted AS linked,
    {{digest}} AS digest, count(*) OVER (PARTITION BY {email_of("staged")}) AS contacts
  FROM crm_pipeline.normalized_record AS staged {joined("staged")}
  LEFT JOIN LATERAL (
    SELECT * FROM crm_pipeline.link AS own
    WHERE own.integration = staged.integration AND own.crm = :crm AND own.record_type = :record_type AND own.qbench_id = staged.qbench_id
    OFFSET 0) AS own ON true
  WHERE staged.integration = :integration AND staged.record_type = '{{record_type}}' AND {email_of("staged")} = ANY(:emails)
) AS claim
WHERE (able OR linked) AND (contacts > 1 OR (qbench_id, email) NOT IN (
  SELECT * FROM unnest(CAST(:asking AS bigint[]), CAST(:emails AS text[])) AS asking (qbench_id, email) WHERE qbench_id IS NOT NULL))
"""

SHARED_ADDRESSES = FrameSchema("shared_addresses", (Column("email", "str", "an address that several staged contacts have, as normalized"),))

_SHARED = f"""
SELECT email FROM (
  SELECT {email_of("contact")} AS email FROM crm_pipeline.normalized_record AS contact
  WHERE integration = :integration AND record_type = :record_type
) AS staged WHERE email IS NOT NULL GROUP BY email HAVING count(*) > 1
"""

WAITING_FOR_EMAIL = FrameSchema(
    "waiting_for_email",
    (
        Column("qbench_id", "int64", "QBench id of a contact that another one's claim keeps back"),
        Column("customer_id", "Int64", "its one customer"),
        Column("error_type", "str", "name of the record error that keeps it from syncing anywhere, else null"),
        Column("error_fields", "str", "fields or ids that this error names, else null"),
        Column("email", "str", "its address, as normalized"),
        Column("waits_for", "str", "QBench id of the one whose claim it waits for, as its outcome says"),
    ),
)

_WAITING = f"""
SELECT staged.qbench_id, staged.customer_id, staged.error_type, staged.error_fields, {email_of("staged")} AS email, waiting.waits_for
FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.waits_on = '{WaitsOn.EMAIL}' AND waiting.waits_for IS NOT NULL AND waiting.error_type = :duplicate
  AND {is_polled("waiting.")}
"""


def contenders(
    connection: Connection,
    state: CrmState,
    *,
    emails: list[str],
    asking: Sequence[int] = (),
    email_field: str | None,
    required: Sequence[str],
    unusable: Sequence[str],
) -> pd.DataFrame:
    """Who could claim these addresses (CONTENDERS), over all staged contacts.

    ``asking``: for whom, by address, the QBench id of a contact; of one who alone has its address nothing is told, which is so of nearly
    every one. ``email_field``: the CRM field whose digest tells the address last sent. ``required``: normalized fields without which a
    contact cannot be created. ``unusable``: what a link is that keeps back its own record.
    """
    if not emails:
        return CONTENDERS.empty()
    parameters = {
        **asdict(state),
        "emails": emails,
        "asking": list(asking),
        "email_field": email_field,
        "required": list(required),
        "unusable": list(unusable),
        "deleted": DeletedInQBenchException.__name__,
    }
    statement = _CONTENDERS.format(record_type=state.record_type, digest=digest_in("own", "CAST(:email_field AS text)"))
    return fetch(connection, statement, parameters, CONTENDERS)


def shared_addresses(connection: Connection, state: CrmState) -> pd.Series:
    """The addresses (str) that several staged contacts have; looks at all of them once, which is less than asking for each address."""
    return fetch(connection, _SHARED, asdict(state), SHARED_ADDRESSES)["email"]


def waiting_for_email(connection: Connection, state: CrmState) -> pd.DataFrame:
    """The contacts that wait until their address is theirs (WAITING_FOR_EMAIL)."""
    return fetch(connection, _WAITING, {**asdict(state), "duplicate": DuplicateEmailException.__name__}, WAITING_FOR_EMAIL)
