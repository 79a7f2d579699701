"""A bench on which loads run: the sandbox's CRMs, the state store, and records staged without QBench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digest_dicts, digests
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.schemas import LINKS, OUTCOMES, RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import normalized_by_id
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import FRAME_ROWS, Window
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline_tests.conftest import empty, own_database
from crm_pipeline_tests.tenants import attributes, let_intents_settle, sugarcrm

EVERYTHING = Window(since=None, until=1_000_000)
ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT

# Every mapped field costs each load; the rules tried here need these.
LEAN_ACCOUNT_MAP = {"name": "customer_name", "description": "comments", "phone_number": "phone"}
LEAN_CONTACT_MAP = {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"}
BY_NAME: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]}
BY_EMAIL: dict[str, Any] = {"map": LEAN_CONTACT_MAP, "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}]}

OBJECTS = {
    ("salesforce", ACCOUNT): "Account",
    ("salesforce", CONTACT): "Contact",
    ("hubspot", ACCOUNT): "companies",
    ("hubspot", CONTACT): "contacts",
    ("sugarcrm", ACCOUNT): "Accounts",
    ("sugarcrm", CONTACT): "Contacts",
}
CRM_FIELDS = {
    ("salesforce", ACCOUNT): {"name": "Name", "description": "Description", "phone_number": "Phone"},
    ("salesforce", CONTACT): {"email": "Email", "first_name": "FirstName", "last_name": "LastName", "phone": "Phone"},
    ("hubspot", ACCOUNT): {"name": "name", "description": "description", "phone_number": "phone"},
    ("hubspot", CONTACT): {"email": "email", "first_name": "firstname", "last_name": "lastname", "phone": "phone"},
    ("sugarcrm", ACCOUNT): {"name": "name", "description": "description", "phone_number": "phone_office"},
    ("sugarcrm", CONTACT): {"email": "email1", "first_name": "first_name", "last_name": "last_name", "phone": "phone_work"},
}
"""Where the fields of the lean maps end."""

Staged = tuple[int, int, dict[str, Any]]
"""A QBench record: id, version, content."""


def customer(number: int, version: int = 100, **content: Any) -> Staged:
    """A customer that may sync."""
    return number, version, {"customer_name": f"Lab {number}", "comments": None, "phone": None, **content}


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

    def object(self, record_type: RecordType) -> CrmObject:
        """The CRM's object for these records."""
        return crm_kinds()[self.crm].usual(record_type)

    def spec(
        self, *, name: str = "acme", external_keys: bool = True, settings: Mapping[str, Any] = MappingProxyType({}), **overrides: Any
    ) -> IntegrationSpec:
        """The integration, whose clients try each call once only. ``settings``: more of the CRM that is loaded into."""
        keys = attributes(self.sandbox, external_keys=external_keys) | {
            "accounts": {"map": LEAN_ACCOUNT_MAP},
            "contacts": {"map": LEAN_CONTACT_MAP},
        }
        for crm in keys["crms"].values():
            crm["attempts"] = 1
        keys["crms"][self.crm].update(settings)
        return IntegrationSpec.model_validate({"name": name, **keys, **overrides})

    def matching(self) -> IntegrationSpec:
        """The integration that finds accounts by name and contacts by email."""
        return self.spec(accounts=BY_NAME, contacts=BY_EMAIL)

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
        normalize_staged(self.store, spec.name, spec.records[record_type], window=window, reading=Reading("US"), counts=Counter())

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
        at_once: bool = False,
        refused: Literal["left", "again"] = "left",
    ) -> LoadReport:
        """Load a window in frames of so many rows; ``calls`` tells afterwards what it cost, also when it raised.

        Creates of an earlier load may still be under way where this one follows it ``at_once``. What was ``refused`` for good is
        sent again on demand only.
        """
        if not at_once:
            let_intents_settle(self.store)
        with closing((connect or self.connect)(spec)) as crm:
            job = Load(replace(self.order(spec, record_type), refused=refused), store=self.store, crm=crm, frame_rows=frame_rows)
            try:
                return job.run(window)
            finally:
                self.calls = crm.calls.snapshot()

    def given(self, spec: IntegrationSpec, record_type: RecordType, *records: Staged) -> dict[int, str]:
        """Records as an earlier load left them, at a fraction of its cost; their ids in the CRM.

        Only the fields of the lean maps are there. A contact's customer must have been given or loaded before.
        """
        self.stage(spec, record_type, *records)
        order, names = self.order(spec, record_type, run_id="earlier"), CRM_FIELDS[self.crm, record_type]
        settings = spec.crms.configured[self.crm]
        with self.store.transaction() as connection:
            rows = normalized_by_id(connection, spec.name, record_type, ids=[number for number, _, _ in records])
            values = rows[list(names)].rename(columns=names)
            if settings.external_key:
                values[settings.external_key] = order.key_of(rows["qbench_id"])
            customer_ids = rows["customer_id"].dropna().tolist()
            parents = order.state.accounts.links(connection, ids=customer_ids) if record_type is CONTACT else LINKS.empty()
            accounts = rows["customer_id"].map(parents.set_index("qbench_id")["crm_id"]) if record_type is CONTACT else [None] * len(rows)
            crm_ids = [
                self.add(record_type, {name: value for name, value in row.items() if not pd.isna(value)}, account=account)
                for row, account in zip(values.to_dict("records"), accounts, strict=True)
            ]
            told = rows.assign(
                crm_id=crm_ids,
                origin="created",
                digests=digest_dicts(digests(values[list(names.values())])),
                parent_qbench_id=rows["customer_id"] if record_type is CONTACT else None,
                status="live",
                merged_into=None,
                held=False,
                outcome="created",
                reason=None,
                waits_on=None,
                waits_for=None,
                retryable=False,
            )
            require_organization(connection, spec.name, self.crm, org_id=self.org_id, key_space=order.key_space)
            order.state.save_links(connection, org_id=self.org_id, links=LINKS.build(told))
            order.state.save_outcomes(connection, outcomes=OUTCOMES.build(told), attempt=order.attempt)
        return dict(zip(rows["qbench_id"].tolist(), crm_ids, strict=True))

    @property
    def org_id(self) -> str:
        """The id of the CRM's organization."""
        return self.sandbox.org.organization_id if self.crm == "salesforce" else str(self.sandbox.portal.portal_id)

    def add(self, record_type: RecordType, values: dict[str, Any], *, account: str | None = None) -> str:
        """A record that a user of the CRM made, its values by the CRM's names; a contact's main account."""
        name = OBJECTS[self.crm, record_type]
        if self.crm == "salesforce":
            return self.sandbox.org.add(name, {**values, **({"AccountId": account} if account else {})})
        record = self.sandbox.portal.add(name, values)
        if account:
            self.sandbox.portal.associate(record, account, types=(1,))
        return record

    def values(self, record_type: RecordType, crm_field: str) -> list[str]:
        """What the CRM's records hold in a field."""
        name = OBJECTS[self.crm, record_type]
        if self.crm == "salesforce":
            return sorted(record[crm_field] for record in self.sandbox.org.records(name))
        return sorted(record["properties"][crm_field] for record in self.sandbox.portal.records(name))

    def names(self) -> list[str]:
        """The names of the CRM's accounts."""
        return self.values(ACCOUNT, CRM_FIELDS[self.crm, ACCOUNT]["name"])

    def emails(self) -> list[str]:
        """The emails of the CRM's contacts."""
        return self.values(CONTACT, CRM_FIELDS[self.crm, CONTACT]["email"])

    def add_account(self, name: str) -> str:
        """An account that a user of the CRM made."""
        return self.add(ACCOUNT, {CRM_FIELDS[self.crm, ACCOUNT]["name"]: name})

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query of the state gives."""
        with self.store.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def outcomes(self, record_type: RecordType = ACCOUNT) -> dict[int, tuple[str, str | None]]:
        """The latest outcome and error type by QBench id."""
        found = self.rows(f"SELECT qbench_id, outcome, error_type FROM crm_pipeline.outcome WHERE record_type = '{record_type}'")
        return {qbench_id: (outcome, error_type) for qbench_id, outcome, error_type in found}


Stories = Callable[[str], AbstractContextManager[Bench]]
"""What the fixture ``stories`` gives."""


class Sugar(Bench):
    """Loads of integrations into one site of SugarCRM."""

    def spec(
        self,
        *,
        name: str = "acme",
        external_keys: bool = False,
        settings: Mapping[str, Any] = MappingProxyType({}),
        **overrides: Any,
    ) -> IntegrationSpec:
        """The integration, without a field for the key."""
        keys = attributes(self.sandbox, external_keys=external_keys) | {
            "crms": {"sugarcrm": {**sugarcrm(self.sandbox), "attempts": 1, **settings}},
            "accounts": {"map": LEAN_ACCOUNT_MAP, "sync_on": [{"name": {"sugarcrm": "name"}}]},
            "contacts": {"map": LEAN_CONTACT_MAP, "sync_on": [{"email": {"sugarcrm": "email1"}}]},
        }
        return IntegrationSpec.model_validate({"name": name, **keys, **overrides})

    def matching(self) -> IntegrationSpec:
        """The integration as it is."""
        return self.spec()

    @property
    def site(self) -> SugarSite:
        """The site."""
        assert self.sandbox.site is not None
        return self.sandbox.site

    @property
    def org_id(self) -> str:
        """The site's address."""
        return str(self.sandbox.sugarcrm_url).partition("://")[2]

    def add(self, record_type: RecordType, values: dict[str, Any], *, account: str | None = None) -> str:
        """A record that a user of the site made."""
        return self.site.add(OBJECTS["sugarcrm", record_type], {**values, **({"account_id": account} if account else {})})

    def shown(self, module: str, *fields: str) -> list[tuple[str, ...]]:
        """What the site's records hold in these fields."""
        return sorted(tuple(unescape(record[name]) for name in fields) for record in self.site.records(module))


