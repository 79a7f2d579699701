"""The whole sandbox: services that accept the sandbox's credentials, the fourth only where it is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, Sandbox, seeded_sandbox, start_sandbox
from crm_pipeline.sandbox.tenant import QBenchTenant
from crm_pipeline_tests.sandbox.qbench_http import assertion, plain_client, sign_in


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start_sandbox() as sandbox:
        yield sandbox


def test_sandbox_is_empty_unless_given_something(sandbox: Sandbox) -> None:
    assert (sandbox.tenant.customers(), sandbox.org.records("Account"), sandbox.portal.records("companies")) == ([], [], [])


def test_qbench_accepts_the_sandbox_credentials(sandbox: Sandbox) -> None:
    text = assertion(sandbox.tenant, key=SANDBOX_CREDENTIALS["QBENCH_CLIENT_SECRET"], sub=SANDBOX_CREDENTIALS["QBENCH_CLIENT_ID"])
    with plain_client(sandbox.qbench_url) as client:
        assert sign_in(client, text).status_code == 200


def test_salesforce_accepts_the_sandbox_credentials(sandbox: Sandbox) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": SANDBOX_CREDENTIALS["SALESFORCE_CLIENT_ID"],
        "client_secret": SANDBOX_CREDENTIALS["SALESFORCE_CLIENT_SECRET"],
    }
    with plain_client(sandbox.salesforce_url) as client:
        assert client.post("/services/oauth2/token", data=form).status_code == 200


def test_hubspot_accepts_the_sandbox_credentials(sandbox: Sandbox) -> None:
    with plain_client(sandbox.hubspot_url) as client:
        headers = {"authorization": f"Bearer {SANDBOX_CREDENTIALS['HUBSPOT_TOKEN']}"}
        assert client.get("/crm/v3/objects/companies", headers=headers).status_code == 200


def test_sugarcrm_runs_only_where_it_is_asked_for_and_accepts_its_credentials(sandbox: Sandbox) -> None:
    assert (sandbox.sugarcrm_url, sandbox.site) == (None, None)
    with (
        seeded_sandbox(customers=20, contacts=40, seed=7, dirty=True, sugarcrm=True) as more,
        plain_client(more.sugarcrm_url or "") as client,
    ):
        assert more.site is not None
        password = hashlib.md5(SUGARCRM_CREDENTIALS["SUGARCRM_PASSWORD"].encode(), usedforsecurity=False).hexdigest()
        auth = {"user_name": SUGARCRM_CREDENTIALS["SUGARCRM_USER_NAME"], "password": password}
        form = {"method": "login", "input_type": "JSON", "response_type": "JSON", "rest_data": json.dumps([auth])}
        assert "id" in client.post(more.site.path, data=form).json()
        assert len(more.site.records("Accounts")) > len(more.site.records("Leads")) == 0


def test_calls_of_all_services_are_in_one_journal(sandbox: Sandbox) -> None:
    with plain_client() as client:
        for url in (sandbox.qbench_url, sandbox.salesforce_url, sandbox.hubspot_url):
            client.get(url)
    assert [call.service for call in sandbox.journal.calls()] == ["qbench", "salesforce", "hubspot"]


def test_given_tenant_is_served() -> None:
    tenant = QBenchTenant(client_id="someone")
    with start_sandbox(tenant=tenant) as sandbox, plain_client(sandbox.qbench_url) as client:
        assert sandbox.tenant is tenant
        assert sign_in(client, assertion(tenant)).status_code == 200
