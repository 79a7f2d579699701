"""HubSpot's own client library works against the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

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

    person = upserted.results[0].id
    client.crm.associations.v4.batch_api.create("contacts", "companies", {"inputs": [pair(person, company.id, 279, 1)]})
    assert served.portal.associations() == [(person, company.id, frozenset({1, 279}))]

    read = client.crm.contacts.batch_api.read(reading(person, "404"))
    assert ([row.id for row in read.results], read.errors[0].context) == ([person], {"ids": ["404"]})
    assert client.crm.contacts.search_api.do_search(searching()).total == 1
    assert "qbench_id" in [prop.name for prop in client.crm.properties.core_api.get_all("contacts").results]
    assert client.crm.owners.owners_api.get_page().results == []


def test_the_official_client_raises_on_a_wrong_token(served_portal: Serve) -> None:
    from hubspot import HubSpot
    from hubspot.crm.contacts import ApiException

    served = served_portal()
    client: Any = HubSpot(access_token="wrong", host=served.url, retry=False)
    with pytest.raises(ApiException) as raised:
        client.crm.contacts.basic_api.get_page()
    assert raised.value.status == 401
