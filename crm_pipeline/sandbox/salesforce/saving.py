"""May this record be saved? One create, update, upsert or delete as the integration user, by the vendor's rules.

Records are decoded first, all of a call together (a wrong JSON type stops the call), and saved one by one; what is wrong
with a record is raised as its RowError. Of several things wrong, the first is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_pipeline.sandbox.obstacles import in_the_way
from crm_pipeline.sandbox.salesforce.duplicates import Save, refuse_duplicates
from crm_pipeline.sandbox.salesforce.errors import RowError, unknown_column
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.table import Row, Table
from crm_pipeline.sandbox.salesforce.values import check, parsed


@dataclass(frozen=True)
class Record:
    """A decoded record: ``id`` as sent, values by field name (None clears), parents named by external id."""

    id: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    parents: Mapping[str, tuple[str, str, Any]] = field(default_factory=dict)
    problem: RowError | None = None


def decode(org: SalesforceOrg, spec: ObjectSpec, raw: Mapping[str, Any]) -> Record:
    """Read a record's JSON; raises CallError for a value of the wrong JSON type, and keeps a RowError as ``problem``."""
    record_id = None
    values: dict[str, Any] = {}
    parents: dict[str, tuple[str, str, Any]] = {}
    try:
        for name, value in raw.items():
            lower = name.lower()
            if lower == "attributes":
                continue
            if lower == "id":
                record_id = value
            elif known := spec.by_lower_name.get(lower):
                values[known.name] = parsed(known, value)
            elif reference := spec.by_relationship.get(lower):
                if isinstance(value, dict):
                    parents[reference.name] = _parent_key(org, reference, value)
                else:
                    values[reference.name] = None
            else:
                raise unknown_column(name, spec.name)
    except RowError as problem:
        return Record(id=record_id, problem=problem)
    return Record(record_id, values, parents)


def _parent_key(org: SalesforceOrg, reference: FieldSpec, value: Mapping[str, Any]) -> tuple[str, str, Any]:
    """The parent's object, external-id field and value that a nested record names; exactly one external id is allowed."""
    target = reference.reference_to[0]
    table = org.table(target)
    names = [name for name in value if name.lower() != "attributes"]
    if table is None or len(names) != 1:
        raise RowError("INVALID_FIELD", f"{reference.relationship_name}: specify exactly one external id field of {target}")
    key = table.spec.by_lower_name.get(names[0].lower())
    if key is None:
        raise unknown_column(names[0], target)
    if not (key.external_id or key.id_lookup):
        raise RowError("INVALID_FIELD", f"Field name provided, {key.name} is not an External ID or indexed field for {target}")
    return target, key.name, parsed(key, value[names[0]])


