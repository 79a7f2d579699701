"""HubSpot's own client library works against the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.hubspot.history import person
from crm_pipeline.sandbox.hubspot.settings import LIST_SCOPES, SCOPES
from crm_pipeline_tests.sandbox.hubspot.conftest import Serve, contact_row, pair, reading, searching


def test_the_official_client_upserts_with_a_207_associates_reads_and_searches(served_portal: Serve) -> None:
    from hubspot import HubSpot

    served = served_portal(index_lag_seconds=0)
    client: Any = HubSpot(access_token=served.portal.token, host=served.url, retry=False)
    company = client.crm.companies.basic_api.create({"properties": {"name": "Acme"}, "associations": []})

    upserted = client.crm.contacts.batch_api.upsert({"inputs": [contact_row(1), contact_row(2, email="bad")]})
    assert type(upserted).__name__ == "BatchResponseSimplePublicUpsertObjectWithErrors"
    assert [(row.new, row.properties["qbench_id"]) for row in upserted.results] == [(True, "1")]
    assert [error.context["objectWriteTraceId"] for error in upserted.errors] == [["trace-2"]]

    contact = upserted.results[0].id
    client.crm.associations.v4.batch_api.create("contacts", "companies", {"inputs": [pair(contact, company.id, 279, 1)]})
    assert served.portal.associations() == [(contact, company.id, frozenset({1, 279}))]

    read = client.crm.contacts.batch_api.read(reading(contact, "404"))
    assert ([row.id for row in read.results], read.errors[0].context) == ([contact], {"ids": ["404"]})
    assert client.crm.contacts.search_api.do_search(searching()).total == 1
    assert "qbench_id" in [prop.name for prop in client.crm.properties.core_api.get_all("contacts").results]
    assert client.crm.owners.owners_api.get_page().results == []


def test_the_official_client_reads_histories_and_lists(served_portal: Serve) -> None:
    from hubspot import HubSpot

    served = served_portal(scopes=SCOPES | LIST_SCOPES)
    client: Any = HubSpot(access_token=served.portal.token, host=served.url, retry=False)
    company = served.portal.add("companies", {"name": "Acme"}, by=person(7))
    read = client.crm.companies.batch_api.read(reading(company, propertiesWithHistory=["name"]))
    assert [(one.value, one.source_type, one.updated_by_user_id) for one in read.results[0].properties_with_history["name"]] == [
        ("Acme", "CRM_UI", 7)
    ]

    made = served.portal.lists.add("Lab customers", "companies")
    served.portal.lists.join(made, company)
    assert client.crm.lists.lists_api.get_by_name("lab customers", "0-2").list.list_id == made
    page = client.crm.lists.memberships_api.get_page(made, limit=250)
    assert [one.record_id for one in page.results] == [company]
    assert [one.list_id for one in client.crm.lists.memberships_api.get_lists("0-2", company).results] == [made]
    assert client.crm.lists.lists_api.do_search({"query": "lab", "additionalProperties": [], "offset": 0}).total == 1


def test_the_official_client_raises_on_a_wrong_token(served_portal: Serve) -> None:
    from hubspot import HubSpot
    from hubspot.crm.contacts import ApiException

    served = served_portal()
    client: Any = HubSpot(access_token="wrong", host=served.url, retry=False)
    with pytest.raises(ApiException) as raised:
        client.crm.contacts.basic_api.get_page()
    assert raised.value.status == 401
