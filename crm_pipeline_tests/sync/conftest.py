"""A bench on which loads run: the sandbox's CRMs, the state store, and records staged without QBench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.schemas import RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import FRAME_ROWS, Window, stage_raw
from crm_pipeline.sync.load import Load
from crm_pipeline.sync.normalizing import normalize_staged
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.report import LoadReport
from crm_pipeline_tests.tenants import attributes

EVERYTHING = Window(since=None, until=1_000_000)
ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT

# Every mapped field costs each load; the rules tried here need these.
LEAN_ACCOUNT_MAP = {"name": "customer_name", "description": "comments", "phone_number": "phone"}
LEAN_CONTACT_MAP = {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"}

Staged = tuple[int, int, dict[str, Any]]
"""A QBench record: id, version, content."""


def customer(number: int, version: int = 100, **content: Any) -> Staged:
    """A customer that may sync."""
    return number, version, {"customer_name": f"Lab {number}", **content}


def contact(number: int, version: int = 100, *, of: int, **content: Any) -> Staged:
    """A contact that may be created, of one customer."""
    person = {
        "email_address": f"person{number}@labs.example.org",
        "first_name": "Ana",
        "last_name": f"Ruiz {number}",
        "phone": "5125550102",
    }
    return number, version, {**person, "customers": [{"id": of}], **content}


@dataclass
class Bench:
    """Loads of the integration ``acme`` into one CRM; ``calls`` counts those of the load that ran last."""

    sandbox: Sandbox
    store: Store
    crm: str
    calls: dict[str, int] = field(default_factory=dict)

    def spec(self, *, name: str = "acme", external_keys: bool = True, **overrides: Any) -> IntegrationSpec:
        """The integration, whose clients try each call once only."""
        keys = attributes(self.sandbox, external_keys=external_keys) | {
            "accounts": {"map": LEAN_ACCOUNT_MAP},
            "contacts": {"map": LEAN_CONTACT_MAP},
        }
        for settings in keys["crms"].values():
            settings["attempts"] = 1
        # An interrupted create is looked for only once HubSpot could not carry it out any more.
        keys["crms"]["hubspot"]["timeout_seconds"] = 2
        return IntegrationSpec.model_validate({"name": name, **keys, **overrides})

    def stage(self, spec: IntegrationSpec, record_type: RecordType, *records: Staged) -> None:
        """Stage records as extract and normalize would."""
        frame = RAW.build(pd.DataFrame(list(records), columns=["qbench_id", "version", "content"]))
        with self.store.transaction() as connection:
            stage_raw(connection, spec.name, record_type, frame=frame)
        versions = [version for _, version, _ in records]
        window = Window(since=min(versions), until=max(versions) + 1)
        self.normalize(spec, record_type, window=window)

    def normalize(self, spec: IntegrationSpec, record_type: RecordType, *, window: Window) -> None:
        """Normalize what is staged."""
        normalize_staged(self.store, spec.name, spec.records[record_type], window=window, default_region="US", counts=Counter())

    def connect(self, spec: IntegrationSpec) -> Crm:
        """A client of the CRM."""
        return crm_kinds()[self.crm].connect(spec.crms.configured[self.crm], spec.name)

    def order(self, spec: IntegrationSpec, record_type: RecordType, *, run_id: str = "run") -> LoadOrder:
        """The order of a load."""
        return spec.order(self.crm, spec.records[record_type], run_id=run_id)

    def load(
        self,
        spec: IntegrationSpec,
        record_type: RecordType,
        *,
        window: Window = EVERYTHING,
        connect: Callable[[IntegrationSpec], Crm] | None = None,
        frame_rows: int = FRAME_ROWS,
    ) -> LoadReport:
        """Load a window in frames of so many rows; ``calls`` tells afterwards what it cost, also when it raised."""
        with closing((connect or self.connect)(spec)) as crm:
            job = Load(self.order(spec, record_type), store=self.store, crm=crm, frame_rows=frame_rows)
            try:
                return job.run(window)
            finally:
                self.calls = crm.calls.snapshot()

    def names(self) -> list[str]:
        """The names of the CRM's accounts."""
        if self.crm == "salesforce":
            return sorted(record["Name"] for record in self.sandbox.org.records("Account"))
        return sorted(record["properties"]["name"] for record in self.sandbox.portal.records("companies"))

    def emails(self) -> list[str]:
        """The emails of the CRM's contacts."""
        if self.crm == "salesforce":
            return sorted(record["Email"] for record in self.sandbox.org.records("Contact"))
        return sorted(record["properties"]["email"] for record in self.sandbox.portal.records("contacts"))

    def add_account(self, name: str) -> str:
        """An account that a user of the CRM made."""
        if self.crm == "salesforce":
            return self.sandbox.org.add("Account", {"Name": name})
        return self.sandbox.portal.add("companies", {"name": name})

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query of the state gives."""
        with self.store.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def outcomes(self, record_type: RecordType = ACCOUNT) -> dict[int, tuple[str, str | None]]:
        """The latest outcome and error type by QBench id."""
        found = self.rows(f"SELECT qbench_id, outcome, error_type FROM crm_pipeline.outcome WHERE record_type = '{record_type}'")
        return {qbench_id: (outcome, error_type) for qbench_id, outcome, error_type in found}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The stand-ins, empty, with external keys in both CRMs; HubSpot's search sees at once what was written."""
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=True, index_lag_seconds=0.0)
    with start_sandbox(org=org, portal=portal) as running:
        yield running


@pytest.fixture(params=["salesforce", "hubspot"])
def bench(request: pytest.FixtureRequest, sandbox: Sandbox, store: Store) -> Bench:
    """Each CRM in turn."""
    return Bench(sandbox, store, request.param)


@pytest.fixture
def salesforce(sandbox: Sandbox, store: Store) -> Bench:
    """Loads into Salesforce."""
    return Bench(sandbox, store, "salesforce")


@pytest.fixture
def hubspot(sandbox: Sandbox, store: Store) -> Bench:
    """Loads into HubSpot."""
    return Bench(sandbox, store, "hubspot")
