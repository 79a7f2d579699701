"""Reads the contacts again that QBench showed without a customer while that was deleted, once it is back.

A contact that was edited meanwhile was read without the customer, and its return leaves the contact's ``last_updated`` alone,
so that no window would show it. What has changed is staged; the same run normalizes it and loads it.
"""

from __future__ import annotations

import logging

from crm_pipeline.errors import ServiceError
from crm_pipeline.model import RecordType, children
from crm_pipeline.source import Source
from crm_pipeline.store.database import Store
from crm_pipeline.store.raw_records import raw_contents
from crm_pipeline.store.returns import made_without, read_without, returned_customers, settle_returned
from crm_pipeline.sync.extracting.staging import NOTHING, ComingBack, stage

logger = logging.getLogger(__name__)


def read_contacts_of_returned(
    integration: str, record_type: RecordType, *, store: Store, source: Source, back: ComingBack = NOTHING
) -> int:
    """Stage anew the contacts that were read without a customer (``record_type``) that is back; returns how many were read.

    A call per customer and one per contact, none where no customer is back. Each customer is settled by itself: one with
    contacts that cannot be read now keeps neither another nor its other contacts back, and is taken up by the next read of customers.
    """
    with store.transaction() as connection:
        customers = returned_customers(connection, integration, record_type)
    read = 0
    for customer in customers:
        try:
            read += _read_contacts(integration, record_type, customer, store=store, source=source, back=back)
        except ServiceError as error:
            logger.warning("%s: customer %d is back, its contacts are still to be read: %s", integration, customer, error)
    return read


def _read_contacts(integration: str, record_type: RecordType, customer: int, *, store: Store, source: Source, back: ComingBack) -> int:
    # Nothing else belongs to a customer of QBench.
    [contacts] = children(record_type)
    with store.transaction() as connection:
        content = raw_contents(connection, integration, record_type, ids=[customer])[customer]
    found = source.contacts_of({**content, "id": customer})
    with store.transaction() as connection:
        missed = read_without(connection, integration, contacts, customer=customer, ids=list(found.ids))
    answer = source.by_id(contacts, missed)
    with store.transaction() as connection:
        stage(connection, integration, contacts, frame=answer.frame, source=source, back=back)
        made_without(connection, integration, contacts, customer=customer, ids=sorted(set(missed).difference(answer.failed)))
        if found.complete and not answer.failed:
            settle_returned(connection, integration, record_type, customer=customer)
    logger.info(
        "%s: customer %d is back; read %d of its contacts again, %d are still to be read",
        integration,
        customer,
        len(answer.frame),
        len(answer.failed),
    )
    return len(answer.frame)
