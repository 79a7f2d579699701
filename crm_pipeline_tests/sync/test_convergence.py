"""Hour by hour or all at once: incremental loads end as one load of everything would, and then stand still (hypothesis)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm_pipeline.crms.base import Crm
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType, WaitsOn
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.store.database import Store
from crm_pipeline.store.manual_links import remove_link
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.conftest import empty
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_EMAIL,
    CONTACT,
    EVERYTHING,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    Bench,
    contact,
    customer,
    empty_sandbox,
)
from crm_pipeline_tests.sync.extracting.test_deletions import delete

MORE = int(os.environ.get("CRM_PIPELINE_MORE_EXAMPLES", "0"))
"""How many examples are tried; without it, a few fixed ones."""

CUSTOMERS, CONTACTS = (1, 2), (11, 12, 13, 14)
ADDRESSES = ("ana", "bea")
REFUSED = "Refused"
"""A first name that the CRM refuses for good."""

SYNCED = {"created", "updated", "linked", "unchanged"}


@dataclass(frozen=True)
class Edit:
    """A contact's new state in QBench."""

    number: int
    email: str
    first_name: str
    phone: str | None
    customer: int


@dataclass(frozen=True)
class EditCustomer:
    """A customer's new state in QBench."""

    number: int
    status: str
    name: str | None


@dataclass(frozen=True)
class Delete:
    """A record is deleted in QBench; its next edit brings it back."""

    number: int


@dataclass(frozen=True)
class Unlink:
    """Someone removes a contact's link."""

    number: int


@dataclass(frozen=True)
class Lose:
    """A check of links finds that a contact's CRM record is of no use any more."""

    number: int
    status: str


Ends = dict[int, tuple[Any, ...]]
"""By QBench id: outcome, error, on what and for whom it waits, CRM id."""

Action = Edit | EditCustomer | Delete | Unlink | Lose

edits = st.builds(
    Edit,
    st.sampled_from(CONTACTS),
    st.sampled_from(ADDRESSES),
    st.sampled_from(["Ana", "Ana", REFUSED]),
    st.sampled_from(["5125550102", "5125550102", None]),
    st.sampled_from(CUSTOMERS),
)
others = st.one_of(
    st.builds(EditCustomer, st.sampled_from(CUSTOMERS), st.sampled_from(["ACTIVE", "INACTIVE"]), st.sampled_from(["Lab", "Lab", None])),
    st.builds(Delete, st.sampled_from([*CUSTOMERS, *CONTACTS])),
    st.builds(Unlink, st.sampled_from(CONTACTS)),
    st.builds(Lose, st.sampled_from(CONTACTS), st.sampled_from(["deleted", "conflict"])),
)
hours = st.lists(st.lists(st.one_of(edits, edits, others), min_size=1, max_size=4), min_size=2, max_size=5 if MORE else 3)


class Tenant:
    """A tenant whose hours are loaded one by one, by one client."""

    def __init__(self, bench: Bench, spec: IntegrationSpec, client: Crm) -> None:
        self.bench = bench
        self.spec = spec
        self._client = client
        self._hour = 100

    def connect(self, _spec: IntegrationSpec) -> Crm:
        """The client, which outlives the loads."""
        client = self._client

        class Kept:
            def __getattr__(self, name: str) -> Any:
                return getattr(client, name)

            def close(self) -> None:
                pass

        return Kept()

    def happens(self, actions: list[Action]) -> None:
        """What happens within an hour, the last thing that is said of a record."""
        for action in {(type(action) in {Unlink, Lose}, action.number): action for action in actions}.values():
            self._happens(action)

    def _happens(self, action: Action) -> None:
        bench, spec, number = self.bench, self.spec, action.number
        match action:
            case Edit():
                content = {"email_address": f"{action.email}@labs.example.org", "first_name": action.first_name, "phone": action.phone}
                bench.stage(spec, CONTACT, contact(number, self._hour, of=action.customer, **content))
            case EditCustomer():
                name = action.name and f"{action.name} {number}"
                bench.stage(spec, ACCOUNT, customer(number, self._hour, customer_name=name, status=action.status))
            case Delete():
                delete(bench, spec, ACCOUNT if number in CUSTOMERS else CONTACT, (number, self._hour, {}))
            case Unlink():
                order = bench.order(spec, CONTACT)
                with bench.store.transaction() as connection:
                    if len(order.state.links(connection, ids=[number])):
                        remove_link(connection, order.state, qbench_id=number)
            case Lose():
                bench.rows(
                    f"UPDATE crm_pipeline.link SET status = '{action.status}', updated_at = now() "
                    f"WHERE qbench_id = {number} AND status = 'live' RETURNING 1"
                )

    def load_hour(self) -> int:
        """A run of the hour; how many records it planned."""
        window = Window(since=self._hour, until=self._hour + 1)
        self._hour += 1
        return self.load(window)

    def load(self, window: Window) -> int:
        planned = 0
        for record_type in (ACCOUNT, CONTACT):
            self.bench.normalize(self.spec, record_type, window=window)
        for record_type in (ACCOUNT, CONTACT):
            report = self.bench.load(self.spec, record_type, window=window, connect=self.connect)
            assert report.accounted == report.rows + report.replanned
            planned += report.rows + report.replanned
        return planned

    def rest(self) -> None:
        """Hours without a change, until nothing is planned; what waits for what may take a few."""
        planned: list[int] = []
        while 0 not in planned:
            planned.append(self.load_hour())
            assert len(planned) < 5, f"planned again and again: {planned}"

    def ends(self, record_type: RecordType) -> Ends:
        """Per record its outcome, or that it is as in QBench, the error and what it waits on; and its link."""
        said = self.bench.rows(
            "SELECT outcome.qbench_id, outcome, error_type, waits_on, waits_for, crm_id FROM crm_pipeline.outcome "
            "LEFT JOIN crm_pipeline.link USING (integration, crm, record_type, qbench_id) "
            f"WHERE record_type = '{record_type}'"
        )
        return {number: ("synced" if outcome in SYNCED else outcome, *rest) for number, outcome, *rest in said}


