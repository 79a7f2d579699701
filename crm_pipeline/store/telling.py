"""Tells contacts and leads what they wait for, where it changes, so that no hour asks each of them (docs/rules.md, 25 and 52).

A contact that goes as a lead, and a lead that is a contact, wait for the other one's fate by the hundred thousand. Whoever changes
that opens their outcomes in the same transaction: those speak of no state then, and the next load plans the records again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import SyncsAsContactException, SyncsAsLeadException
from crm_pipeline.frames import plain
from crm_pipeline.model import WaitsOn, children, made_of
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute
from crm_pipeline.store.tables.links import TOLD

_OPEN = f"""
UPDATE crm_pipeline.outcome AS told SET state_digest = NULL {{because}}
WHERE told.integration = :integration AND told.crm = :crm AND told.error_type IN ({TOLD}) AND told.state_digest IS NOT NULL
"""
_ALL = _OPEN.format(because="")
_LINKED = f"{_ALL} AND told.record_type = :record_type AND told.qbench_id = ANY(:ids)"
_LEADS = f"""
UPDATE crm_pipeline.outcome AS told SET state_digest = NULL, waits_on = coalesce(told.waits_on, '{WaitsOn.LINK}')
FROM unnest(CAST(:ids AS bigint[]), CAST(:errors AS text[])) AS contact (qbench_id, error_type)
WHERE told.integration = :integration AND told.crm = :crm AND told.record_type = ANY(:leads) AND told.qbench_id = ANY(:ids)
  AND told.state_digest IS NOT NULL AND told.qbench_id = contact.qbench_id
  AND (contact.error_type IS NOT DISTINCT FROM :as_lead) = (told.error_type IS NOT DISTINCT FROM :as_contact)
  AND (contact.error_type = told.error_type) IS NOT TRUE
"""
# One that syncs waits for nothing; that it does, now, has the next load find it.
_UNTOLD = f"""
{_OPEN.format(because="FROM crm_pipeline.link")} AND told.record_type = :record_type
  AND link.integration = told.integration AND link.crm = told.crm AND link.record_type = told.record_type
  AND link.qbench_id = told.qbench_id AND link.updated_at > told.at
"""
_OF_CUSTOMERS = f"""
{_OPEN.format(because="FROM crm_pipeline.normalized_record AS staged")} AND told.record_type = ANY(:contacts)
  AND staged.integration = told.integration AND staged.record_type = told.record_type AND staged.qbench_id = told.qbench_id
  AND staged.customer_id = ANY(:ids)
"""


def tell_linked(connection: Connection, state: CrmState, *, ids: Sequence[int]) -> None:
    """Tell these records that they have a link now which they did not make."""
    if ids:
        execute(connection, _LINKED, {**asdict(state), "ids": list(ids)})


def tell_untold(connection: Connection, state: CrmState) -> None:
    """Tell all records whose link changed since they were decided; nobody did where a run of an older version changed it."""
    execute(connection, _UNTOLD, asdict(state))


def tell_leads(connection: Connection, state: CrmState, *, outcomes: pd.DataFrame) -> None:
    """Tell the leads of contacts of which both say that the other one is meant, or neither does, unless the same keeps both back.

    ``outcomes``: those of the contacts (schemas.OUTCOMES).
    """
    if len(outcomes) and (leads := made_of(state.record_type)):
        said = {"as_lead": SyncsAsLeadException.__name__, "as_contact": SyncsAsContactException.__name__, "leads": list(leads)}
        told = {"ids": plain(outcomes["qbench_id"]), "errors": plain(outcomes["error_type"])}
        execute(connection, _LEADS, {**asdict(state), **said, **told})


def tell_of_customers(connection: Connection, state: CrmState, *, ids: Sequence[int]) -> None:
    """Tell the contacts of these customers that QBench deleted the customer, or has it again."""
    if ids and (contacts := children(state.record_type)):
        execute(connection, _OF_CUSTOMERS, {**asdict(state), "ids": list(ids), "contacts": list(contacts)})


def tell_all(connection: Connection, integration: str, crm: str) -> None:
    """Tell all records that the CRM is to be asked for them by other external keys."""
    execute(connection, _ALL, {"integration": integration, "crm": crm})