@dataclass(frozen=True)
class Saver:
    """Saves decoded records of one object; ``allow_save`` and ``assigns`` are the call's headers for duplicate and assignment rules."""

    org: SalesforceOrg
    table: Table
    allow_save: bool = False
    assigns: bool = True

    @property
    def spec(self) -> ObjectSpec:
        """The object's metadata."""
        return self.table.spec

    def create(self, record: Record) -> str:
        """Add the record and return its id."""
        if record.problem:
            raise record.problem
        if record.id is not None:
            raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ("Id",))
        if not self.spec.writeable or (self.spec.name, "create") in self.org.denied:
            raise RowError("INVALID_TYPE_FOR_OPERATION", f"entity type cannot be inserted: {self.spec.label}")
        changes = self._changes(record, "create")
        filled = {**self.spec.defaults, **{name: value for name, value in changes.items() if value is not None}}
        missing = tuple(required.name for required in self.spec.required if required.name not in filled)
        if missing:
            raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
        row = {"Id": self.org.next_id(self.spec), **self.org.stamps(self.spec, created=True), **filled}
        return self._saved(row, changes, save="create")

    def update(self, record: Record) -> str:
        """Change the record of the given id and return the id in 18 characters."""
        if record.problem:
            raise record.problem
        row = self.existing(record.id)
        if not self.spec.writeable or (self.spec.name, "edit") in self.org.denied:
            raise RowError("INVALID_TYPE_FOR_OPERATION", f"entity type cannot be updated: {self.spec.label}")
        if row.get("IsConverted") and not self.org.edits_converted_leads:
            raise RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        changes = self._changes(record, "update")
        missing = tuple(name for name, value in changes.items() if value is None and self.spec.fields[name].required)
        if missing:
            raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
        merged = {**row, **self.org.stamps(self.spec, created=False), **changes}
        return self._saved({name: value for name, value in merged.items() if value is not None}, changes, save="update")

    def upsert(self, record: Record, key: FieldSpec) -> tuple[str, bool]:
        """Change the live record with this external id, or add one; the id, and whether it was added."""
        if record.problem:
            raise record.problem
        if record.id is not None:
            raise RowError("INVALID_FIELD", "The Id field should not be specified in the sobject data.")
        value = record.values.get(key.name)
        if value is None:
            raise RowError("MISSING_ARGUMENT", f"{key.name} not specified")
        found = [row["Id"] for row in self.table.find(key, value)]
        if len(found) > 1:
            message = f"{key.name}: more than one record found for external id field: [{', '.join(found)}]"
            raise RowError("DUPLICATE_EXTERNAL_ID", message, (key.name,))
        if not found:
            return self.create(record), True
        return self.update(Record(found[0], record.values, record.parents)), False

    def delete(self, record_id: Any) -> str:
        """Put the record into the recycle bin."""
        row = self.existing(record_id)
        self._refuse_if_locked(row)
        going = {row["Id"], *(child_id for _, child_id in self.org.children(self.spec.name, row["Id"]))}
        if not self.org.undeletable.isdisjoint(going):
            raise RowError(
                "DELETE_FAILED", "Your attempt to delete the record could not be completed because others are associated with it."
            )
        self.org.delete(self.spec.name, row["Id"], by=self.org.user_id)
        return str(row["Id"])

    def existing(self, record_id: Any) -> Row:
        """The live record of an id as sent; raises the RowError of one that is no id, of another object, unknown or deleted."""
        if record_id is None:
            raise RowError("MISSING_ARGUMENT", "Id not specified in an update call")
        known = canonical(record_id)
        if known is None or not known.startswith(self.spec.key_prefix):
            raise RowError("MALFORMED_ID", f"{self.spec.label} ID: id value of incorrect type: {record_id}", ("Id",))
        row = self.table.rows.get(known)
        if row is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if row.get("IsDeleted"):
            raise RowError("ENTITY_IS_DELETED", "entity is deleted")
        return row

    def _changes(self, record: Record, save: Save) -> dict[str, Any]:
        """The values to save, parents resolved, each fit for its field."""
        closed = tuple(
            name
            for name in record.values
            if not (self.spec.fields[name].createable if save == "create" else self.spec.fields[name].updateable)
        )
        if closed:
            message = (
                f"Unable to create/update fields: {', '.join(closed)}. Please check the security settings of this field and verify "
                "that it is read/write for your profile or permission set."
            )
            raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, closed)
        changes = {**record.values, **{name: self._parent(*key) for name, key in record.parents.items()}}
        for name, value in changes.items():
            self._check(self.spec.fields[name], value)
        return changes

    def _parent(self, target: str, key: str, value: Any) -> str:
        table = self.org.table(target)
        found = table.find(table.spec.fields[key], value) if table is not None and value is not None else []
        if len(found) != 1:
            raise RowError("INVALID_FIELD", f"Foreign key external ID: {value} not found for field {key} in entity {target}")
        return str(found[0]["Id"])

    def _check(self, spec: FieldSpec, value: Any) -> None:
        if value is None:
            if spec.name == "OwnerId":
                raise RowError("INVALID_CROSS_REFERENCE_KEY", "Owner ID: owner cannot be blank", ("OwnerId",))
            if spec.type == "boolean":
                raise RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{spec.label}: value not of required type: ", (spec.name,))
            return
        check(spec, value)
        if spec.type == "reference":
            self._check_reference(spec, value)

    def _check_reference(self, spec: FieldSpec, value: str) -> None:
        tables = [table for target in spec.reference_to if (table := self.org.table(target)) and value.startswith(table.spec.key_prefix)]
        if not tables:
            raise RowError("MALFORMED_ID", f"{spec.label}: id value of incorrect type: {value}", (spec.name,))
        row = tables[0].rows.get(value)
        if row is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (spec.name,))
        if row.get("IsDeleted"):
            raise RowError("ENTITY_IS_DELETED", "entity is deleted", (spec.name,))
        if spec.name == "OwnerId" and not row.get("IsActive"):
            message = f"operation performed with inactive user [{value}] as owner of {self.spec.label.lower()}"
            raise RowError("OPERATION_WITH_INACTIVE_USER_EXCEPTION", message)

    def _saved(self, row: Row, changes: Mapping[str, Any], *, save: Save) -> str:
        self._refuse_if_locked(row)
        if obstacle := in_the_way(self.org.obstacles, self.spec.name, row):
            raise RowError(obstacle.code, "it stands in the way of this record", obstacle.fields)
        if self.assigns and self.spec.name in self.org.assigned_owner:
            row = {**row, "OwnerId": self.org.assigned_owner[self.spec.name](row)}
        row = self.org.completed(self.spec, row, set(changes))
        for rule in self.org.validation_rules:
            if rule.object_name == self.spec.name and rule.refuses(row):
                raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, (rule.field,) if rule.field else ())
        refuse_duplicates(self.org.duplicate_rules, self.org.table, row, of=self.spec.name, save=save, allow_save=self.allow_save)
        for unique in self.spec.unique:
            if holder := self.org.holder(self.table, unique, row):
                message = f"duplicate value found: {unique.name} duplicates value on record with id: {holder[:15]}"
                raise RowError("DUPLICATE_VALUE", message, (unique.name,))
        self.org.put(self.table, row)
        return str(row["Id"])

    def _refuse_if_locked(self, row: Row) -> None:
        names = [row["Id"], *(str(row[key.name]).casefold() for key in self.spec.external_ids if key.name in row)]
        parents = [row["AccountId"]] if "AccountId" in row else []
        if self.org.take_lock(self.spec.name, names) or self.org.take_lock("Account", parents):
            raise RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