ACCOUNTS: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "active_only": True}
RULES: list[dict[str, Any]] = [
    {"accounts": ACCOUNTS, "contacts": contacts, "external_keys": external_keys}
    for contacts in (BY_EMAIL, {"map": LEAN_CONTACT_MAP})
    for external_keys in (True, False)
]


@contextmanager
def tenant_of(store: Store, crm: str, rules: dict[str, Any]) -> Iterator[Tenant]:
    """A tenant whose customers are there."""
    empty(store)
    with empty_sandbox() as running:
        bench = Bench(running, store, crm)
        spec = bench.spec(**rules)
        with closing(bench.connect(spec)) as client:
            tenant = Tenant(bench, spec, client)
            tenant.happens([EditCustomer(number, "ACTIVE", "Lab") for number in CUSTOMERS])
            yield tenant


def set_up(bench: Bench) -> None:
    """The CRM refuses some records for good, and some address."""
    if bench.crm == "salesforce":
        bench.sandbox.org.add_validation_rule(ValidationRule("Contact", lambda row: row.get("FirstName") == REFUSED))
    else:
        bench.sandbox.portal.block_email("bea@labs.example.org")


def require_the_same(by_hour: Ends, at_once: Ends) -> None:
    """Both wrote the same records, and what waits for another record waits for the same one.

    A record with an error of its own may have more than one: then it does not matter which of them it is told.
    """
    for number, (outcome, *told, crm_id) in at_once.items():
        before = by_hour[number]
        *_, waits_on, waits_for, crm_id_before = before
        assert crm_id_before == crm_id, (number, before, at_once[number])
        of_another = waits_on in {WaitsOn.EMAIL, WaitsOn.CUSTOMER} and waits_for is not None
        if of_another or ("synced" in (before[0], outcome) and outcome != "skipped"):
            assert before == (outcome, *told, crm_id), number


@settings(
    max_examples=MORE or 2,
    derandomize=not MORE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.generate,),
)
@given(
    crm=st.sampled_from(["salesforce", "hubspot"]),
    rules=st.sampled_from(RULES),
    told=hours,
)
def test_hour_by_hour_ends_as_all_at_once(store: Store, crm: str, rules: dict[str, Any], told: list[list[Action]]) -> None:
    with tenant_of(store, crm, rules) as tenant:
        set_up(tenant.bench)
        for actions in told:
            tenant.happens(actions)
            tenant.load_hour()
        tenant.rest()
        before = tenant.ends(CONTACT)
        tenant.load(EVERYTHING)
        require_the_same(before, tenant.ends(CONTACT))
        assert tenant.load_hour() == 0


def test_an_address_that_is_handed_on_in_one_load_finds_the_former_contacts_record_no_more(store: Store) -> None:
    with tenant_of(store, "hubspot", {"accounts": ACCOUNTS, "contacts": BY_EMAIL, "external_keys": False}) as tenant:
        tenant.happens([Edit(number, "ana", "Ana", "5125550102", 1) for number in (11, 12)])
        tenant.load_hour()
        tenant.happens([Edit(11, "bea", "Ana", "5125550102", 1)])
        tenant.load_hour()
        ends = tenant.ends(CONTACT)
        assert [outcome for outcome, *_ in ends.values()] == ["synced", "synced"], ends
        assert len({crm_id for *_, crm_id in ends.values()}) == 2
