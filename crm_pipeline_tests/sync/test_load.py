"""What a load promises, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError, MappingError, OpenRecordsError, ServiceError, WrongOrgError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, CRM_FIELDS, EVERYTHING, LEAN_ACCOUNT_MAP, Bench, contact, customer

CREATE_PATHS = {"salesforce": "composite/sobjects", "hubspot": "/(companies|contacts)/batch/(create|upsert)$"}


def break_create(bench: Bench, kind: Any, **more: Any) -> None:
    """Let the next create fail."""
    bench.sandbox.faults.add(Fault(path=CREATE_PATHS[bench.crm], kind=kind, service=bench.crm, **more))


def test_every_row_has_one_outcome_and_the_counts_add_up(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None), customer(3), customer(4, customer_name="  "))
    report = salesforce.load(spec, ACCOUNT)
    assert (report.rows, report.accounted) == (4, 4)
    assert dict(report.outcomes) == {"created": 2, "skipped": 2}
    assert salesforce.outcomes() == {
        1: ("created", None),
        2: ("skipped", "NoNameForCustomerException"),
        3: ("created", None),
        4: ("skipped", "NoNameForCustomerException"),
    }


def test_unchanged_records_make_no_write_call(bench: Bench) -> None:
    spec = bench.spec()
    bench.given(spec, ACCOUNT, customer(1, comments="Water", phone="512 555 0102"))
    bench.given(spec, CONTACT, contact(7, of=1))
    bench.stage(spec, ACCOUNT, customer(2))
    bench.stage(spec, CONTACT, contact(8, of=2))
    for record_type in (ACCOUNT, CONTACT):
        # Also that what the bench gives is what loads leave.
        assert dict(bench.load(spec, record_type).outcomes) == {"unchanged": 1, "created": 1}
        assert dict(bench.load(spec, record_type).outcomes) == {"unchanged": 2}
        assert not {"write", "associate"} & set(bench.calls)
    assert bench.rows("SELECT outcome FROM crm_pipeline.outcome_history WHERE qbench_id = 8") == [("created",)]
    assert bench.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE qbench_id = 8") == [(2,)]


def test_an_empty_window_costs_no_call(salesforce: Bench) -> None:
    assert salesforce.load(salesforce.spec(), ACCOUNT).rows == 0
    assert salesforce.calls == {}


def test_a_locked_row_is_sent_again_by_the_same_load_and_by_the_next_if_it_stays_locked(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2), customer(3))
    salesforce.sandbox.org.lock("Account", "1", times=3)
    salesforce.sandbox.org.lock("Account", "2", times=1)
    with pytest.raises(OpenRecordsError, match="1 records are still to be written"):
        salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("failed", "RecordLockedException"), 2: ("created", None), 3: ("created", None)}
    salesforce.sandbox.journal.clear()
    salesforce.load(spec, ACCOUNT)
    written = [call.rows for call in salesforce.sandbox.journal.calls("salesforce") if call.method == "PATCH"]
    assert (written, salesforce.names()) == ([1], ["Lab 1", "Lab 2", "Lab 3"])


def test_a_row_that_the_answer_leaves_out_is_failed_and_tried_again(bench: Bench) -> None:
    spec = bench.spec()
    bench.stage(spec, ACCOUNT, customer(1))
    body: Any = [] if bench.crm == "salesforce" else {"status": "COMPLETE", "results": []}
    break_create(bench, "status", status=200, body=body)
    with pytest.raises(OpenRecordsError):
        bench.load(spec, ACCOUNT)
    assert bench.outcomes() == {1: ("failed", "UnaccountedException")}
    assert bench.rows("SELECT * FROM crm_pipeline.link") == []
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {"created": 1}


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_a_create_without_key_whose_answer_was_lost_never_makes_a_second_record(bench: Bench, kind: str) -> None:
    spec = bench.spec(external_keys=False)
    bench.stage(spec, ACCOUNT, customer(1), customer(2))
    break_create(bench, kind)
    with pytest.raises(ServiceError):
        bench.load(spec, ACCOUNT)
    assert bench.outcomes() == {1: ("failed", "ServiceFailedException"), 2: ("failed", "ServiceFailedException")}
    bench.load(spec, ACCOUNT)
    assert bench.names() == ["Lab 1", "Lab 2"]
    assert bench.rows("SELECT qbench_id FROM crm_pipeline.link ORDER BY 1") == [(1,), (2,)]
    assert bench.rows("SELECT * FROM crm_pipeline.intent") == []


def test_a_contact_without_key_whose_answer_was_lost_is_adopted_with_its_account(bench: Bench) -> None:
    spec = bench.spec(external_keys=False)
    bench.given(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1))
    break_create(bench, "drop_after")
    with pytest.raises(ServiceError):
        bench.load(spec, CONTACT)
    bench.load(spec, CONTACT)
    assert bench.emails() == ["person7@labs.example.org"]
    assert bench.outcomes(CONTACT)[7][1] is None
    assert bench.rows("SELECT parent_qbench_id, origin FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1, "created")]


def test_a_lost_create_is_not_taken_for_a_linked_record_and_of_two_of_one_name_none_is_guessed(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
    named = {2: "Eco Labs", 3: "Bio Labs", 4: "Bio Labs"}
    salesforce.stage(spec, ACCOUNT, *(customer(number, customer_name=name) for number, name in named.items()))
    break_create(salesforce, "drop_after")
    with pytest.raises(ServiceError):
        salesforce.load(spec, ACCOUNT)
    salesforce.load(spec, ACCOUNT)
    assert salesforce.names() == ["Bio Labs", "Bio Labs", "Eco Labs", "Eco Labs"]
    assert len(set(salesforce.rows("SELECT crm_id FROM crm_pipeline.link WHERE qbench_id IN (1, 2)"))) == 2
    ambiguous = ("skipped", "AmbiguousMatchException")
    assert (salesforce.outcomes()[3], salesforce.outcomes()[4]) == (ambiguous, ambiguous)


def test_an_upsert_that_was_repeated_after_a_lost_answer_counts_as_created(bench: Bench) -> None:
    spec = bench.spec()
    for settings in spec.crms.configured.values():
        assert settings.external_key
    keys = {name: settings.model_copy(update={"attempts": 3}) for name, settings in spec.crms.configured.items()}
    spec = spec.model_copy(update={"crms": spec.crms.model_copy(update=keys)})
    bench.stage(spec, ACCOUNT, customer(1))
    break_create(bench, "drop_after")
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {"created": 1}
    assert bench.names() == ["Lab 1"]
    assert bench.rows("SELECT origin FROM crm_pipeline.link") == [("created",)]


def test_records_that_carry_our_key_already_are_linked_and_not_created(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.rows("DELETE FROM crm_pipeline.link RETURNING 1")
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"linked": 2}
    assert salesforce.names() == ["Lab 1", "Lab 2"]
    assert set(salesforce.rows("SELECT origin FROM crm_pipeline.link")) == {("key",)}


def test_a_failed_association_leaves_the_contact_open_and_the_next_load_sends_only_the_association(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(7, of=1))
    hubspot.sandbox.faults.add(Fault(path="/associations/", status=503, service="hubspot"))
    with pytest.raises(ServiceError):
        hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {7: ("failed", "AssociationPendingException")}
    assert hubspot.rows("SELECT retryable FROM crm_pipeline.outcome WHERE record_type = 'contact'") == [(True,)]
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(None,)]
    hubspot.load(spec, CONTACT)
    assert (hubspot.calls.get("write"), hubspot.calls["associate"]) == (None, 1)
    assert len(hubspot.sandbox.portal.associations()) == 1
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1,)]


def test_a_contact_whose_customer_is_not_synced_yet_is_taken_up_once_by_any_later_load(hubspot: Bench) -> None:
    spec, later = hubspot.spec(), Window(since=900, until=1_000)
    hubspot.stage(spec, CONTACT, contact(7, 100, of=1), contact(8, 950, of=1))
    assert dict(hubspot.load(spec, CONTACT).outcomes) == {"deferred": 2}
    hubspot.given(spec, ACCOUNT, customer(1, 500))
    report = hubspot.load(spec, CONTACT, window=later)
    assert (report.rows, report.replanned, dict(report.outcomes)) == (1, 1, {"created": 2})
    assert hubspot.load(spec, CONTACT, window=Window(since=1_000, until=1_001)).replanned == 0


def test_another_organization_stops_the_load_before_any_write(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.rows("UPDATE crm_pipeline.organization SET org_id = 'another' RETURNING 1")
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"), customer(2, 200))
    with pytest.raises(WrongOrgError):
        salesforce.load(spec, ACCOUNT)
    assert salesforce.names() == ["Lab 1"]
    assert not {"write", "describe", "associate"} & set(salesforce.calls)


def test_an_older_version_never_overwrites_a_newer_one(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1, 500, customer_name="New"))
    for table in ("raw_record", "normalized_record"):
        salesforce.rows(f"DELETE FROM crm_pipeline.{table} RETURNING 1")
    salesforce.stage(spec, ACCOUNT, customer(1, 100, customer_name="Old"))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}
    assert salesforce.names() == ["New"]
    assert salesforce.rows("SELECT version FROM crm_pipeline.link") == [(500,)]


def test_two_loads_at_once_create_nothing_twice(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 31)))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(salesforce.load, spec, ACCOUNT) for _ in range(2)]
    assert len(salesforce.names()) == 30
    assert sorted(str(dict(job.result().outcomes)) for job in jobs) == ["{'created': 30}", "{'unchanged': 30}"]


def test_a_crm_record_held_by_another_qbench_record_is_never_linked(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
    salesforce.stage(spec, ACCOUNT, customer(2, customer_name="ECO labs "))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[2] == ("skipped", "LinkConflictException")
    assert salesforce.names() == ["Eco Labs"]


def test_a_record_that_changes_while_it_is_loaded_is_not_created_twice(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None))

    class EditedMeanwhile:
        """A client whose first reading of the fields gives QBench the time for an edit."""

        def __init__(self, crm: Crm) -> None:
            self._crm = crm

        def __getattr__(self, name: str) -> Any:
            return getattr(self._crm, name)

        def fields(self, record_type: Any) -> Any:
            salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
            return self._crm.fields(record_type)

    def connect(spec: IntegrationSpec) -> Crm:
        return EditedMeanwhile(salesforce.connect(spec))

    report = salesforce.load(spec, ACCOUNT, connect=connect, frame_rows=2)
    assert salesforce.names() == ["Renamed"]
    assert report.rows == report.accounted == 3


def test_two_integrations_on_one_key_never_write_to_each_other_s_records(salesforce: Bench) -> None:
    acme, beta = salesforce.spec(), salesforce.spec(name="beta")
    salesforce.given(acme, ACCOUNT, customer(1, customer_name="Of acme"))
    salesforce.stage(beta, ACCOUNT, customer(1, customer_name="Of beta"))
    with pytest.raises(ConfigurationError, match="integration beta: integration acme writes the same external key"):
        salesforce.load(beta, ACCOUNT)
    assert salesforce.names() == ["Of acme"]


def test_accounts_merged_in_the_crm_end_as_a_conflict_and_the_rest_of_the_batch_is_stored(hubspot: Bench) -> None:
    spec = hubspot.spec(external_keys=False)
    links = hubspot.given(spec, ACCOUNT, customer(1), customer(2), customer(3))
    hubspot.sandbox.portal.merge("companies", links[1], links[2])
    hubspot.stage(spec, ACCOUNT, customer(1, 200, customer_name="One"))
    hubspot.load(spec, ACCOUNT, window=Window(since=200, until=201))
    hubspot.stage(spec, ACCOUNT, customer(2, 300, customer_name="Two"), customer(3, 300, customer_name="Three"))
    hubspot.load(spec, ACCOUNT, window=Window(since=300, until=301))
    assert hubspot.outcomes() == {1: ("updated", None), 2: ("skipped", "LinkConflictException"), 3: ("updated", None)}


def test_a_mapping_that_can_never_work_is_refused_with_every_problem_before_any_write(salesforce: Bench) -> None:
    fields = {"salesforce.Nope__c": "tier", "salesforce.Neither__c": "tier", "hubspot.nope": "tier", "hubspot.neither": "tier"}
    spec = salesforce.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, **fields}})
    salesforce.stage(spec, ACCOUNT, customer(1))
    with pytest.raises(MappingError) as refused:
        salesforce.load(spec, ACCOUNT)
    assert len(refused.value.problems) == 2
    assert salesforce.names() == []


def test_a_match_key_that_the_crm_does_not_have_is_refused_before_any_write_instead_of_finding_nothing(bench: Bench) -> None:
    misspelt = {"salesforce": "name", "hubspot": "Name"}[bench.crm]
    spec = bench.spec(accounts={**BY_NAME, "sync_on": [{"name": {bench.crm: misspelt}}]})
    bench.add_account("Lab 1")
    bench.stage(spec, ACCOUNT, customer(1))
    with pytest.raises(MappingError, match=rf"{misspelt} \(match key for name\) .* its name is {CRM_FIELDS[bench.crm, ACCOUNT]['name']}$"):
        bench.load(spec, ACCOUNT)
    assert bench.names() == ["Lab 1"]


def test_a_directly_mapped_field_that_is_blank_in_every_record_is_left_out(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, "salesforce.Site": "site", "hubspot.domain": "site"}})
    salesforce.stage(spec, ACCOUNT, customer(1))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"created": 1}


def test_an_if_blank_field_is_sent_only_into_an_empty_one(salesforce: Bench) -> None:
    mapping = {**LEAN_ACCOUNT_MAP, "industry": {"from": "industry", "policy": "if_blank"}}
    spec = salesforce.spec(accounts={**BY_NAME, "map": mapping})
    empty, filled = (salesforce.add(ACCOUNT, {"Name": f"Lab {number}", "Industry": held}) for number, held in ((1, None), (2, "Chemicals")))
    salesforce.stage(spec, ACCOUNT, customer(1, industry="Food"), customer(2, industry="Food"))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"linked": 2}
    assert [salesforce.sandbox.org.record("Account", account)["Industry"] for account in (empty, filled)] == ["Food", "Chemicals"]
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 2}


@pytest.mark.parametrize(("chosen", "wanted"), [({}, "Germany"), ({"country_format": "code"}, "DE")])
def test_a_country_is_written_in_the_form_that_the_crms_settings_choose(bench: Bench, chosen: dict[str, str], wanted: str) -> None:
    field = {"salesforce": "BillingCountry", "hubspot": "country"}[bench.crm]
    spec = bench.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, "address": {"country": "country_name"}}}, settings=chosen)
    bench.stage(spec, ACCOUNT, customer(1, country_name="Deutschland"))
    bench.load(spec, ACCOUNT)
    assert bench.values(ACCOUNT, field) == [wanted]


def test_a_change_empties_only_what_the_mapping_clears_and_names_what_is_sent_at_the_creation_only(salesforce: Bench) -> None:
    mapping = {**LEAN_ACCOUNT_MAP, "website": "website", "description": {"from": "comments", "clear": True}}
    spec = salesforce.spec(accounts={"map": mapping})
    salesforce.stage(spec, ACCOUNT, customer(1, phone="512 555 0102", comments="Before", website="https://lab.example.org"))
    salesforce.load(spec, ACCOUNT)
    salesforce.stage(spec, ACCOUNT, customer(1, 200, phone="512 555 0199", comments=None, website=None, customer_name="Renamed"))
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"updated": 1}
    (account,) = salesforce.sandbox.org.records("Account")
    kept = {"Name": "Renamed", "Phone": "+15125550102", "Description": None, "Website": "https://lab.example.org"}
    assert {name: account[name] for name in kept} == kept
    assert salesforce.rows("SELECT reason FROM crm_pipeline.outcome") == [("not_pushed: Phone",)]
    assert dict(salesforce.load(spec, ACCOUNT).outcomes) == {"unchanged": 1}


def test_what_was_loaded_before_a_stop_is_kept_and_only_the_rest_is_sent(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 251)))
    break_create(salesforce, "status", status=503, skip=1)
    with pytest.raises(ServiceError):
        salesforce.load(spec, ACCOUNT)
    assert len(salesforce.names()) == 200
    report = salesforce.load(spec, ACCOUNT, window=EVERYTHING)
    assert dict(report.outcomes) == {"unchanged": 200, "created": 50}
