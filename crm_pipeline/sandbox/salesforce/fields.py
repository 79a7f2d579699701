"""What a field and an object of the organization are, as their describe says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

FieldType = Literal[
    "id",
    "string",
    "textarea",
    "email",
    "phone",
    "url",
    "picklist",
    "int",
    "double",
    "boolean",
    "datetime",
    "date",
    "reference",
    "address",
    "anyType",
]

TEXT_TYPES = frozenset({"string", "textarea", "email", "phone", "url", "picklist"})
ID_TYPES = frozenset({"id", "reference"})
# Longer text areas can be neither filtered nor sorted by.
LONGEST_FILTERABLE_TEXT = 255
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class FieldSpec:
    """One field: the properties of the vendor's describe that decide what may be read, written and asked of it.

    A field with a ``formula``, a function of its record, is computed when it is read, and cannot be written.
    """

    name: str
    type: FieldType
    label: str = ""
    length: int = 0
    digits: int = 0
    createable: bool = True
    updateable: bool = True
    nillable: bool = True
    defaulted_on_create: bool = False
    default: Any = None
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    id_lookup: bool = False
    restricted_picklist: bool = False
    picklist: tuple[str, ...] = ()
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    visible: bool = True
    formula: Callable[[Mapping[str, Any]], Any] | None = None

    def __post_init__(self) -> None:
        if self.formula is not None:
            object.__setattr__(self, "createable", False)
            object.__setattr__(self, "updateable", False)
        if not self.label:
            object.__setattr__(self, "label", _WORDS.sub(" ", self.name.removesuffix("__c").replace("_", " ")))

    @property
    def custom(self) -> bool:
        """Whether an administrator added it."""
        return self.name.endswith("__c")

    @property
    def required(self) -> bool:
        """Whether a create must bring a value."""
        return self.createable and not self.nillable and not self.defaulted_on_create

    @property
    def filterable(self) -> bool:
        """Whether a query may filter and sort by it."""
        return self.type not in ("address", "anyType") and not (self.type == "textarea" and self.length > LONGEST_FILTERABLE_TEXT)

    @property
    def indexed(self) -> bool:
        """Whether the stand-in keeps an index on it; one on a reference to users would find too much to be of use."""
        parent = self.type == "reference" and "User" not in self.reference_to
        return self.unique or self.external_id or parent or self.type == "email" or self.name == "Name"

    def of(self, row: Mapping[str, Any]) -> Any:
        """The record's value."""
        return row.get(self.name) if self.formula is None else self.formula(row)

    def fold(self, value: Any) -> Any:
        """The form in which two values of the field are the same."""
        return value.casefold() if isinstance(value, str) and self.type in TEXT_TYPES and not self.case_sensitive else value


@dataclass(frozen=True)
class ObjectSpec:
    """One object (sObject type): its fields by name and what may be done with its records."""

    name: str
    key_prefix: str
    fields: Mapping[str, FieldSpec]
    label: str = ""
    label_plural: str = ""
    writeable: bool = True
    mergeable: bool = False
    name_from: tuple[str, ...] = field(default=())

    @cached_property
    def by_lower_name(self) -> Mapping[str, FieldSpec]:
        """The visible fields by lower-cased name: the API does not mind a field name's case."""
        return {name.lower(): spec for name, spec in self.fields.items() if spec.visible}

    @cached_property
    def by_relationship(self) -> Mapping[str, FieldSpec]:
        """The visible reference fields by lower-cased relationship name (``account`` → AccountId)."""
        return {spec.relationship_name.lower(): spec for spec in self.fields.values() if spec.relationship_name and spec.visible}

    @cached_property
    def required(self) -> tuple[FieldSpec, ...]:
        """The fields that a create must bring."""
        return tuple(spec for spec in self.fields.values() if spec.required)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """What a create fills in by itself."""
        return {spec.name: spec.default for spec in self.fields.values() if spec.default is not None}

    @cached_property
    def indexed(self) -> tuple[FieldSpec, ...]:
        """The fields with an index."""
        return tuple(spec for spec in self.fields.values() if spec.indexed)

    @cached_property
    def unique(self) -> tuple[FieldSpec, ...]:
        """The fields whose values no two records share."""
        return tuple(spec for spec in self.fields.values() if spec.unique)

    @cached_property
    def external_ids(self) -> tuple[FieldSpec, ...]:
        """The external-id fields."""
        return tuple(spec for spec in self.fields.values() if spec.external_id)

    def with_field(self, spec: FieldSpec) -> ObjectSpec:
        """The object with a field added or replaced."""
        return replace(self, fields={**self.fields, spec.name: spec})


def by_name(specs: Iterable[FieldSpec]) -> dict[str, FieldSpec]:
    """The fields by their names, in their order."""
    return {spec.name: spec for spec in specs}
