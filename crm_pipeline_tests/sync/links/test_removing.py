"""CRM records of what QBench deleted, or has as inactive, are deleted where the integration asks for it (docs/rules.md, 26)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import RAW
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.links.check import LinkCheck
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_NAME,
    CONTACT,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    OBJECTS,
    Bench,
    Staged,
    contact,
    customer,
)

DELETES: dict[str, Any] = {
    "accounts": {"map": LEAN_ACCOUNT_MAP, "when_deleted_in_qbench": "delete"},
    "contacts": {"map": LEAN_CONTACT_MAP, "when_deleted_in_qbench": "delete"},
}
INACTIVE: dict[str, Any] = {
    "contacts": {"map": LEAN_CONTACT_MAP, "inactive": {"field": "state", "is": "inactive"}, "delete_inactive": True},
}
AGAIN = Window(since=200, until=1_000)
"""The window of a later run, with what changed since the records were given."""

Counts = dict[RecordType, dict[str, int]]


def check(bench: Bench, spec: IntegrationSpec, *, policy: LinkPolicy | None = None) -> Counts:
    """What a check counted of deletions, by record type."""
    with closing(bench.connect(spec)) as crm:
        job = LinkCheck(
            [bench.order(spec, record_type, run_id="check") for record_type in spec.records],
            policy=policy or LinkPolicy(),
            store=bench.store,
            crm=crm,
        )
        job.run("recent")
        bench.calls = crm.calls.snapshot()
    told = {report.record_type: dict(report.counts) for report in job.reports}
    return {
        record_type: {name: count for name, count in counts.items() if count and name != "checked"} for record_type, counts in told.items()
    }


def stage(bench: Bench, spec: IntegrationSpec, record_type: RecordType, *records: Staged, deleted: bool) -> None:
    frame = RAW.build(pd.DataFrame(list(records), columns=["qbench_id", "version", "content"]).assign(deleted=deleted))
    with bench.store.transaction() as connection:
        stage_raw(connection, spec.name, record_type, frame=frame)
    bench.normalize(spec, record_type, window=AGAIN)


def ids(bench: Bench, record_type: RecordType) -> set[str]:
    """The live records of the CRM."""
    name = OBJECTS[bench.crm, record_type]
    if bench.crm == "salesforce":
        return {record["Id"] for record in bench.sandbox.org.records(name)}
    return {record["id"] for record in bench.sandbox.portal.records(name)}


def reasons(bench: Bench, record_type: RecordType) -> dict[int, tuple[str, str, str | None]]:
    rows = bench.rows(f"SELECT qbench_id, outcome, error_type, reason FROM crm_pipeline.outcome WHERE record_type = '{record_type}'")
    return {qbench_id: (outcome, error, reason) for qbench_id, outcome, error, reason in rows if error}


def test_record_that_qbench_deleted_goes_to_the_bin_once_and_the_others_stay(bench: Bench) -> None:
    spec = bench.spec(**DELETES)
    given = bench.given(spec, ACCOUNT, customer(1), customer(2))
    stage(bench, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(bench, spec) == {ACCOUNT: {"removed": 1}, CONTACT: {}}
    assert ids(bench, ACCOUNT) == {given[2]}
    assert reasons(bench, ACCOUNT) == {1: ("skipped", "DeletedInQBenchException", f"deleted in {bench.crm}: {given[1]}")}
    assert check(bench, spec) == {ACCOUNT: {}, CONTACT: {}}
    assert "write" not in bench.calls
    bench.stage(spec, ACCOUNT, customer(2, 400, comments="new"))
    bench.load(spec, ACCOUNT, window=AGAIN)
    assert bench.outcomes() == {1: ("skipped", "DeletedInQBenchException"), 2: ("updated", None)}


def test_nothing_is_deleted_where_nobody_asks_for_it(salesforce: Bench) -> None:
    spec = salesforce.spec()
    given = salesforce.given(spec, ACCOUNT, customer(1))
    stage(salesforce, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(salesforce, spec) == {ACCOUNT: {}, CONTACT: {}}
    assert ids(salesforce, ACCOUNT) == {given[1]}


def test_nothing_is_deleted_while_nothing_is_sent(hubspot: Bench) -> None:
    spec = hubspot.spec(**DELETES, settings={"send": False})
    given = hubspot.given(spec, ACCOUNT, customer(1))
    stage(hubspot, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(hubspot, spec) == {ACCOUNT: {}, CONTACT: {}}
    assert ids(hubspot, ACCOUNT) == {given[1]}


@pytest.mark.parametrize("also_linked", [False, True])
def test_record_that_the_pipeline_did_not_make_stays_unless_it_may_go_too(bench: Bench, also_linked: bool) -> None:  # noqa: FBT001
    spec = bench.spec(contacts=None, accounts={**DELETES["accounts"], **BY_NAME, "also_linked": also_linked})
    crm_id = bench.add_account("Lab 1")
    bench.stage(spec, ACCOUNT, customer(1))
    bench.load(spec, ACCOUNT)
    stage(bench, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(bench, spec) == {ACCOUNT: {"removed": 1} if also_linked else {}}
    assert ids(bench, ACCOUNT) == (set() if also_linked else {crm_id})


def test_contacts_go_before_their_account_and_an_account_with_others_stays(bench: Bench) -> None:
    """Salesforce would delete them with it; a company's contacts stay."""
    spec = bench.spec(**DELETES)
    given = bench.given(spec, ACCOUNT, customer(1), customer(2))
    ours = bench.given(spec, CONTACT, contact(11, of=1), contact(12, of=2))
    strangers = bench.add(CONTACT, {"LastName": "Doe"} if bench.crm == "salesforce" else {"lastname": "Doe"}, account=given[2])
    for number in (1, 2):
        stage(bench, spec, CONTACT, contact(10 + number, 300, of=number), deleted=True)
        stage(bench, spec, ACCOUNT, customer(number, 300), deleted=True)
    cascades = bench.crm == "salesforce"
    assert check(bench, spec) == {ACCOUNT: {"removed": 1, "kept": 1} if cascades else {"removed": 2}, CONTACT: {"removed": 2}}
    assert ids(bench, CONTACT) == {strangers}
    assert ids(bench, ACCOUNT) == ({given[2]} if cascades else set())
    assert set(ours.values()).isdisjoint(ids(bench, CONTACT))
    if cascades:
        assert reasons(bench, ACCOUNT)[2][2] == f"not deleted in salesforce: {given[2]}, with which would go: Contact {strangers}"
        bench.sandbox.org.delete("Contact", strangers)
        assert check(bench, spec)[ACCOUNT] == {"removed": 1}


