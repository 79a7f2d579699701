"""The kinds of fields that the objects of an organization have, and the fields that all of them have."""

from __future__ import annotations

from crm_pipeline.sandbox.salesforce.fields import FieldSpec


def text(name: str, length: int, label: str = "") -> FieldSpec:
    """A text of so many characters."""
    return FieldSpec(name, "string", label, length)


def required(name: str, length: int, label: str = "") -> FieldSpec:
    """A text that a create needs."""
    return FieldSpec(name, "string", label, length, nillable=False)


def long_text(name: str, length: int = 32_000, label: str = "") -> FieldSpec:
    """A long text."""
    return FieldSpec(name, "textarea", label, length)


def phone(name: str, label: str = "") -> FieldSpec:
    """A phone number."""
    return FieldSpec(name, "phone", label, 40)


def choice(name: str, values: tuple[str, ...], length: int = 255) -> FieldSpec:
    """A picklist of these values."""
    return FieldSpec(name, "picklist", "", length, picklist=values)


def flag(name: str) -> FieldSpec:
    """Yes or no, which is never blank."""
    return FieldSpec(name, "boolean", nillable=False, defaulted_on_create=True, default=False)


def reference(name: str, *targets: str, label: str, relationship: str) -> FieldSpec:
    """The id of a record of one of these objects."""
    return FieldSpec(name, "reference", label, 18, reference_to=targets, relationship_name=relationship)


def read_only(name: str, type_: str, length: int = 0, **more: object) -> FieldSpec:
    """A field that nobody writes."""
    return FieldSpec(name, type_, "", length, createable=False, updateable=False, **more)  # type: ignore[arg-type]


def address(prefix: str, label: str = "") -> tuple[FieldSpec, ...]:
    """The five parts of an address, and the compound of them that is read only."""
    words = f"{label or prefix} ".lstrip()
    return (
        FieldSpec(f"{prefix}Street", "textarea", f"{words}Street", 255),
        text(f"{prefix}City", 40, f"{words}City"),
        text(f"{prefix}State", 80, f"{words}State/Province"),
        text(f"{prefix}PostalCode", 20, f"{words}Zip/Postal Code"),
        text(f"{prefix}Country", 80, f"{words}Country"),
        read_only(f"{prefix}Address", "address"),
    )


ID = read_only("Id", "id", 18, nillable=False, defaulted_on_create=True, id_lookup=True)
STAMPS = (
    read_only("CreatedDate", "datetime", nillable=False, defaulted_on_create=True),
    read_only(
        "CreatedById", "reference", 18, nillable=False, defaulted_on_create=True, reference_to=("User",), relationship_name="CreatedBy"
    ),
    read_only("LastModifiedDate", "datetime", nillable=False, defaulted_on_create=True),
    read_only(
        "LastModifiedById",
        "reference",
        18,
        nillable=False,
        defaulted_on_create=True,
        reference_to=("User",),
        relationship_name="LastModifiedBy",
    ),
    read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
)


def system(object_name: str) -> tuple[FieldSpec, ...]:
    """The fields that every object of records has."""
    return (
        ID,
        read_only("IsDeleted", "boolean", nillable=False, defaulted_on_create=True),
        read_only("MasterRecordId", "reference", 18, reference_to=(object_name,), relationship_name="MasterRecord"),
        FieldSpec(
            "OwnerId",
            "reference",
            "Owner ID",
            18,
            nillable=False,
            defaulted_on_create=True,
            reference_to=("User",),
            relationship_name="Owner",
        ),
        *STAMPS,
    )
