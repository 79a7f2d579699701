"""With how few calls can so many rows be written?"""

from __future__ import annotations

import math
from collections.abc import Mapping

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType

ASSOCIATE = "associate"
"""Stands among the verbs (model.Verb) for the rows whose account needs a call of its own."""


def fewest_calls(crm: Crm, record_type: RecordType, rows: Mapping[str, int]) -> dict[str, int]:
    """The calls that full batches make of these rows, by verb."""
    sizes = {verb: crm.association_batch_size if verb == ASSOCIATE else crm.batch_size(record_type) for verb in rows}
    return {verb: math.ceil(count / sizes[verb]) for verb, count in sorted(rows.items()) if count}