@contextmanager
def empty_sandbox(*, site: SugarSite | None = None) -> Iterator[Sandbox]:
    """The stand-ins, empty, with external keys in both CRMs; HubSpot's search sees at once what was written, and is not limited.

    ``site``: that of SugarCRM, where it is among them.
    """
    with signed_in_sandbox(SalesforceOrg(external_keys=True), site=site) as running:
        yield running


@contextmanager
def signed_in_sandbox(org: SalesforceOrg, *, site: SugarSite | None = None) -> Iterator[Sandbox]:
    """The stand-ins with this organization, and the credentials for all of them in the environment."""
    portal = HubSpotPortal(external_keys=True, index_lag_seconds=0.0, search_calls=None)
    with pytest.MonkeyPatch.context() as environment, start_sandbox(org=org, portal=portal, site=site) as running:
        for name, value in {**SANDBOX_CREDENTIALS, **SUGARCRM_CREDENTIALS}.items():
            environment.setenv(name, value)
        yield running


@contextmanager
def own_bench(postgres: str, crm: str) -> Iterator[Bench]:
    """A bench for a story that several tests only read, with a database that no other test empties."""
    with own_database(postgres) as url, closing(Store(url)) as store, empty_sandbox() as sandbox:
        yield Bench(sandbox, store, crm)


@pytest.fixture(scope="session")
def stories(postgres: str) -> Iterator[Stories]:
    """Empty benches, by CRM, for stories of which several tests read what was seen; they take turns on a database of their own."""
    with own_database(postgres) as url, closing(Store(url)) as store:

        @contextmanager
        def bench(crm: str) -> Iterator[Bench]:
            with empty_sandbox(site=SugarSite() if crm == "sugarcrm" else None) as sandbox:
                try:
                    yield (Sugar if crm == "sugarcrm" else Bench)(sandbox, store, crm)
                finally:
                    empty(store)

        yield bench


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The stand-ins as ``empty_sandbox`` gives them."""
    with empty_sandbox() as running:
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


@pytest.fixture
def sugar(store: Store) -> Iterator[Sugar]:
    """Loads into a site of SugarCRM without records."""
    with empty_sandbox(site=SugarSite()) as running:
        yield Sugar(running, store, "sugarcrm")
