"""Moves records to Salesforce's recycle bin, where they lie for 15 days, and tells what would go with an account.

A deleted account takes its contacts and opportunities along ("Delete" in the SOAP API guide speaks of cascading; the list of objects
is assumed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from simple_salesforce.api import Salesforce

from crm_pipeline.crms.salesforce.queries import SelectIn
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, Row
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.crms.salesforce.writing import Call, Writer
from crm_pipeline.errors import CrmFailsOnRecordException, DeletedInCrmException
from crm_pipeline.model import Verb
from crm_pipeline.schemas import CHILDREN, REMOVED

CASCADING = ("Contact", "Opportunity")
"""The objects whose records are deleted together with their account."""


class Remover(Writer):
    """Removes rows of one object, as batches are written: in halves where a call fails, each of them accounted for."""

    __slots__ = ()

    def remove(self, ids: Sequence[str]) -> pd.DataFrame:
        """Delete the records (crms.abilities.DeletingCrm.remove), 200 a call. Raises a ServiceError only while none is deleted."""
        wanted = dict(enumerate(dict.fromkeys(ids)))
        if not wanted:
            return REMOVED.empty()
        rows = [Row(qbench_id=place, verb=Verb.UPDATE, crm_id=crm_id, key=None, values={}) for place, crm_id in wanted.items()]
        told = {one.qbench_id: one for one in self.write(rows)}
        there = [None if told[place].error_type == DeletedInCrmException.__name__ else told[place] for place in wanted]
        return REMOVED.build(
            {
                "crm_id": list(wanted.values()),
                "error_type": [one and one.error_type for one in there],
                "error_code": [one and one.error_code for one in there],
            }
        )

    def request(self, verb: Verb, rows: Sequence[Row]) -> Call:  # noqa: ARG002 - rows to delete have one verb
        """The call that deletes these records."""
        asked = {"ids": ",".join(str(row.crm_id) for row in rows), "allOrNone": "false"}
        return partial(Salesforce.restful, path="composite/sobjects", method="DELETE", params=asked)


def children(transport: SalesforceTransport, account_ids: Sequence[str]) -> pd.DataFrame:
    """What would go with these accounts (crms.abilities.DeletingCrm.children): for each of two objects, a query for some 570."""
    wanted = list(dict.fromkeys(account_ids))
    rows: list[Mapping[str, Any]] = []
    for sobject in CASCADING if wanted else ():
        found, failed = transport.query_in(SelectIn(sobject, ["Id", PARENT_FIELD], PARENT_FIELD), wanted)
        rows += [{"parent_crm_id": record[PARENT_FIELD], "crm_id": record["Id"], "object": sobject} for record in found]
        rows += [{"parent_crm_id": one, "object": sobject, "error_type": CrmFailsOnRecordException.__name__} for one in failed]
    return CHILDREN.build(pd.DataFrame(rows, columns=CHILDREN.names))
