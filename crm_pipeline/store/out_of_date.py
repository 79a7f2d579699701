"""Of which records is the normalized state out of date though they did not change? Ids only (docs/rules.md, 25)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from crm_pipeline.errors import (
    ContactWithMoreThanOneCustomerException,
    CustomersUnknownException,
    DeletedInQBenchException,
    NoCustomerForContactException,
)
from crm_pipeline.model import MODELS, RecordType, children
from crm_pipeline.store.rows import execute
from crm_pipeline.store.statistics import refresh_statistics
from crm_pipeline.store.tables.links import TOLD, is_polled

CUSTOMER_ERRORS = tuple(
    error.__name__ for error in (NoCustomerForContactException, ContactWithMoreThanOneCustomerException, CustomersUnknownException)
)
"""What keeps back a contact that is not known to have exactly one customer. QBench may not touch ``last_updated`` when that changes."""

_OTHER_MAPPING = "(staged.mapping_digest < :mapping_digest OR staged.mapping_digest > :mapping_digest)"
# Of `<>` the index knows nothing.

_OUT_OF_DATE = f"""
SELECT staged.qbench_id FROM crm_pipeline.normalized_record AS staged
WHERE staged.integration = :integration AND staged.record_type = :record_type AND {_OTHER_MAPPING}
"""

_WAITING_OUT_OF_DATE = f"""
SELECT staged.qbench_id FROM crm_pipeline.outcome AS waiting
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
  OFFSET 0) AS staged
WHERE waiting.integration = :integration AND waiting.record_type = :record_type AND waiting.waits_on IS NOT NULL
  AND {is_polled("waiting.")} AND {_OTHER_MAPPING}
"""

_TOLD_OUT_OF_DATE = f"""
SELECT staged.qbench_id FROM crm_pipeline.outcome AS told
CROSS JOIN LATERAL (
  SELECT * FROM crm_pipeline.normalized_record AS staged
  WHERE staged.integration = told.integration AND staged.record_type = told.record_type AND staged.qbench_id = told.qbench_id
  OFFSET 0) AS staged
WHERE told.integration = :integration AND told.record_type = :record_type AND told.error_type IN ({TOLD}) AND told.at > :told_since
  AND {_OTHER_MAPPING}
"""

_CUSTOMER_CAME_OR_WENT = """
SELECT staged.qbench_id FROM crm_pipeline.normalized_record AS staged
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.customers IS NOT NULL AND EXISTS (
  SELECT FROM unnest(staged.customers) AS held (id)
  JOIN crm_pipeline.raw_record AS customer
    ON customer.integration = staged.integration AND customer.record_type = :account AND customer.qbench_id = abs(held.id)
  WHERE customer.deleted = (held.id > 0))
"""

_CUSTOMERS_READ_ANEW = """
SELECT staged.qbench_id FROM crm_pipeline.normalized_record AS staged
JOIN crm_pipeline.raw_record AS contact
  ON contact.integration = staged.integration AND contact.record_type = :source AND contact.qbench_id = staged.qbench_id
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.error_type = ANY(:customer_errors)
  AND contact.revision <> staged.revision
"""

_DELETED_UNTOLD = """
SELECT staged.qbench_id FROM crm_pipeline.raw_record AS source
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = source.integration AND staged.record_type = :record_type AND staged.qbench_id = source.qbench_id
WHERE source.integration = :integration AND source.record_type = :source AND source.deleted
  AND staged.error_type IS DISTINCT FROM :deleted
"""

_BACK_UNTOLD = """
SELECT staged.qbench_id FROM crm_pipeline.normalized_record AS staged
JOIN crm_pipeline.raw_record AS source
  ON source.integration = staged.integration AND source.record_type = :source AND source.qbench_id = staged.qbench_id
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.error_type = :deleted AND NOT source.deleted
"""

_FOUND_LATE = """
SELECT source.qbench_id FROM crm_pipeline.raw_record AS source
LEFT JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = source.integration AND staged.record_type = :record_type AND staged.qbench_id = source.qbench_id
WHERE source.integration = :integration AND source.record_type = :source AND source.late
  AND (staged.qbench_id IS NULL OR (staged.version, staged.revision) < (source.version, source.revision))
"""

_CUSTOMER_CHANGED = """
SELECT staged.qbench_id FROM crm_pipeline.normalized_record AS staged
JOIN crm_pipeline.raw_record AS customer
  ON customer.integration = staged.integration AND customer.record_type = :account AND customer.qbench_id = staged.customer_id
WHERE staged.integration = :integration AND staged.record_type = :record_type
  AND customer.revision IS DISTINCT FROM staged.customer_revision AND customer.read_at > :customers_since
"""


def ids_to_normalize_again(
    connection: Connection,
    integration: str,
    record_type: RecordType,
    *,
    mapping_digest: str,
    told_since: datetime | None = None,
    customers_since: datetime | None = None,
) -> list[int]:
    """QBench ids of the records whose normalized state is out of date though they did not change, in ascending order.

    The mapping is another one now (all customers, for their contacts' sake, and the contacts that wait for something); or the record
    was deleted, or is back, without a new date; or it was found late, behind the run of its hour; or one of a contact's several
    customers was deleted, or is back; or a contact that lacked its one customer was read again with other ones; or, where the rules
    look at customers, a contact's customer changed (``customers_since``: since when; None: they look at none). ``told_since``: of the
    records that are told of changes, those that were decided since are compared with the mapping (store.mapping_seen); None: none.
    """
    refresh_statistics(connection)
    causes = [_OUT_OF_DATE if children(record_type) else _WAITING_OUT_OF_DATE, _DELETED_UNTOLD, _BACK_UNTOLD, _FOUND_LATE]
    causes += [] if told_since is None else [_TOLD_OUT_OF_DATE]
    source = MODELS[record_type].source
    parent = MODELS[source].parent
    if parent is not None:
        causes += [_CUSTOMER_CAME_OR_WENT, _CUSTOMERS_READ_ANEW]
        causes += [] if customers_since is None else [_CUSTOMER_CHANGED]
    parameters = {
        "integration": integration,
        "record_type": record_type,
        "source": source,
        "account": parent,
        "mapping_digest": mapping_digest,
        "customer_errors": list(CUSTOMER_ERRORS),
        "deleted": DeletedInQBenchException.__name__,
        "customers_since": customers_since,
        "told_since": told_since,
    }
    found: set[int] = set()
    for cause in causes:
        found.update(execute(connection, cause, parameters).scalars())
    return sorted(found)


def ids_without_one_customer(connection: Connection, integration: str, record_type: RecordType) -> list[int]:
    """QBench ids of the contacts that are not known to have exactly one customer, in ascending order."""
    statement = text(
        "SELECT qbench_id FROM crm_pipeline.normalized_record WHERE integration = :integration AND record_type = :record_type "
        "AND error_type = ANY(:errors) ORDER BY qbench_id"
    )
    parameters = {"integration": integration, "record_type": record_type, "errors": list(CUSTOMER_ERRORS)}
    return list(connection.execute(statement, parameters).scalars())


def ids_of_unknown_customers(connection: Connection, integration: str, record_type: RecordType, *, most: int) -> list[int]:
    """QBench ids of contacts whose customers QBench did not tell; of more than ``most``, others each time."""
    statement = text(
        "SELECT qbench_id FROM crm_pipeline.normalized_record WHERE integration = :integration AND record_type = :record_type "
        "AND error_type = :error ORDER BY random() LIMIT :most"
    )
    parameters = {"integration": integration, "record_type": record_type, "error": CustomersUnknownException.__name__, "most": most}
    return list(connection.execute(statement, parameters).scalars())
