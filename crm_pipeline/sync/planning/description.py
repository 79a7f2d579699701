"""What a load knows of the fields of its CRM object: as an earlier run kept it, until something speaks against it (docs/rules.md, 16).

What is kept is trusted only as far as it lets records through that the CRM takes: a value that it does not take, a mapping that it makes
impossible, and whatever the CRM refuses are reasons to ask anew. Where nothing would speak against it, it is not kept at all: by a CRM
that takes any value, and for what is read back, which the description alone explains.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.store.database import Store
from crm_pipeline.store.descriptions import Place, as_json, keep_fields, kept_fields
from crm_pipeline.sync.order import LoadOrder


class Description:
    """The fields of the object of one order. ``org_id``: tells the organization, proven to be that of the integration's links."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, org_id: Callable[[], str]) -> None:
        self._order = order
        self._store = store
        self._crm = crm
        self._org_id = org_id
        self.is_kept = False
        """Whether the fields are those that an earlier run kept."""
        self.differed = False
        """Whether what was kept turned out to be out of date."""

    @cached_property
    def fields(self) -> pd.DataFrame:
        """The object's fields (schemas.CRM_FIELDS); kept ones no older than the settings say, and none for what a person asks for."""
        if self._may_be_kept and self._order.refused != "again":
            with self._store.transaction() as connection:
                kept = kept_fields(connection, self._place, age=timedelta(hours=self._order.settings.fields_kept_hours))
            if kept is not None:
                self.is_kept = True
                return kept
        return self._asked()

    def renew(self) -> bool:
        """Ask the CRM where the fields are kept ones; whether they differ from these."""
        if not self.is_kept:
            return False
        before, self.fields = self.fields, self._asked()
        self.is_kept = False
        self.differed = as_json(before) != as_json(self.fields)
        return self.differed

    @cached_property
    def _may_be_kept(self) -> bool:
        order = self._order
        return order.settings.fields_kept_hours > 0 and self._crm.capabilities.validates and not order.units_back

    @property
    def _place(self) -> Place:
        order = self._order
        return Place(order.integration, order.crm, order.crm_object.name, org_id=self._org_id(), settings=order.settings.digest)

    def _asked(self) -> pd.DataFrame:
        fields = self._crm.fields(self._order.crm_object)
        if self._may_be_kept:
            with self._store.transaction() as connection:
                keep_fields(connection, self._place, fields=fields)
        return fields
