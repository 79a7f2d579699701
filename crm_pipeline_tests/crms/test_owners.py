"""Who may own records, as each CRM says."""

from __future__ import annotations

from contextlib import closing
from typing import cast

from crm_pipeline.crms.abilities import OwnersCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.schemas import OWNERS
from crm_pipeline_tests.crms.hubspot_bench import connect_hubspot
from crm_pipeline_tests.crms.salesforce_bench import connect_salesforce

Found = dict[str, tuple[str | None, str | None]]


def asked(crm: Crm, *users: str) -> Found:
    """Owner id and problem by user."""
    with closing(crm):
        frame = OWNERS.check(cast(OwnersCrm, crm).owners(list(users))).astype(object)
    return {row.user: (row.owner_id, row.problem) for row in frame.where(frame.notna(), None).itertuples()}


def test_salesforce_users_are_found_by_id_and_username_and_must_be_active(sandbox: Sandbox) -> None:
    ana = sandbox.org.add_user(username="ana@acme.example", last_name="Ruiz")
    left = sandbox.org.add_user(username="left@acme.example", last_name="Gone", active=False)
    users = (ana, ana[:15], "Ana@acme.example", left, "nobody@acme.example", "005000000000000AAA", ana.lower())
    assert asked(connect_salesforce(sandbox), *users) == {
        ana: (ana, None),
        ana[:15]: (ana, None),
        "Ana@acme.example": (ana, None),
        left: (None, "inactive"),
        "nobody@acme.example": (None, "unknown"),
        "005000000000000AAA": (None, "unknown"),
        ana.lower(): (None, "unknown"),
    }


def test_hubspot_owners_are_found_by_id_and_email_never_by_user_id(sandbox: Sandbox) -> None:
    portal = sandbox.portal
    ana, left = portal.add_owner("ana@acme.example"), portal.add_owner("left@acme.example", archived=True)
    for _ in range(2):
        portal.add_owner("twice@acme.example")
    user_id = str(portal.owners[0]["userId"])
    users = (ana, "Ana@acme.example", left, "left@acme.example", "twice@acme.example", user_id)
    for family in ("v3", "2026-03"):
        assert asked(connect_hubspot(sandbox, path_family=family), *users) == {
            ana: (ana, None),
            "Ana@acme.example": (ana, None),
            left: (None, "inactive"),
            "left@acme.example": (None, "inactive"),
            "twice@acme.example": (None, "ambiguous"),
            user_id: (None, "unknown"),
        }


def test_hubspot_owners_are_read_page_by_page(sandbox: Sandbox) -> None:
    last = [sandbox.portal.add_owner(f"owner{number}@acme.example") for number in range(501)][-1]
    assert asked(connect_hubspot(sandbox), last) == {last: (last, None)}
    assert len(sandbox.journal.calls("hubspot")) == 2
