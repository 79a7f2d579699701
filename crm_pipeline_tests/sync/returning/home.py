"""A house where changes come home: the stand-ins, records that are linked and agreed on, and the runs of both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import text

from crm_pipeline.crms.base import Crm
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digest_dicts, digests
from crm_pipeline.mapping.payload import build_payload
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.schemas import BASES, LINKS
from crm_pipeline.store.bases import bases_of, save_bases
from crm_pipeline.store.normalized_records import normalized_by_id
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.raw_records import held, raw_by_id
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline.sync.returning.bring import Return
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.reading import ReadChanges
from crm_pipeline.sync.returning.report import ReturnReport
from crm_pipeline.sync.returning.selection import Selection
from crm_pipeline_tests.sync.conftest import ACCOUNT, OBJECTS, Bench
from crm_pipeline_tests.tenants import NOTHING, both_ways

LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
"""When everything was made."""
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOTH: Mapping[str, object] = {"direction": "both"}
DESCRIPTION: Mapping[str, object] = {"description": {"from": "comments", **BOTH}}
DESCRIPTIONS = {"salesforce": "Description", "hubspot": "description"}


@dataclass
class Home:
    """The integration ``acme`` with one CRM; ``calls`` are QBench's, ``crm_calls`` the CRM's, of the run that was made last."""

    bench: Bench
    spec: IntegrationSpec
    calls: Counter[str] = field(default_factory=Counter)
    crm_calls: Counter[str] = field(default_factory=Counter)
    connect: Callable[[IntegrationSpec], QBench] = lambda spec: QBench(spec.qbench, integration=spec.name)

    @property
    def tenant(self) -> Any:
        """QBench."""
        return self.bench.sandbox.tenant

    def extract(self, record_type: RecordType = ACCOUNT) -> None:
        """Read QBench and normalize."""
        with closing(self.connect(self.spec)) as source:
            Extract(self.spec.name, record_type, store=self.bench.store, source=source, back=self.spec.coming_back).run(EVERYTHING)
        record = self.spec.records[record_type]
        normalize_staged(self.bench.store, "acme", record, window=EVERYTHING, reading=self.spec.reading, counts=Counter())

    def linked(self, record_type: RecordType = ACCOUNT, **shown: Any) -> dict[int, str]:
        """Read QBench, and have every record that it has in the CRM, linked, with the same values; ``shown``: CRM fields that differ.

        Both sides have agreed on all that comes back. Returns the ids in the CRM.
        """
        self.extract(record_type)
        bench, order = self.bench, self.bench.order(self.spec, record_type)
        with closing(bench.connect(self.spec)) as crm, bench.store.transaction() as connection:
            way = order.way_back(crm.fields(order.crm_object))
            ids = [row[0] for row in connection.execute(text("SELECT qbench_id FROM crm_pipeline.raw_record ORDER BY 1"))]
            raw = raw_by_id(connection, "acme", record_type, ids=ids)
            rows = normalized_by_id(connection, "acme", record_type, ids=raw["qbench_id"].tolist())
            wanted = way.wanted(raw)
            payload = build_payload(rows, order.routes(way.crm_fields), crm_fields=way.crm_fields)
            values = payload.values.assign(**wanted.values)
            made = [
                self.add(record_type, {**{name: value for name, value in row.items() if pd.notna(value)}, **shown})
                for row in values.to_dict("records")
            ]
            links = rows.assign(
                crm_id=made,
                origin="created",
                digests=digest_dicts(digests(payload.values)),
                parent_qbench_id=rows["customer_id"],
                status="live",
            )
            require_organization(connection, "acme", bench.crm, org_id=bench.org_id, key_space=order.key_space)
            order.state.save_links(connection, org_id=bench.org_id, links=LINKS.build(links))
            forms = digests(wanted.forms)
            agreed = [{unit: [digest, digest] for unit, digest in row.items()} for row in forms.to_dict("records")]
            bases = BASES.build({"qbench_id": rows["qbench_id"], "bases": pd.Series(agreed, dtype=object)})
            save_bases(connection, order.state, bases=bases, crm_ids=pd.Series(made))
        return dict(zip(rows["qbench_id"].tolist(), made, strict=True))

    def add(self, record_type: RecordType, values: Mapping[str, Any], *, at: datetime = LONG_AGO) -> str:
        """A record that a user of the CRM made, its values by the CRM's names."""
        name = OBJECTS[self.bench.crm, record_type]
        if self.bench.crm == "salesforce":
            return self.bench.sandbox.org.add(name, dict(values), at=at)
        return self.bench.sandbox.portal.add(name, {key: str(value) for key, value in values.items()}, at=at.timestamp())

    def edit(self, crm_id: str, values: Mapping[str, Any], at: datetime = NOON, *, record_type: RecordType = ACCOUNT) -> None:
        """What a person of the CRM gives these fields of it."""
        name = OBJECTS[self.bench.crm, record_type]
        if self.bench.crm == "salesforce":
            self.bench.sandbox.org.update(name, crm_id, dict(values), at=at)
        else:
            self.bench.sandbox.portal.update(name, crm_id, {key: value or "" for key, value in values.items()}, at=at.timestamp())

    def describe(self, crm_id: str, value: str | None, at: datetime = NOON) -> None:
        """What a person of the CRM gives the description of an account."""
        self.edit(crm_id, {DESCRIPTIONS[self.bench.crm]: value}, at)

    def read(self, record_type: RecordType = ACCOUNT) -> None:
        """Stage what changed in the CRM."""
        with closing(self.bench.connect(self.spec)) as crm:
            ReadChanges([self.bench.order(self.spec, record_type)], store=self.bench.store, crm=crm).run(EVERYTHING_CHANGED)

    def bring(
        self,
        record_type: RecordType = ACCOUNT,
        *,
        selection: Selection | None = None,
        policy: ReturnPolicy = ReturnPolicy(),  # noqa: B008 - immutable
        connect: Callable[[IntegrationSpec], Crm] | None = None,
        run_id: str = "run",
        frame_rows: int = 5_000,
    ) -> ReturnReport:
        """Bring home what is staged."""
        spec = self.spec
        with closing(self.connect(spec)) as source, closing((connect or self.bench.connect)(spec)) as crm:
            order = self.bench.order(spec, record_type, run_id=run_id)
            job = Return(order, store=self.bench.store, source=source, crm=crm, policy=policy, back=spec.coming_back, frame_rows=frame_rows)
            try:
                return job.run(selection or EVERYTHING_CHANGED)
            finally:
                self.calls, self.crm_calls = (Counter(one.calls.snapshot()) for one in (source, crm))

    def hour(self, record_type: RecordType = ACCOUNT) -> ReturnReport:
        """Read the CRM and bring home."""
        self.read(record_type)
        return self.bring(record_type)

    def comments(self, number: int = 1) -> str | None:
        """What QBench holds."""
        value: str | None = self.tenant.customer(number)["comments"]
        return value

    def outcome(self, crm_id: str) -> tuple[Any, ...]:
        """Outcome, error type and reason of the latest change of a CRM record."""
        rows = self.bench.rows(f"SELECT outcome, error_type, reason FROM crm_pipeline.change_outcome WHERE crm_id = '{crm_id}'")
        return rows[0] if rows else ()

    def bases(self, number: int = 1, record_type: RecordType = ACCOUNT) -> dict[str, Any]:
        """What the link keeps."""
        with self.bench.store.transaction() as connection:
            found = bases_of(connection, self.bench.order(self.spec, record_type).state, ids=[number])
        return {str(name): found[name].iloc[0] for name in found}

    def since(self, number: int = 1, record_type: RecordType = ACCOUNT) -> dict[str, Any] | None:
        """Since when QBench's values stand."""
        with self.bench.store.transaction() as connection:
            found: dict[str, Any] | None = held(connection, "acme", record_type, ids=[number])["since"].iloc[0]
            return found

    def conflicts(self) -> list[tuple[Any, ...]]:
        """Field, winner and evidence of the values that were lost."""
        return self.bench.rows("SELECT field, winner, evidence FROM crm_pipeline.conflict ORDER BY id")


EVERYTHING_CHANGED = Window(since=None, until=2**32)


def home(
    bench: Bench,
    *,
    accounts: Mapping[str, object] = DESCRIPTION,
    contacts: Mapping[str, object] = NOTHING,
    settings: Mapping[str, Any] = NOTHING,
) -> Home:
    """The integration with these fields that come back; ``settings``: whole keys of its YAML."""
    return Home(bench, both_ways(bench.spec(**settings), accounts=accounts, contacts=contacts))
