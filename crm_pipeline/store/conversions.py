"""What becomes of the links of leads that people converted."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.model import MODELS, LinkOrigin, LinkStatus
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.telling import tell_linked

_FORGET = """
DELETE FROM crm_pipeline.link AS lead USING unnest(CAST(:ids AS bigint[]), CAST(:leads AS text[])) AS row (qbench_id, crm_id)
WHERE lead.integration = :integration AND lead.crm = :crm AND lead.record_type = :record_type
  AND lead.qbench_id = row.qbench_id AND lead.crm_id = row.crm_id
"""

_LINK_CONTACTS = f"""
INSERT INTO crm_pipeline.link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, parent_qbench_id, status)
SELECT :integration, :crm, :contact, qbench_id, :org_id, contact_crm_id, origin, 0, parent_qbench_id, '{LinkStatus.LIVE}'
FROM unnest(CAST(:ids AS bigint[]), CAST(:contacts AS text[]), CAST(:origins AS text[]), CAST(:parents AS bigint[]))
  AS row (qbench_id, contact_crm_id, origin, parent_qbench_id)
ON CONFLICT (integration, crm, record_type, qbench_id) DO NOTHING
"""

_LINK_ACCOUNTS = f"""
INSERT INTO crm_pipeline.link (integration, crm, record_type, qbench_id, org_id, crm_id, origin, version, status)
SELECT :integration, :crm, :account, customer.qbench_id, :org_id, row.account_crm_id, '{LinkOrigin.MATCHED}', 0, '{LinkStatus.LIVE}'
FROM unnest(CAST(:ids AS bigint[]), CAST(:accounts AS text[])) AS row (qbench_id, account_crm_id)
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id = row.qbench_id
JOIN crm_pipeline.normalized_record AS customer
  ON customer.integration = :integration AND customer.record_type = :account AND customer.qbench_id = staged.customer_id
 AND customer.error_type IS NULL
WHERE row.account_crm_id IS NOT NULL
ORDER BY customer.qbench_id
ON CONFLICT DO NOTHING
"""

_STAND_STILL = f"""
UPDATE crm_pipeline.link SET status = '{LinkStatus.CONFLICT}', merged_into = row.contact_crm_id, updated_at = now()
FROM unnest(CAST(:ids AS bigint[]), CAST(:leads AS text[]), CAST(:contacts AS text[])) AS row (qbench_id, crm_id, contact_crm_id)
WHERE integration = :integration AND crm = :crm AND record_type = :record_type
  AND link.qbench_id = row.qbench_id AND link.crm_id = row.crm_id
  AND (status, merged_into) IS DISTINCT FROM ('{LinkStatus.CONFLICT}', row.contact_crm_id)
"""


def move_to_contacts(connection: Connection, state: CrmState, *, org_id: str, moves: pd.DataFrame) -> None:
    """Link records to the contacts that their leads became: columns qbench_id, crm_id (the lead's), contact_crm_id, account_crm_id, origin
    and parent_qbench_id.

    The contact is as good as never sent, so that the next load sends it all. The account that it belongs to becomes its
    customer's, where neither of the two is linked to another.
    """
    key = {
        **asdict(state),
        "contact": state.source,
        "account": MODELS[state.source].parent,
        "org_id": org_id,
        "ids": plain(moves["qbench_id"]),
        "leads": plain(moves["crm_id"]),
        "contacts": plain(moves["contact_crm_id"]),
        "accounts": plain(moves["account_crm_id"]),
        "origins": plain(moves["origin"]),
        "parents": plain(moves["parent_qbench_id"]),
    }
    connection.execute(text(_LINK_ACCOUNTS), key)
    connection.execute(text(_FORGET), key)
    connection.execute(text(_LINK_CONTACTS), key)
    tell_linked(connection, state.contacts, ids=key["ids"])


def stand_still(connection: Connection, state: CrmState, *, rows: pd.DataFrame) -> None:
    """Mark links of leads as conflicts whose contact is somebody else's: columns qbench_id, crm_id, contact_crm_id (null: none)."""
    key = {"ids": plain(rows["qbench_id"]), "leads": plain(rows["crm_id"]), "contacts": plain(rows["contact_crm_id"])}
    connection.execute(text(_STAND_STILL), {**asdict(state), **key})
