"""``crm-pipeline send``: named records go to the CRMs at once, as QBench has them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import Result

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import ValidationRule
from crm_pipeline_tests.commands.conftest import Desk, written
from crm_pipeline_tests.orchestration.conftest import writes
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT
from crm_pipeline_tests.tenants import attributes


def send(desk: Desk, record_type: str, ids: str, *words: str) -> Result:
    return desk.type("send", "--integration", "acme", "--record-type", record_type, "--ids", ids, *words)


def test_named_records_are_read_now_and_go_to_every_crm_whatever_their_dates(desk: Desk) -> None:
    tenant = desk.bench.sandbox.tenant
    first, second, third = (tenant.add_customer(customer_name=f"Laboratory {number}", at=1_000 + number) for number in range(3))
    person = tenant.add_contact(customer_ids=[first], email_address="a@b.example.org", first_name="A", last_name="B", phone="512 555 0102")
    result = send(desk, "account", f"{first},{third}")
    assert (result.exit_code, result.output) == (0, "acme → hubspot accounts: 2 created\nacme → salesforce accounts: 2 created\n")
    tenant.edit_customer(first, customer_name="Renamed since", at=1_000)
    assert "1 unchanged, 1 updated" in send(desk, "account", f"{first},{third}", "--crm", "salesforce").output
    assert send(desk, "contact", str(person)).exit_code == 0
    assert (desk.bench.names(), desk.bench.emails()) == (["Laboratory 2", "Renamed since"], ["a@b.example.org"])
    assert desk.bench.rows(f"SELECT count(*) FROM crm_pipeline.raw_record WHERE qbench_id = {second}") == [(0,)]


def test_services_limits_are_kept_together_with_all_other_processes(desk: Desk) -> None:
    sandbox = desk.bench.sandbox
    send(desk, "account", str(sandbox.tenant.add_customer(customer_name="Laboratory", at=1_000)))
    accounts = {account for (account,) in desk.bench.rows("SELECT account FROM crm_pipeline.pace")}
    assert f"qbench {sandbox.qbench_url}" in accounts
    assert any(account.startswith("hubspot app") for account in accounts)


def test_what_one_crm_was_sent_goes_to_the_others_with_their_next_load(desk: Desk) -> None:
    tenant = desk.bench.sandbox.tenant
    number = tenant.add_customer(customer_name="Laboratory", at=1_000)
    send(desk, "account", str(number))
    tenant.edit_customer(number, customer_name="Renamed", at=1_000)
    send(desk, "account", str(number), "--crm", "hubspot")
    assert desk.bench.names() == ["Laboratory"]
    desk.bench.load(desk.spec, ACCOUNT)
    assert desk.bench.names() == ["Renamed"]


def test_of_a_record_that_does_not_arrive_is_said_who_tells_why(desk: Desk) -> None:
    nameless = desk.bench.sandbox.tenant.add_customer(customer_name=None, at=1_000)
    result = send(desk, "account", str(nameless), "--crm", "salesforce")
    assert (result.exit_code, result.stdout) == (1, "acme → salesforce accounts: 1 skipped\n")
    assert "1 record failed, skipped or waiting; `crm-pipeline errors` tells why" in result.stderr


def test_unchanged_records_cost_no_write_and_nothing_goes_into_qbench(desk: Desk) -> None:
    sandbox = desk.bench.sandbox
    number = sandbox.tenant.add_customer(customer_name="Laboratory", at=1_000)
    send(desk, "account", str(number))
    sandbox.journal.clear()
    assert "acme → salesforce accounts: 1 unchanged" in send(desk, "account", str(number)).output
    assert writes(sandbox) == []
    assert {call.method for call in sandbox.journal.calls("qbench") if "token" not in call.path} == {"GET"}


def test_records_that_qbench_lacks_or_fails_to_show_are_named_after_the_others_went(desk: Desk) -> None:
    sandbox = desk.bench.sandbox
    customer = sandbox.tenant.add_customer(customer_name="Laboratory", at=1_000)
    send(desk, "account", str(customer))
    fine, broken = (
        sandbox.tenant.add_contact(customer_ids=[customer], email_address=f"{name}@b.example.org", first_name="A", last_name="B", phone="1")
        for name in ("fine", "broken")
    )
    sandbox.faults.add(Fault(path=f"/contacts/{broken}$", status=500, times=None))
    result = send(desk, "contact", f"{fine},{broken},99", "--crm", "salesforce")
    assert result.exit_code == 1
    assert "acme → salesforce contacts: 1 created" in result.output
    assert "QBench does not have contact 99\nQBench fails to show contact" in result.output, result.output
    assert desk.bench.outcomes(CONTACT) == {fine: ("created", None)}


def test_what_became_of_the_records_is_told_as_json_too_where_some_failed_or_a_service_breaks_off(desk: Desk) -> None:
    sandbox = desk.bench.sandbox
    number = sandbox.tenant.add_customer(customer_name="Laboratory", at=1_000)
    sandbox.org.add_validation_rule(ValidationRule("Account", lambda _: True))
    refused = send(desk, "account", str(number), "--crm", "salesforce", "--json")
    which = {"integration": "acme", "crm": "salesforce", "record_type": "account"}
    assert (refused.exit_code, json.loads(refused.stdout)) == (1, [{**which, "outcomes": {"failed": 1}}])
    assert "Error: 1 record failed" in refused.stderr
    sandbox.faults.add(Fault(service="salesforce", status=503, times=None))
    broken = send(desk, "account", str(number), "--json")
    told = [(each["crm"], each["outcomes"]) for each in json.loads(broken.stdout)]
    assert (broken.exit_code, told) == (1, [("hubspot", {"created": 1}), ("salesforce", {})])


def test_a_record_of_a_type_that_does_not_sync_or_an_id_that_is_none_is_refused(desk: Desk) -> None:
    assert "give QBench ids as 12,13,14" in send(desk, "account", "twelve").output
    assert "--ids" in desk.type("send", "--integration", "acme", "--record-type", "account").output


def test_nothing_goes_to_a_crm_that_is_paused(desk: Desk, tmp_path: Path) -> None:
    sandbox = desk.bench.sandbox
    number = sandbox.tenant.add_customer(customer_name="Laboratory", at=1_000)
    settings = {**attributes(sandbox)["crms"]}
    settings["salesforce"] = {**settings["salesforce"], "send": False}
    [file] = tmp_path.rglob("defs.yaml")
    file.write_text(yaml.safe_dump(dict(written(sandbox, crms=settings))))
    said = send(desk, "account", str(number)).output
    assert "acme → hubspot accounts: 1 created" in said
    assert "acme → salesforce accounts: nothing is sent while `send: false` stands" in said
    assert desk.bench.names() == []
