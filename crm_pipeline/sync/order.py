"""What to load where: all that a load is told, and what follows from it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmObject, CrmSettings
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline.sync.resending import Resend


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What to load where: one record type of one integration into one CRM, on behalf of one run.

    ``resend``: what goes again although it did not change; None for every run but one by hand. ``refused``: whether a write that the CRM
    refused for good goes again although nothing changed.
    """

    integration: str
    crm: str
    settings: CrmSettings
    spec: RecordSpec
    run_id: str
    partition_key: str | None
    reading: Reading = field(default_factory=Reading)
    resend: Resend | None = None
    retries: RetrySettings = field(default_factory=RetrySettings)
    refused: Literal["left", "again"] = "left"

    @property
    def state(self) -> CrmState:
        """The state this load reads and stores."""
        return CrmState(self.integration, self.crm, self.spec.record_type)

    @property
    def crm_object(self) -> CrmObject:
        """The CRM's object that new records go to, and are looked for in."""
        return usual_object(self.state)

    @property
    def parent(self) -> CrmState:
        """The state of the accounts that contacts refer to."""
        return self.state.accounts

    @property
    def key_space(self) -> str | None:
        """The external keys this integration writes: the field and the prefix; null without one."""
        settings = self.settings
        prefix = unicodedata.normalize("NFKC", settings.external_key_prefix)
        return None if settings.external_key is None else f"{settings.external_key}: {prefix}"

    def key_of(self, qbench_ids: pd.Series) -> pd.Series:
        """The external key value of each QBench id."""
        return (self.settings.external_key_prefix + qbench_ids.astype("str")).astype("str")


def usual_object(state: CrmState) -> CrmObject:
    """The CRM's usual object for the records of a state."""
    return crm_kinds()[state.crm].usual(state.record_type)
