"""How are many records, of which it is known what they were, read as they are now, in few calls?

QBench lists customers by their ids, contacts by their email addresses alone (its API documentation). So a contact is looked for by the
address that it had; whatever a list does not show, because the address was changed, or the record deleted, or for any other cause, is read
by its id. A row counts only by its own id, whatever the list was asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from crm_pipeline.errors import RequestRefusedError, ServiceError
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.qbench.one_by_one import is_of_one_record
from crm_pipeline.qbench.reading import as_raw, read_by_id
from crm_pipeline.qbench.settings import LARGEST_PAGE
from crm_pipeline.schemas import RAW
from crm_pipeline.source import ReadById

EMAIL = "email_address"
LONGEST_FILTER = 4_000
"""Characters of the values in one call's filter. Assumed: servers commonly take 8,000 in an address, and escaping makes values longer."""

logger = logging.getLogger(__name__)


def read_again(client: QBenchClient, record_type: RecordType, known: pd.DataFrame) -> ReadById:
    """These records (schemas.RAW, as they were staged) as they are now; those that QBench does not have (any more) are left out.

    Raises the ServiceError of a QBench that answers nothing else either.
    """
    found = [record for filter_ in _filters(record_type, known) for record in _listed(client, record_type, filter_)]
    listed = as_raw(client, record_type, found)
    # Of a contact whose customers are not told, its own read may tell them.
    told = listed if listed["unreadable"].isna().all() else listed[listed["unreadable"].isna()]
    there = set(told["qbench_id"].tolist())
    missing = [number for number in known["qbench_id"].tolist() if number not in there]
    if not missing:
        return ReadById(told)
    single = read_by_id(client, record_type, missing)
    return ReadById(RAW.build(pd.concat([told, single.frame], ignore_index=True)), single.failed)


def _filters(record_type: RecordType, known: pd.DataFrame) -> Iterator[tuple[str, dict[str, set[int]]]]:
    """The parameter and, by its values, the ids of the records that they should show, for each list."""
    name, wanted = ("customer_ids[]", _by_id(known)) if MODELS[record_type].parent is None else ("email_addresses[]", _by_email(known))
    values: dict[str, set[int]] = {}
    for value, ids in wanted.items():
        if values and (len(values) == LARGEST_PAGE or sum(map(len, values)) + len(value) > LONGEST_FILTER):
            yield name, values
            values = {}
        values[value] = ids
    # One alone is read by its id, which always shows it.
    if len(values) > 1:
        yield name, values


def _by_id(known: pd.DataFrame) -> dict[str, set[int]]:
    return {str(number): {number} for number in known["qbench_id"].tolist()}


def _by_email(known: pd.DataFrame) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for number, content in zip(known["qbench_id"].tolist(), known["content"], strict=True):
        email = content.get(EMAIL) if isinstance(content, Mapping) else None
        if isinstance(email, str) and email.strip():
            found.setdefault(email, set()).add(number)
    return found


def _listed(client: QBenchClient, record_type: RecordType, filter_: tuple[str, dict[str, set[int]]]) -> list[dict[str, Any]]:
    """The records that a list with this filter shows of ours; of a list that QBench fails on, or refuses, those that were read before.

    Behind a page that shows none of them no other is read: reading them by their ids takes no more calls then.
    """
    name, values = filter_
    missing = set().union(*values.values())
    shown: list[dict[str, Any]] = []
    page, more = 1, True
    try:
        while more:
            listing = client.once.list_page(
                MODELS[record_type].qbench_object, page=page, size=LARGEST_PAGE, parameters={name: list(values)}
            )
            of_ours = {number: record for record in listing.records if (number := record_id(record["id"])) in missing}
            shown += of_ours.values()
            missing -= of_ours.keys()
            page, more = page + 1, listing.more and bool(of_ours) and bool(missing)
    except ServiceError as error:
        if not (isinstance(error, RequestRefusedError) or is_of_one_record(error)):
            raise
        logger.warning("%s; these records are read one by one", error)
    return shown
