"""What a user writes about deleted records, on either side: keys of the YAML's ``accounts`` and ``contacts``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from crm_pipeline.configuration.model import YamlModel


def _says_something(value: str | float) -> str | float:
    if value is False or not str(value).strip():
        raise ValueError("a blank field, or an empty checkbox, says that the record is there; give a word, or true")
    return value


class Flag(YamlModel):
    """A QBench field that says of a record whether a CRM has deleted it."""

    field: Annotated[
        str,
        Field(
            description="QBench field, an additional one of the tenant's best, that nothing else is written into.", examples=["crm_status"]
        ),
    ]
    value: Annotated[
        str | int | float | bool,
        AfterValidator(_says_something),
        Field(description="What it says while the CRM record is deleted; else it is blank.", examples=["deleted"]),
    ]


class WhenDeletedInCrm(YamlModel):
    """What becomes of a QBench record whose CRM record was deleted; it is never deleted itself."""

    flag: Annotated[Flag, Field(description="The field that says so.", examples=[{"field": "crm_status", "value": "deleted"}])]


WrittenWhenDeleted = Annotated[
    Literal["keep", "delete"],
    Field(
        description="What becomes of the CRM record when QBench deletes its record. keep: it stays; delete: it goes to the CRM's bin, "
        "if the pipeline made it, and never more of them at once than `links.most_gone` allows. An account stays while it has "
        "records that would be deleted with it.",
        examples=["delete"],
    ),
]
WrittenAlsoLinked = Annotated[
    bool,
    Field(
        description="Whether CRM records that the pipeline did not make, but found and linked, may be deleted too.",
        examples=[False],
    ),
]
WrittenWhenDeletedInCrm = Annotated[
    WhenDeletedInCrm | None,
    Field(
        description="Say in QBench that the record was deleted in a CRM. With `qbench.writes: true`, and links.when_deleted: report only.",
        examples=[{"flag": {"field": "crm_status", "value": "deleted"}}],
    ),
]
