"""How SugarCRM is called: its session, its errors, its clock, and what must not be seen of the password."""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing

import pytest

from crm_pipeline.crms.abilities import ClockCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import ACCOUNTS
from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError
from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import written
from crm_pipeline_tests.crms.sugarcrm.test_writing import named
from crm_pipeline_tests.test_proxies import only

PASSWORD = SUGARCRM_CREDENTIALS["SUGARCRM_PASSWORD"]
SECRETS = (PASSWORD, hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest())


def test_session_that_ended_is_begun_anew_once(site: SugarSite, crm: Crm) -> None:
    written(crm, ACCOUNTS, named(1))
    site.end_sessions()
    assert written(crm, ACCOUNTS, named(2))[2]["error_type"] is None
    assert crm.calls.snapshot()["sign_in"] == 2


def test_proxy_that_is_no_http_proxy_is_passed_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {"all_proxy": "socks5://127.0.0.1:9"})
    with closing(bench.connect(external_key=None)) as crm:
        assert len(crm.fields(ACCOUNTS)) > 0


def test_sessions_that_end_at_once_are_an_error_and_no_endless_round(bench: Bench, crm: Crm) -> None:
    ended = {"name": "Invalid Session ID", "number": 11, "description": ""}
    bench.faults.add(Fault(path="#get_module_fields$", status=200, body=ended, times=None))
    with pytest.raises(ServiceError, match="ends each session at once"):
        crm.fields(ACCOUNTS)
    assert crm.calls.snapshot()["sign_in"] <= 3


def test_two_clients_of_one_user_do_not_end_each_others_sessions(bench: Bench, site: SugarSite, crm: Crm) -> None:
    """A cookie of the first sign-in would make the second session invalid."""
    assert site.voids_by_cookies
    with closing(bench.connect(external_key=None)) as other:
        for number, one in enumerate([crm, other, crm, other]):
            assert written(one, ACCOUNTS, named(number))[number]["error_type"] is None
        site.end_sessions()
        assert written(crm, ACCOUNTS, named(7))[7]["error_type"] is None
    assert crm.calls.snapshot()["sign_in"] == 2


def test_session_that_idled_out_is_begun_anew_without_the_cookie_of_the_one_before(site: SugarSite, crm: Crm) -> None:
    """That cookie would make each session after it invalid."""
    assert site.voids_by_cookies
    written(crm, ACCOUNTS, named(1))
    now = site.clock
    site.clock = lambda: now() + site.session_seconds + 60
    assert written(crm, ACCOUNTS, named(2))[2]["error_type"] is None
    assert crm.calls.snapshot()["sign_in"] == 2


def test_what_the_user_may_not_ask_names_the_variable_of_the_user(bench: Bench, crm: Crm) -> None:
    refused = {"name": "Access Denied", "number": 40, "description": "You do not have access"}
    bench.faults.add(Fault(path="#get_module_fields$", status=200, body=refused, times=None))
    with pytest.raises(ServiceError, match="SUGARCRM_USER_NAME") as raised:
        crm.fields(ACCOUNTS)
    assert raised.value.code == "error 40"


def test_address_that_leads_to_another_page_is_told_with_the_address(bench: Bench, sandbox_url: str) -> None:
    with closing(bench.connect(external_key=None, url=f"{sandbox_url}/elsewhere")) as crm, pytest.raises(ServiceError, match="check url"):
        crm.organization()


def test_module_that_the_site_lacks_is_refused(bench: Bench, crm: Crm) -> None:
    missing = {"name": "Module Does Not Exist", "number": 20, "description": ""}
    bench.faults.add(Fault(path="#get_module_fields$", status=200, body=missing, times=None))
    with pytest.raises(RequestRefusedError, match="does not know get_module_fields"):
        crm.fields(ACCOUNTS)


def test_neither_password_nor_session_is_in_any_error_or_log(
    bench: Bench, site: SugarSite, crm: Crm, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in bench.kind.client_loggers:
        caplog.set_level(logging.WARNING, logger=name)
    written(crm, ACCOUNTS, named(1))
    seen = [*SECRETS, *site.sessions]
    bench.faults.add(Fault(path="#get_module_fields$", status=500, body=" ".join(seen), times=None))
    bench.faults.add(Fault(path="#login$", kind="html", body=" ".join(seen), times=None))
    errors = []
    for settings in ({}, {"password": {"env": "SUGARCRM_USER_NAME"}}):
        with closing(bench.connect(external_key=None, **settings)) as other, pytest.raises(ServiceError) as raised:
            other.organization()
        errors.append(f"{raised.value!s} {raised.value!r} {vars(raised.value)!r} {raised.value.__context__!r}")
    monkeypatch.setenv("SUGARCRM_PASSWORD", "another")
    bench.faults.clear()
    with closing(bench.connect(external_key=None)) as other, pytest.raises(AuthenticationError) as refused:
        other.organization()
    errors.append(f"{refused.value!s} {refused.value!r}")
    told = caplog.text + " ".join(errors)
    assert [secret for secret in seen if secret in told] == []


def test_clock_of_the_site_is_told_by_its_answers(site: SugarSite, crm: Crm) -> None:
    now = site.clock
    site.clock = lambda: now() + 90
    crm.fields(ACCOUNTS)
    assert isinstance(crm, ClockCrm)
    assert 88 < crm.clock_ahead.total_seconds() < 92


def test_organization_is_the_address(bench: Bench, sandbox_url: str, crm: Crm) -> None:
    assert crm.organization() == sandbox_url.removeprefix("http://")


@pytest.mark.parametrize(
    ("url", "pages", "page"),
    [
        ("https://crm.example.com", "auto", "https://crm.example.com/index.php?module=Accounts&action=DetailView&record=7"),
        ("https://crm.example.com/legacy", "auto", "https://crm.example.com/#/accounts/record/7"),
        ("https://crm.example.com/legacy", "7", "https://crm.example.com/legacy/index.php?module=Accounts&action=DetailView&record=7"),
    ],
)
def test_page_of_a_record_is_that_of_the_sites_version(bench: Bench, url: str, pages: str, page: str) -> None:
    assert bench.connect(external_key=None, url=url, pages=pages).record_url(ACCOUNTS, "7", org_id="") == page
