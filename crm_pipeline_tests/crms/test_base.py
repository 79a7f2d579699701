"""What a CRM says of itself is looked at once, where it is said: what does not serve is told in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from crm_pipeline.crms.base import UPKEEP, Capabilities, CrmObject
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS, KIND
from crm_pipeline.model import RecordType

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.mark.parametrize("asset", ["business partners", "Firms", "firms/all", "e-firms", "2nd", "", *UPKEEP])
def test_object_that_cannot_name_an_asset_is_refused(asset: str) -> None:
    with pytest.raises(ValueError, match="give it a"):
        replace(COMPANIES, asset=asset)


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ({ACCOUNT: (COMPANIES,)}, "no object takes contacts"),
        ({ACCOUNT: (COMPANIES,), CONTACT: ()}, "no object takes contacts"),
        ({ACCOUNT: (COMPANIES,), CONTACT: (COMPANIES,)}, "companies stands among those of contacts, but takes accounts"),
        ({ACCOUNT: (COMPANIES,), CONTACT: (CONTACTS, CONTACTS)}, "two objects of contacts have one name"),
        ({ACCOUNT: (COMPANIES,), CONTACT: (replace(CONTACTS, asset="companies"),)}, "have one asset, companies"),
    ],
)
def test_objects_that_do_not_serve_are_refused(objects: Mapping[RecordType, tuple[CrmObject, ...]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(KIND, objects=objects)


def test_a_second_object_may_have_the_asset_of_the_usual_one() -> None:
    leads = replace(CONTACTS, name="leads")
    assert replace(KIND, objects={**KIND.objects, CONTACT: (CONTACTS, leads)}).object(CONTACT, "leads") == leads


@pytest.mark.parametrize(("rows", "associations"), [(0, 1), (1, 0), (-1, 1)])
def test_call_that_takes_no_row_is_refused(rows: int, associations: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Capabilities(batch_size=rows, association_batch_size=associations)


@pytest.mark.parametrize(("in_flight", "at_once"), [(1, 1), (2, 1), (5, 2), (20, 10)])
def test_half_of_the_calls_in_flight_go_at_once_while_the_answers_of_the_others_are_stored(in_flight: int, at_once: int) -> None:
    assert Capabilities(batch_size=1, association_batch_size=1, calls_in_flight=in_flight).calls_at_once == at_once