def test_account_of_a_contact_that_qbench_still_has_stays(salesforce: Bench) -> None:
    spec = salesforce.spec(**DELETES)
    given = salesforce.given(spec, ACCOUNT, customer(1))
    kept = salesforce.given(spec, CONTACT, contact(11, of=1))
    stage(salesforce, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(salesforce, spec)[ACCOUNT] == {"kept": 1}
    assert (ids(salesforce, ACCOUNT), ids(salesforce, CONTACT)) == (set(given.values()), set(kept.values()))


def test_mass_of_deletions_is_reported_and_nothing_of_it_done(hubspot: Bench) -> None:
    spec = hubspot.spec(**{**DELETES, "contacts": None})
    given = hubspot.given(spec, ACCOUNT, *(customer(number) for number in range(1, 9)))
    stage(hubspot, spec, ACCOUNT, *(customer(number, 300) for number in range(1, 7)), deleted=True)
    for _ in range(2):
        assert check(hubspot, spec) == {ACCOUNT: {"too_many_to_remove": 6}}
        assert "write" not in hubspot.calls
        assert ids(hubspot, ACCOUNT) == set(given.values())
    assert check(hubspot, spec, policy=LinkPolicy(most_gone=6, most_gone_share=1)) == {ACCOUNT: {"removed": 6}}


def test_record_that_is_gone_already_or_was_merged_takes_nothing_else_along(bench: Bench) -> None:
    spec = bench.spec(**{**DELETES, "contacts": None})
    given = bench.given(spec, ACCOUNT, customer(1), customer(2))
    strangers = bench.add_account("Stranger")
    if bench.crm == "salesforce":
        bench.sandbox.org.merge("Account", strangers, [given[1]])
        bench.sandbox.org.delete("Account", given[2])
    else:
        strangers = bench.sandbox.portal.merge("companies", strangers, given[1])
        bench.sandbox.portal.archive("companies", given[2])
    stage(bench, spec, ACCOUNT, customer(1, 300), customer(2, 300), deleted=True)
    assert check(bench, spec) == {ACCOUNT: {"kept": 1, "removed": 1}}
    assert ids(bench, ACCOUNT) == {strangers}
    assert reasons(bench, ACCOUNT)[1][2] == f"not deleted in {bench.crm}: {given[1]}, merged into {strangers}"


def test_record_that_carries_another_key_stays(hubspot: Bench) -> None:
    """Someone gave it to another record, or cloned it."""
    spec = hubspot.spec(**{**DELETES, "contacts": None})
    given = hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.sandbox.portal.update("companies", given[1], {"qbench_id": "777"})
    stage(hubspot, spec, ACCOUNT, customer(1, 300), deleted=True)
    assert check(hubspot, spec) == {ACCOUNT: {"kept": 1}}
    assert ids(hubspot, ACCOUNT) == {given[1]}


def test_record_that_the_crm_refuses_to_delete_is_named_and_tried_again(salesforce: Bench) -> None:
    spec = salesforce.spec(**{**DELETES, "contacts": None})
    given = salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.sandbox.org.undeletable.add(given[1])
    stage(salesforce, spec, ACCOUNT, customer(1, 300), customer(2, 300), deleted=True)
    assert check(salesforce, spec) == {ACCOUNT: {"kept": 1, "removed": 1}}
    said = f"not deleted in salesforce: {given[1]}, RecordRefusedException (DELETE_FAILED)"
    assert reasons(salesforce, ACCOUNT)[1] == ("skipped", "DeletedInQBenchException", said)
    salesforce.sandbox.org.undeletable.clear()
    assert check(salesforce, spec) == {ACCOUNT: {"removed": 1}}


def test_record_that_is_back_in_qbench_syncs_as_if_it_never_had(bench: Bench) -> None:
    spec = bench.spec(**{**DELETES, "contacts": None})
    given = bench.given(spec, ACCOUNT, customer(1))
    stage(bench, spec, ACCOUNT, customer(1, 300), deleted=True)
    check(bench, spec)
    stage(bench, spec, ACCOUNT, customer(1, 400), deleted=False)
    bench.load(spec, ACCOUNT, window=AGAIN)
    assert bench.outcomes() == {1: ("created", None)}
    assert len(ids(bench, ACCOUNT)) == 1
    assert set(given.values()).isdisjoint(ids(bench, ACCOUNT))


def test_answer_that_was_lost_is_no_deletion_by_others(bench: Bench) -> None:
    spec = bench.spec(**{**DELETES, "contacts": None})
    given = bench.given(spec, ACCOUNT, customer(1))
    stage(bench, spec, ACCOUNT, customer(1, 300), deleted=True)
    path = "/composite/sobjects$" if bench.crm == "salesforce" else "/batch/archive$"
    bench.sandbox.faults.add(Fault(service=bench.crm, path=path, kind="drop_after"))
    bench.sandbox.faults.add(Fault(service=bench.crm, status=503, path="/query|/account-info"))
    with suppress(ServiceError):
        check(bench, spec)
    bench.sandbox.faults.clear()
    counts = check(bench, spec)
    assert "deleted" not in counts[ACCOUNT]
    assert reasons(bench, ACCOUNT) == {1: ("skipped", "DeletedInQBenchException", f"deleted in {bench.crm}: {given[1]}")}


# --- inactive contacts


def person(number: int, version: int = 100, *, state: str | None = None) -> Staged:
    return contact(number, version, of=number - 10, state=state)


def inactive_tenant(bench: Bench, *, statuses: Mapping[int, str | None]) -> tuple[IntegrationSpec, dict[int, str]]:
    """Customers by their status, each with a contact that became inactive."""
    spec = bench.spec(**INACTIVE)
    bench.given(spec, ACCOUNT, *(customer(number, status=status) for number, status in statuses.items()))
    given = bench.given(spec, CONTACT, *(person(10 + number) for number in statuses))
    stage(bench, spec, CONTACT, *(person(10 + number, 300, state="Inactive") for number in statuses), deleted=False)
    return spec, given


def test_inactive_contact_goes_while_its_customer_is_active_and_comes_back_with_its_activity(bench: Bench) -> None:
    spec, given = inactive_tenant(bench, statuses={1: "ACTIVE", 2: "INACTIVE", 3: None})
    bench.load(spec, CONTACT, window=AGAIN)
    assert set(bench.outcomes(CONTACT).values()) == {("skipped", "InactiveContactException")}
    assert check(bench, spec) == {ACCOUNT: {}, CONTACT: {"removed": 2}}
    assert ids(bench, CONTACT) == {given[12]}
    assert reasons(bench, CONTACT)[11] == ("skipped", "InactiveContactException", f"deleted in {bench.crm}: {given[11]}")
    assert check(bench, spec, policy=LinkPolicy(when_deleted="recreate")) == {ACCOUNT: {}, CONTACT: {}}
    bench.load(spec, CONTACT, window=AGAIN)
    assert ids(bench, CONTACT) == {given[12]}
    stage(bench, spec, CONTACT, person(11, 400, state="active"), deleted=False)
    bench.load(spec, CONTACT, window=AGAIN)
    assert bench.outcomes(CONTACT)[11] == ("created", None)
    assert len(ids(bench, CONTACT)) == 2


def test_inactive_contact_that_is_active_again_before_it_went_syncs_on(salesforce: Bench) -> None:
    spec, given = inactive_tenant(salesforce, statuses={2: "INACTIVE"})
    check(salesforce, spec)
    stage(salesforce, spec, CONTACT, person(12, 400), deleted=False)
    salesforce.load(spec, CONTACT, window=AGAIN)
    assert salesforce.outcomes(CONTACT) == {12: ("unchanged", None)}
    assert ids(salesforce, CONTACT) == {given[12]}
