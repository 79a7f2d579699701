"""How the SugarCRM stand-in is called: the form, sessions, errors, the clock, and faults that are planned for it.

Sources: SuiteCRM documentation, "API v4.1"; SugarCRM developer guide, "Legacy API"; what neither says was seen on SuiteCRM 7.14.6
to 8.10.1.
"""

from __future__ import annotations

import httpx
import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sandbox.sugarcrm.conftest import Serve, Served, named, new


def test_arguments_count_by_their_place_whatever_they_are_called(sugar: Served) -> None:
    """Legacy API, "REST": rest_data holds the arguments in order."""
    assert sugar.post("get_user_id", sugar.session).json() == sugar.site.user_id
    assert sugar.post("get_entry_list", "Accounts", sugar.session, "", "", 0, [], [], 1).json()["number"] == 11


def test_a_missing_argument_is_a_500_without_a_word(sugar: Served) -> None:
    answer = sugar.post("get_entry_list", sugar.session, "Accounts")
    assert (answer.status_code, answer.content) == (500, b"")


def test_broken_rest_data_is_a_call_without_arguments(sugar: Served) -> None:
    assert sugar.post("get_server_info", rest_data="{broken").json()["flavor"] == "CE"
    assert sugar.post("get_user_id", rest_data="{broken").status_code == 500
    assert sugar.post("get_user_id", rest_data='["half a sign \\ud83e"]').status_code == 500


def test_a_get_is_answered_with_a_page(sugar: Served) -> None:
    answer = sugar.http.get(sugar.site.path)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_the_api_of_suitecrm_8_lies_below_legacy(served_site: Serve) -> None:
    """SuiteCRM 8 documentation, "Legacy API"."""
    site = served_site(version="8.10.1")
    assert site.site.path == "/legacy/service/v4_1/rest.php"
    assert site.http.post("/service/v4_1/rest.php").status_code == 404


def test_a_wrong_password_is_error_10_of_status_200(sugar: Served) -> None:
    """API v4.1 Methods, "login": the password is its MD5."""
    assert sugar.login(password="wrong")["number"] == 10
    plain = {"user_name": sugar.site.user_name, "password": sugar.site.password}
    assert sugar.post("login", plain).json()["number"] == 10


def test_the_password_is_shown_nowhere(sugar: Served) -> None:
    sugar.login(password="wrong")
    assert not any(secret in f"{sugar.site!r} {sugar.site.asked}" for secret in (sugar.site.password, sugar.session))


def test_an_unknown_session_is_error_11(sugar: Served) -> None:
    assert sugar.post("get_user_id", "nonsense").json()["number"] == 11


def test_a_session_ends_when_it_is_not_used(sugar: Served) -> None:
    for seconds, answer in ((1_440, sugar.site.user_id), (1_440, sugar.site.user_id), (1_441, 11)):
        sugar.clock.now += seconds
        said = sugar.call("get_user_id")
        assert answer == (said["number"] if isinstance(said, dict) else said)


def test_a_session_ends_at_logout(sugar: Served) -> None:
    """API v4.1 Methods, "logout"."""
    assert sugar.call("logout") is None
    assert sugar.call("get_user_id")["number"] == 11


def test_two_sessions_of_one_user_live_side_by_side(sugar: Served) -> None:
    sugar.login()
    assert sugar.call("get_user_id") == sugar.site.user_id


@pytest.mark.parametrize(("version", "works"), [("7.14.6", True), ("7.15.0", False), ("8.10.1", False)])
def test_a_cookie_of_the_last_sign_in_voids_the_session_of_the_next(served_site: Serve, version: str, *, works: bool) -> None:
    site = served_site(version=version)
    cookie = site.post("login", site.credentials()).headers["set-cookie"].partition(";")[0]
    session = site.post("login", site.credentials(), headers={"cookie": cookie}).json()["id"]
    assert (site.post("get_user_id", session).json() == site.site.user_id) is works


def test_sessions_can_be_ended_from_outside(sugar: Served) -> None:
    sugar.site.end_sessions()
    assert sugar.call("get_user_id")["number"] == 11


def test_an_unknown_module_is_error_20_and_an_unknown_method_minus_1(sugar: Served) -> None:
    assert sugar.call("get_module_fields", "Nonsense")["number"] == 20
    assert sugar.call("get_nonsense")["number"] == -1


def test_the_server_tells_its_time_in_utc(sugar: Served) -> None:
    """API v4.1 Methods, "get_server_info"; SuiteCRM goes by the version of SugarCRM that it came from."""
    assert sugar.post("get_server_info").json() == {"flavor": "CE", "version": "6.5.25", "gmt_time": "2026-11-18 11:06:40"}


def test_failed_sql_answers_a_text_or_nothing(served_site: Serve) -> None:
    for text in ("Database failure. Please refer to suitecrm.log for details.", ""):
        site = served_site(failure_body=text)
        answer = site.post("get_entry_list", site.session, "Accounts", "accounts.nonsense = 1", "", 0, [], [], 1)
        assert (answer.status_code, answer.text) == (500, text)


def test_the_methods_are_counted_with_their_modules_and_rows(sugar: Served) -> None:
    sugar.save("Accounts", {"name": "A"}, {"name": "B"})
    assert [(asked.method, asked.module, asked.rows) for asked in sugar.site.asked] == [
        ("login", None, 0),
        ("set_entries", "Accounts", 2),
    ]


def test_a_fault_can_be_planned_for_a_method_and_for_a_record(sugar: Served) -> None:
    sugar.faults.add(Fault(holding="method=set_entries&", naming="11111111-aaaa", kind="drop_after"))
    with pytest.raises(httpx.RemoteProtocolError):
        sugar.post("set_entries", sugar.session, "Accounts", [named(new("11111111-aaaa", name="A"))])
    assert sugar.ids("Accounts") == ["11111111-aaaa"]
