"""Which customers are back after a deletion, and which contacts were read in the meantime, without these customers."""

from __future__ import annotations

from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType
from crm_pipeline.store.rows import locked_in_order

_RETURNED = """
SELECT qbench_id FROM crm_pipeline.raw_record
WHERE integration = :integration AND record_type = :record_type AND returned ORDER BY qbench_id
"""

_READ_WITHOUT = """
SELECT qbench_id FROM crm_pipeline.raw_record
WHERE integration = :integration AND record_type = :record_type AND qbench_id = ANY(:ids) AND NOT deleted
  AND NOT coalesce(
    crm_pipeline.unpacked(content) -> 'customers' @> jsonb_build_array(jsonb_build_object('id', CAST(:customer AS bigint))), false)
ORDER BY qbench_id
"""

_KEY = "integration = :integration AND record_type = :record_type"
_MADE_WITHOUT = f"""
{locked_in_order("normalized_record", "qbench_id", which=f"{_KEY} AND qbench_id = ANY(:ids)")}
UPDATE crm_pipeline.normalized_record SET customers = coalesce(customers, '{{}}') || -CAST(:customer AS bigint)
WHERE {_KEY} AND qbench_id IN (SELECT qbench_id FROM locked)
"""

_SETTLE = """
UPDATE crm_pipeline.raw_record SET returned = false
WHERE integration = :integration AND record_type = :record_type AND qbench_id = :customer
"""


def returned_customers(connection: Connection, integration: str, record_type: RecordType) -> list[int]:
    """QBench ids of the customers that are back after a deletion and whose contacts were not looked at since, in ascending order."""
    return list(connection.execute(text(_RETURNED), {"integration": integration, "record_type": record_type}).scalars())


def read_without(connection: Connection, integration: str, record_type: RecordType, *, customer: int, ids: list[int]) -> list[int]:
    """Those of these contacts that are staged without this customer, in ascending order; deleted ones left out."""
    parameters = {"integration": integration, "record_type": record_type, "customer": customer, "ids": ids}
    return list(connection.execute(text(_READ_WITHOUT), parameters).scalars())


def made_without(connection: Connection, integration: str, record_type: RecordType, *, customer: int, ids: list[int]) -> None:
    """Store that these contacts of a returned customer were read anew: their normalized state was made without it."""
    connection.execute(text(_MADE_WITHOUT), {"integration": integration, "record_type": record_type, "customer": customer, "ids": ids})


def settle_returned(connection: Connection, integration: str, record_type: RecordType, *, customer: int) -> None:
    """Store that all contacts of a returned customer were looked at."""
    connection.execute(text(_SETTLE), {"integration": integration, "record_type": record_type, "customer": customer})
