"""Which fields does an integration need in a CRM that the CRM does not describe? Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.mapping.targets import Target


def missing_fields(
    targets: Sequence[Target], crm_fields: pd.DataFrame, *, crm_object: CrmObject, external_key: str | None
) -> list[FieldToMake]:
    """The external key and the mapped fields that an object lacks (schemas.CRM_FIELDS), each once.

    One whose name is there in other letters is misspelt, not missing. Match keys are left out: a new field has nothing to be found by.
    """
    there = {name.casefold() for name in crm_fields["name"]}
    needed = [*([] if external_key is None else [external_key]), *(target.crm_field for target in targets)]
    return [FieldToMake(crm_object, name, is_key=name == external_key) for name in dict.fromkeys(needed) if name.casefold() not in there]
