"""Test data for the mapping: raw frames, specifications, CRM fields and free values."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from crm_pipeline.mapping.normalize import Normalized, normalize
from crm_pipeline.mapping.payload import Payload, build_payload
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec, RecordSpec
from crm_pipeline.mapping.targets import routes
from crm_pipeline.model import CountryFormat
from crm_pipeline.schemas import CRM_FIELDS, RAW

quickly = settings(max_examples=20)
# Where a whole frame is made per example: few examples of many rows, since a frame costs the same with one row.
in_frames = settings(max_examples=4)

FREE_TEXT = st.text(st.characters(), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | FREE_TEXT
JSON_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=5
)


def raw_frame(*contents: Any, unreadable: list[str | None] | None = None) -> pd.DataFrame:
    """One raw row per content; ids count from 1."""
    count = len(contents)
    return RAW.build(
        pd.DataFrame(
            {
                "qbench_id": pd.Series(range(1, count + 1), dtype="int64"),
                "version": pd.Series(range(1, count + 1), dtype="int64"),
                "content": pd.Series(list(contents), dtype=object),
                "unreadable": pd.Series(unreadable or [None] * count, dtype="str"),
            }
        )
    )


def account_spec(mapping: dict[str, Any] | None = None, **rest: Any) -> AccountSpec:
    return AccountSpec.model_validate({"map": {"name": "customer_name", **(mapping or {})}, **rest})


def contact_spec(mapping: dict[str, Any] | None = None, **rest: Any) -> ContactSpec:
    return ContactSpec.model_validate({"map": {"email": "email_address", **(mapping or {})}, **rest})


def customer(**content: Any) -> dict[str, Any]:
    return {"customer_name": "Eco Labs", **content}


def contact(**content: Any) -> dict[str, Any]:
    return {"email_address": "ana@ecolabs.example", "customers": [{"id": 41}], **content}


def normalized(spec: RecordSpec, *contents: Any, default_region: str | None = None) -> Normalized:
    return normalize(raw_frame(*contents), spec=spec, default_region=default_region)


def payload(
    spec: RecordSpec,
    *contents: Any,
    crm: str = "salesforce",
    crm_fields: pd.DataFrame | None = None,
    country_format: CountryFormat = "auto",
    time_zone: str = "UTC",
) -> Payload:
    frame = normalized(spec, *contents, default_region="US").frame
    zone = Reading(time_zone=time_zone).zone
    mapping = routes(spec, crm=crm, crm_fields=crm_fields, country_format=country_format)
    return build_payload(frame, mapping, crm_fields=crm_fields, zone=zone)


def crm_fields(**fields: dict[str, Any]) -> pd.DataFrame:
    """The described fields of a CRM object: writable text without limits, but for what is said."""
    common = {"type": "text", "creatable": True, "updatable": True, "options": []}
    rows = [{"name": name, "label": name, **common, **said} for name, said in fields.items()]
    return CRM_FIELDS.build(pd.DataFrame({column: [row.get(column) for row in rows] for column in CRM_FIELDS.names}).pipe(_booleans))


def _booleans(frame: pd.DataFrame) -> pd.DataFrame:
    flags = [column.name for column in CRM_FIELDS.columns if column.dtype == "bool"]
    return frame.assign(**{name: [bool(value) for value in frame[name]] for name in flags})


def listed(values: pd.Series) -> list[Any]:
    """The values as a list with None for null."""
    found: list[Any] = values.astype(object).where(values.notna(), None).tolist()
    return found


def problem_rows(problems: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in problems.itertuples(index=False)]
