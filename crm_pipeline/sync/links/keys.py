"""Gives CRM records that are linked their external keys, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import WriteBatch, account_for
from crm_pipeline.model import Operation, Verb
from crm_pipeline.schemas import WRITE_ROWS
from crm_pipeline.sync.order import LoadOrder, objects_of


def write_keys(order: LoadOrder, crm: Crm, keyless: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Write the keys of records (``qbench_id``, ``object``, ``crm_id``) in full batches; the results of each call (schemas.WRITE_RESULTS).

    Writing one again does no harm. Raises the CRM's ServiceError.
    """
    size = crm.capabilities.batch_size
    for crm_object, rows_of_it in objects_of(order.state, keyless["object"]):
        of_object = keyless[rows_of_it]
        for start in range(0, len(of_object), size):
            part = of_object.iloc[start : start + size].reset_index(drop=True)
            rows = WRITE_ROWS.build(
                part[["qbench_id", "object", "crm_id"]].assign(
                    operation=str(Operation.LINK), verb=str(Verb.UPDATE), key=order.key_of(part["qbench_id"])
                )
            )
            nothing = pd.DataFrame(index=rows.index)
            yield account_for(rows, crm.write(crm_object, WriteBatch(rows, nothing, nothing).writes()))
