"""Who may call, how often, and which paths there are, rule by rule."""

from __future__ import annotations

import httpx
import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, contact_row, create_row, reading

CONTACTS = f"{OBJECTS}/contacts"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_a_missing_or_wrong_token_is_refused(hubspot: Served, header: dict[str, str]) -> None:
    answer = httpx.get(f"{hubspot.url}{CONTACTS}", headers=header, timeout=60)
    assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")


@pytest.mark.parametrize("path", ["/account-info/v3/details", "/account-info/2026-03/details"])
def test_the_account_tells_its_portal_id_and_time_zone(hubspot: Served, path: str) -> None:
    details = hubspot.get(path)
    assert (details["portalId"], details["timeZone"]) == (hubspot.portal.portal_id, "America/New_York")
    assert (details["utcOffset"], details["utcOffsetMilliseconds"]) == ("-05:00", -18_000_000)


@pytest.mark.parametrize("path", ["/crm/v3/owners", "/crm/v3/owners/", "/crm/owners/2026-03"])
def test_owners_are_found_by_email_and_paged(hubspot: Served, path: str) -> None:
    ids = [hubspot.portal.add_owner(f"owner{number}@example.com") for number in range(3)]
    hubspot.portal.add_owner("left@example.com", archived=True)
    assert [owner["id"] for owner in hubspot.get(path, email="owner1@example.com")["results"]] == [ids[1]]
    first = hubspot.get(path, limit="2")
    second = hubspot.get(path, limit="2", after=first["paging"]["next"]["after"])
    assert [owner["id"] for owner in first["results"] + second["results"]] == ids
    assert all(owner["id"] != str(owner["userId"]) for owner in first["results"])


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v5/objects/contacts",
        "/crm/objects/2026-09/contacts",
        "/crm/v4/objects/contacts/batch/upsert",
        "/crm/v3/associations/x/y/labels",
    ],
)
def test_other_families_of_paths_do_not_exist(hubspot: Served, path: str) -> None:
    hubspot.get(path, expect=404)


@pytest.mark.parametrize("name", ["contacts", "contact", "0-1"])
def test_an_object_goes_by_its_names_and_its_type_id(hubspot: Served, name: str) -> None:
    hubspot.get(f"{OBJECTS}/{name}")


def test_an_object_that_is_not_there_is_refused(hubspot: Served) -> None:
    hubspot.get(f"{OBJECTS}/deals", expect=400)


def test_a_body_that_is_no_json_is_refused(hubspot: Served) -> None:
    answer = hubspot.http.post(f"{CONTACTS}/batch/read", content=b"<xml>")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Invalid input JSON")


def test_writing_needs_the_scope_of_the_object(served_portal: Serve) -> None:
    served = served_portal(scopes=frozenset({"crm.objects.contacts.read"}))
    answer = served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1)]}, expect=403)
    assert answer["errors"][0]["context"]["requiredGranularScopes"] == ["crm.objects.contacts.write"]
    served.get("/crm/v3/owners", expect=403)
    served.get("/account-info/v3/details")


def test_answers_count_down_the_calls_of_ten_seconds_and_of_the_day(hubspot: Served) -> None:
    headers = [hubspot.http.get(CONTACTS).headers for _ in range(2)]
    assert [header["X-HubSpot-RateLimit-Remaining"] for header in headers] == ["189", "188"]
    assert headers[0]["X-HubSpot-RateLimit-Max"] == "190"
    assert headers[0]["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert headers[0]["X-HubSpot-RateLimit-Daily"] == "650000"
    assert [header["X-HubSpot-RateLimit-Daily-Remaining"] for header in headers] == ["649999", "649998"]


def test_the_call_over_the_burst_limit_is_a_429_until_the_window_has_passed(served_portal: Serve) -> None:
    served = served_portal(burst_calls=2)
    served.get(CONTACTS)
    served.clock.now += 6
    served.get(CONTACTS)
    answer = served.http.post(f"{CONTACTS}/batch/create", json={"inputs": [create_row(email="a@example.com")]})
    body = answer.json()
    assert (answer.status_code, body["errorType"], body["policyName"]) == (429, "RATE_LIMIT", "TEN_SECONDLY_ROLLING")
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert served.portal.records("contacts") == []
    served.clock.now += 4
    served.get(CONTACTS)


def test_the_burst_limit_can_be_switched_off(served_portal: Serve) -> None:
    served = served_portal(burst_calls=0)
    served.get("/account-info/v3/details", expect=429)
    served.portal.burst_calls = None
    answer = served.http.get("/account-info/v3/details")
    assert answer.status_code == 200
    assert "X-HubSpot-RateLimit-Max" not in answer.headers


def test_the_daily_limit_holds_until_midnight_in_the_accounts_time_zone(served_portal: Serve) -> None:
    served = served_portal(daily_calls=1_000, time_zone="Asia/Tokyo")
    served.portal.use_day(999)
    served.get(CONTACTS)
    assert served.get(CONTACTS, expect=429)["policyName"] == "DAILY"
    into_the_day = (served.clock.now + 9 * 3600) % 86_400
    served.clock.now += 86_400 - into_the_day - 1
    served.get(CONTACTS, expect=429)
    served.clock.now += 1
    served.get(CONTACTS)


def test_batch_writes_too_soon_after_one_another_can_be_locked_out(served_portal: Serve) -> None:
    served = served_portal(lock_seconds=2)
    served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1)]})
    served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(2)]}, expect=423)
    served.post(f"{CONTACTS}/batch/read", reading("1", idProperty="qbench_id"))
    served.clock.now += 2
    served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(2)]})
