"""What changed in a CRM, read window by window and staged."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipeline.errors import MappingError, RequestRefusedError, ServiceUnavailableError, WrongOrgError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.store.crm_records import changed_stream, pending_crm_ids
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.returning.reading import ReadChanges
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, CRM_FIELDS, OBJECTS, Bench, signed_in_sandbox
from crm_pipeline_tests.tenants import both_ways

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DESCRIPTION, LAST_NAME = (
    {"description": {"from": "comments", "direction": "both"}},
    {"last_name": {"from": "last_name", "direction": "both"}},
)


def hour(since: datetime | None, *, hours: int = 1, look_back: timedelta = timedelta(0)) -> Window:
    until = NOON + HOUR if since is None else since + hours * HOUR
    return Window(since=None if since is None else int((since - look_back).timestamp()), until=int(until.timestamp()))


def two_way(bench: Bench, *, accounts: Mapping[str, object] = DESCRIPTION, contacts: Mapping[str, object] = LAST_NAME) -> IntegrationSpec:
    return both_ways(bench.spec(), accounts=accounts, contacts=contacts)


def read(bench: Bench, spec: IntegrationSpec, window: Window, *of: RecordType) -> ReadChanges:
    """The reading of a window; ``bench.calls`` are those that it made."""
    orders = [bench.order(spec, record_type) for record_type in of or (ACCOUNT, CONTACT)]
    with closing(bench.connect(spec)) as crm:
        job = ReadChanges(orders, store=bench.store, crm=crm)
        try:
            job.run(window)
            return job
        finally:
            bench.calls = crm.calls.snapshot()


def staged(bench: Bench, record_type: RecordType, window: Window | None = None) -> dict[str, dict[str, Any]]:
    """The fields of what is staged, by id; of a window."""
    window = window or Window(since=None, until=2**32)
    since = None if window.since is None else datetime.fromtimestamp(window.since, UTC)
    frames = changed_stream(
        bench.store, CrmState("acme", bench.crm, record_type), since=since, until=datetime.fromtimestamp(window.until, UTC)
    )
    return {row.crm_id: row.fields for frame in frames for row in frame.itertuples()}


def edit(bench: Bench, record_type: RecordType, crm_id: str, at: datetime, **values: str) -> None:
    """What a person of the CRM gives these normalized fields."""
    named = {CRM_FIELDS[bench.crm, record_type][name]: value for name, value in values.items()}
    if bench.crm == "salesforce":
        bench.sandbox.org.update(OBJECTS["salesforce", record_type], crm_id, named, at=at)
    else:
        bench.sandbox.portal.update(OBJECTS["hubspot", record_type], crm_id, named, at=at.timestamp())


def made(bench: Bench, record_type: RecordType, at: datetime, **values: str) -> str:
    """A record that a person of the CRM made."""
    named = {CRM_FIELDS[bench.crm, record_type][name]: value for name, value in values.items()}
    if bench.crm == "salesforce":
        return bench.sandbox.org.add(OBJECTS["salesforce", record_type], named, at=at)
    return bench.sandbox.portal.add(OBJECTS["hubspot", record_type], named, at=at.timestamp())


def test_window_of_all_objects_is_staged_with_the_fields_that_come_back_alone(bench: Bench) -> None:
    account = made(bench, ACCOUNT, NOON, name="Lab 1", description="busy")
    contact = made(bench, CONTACT, NOON, email="ana@labs.example.org", last_name="Ruiz")
    made(bench, ACCOUNT, NOON - HOUR, name="Lab 2")
    done = read(bench, two_way(bench), hour(NOON))
    assert staged(bench, ACCOUNT) == {account: {CRM_FIELDS[bench.crm, ACCOUNT]["description"]: "busy"}}
    assert staged(bench, CONTACT) == {contact: {CRM_FIELDS[bench.crm, CONTACT]["last_name"]: "Ruiz"}}
    assert {record_type: one.rows for record_type, one in done.read.items()} == {ACCOUNT: 1, CONTACT: 1}
    assert done.is_complete


def test_hour_without_changes_costs_one_composite_or_a_search_for_each_object(bench: Bench) -> None:
    made(bench, ACCOUNT, NOON - HOUR, name="Lab 1")
    address = {"address": {"street_1": "address", "country": "country_name", "state": "state_name", "direction": "both"}}
    calls: list[dict[str, int]] = []
    for fields in (DESCRIPTION, address):
        assert read(bench, two_way(bench, accounts=fields), hour(NOON)).is_complete
        calls.append({label: count for label, count in bench.calls.items() if count and label != "sign_in"})
    assert calls == [{"read": 1 if bench.crm == "salesforce" else 2}] * 2


def test_thousand_changed_records_cost_a_call_more_than_none(salesforce: Bench) -> None:
    for number in range(1_000):
        made(salesforce, CONTACT, NOON, email=f"person{number}@labs.example.org", last_name=f"Ruiz {number}")
    assert read(salesforce, two_way(salesforce), hour(NOON)).read[CONTACT].rows == 1_000
    assert salesforce.calls["read"] == 1


def test_first_window_reaches_back_to_the_beginning_of_time(bench: Bench) -> None:
    old = made(bench, ACCOUNT, datetime(2011, 1, 1, tzinfo=UTC), name="Lab 1")
    read(bench, two_way(bench), hour(None))
    assert list(staged(bench, ACCOUNT)) == [old]


def test_record_that_moved_on_is_in_its_later_hour_whatever_is_read_last(bench: Bench) -> None:
    spec = two_way(bench)
    account = made(bench, ACCOUNT, NOON, name="Lab 1", description="before")
    read(bench, spec, hour(NOON))
    edit(bench, ACCOUNT, account, NOON + HOUR, description="after")
    for window in (hour(NOON + HOUR), hour(NOON)):
        read(bench, spec, window)
    [fields] = staged(bench, ACCOUNT, hour(NOON + HOUR)).values()
    assert list(fields.values()) == ["after"]
    assert staged(bench, ACCOUNT, hour(NOON)) == {}


def test_what_a_crm_shows_late_comes_with_the_next_hour_that_looks_back_far_enough(bench: Bench) -> None:
    """Stamped at 12:50, and shown once the hour was read: a transaction that took long, or an index that lags."""
    spec = two_way(bench)
    account = made(bench, ACCOUNT, NOON - HOUR, name="Lab 1")
    read(bench, spec, hour(NOON))
    edit(bench, ACCOUNT, account, NOON + 50 * MINUTE, description="late")
    read(bench, spec, hour(NOON + HOUR))
    assert staged(bench, ACCOUNT) == {}
    read(bench, spec, hour(NOON + HOUR, look_back=15 * MINUTE))
    assert list(staged(bench, ACCOUNT)) == [account]


def test_country_codes_are_read_where_the_organization_has_them(store: Store) -> None:
    with signed_in_sandbox(SalesforceOrg(external_keys=True, state_country_picklists=True)) as sandbox:
        bench = Bench(sandbox, store, "salesforce")
        spec = two_way(bench, accounts={"address": {"city": "city_name", "country": "country_name", "direction": "both"}})
        account = sandbox.org.add("Account", {"Name": "Lab 1", "BillingCountryCode": "DE"}, at=NOON)
        read(bench, spec, hour(NOON), ACCOUNT)
        assert staged(bench, ACCOUNT) == {account: {"BillingCity": None, "BillingCountryCode": "DE"}}


def test_reading_that_broke_off_is_done_by_the_next_one(bench: Bench) -> None:
    spec = two_way(bench)
    account = made(bench, ACCOUNT, NOON, name="Lab 1")
    contact = made(bench, CONTACT, NOON, email="ana@labs.example.org", last_name="Ruiz")
    bench.sandbox.faults.add(Fault(service=bench.crm, path="Contact|contacts|composite$", status=503, times=None))
    with pytest.raises(ServiceUnavailableError):
        read(bench, spec, hour(NOON))
    bench.sandbox.faults.clear()
    assert read(bench, spec, hour(NOON)).is_complete
    assert (list(staged(bench, ACCOUNT)), list(staged(bench, CONTACT))) == ([account], [contact])


def test_record_that_the_crm_fails_to_show_hides_no_other_and_is_told(bench: Bench) -> None:
    ids = [made(bench, ACCOUNT, NOON, name=f"Lab {number}") for number in range(3)]
    bench.sandbox.faults.add(Fault(service=bench.crm, naming=ids[1], times=None, status=500))
    bench.sandbox.faults.add(Fault(service=bench.crm, returning=ids[1], path="query|composite$", times=None, status=500))
    done = read(bench, two_way(bench), hour(NOON), ACCOUNT).read[ACCOUNT]
    assert set(staged(bench, ACCOUNT)) == {ids[0], ids[2]}
    assert (done.failed, done.nameless) == (([], 1) if bench.crm == "salesforce" else ([ids[1]], 0))
    with bench.store.transaction() as connection:
        assert pending_crm_ids(connection, CrmState("acme", bench.crm, ACCOUNT)) == done.failed


def test_field_that_the_crm_does_not_have_is_refused_once_something_changed(bench: Bench) -> None:
    """HubSpot would show it blank, which would be taken for an edit."""
    spec = two_way(bench, accounts={f"{bench.crm}.Missing": {"from": "group_name", "direction": "from_crm"}})
    made(bench, ACCOUNT, NOON, name="Lab 1")
    with pytest.raises((MappingError, RequestRefusedError), match="Missing"):
        read(bench, spec, hour(NOON))
    assert staged(bench, ACCOUNT) == {}


def test_nothing_is_staged_of_another_organization(bench: Bench) -> None:
    spec = two_way(bench)
    with bench.store.transaction() as connection:
        require_organization(connection, "acme", bench.crm, org_id="another")
    made(bench, ACCOUNT, NOON, name="Lab 1")
    with pytest.raises(WrongOrgError):
        read(bench, spec, hour(NOON))
    assert staged(bench, ACCOUNT) == {}
