"""Records that are gone: in the bin, restored, purged, or deleted for privacy, and what search and reads make of each."""

from __future__ import annotations

import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, create_row, reading, searching

CONTACTS = f"{OBJECTS}/contacts"
COMPANIES = f"{OBJECTS}/companies"
DAY = 86_400


def found(served: Served, path: str) -> list[str]:
    """The ids that search shows."""
    return [row["id"] for row in served.post(f"{path}/search", searching())["results"]]


def test_what_the_api_deletes_search_shows_for_a_while(served_portal: Serve) -> None:
    served = served_portal(search_calls=None)
    company = served.portal.add("companies", {"name": "Acme"})
    served.post(f"{COMPANIES}/batch/archive", {"inputs": [{"id": company}]}, expect=204)
    served.get(f"{COMPANIES}/{company}", expect=404)
    assert found(served, COMPANIES) == [company]
    served.clock.now += 3
    assert found(served, COMPANIES) == []


def test_a_deleted_record_can_be_restored_for_ninety_days(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.archive("companies", company)
    hubspot.clock.now += 89 * DAY
    assert hubspot.get(f"{COMPANIES}/{company}", archived="true")["archivedAt"] == "2026-11-18T11:06:40.000Z"
    hubspot.portal.restore("companies", company)
    shown = hubspot.get(f"{COMPANIES}/{company}")
    assert (shown["archived"], shown["updatedAt"]) == (False, "2027-02-15T11:06:40.000Z")
    assert found(hubspot, COMPANIES) == [company]


@pytest.mark.parametrize("setting", ["free", "taken"])
def test_after_ninety_days_it_is_gone_with_its_values(served_portal: Serve, setting: str) -> None:
    served = served_portal(archived_values=setting)
    person = served.portal.add("contacts", {"email": "ada@example.com"})
    served.portal.archive("contacts", person)
    served.clock.now += 90 * DAY + 1
    served.get(f"{CONTACTS}/{person}", archived="true", expect=404)
    served.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email="ada@example.com")]}, expect=201)
    with pytest.raises(KeyError):
        served.portal.restore("contacts", person)


def test_a_privacy_deletion_is_told_from_an_emptied_bin_by_nothing(hubspot: Served) -> None:
    purged, forgotten = (hubspot.portal.add("contacts", {"email": f"{name}@example.com"}) for name in "ab")
    hubspot.portal.archive("contacts", purged)
    hubspot.portal.purge("contacts", purged)
    hubspot.portal.delete_for_privacy("contacts", forgotten)
    for archived in ("false", "true"):
        answer = hubspot.post(f"{CONTACTS}/batch/read?archived={archived}", reading(purged, forgotten), expect=207)
        assert answer["results"] == []
        assert [error["context"]["ids"] for error in answer["errors"]] == [[purged, forgotten]]
        for one in (purged, forgotten):
            hubspot.get(f"{CONTACTS}/{one}", archived=archived, expect=404)
    assert found(hubspot, CONTACTS) == []


def test_the_addresses_of_a_privacy_deletion_are_refused_for_ever(hubspot: Served) -> None:
    person = hubspot.portal.add("contacts", {"email": "ada@example.com", "hs_additional_emails": "countess@example.com"})
    hubspot.portal.delete_for_privacy("contacts", person)
    for address in ("ada@example.com", "Countess@example.com"):
        answer = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email=address)]}, expect=400)
        assert "GDPR" in answer["message"]


def test_a_privacy_deletion_takes_records_out_of_the_bin_too(hubspot: Served) -> None:
    person = hubspot.portal.add("contacts", {"email": "ada@example.com"})
    hubspot.portal.archive("contacts", person)
    hubspot.portal.delete_for_privacy("contacts", person)
    assert hubspot.portal.records("contacts", archived=True) == []


@pytest.mark.parametrize("objects", [OBJECTS, "/crm/objects/2026-03"])
def test_contacts_are_deleted_for_privacy_by_id_or_address(hubspot: Served, objects: str) -> None:
    first, _second = (hubspot.portal.add("contacts", {"email": f"{name}@example.com"}) for name in "ab")
    hubspot.post(f"{objects}/contacts/gdpr-delete", {"objectId": first}, expect=204)
    hubspot.post(f"{objects}/contacts/gdpr-delete", {"objectId": "b@example.com", "idProperty": "email"}, expect=204)
    assert hubspot.portal.records("contacts") == []
    hubspot.post(f"{objects}/contacts/gdpr-delete", {"objectId": first}, expect=404)
    hubspot.post(f"{objects}/contacts/gdpr-delete", {}, expect=400)


def test_an_address_that_nobody_has_is_refused_after_a_privacy_deletion(hubspot: Served) -> None:
    hubspot.post(f"{CONTACTS}/gdpr-delete", {"objectId": "ada@example.com", "idProperty": "email"}, expect=204)
    hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email="ada@example.com")]}, expect=400)


def test_companies_have_no_privacy_deletion(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.post(f"{COMPANIES}/gdpr-delete", {"objectId": company}, expect=404)


def test_a_deleted_company_takes_no_contact_with_it(hubspot: Served) -> None:
    person, company = hubspot.portal.add("contacts", {"email": "ada@example.com"}), hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.associate(person, company)
    hubspot.portal.archive("companies", company)
    shown = hubspot.get(f"{CONTACTS}/{person}", properties="associatedcompanyid")
    assert shown["properties"]["associatedcompanyid"] is None
