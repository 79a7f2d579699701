"""Which id does a record get that is made for a QBench record? One that can be told again, so that it is never made twice.

SugarCRM takes the id of a new record from whoever creates it, and refuses it the second time, also where the record was deleted since.
So each record has a row of ids: the first that was never used is that of the record to make.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from crm_pipeline.crms.base import CrmObject

NAMESPACE = UUID("5b0a3c1e-6f0e-4d55-9b0f-6a6c1f0b7a11")
"""Set once and for all: with another one every record would be made a second time."""

AT_ONCE = 4
"""How many ids of a record are looked for in one call: a record that was deleted more often costs one more."""


def own_ids(crm_object: CrmObject, key: str, *, after: int = 0) -> list[str]:
    """The next ids of the record with this external key (prefix and QBench id), from a count on."""
    return [str(uuid5(NAMESPACE, f"{crm_object.record_type}/{key}/{count}")) for count in range(after, after + AT_ONCE)]
