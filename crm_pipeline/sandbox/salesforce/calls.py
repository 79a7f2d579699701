"""What a call of the API is once HTTP is taken off it: a request that a resource answers, over the wire or inside a composite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_pipeline.sandbox.salesforce.errors import CallError, not_found
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.saving import Saver
from crm_pipeline.sandbox.salesforce.table import Table


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call: ``path`` after ``/services/data/vXX.X/``, ``base`` before it; header names in lower case.

    The body is what its JSON says, or a text where it is CSV.
    """

    method: str
    path: str
    base: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def object_body(self) -> dict[str, Any]:
        """The body as a JSON object; raises CallError for anything else."""
        if not isinstance(self.body, dict):
            raise CallError(400, "JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object")
        return self.body

    def saver(self, org: SalesforceOrg, table: Table) -> Saver:
        """The saver for one object, minding the call's headers for duplicate and assignment rules."""
        header = self.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
        assigns = self.headers.get("sforce-auto-assign", "").strip().lower() != "false"
        return Saver(org, table, allow_save="allowsave=true" in header.split(";"), assigns=assigns)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The answer: a body of None is an empty one, a text is CSV, anything else JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def table_named(org: SalesforceOrg, name: str) -> Table:
    """The object that a path names; raises CallError NOT_FOUND."""
    table = org.table(name)
    if table is None or (table.spec.name, "read") in org.denied:
        raise not_found()
    return table
