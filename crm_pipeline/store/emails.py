"""Which staged contacts could claim an email address in one CRM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch

CONTENDERS = FrameSchema(
    "contenders",
    (
        Column("email", "str", "the address, as normalized"),
        Column("qbench_id", "int64", "QBench id of a contact that has it"),
        Column("eligible", "bool", "it may sync, apart from the address being another's"),
        Column("linked", "bool", "it has a live link"),
        Column("digest", "Int64", "digest of the address last sent for it, null when none was"),
    ),
)

_CONTENDERS = """
SELECT * FROM (
  SELECT staged.fields ->> 'email' AS email, staged.qbench_id,
    staged.error_type IS NULL AND parent.qbench_id IS NOT NULL AND coalesce(customer.error_type, '') <> ALL(:holding)
      AND unusable.qbench_id IS NULL
      AND (own.qbench_id IS NOT NULL OR NOT EXISTS (
        SELECT FROM unnest(CAST(:required AS text[])) AS required (field)
        WHERE NOT (staged.fields ? required.field OR staged.fields ? ('default.' || required.field)))) AS eligible,
    own.qbench_id IS NOT NULL AS linked,
    CAST(own.digests ->> CAST(:email_field AS text) AS bigint) AS digest
  FROM crm_pipeline.normalized_record AS staged
  LEFT JOIN crm_pipeline.link AS own
    ON own.integration = staged.integration AND own.crm = :crm AND own.record_type = 'contact' AND own.qbench_id = staged.qbench_id
   AND own.status = 'live'
  LEFT JOIN crm_pipeline.link AS unusable
    ON unusable.integration = staged.integration AND unusable.crm = :crm AND unusable.record_type = 'contact'
   AND unusable.qbench_id = staged.qbench_id AND unusable.status IN ('deleted', 'conflict', 'merged')
  LEFT JOIN crm_pipeline.link AS parent
    ON parent.integration = staged.integration AND parent.crm = :crm AND parent.record_type = 'account'
   AND parent.qbench_id = staged.customer_id AND (parent.status = 'live' OR parent.merged_into IS NOT NULL)
  LEFT JOIN crm_pipeline.normalized_record AS customer
    ON customer.integration = staged.integration AND customer.record_type = 'account' AND customer.qbench_id = staged.customer_id
  WHERE staged.integration = :integration AND staged.record_type = 'contact' AND staged.fields ->> 'email' = ANY(:emails)
) AS claim WHERE eligible OR linked
"""


def contenders(
    connection: Connection, state: CrmState, *, emails: list[str], email_field: str | None, required: Sequence[str], holding: Sequence[str]
) -> pd.DataFrame:
    """Who could claim these addresses (CONTENDERS), over all staged contacts.

    ``email_field``: the CRM field whose digest tells the address last sent. ``required``: normalized fields without which a
    contact cannot be created. ``holding``: the errors of a customer that keep its contacts back although it is linked.
    """
    parameters = {**asdict(state), "emails": emails, "email_field": email_field, "required": list(required), "holding": list(holding)}
    return fetch(connection, _CONTENDERS, parameters, CONTENDERS)
