"""The fewest calls that write these rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from crm_pipeline.crms.base import Crm

ASSOCIATE = "associate"
"""Stands among the verbs (model.Verb) for the rows whose account needs a call of its own."""


def fewest_calls(crm: Crm, rows: Mapping[str, int]) -> dict[str, int]:
    """The calls that full batches make of these rows, by verb."""
    can = crm.capabilities
    sizes = {verb: can.association_batch_size if verb == ASSOCIATE else can.batch_size for verb in rows}
    return {verb: math.ceil(count / sizes[verb]) for verb, count in sorted(rows.items()) if count}
