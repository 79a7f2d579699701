"""A field that an integration needs in a CRM and that is not there."""

from __future__ import annotations

from dataclasses import dataclass

from crm_pipeline.crms.base import CrmObject

LONGEST = 255
"""The characters of a field that is made for texts."""


@dataclass(frozen=True, slots=True)
class FieldToMake:
    """A text field to make in an object. ``is_key``: it is the external key, which no two records share where the CRM can hold that."""

    crm_object: CrmObject
    name: str
    is_key: bool

    @property
    def label(self) -> str:
        """What people see: the name in words."""
        words = self.name.removesuffix("__c").removesuffix("_c").replace("_", " ").strip()
        return words[:1].upper() + words[1:]
