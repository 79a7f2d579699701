"""Rolodex on the bench of the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from crm_pipeline import Crm, CrmKind
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.server import serve
from crm_pipeline.testing.bench import Bench, FieldNames, Request

from . import KIND, RolodexSettings
from .server import FULL, GRADES, KEY, Edition, Rolodex, rolodex_app

SHARED: dict[str, Any] = {"short_length": 40, "choice": "grade", "option": GRADES[0], "required": {}}
FIELDS = {
    RecordType.ACCOUNT: FieldNames(match="name", text="notes", short="city", number="headcount", **SHARED),
    RecordType.CONTACT: FieldNames(match="email", text="first", short="last", **SHARED),
}


@contextmanager
def running_bench(kind: CrmKind = KIND, edition: Edition = FULL) -> Iterator[Bench]:
    """An empty Rolodex; the variable ROLODEX_TOKEN must hold its token."""
    rolodex, faults, journal = Rolodex(edition), Faults(), Journal()

    def name(record_type: RecordType) -> str:
        return kind.usual(record_type).name

    def records(record_type: RecordType) -> list[dict[str, Any]]:
        return [{**record["values"], "id": crm_id} for crm_id, record in rolodex.records[name(record_type)].items()]

    def add(record_type: RecordType, values: Mapping[str, object]) -> str:
        return rolodex.add(name(record_type), values)

    def merge(record_type: RecordType, winner: str, loser: str) -> str:
        rolodex.delete(name(record_type), loser)
        return winner

    def parent(crm_id: str) -> str | None:
        firm_id: str | None = rolodex.records["people"][crm_id]["firm_id"]
        return firm_id

    with serve({kind.name: rolodex_app(rolodex)}, journal=journal, faults=faults) as urls:

        def connect(**settings: Any) -> Crm:
            given = {"url": urls[kind.name], "token": {"env": "ROLODEX_TOKEN"}, "external_key": KEY, "attempts": 2}
            return kind.connect(RolodexSettings.model_validate({**given, "waits": {"first_seconds": 0.01}, **settings}), "demo")

        yield Bench(
            kind=kind,
            faults=faults,
            journal=journal,
            key=KEY,
            connect=connect,
            fields=FIELDS,
            add=add,
            records=records,
            delete=lambda record_type, crm_id: rolodex.delete(name(record_type), crm_id),
            restore=lambda record_type, crm_id: rolodex.restore(name(record_type), crm_id),
            merge=merge,
            parent=parent,
            secret="ROLODEX_TOKEN",
            keyed_create=lambda record_type: Request("POST", f"/{name(record_type)}/upsert$"),
            plain_create=lambda record_type: Request("POST", f"/{name(record_type)}/create$"),
            update=lambda record_type: Request("POST", f"/{name(record_type)}/update$"),
        )
