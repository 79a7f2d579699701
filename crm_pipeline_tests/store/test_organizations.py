"""One organization per integration and service, and one writer per external key there (docs/rules.md, 1 and 2)."""

from __future__ import annotations

from typing import Literal

import pytest

from crm_pipeline.errors import ConfigurationError, WrongOrgError
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_records import pend, pending_crm_ids
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import adopt_organization, require_organization


def require(store: Store, integration: str, org_id: str, *, key_space: str | None = None) -> None:
    with store.transaction() as connection:
        require_organization(connection, integration, "crm", org_id=org_id, key_space=key_space)


def test_the_first_organization_is_kept_and_met_again(store: Store) -> None:
    require(store, "acme", "00D1")
    require(store, "acme", "00D1")


def test_another_organization_is_refused_naming_both(store: Store) -> None:
    require(store, "acme", "00D1")
    with pytest.raises(WrongOrgError, match=r"00D2.*00D1.*Correct the url or the credentials"):
        require(store, "acme", "00D2")


def test_two_integrations_with_one_key_in_one_organization_are_refused(store: Store) -> None:
    require(store, "acme", "00D1", key_space="QBench_Id__c: ")
    with pytest.raises(ConfigurationError, match="integration other: integration acme writes the same external key"):
        require(store, "other", "00D1", key_space="QBench_Id__c: ")


def test_who_renamed_an_integration_is_told_to_take_the_name_back(store: Store) -> None:
    require(store, "acme", "00D1", key_space="QBench_Id__c: ")
    with pytest.raises(ConfigurationError, match="if it is acme that was renamed, give its folder the old name again"):
        require(store, "acme_labs", "00D1", key_space="QBench_Id__c: ")


@pytest.mark.parametrize("key_space", ["QBench_Id__c: US-", "qbench_id__c: us-", "QBench_Id__c: us -"])
def test_keys_that_differ_in_case_or_white_space_alone_are_one(store: Store, key_space: str) -> None:
    require(store, "acme", "00D1", key_space="QBench_Id__c: us-")
    with pytest.raises(ConfigurationError, match="give one of them an external_key_prefix"):
        require(store, "other", "00D1", key_space=key_space)


@pytest.mark.parametrize("key_space", ["QBench_Id__c: uk-", "Other__c: ", None])
def test_integrations_that_write_other_keys_share_an_organization(store: Store, key_space: str | None) -> None:
    require(store, "acme", "00D1", key_space="QBench_Id__c: ")
    require(store, "other", "00D1", key_space=key_space)


def test_a_changed_prefix_frees_the_keys_written_before(store: Store) -> None:
    require(store, "acme", "00D1", key_space="QBench_Id__c: ")
    require(store, "acme", "00D1", key_space="QBench_Id__c: us-")
    require(store, "other", "00D1", key_space="QBench_Id__c: ")


@pytest.mark.parametrize(("links", "left"), [("keep", ["001A"]), ("forget", [])])
def test_with_the_links_the_readings_of_another_organization_are_forgotten(
    store: Store, links: Literal["keep", "forget"], left: list[str]
) -> None:
    state = CrmState("acme", "crm", RecordType.ACCOUNT)
    require(store, "acme", "00D1")
    with store.transaction() as connection:
        pend(connection, state, crm_ids=["001A"])
        adopt_organization(connection, "acme", "crm", org_id="00D2", key_space=None, links=links)
        assert pending_crm_ids(connection, state) == left
