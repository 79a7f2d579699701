"""What an organization's set-up says beside its fields: rights on objects, and duplicate rules. Asked by queries; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from crm_pipeline.crms.salesforce import KIND
from crm_pipeline.crms.salesforce.queries import compare, select
from crm_pipeline.crms.salesforce.settings import SalesforceSettings
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import AuthenticationError, RequestRefusedError

AREA = KIND.name
RIGHTS: Mapping[str, str] = MappingProxyType({"queryable": "read", "createable": "create", "updateable": "edit"})
"""What describe says of an object for the user who asks, and what the right is called in a permission set."""

RULE_FIELDS = ("Id", "DeveloperName", "SobjectType")


def rights(crm_object: str, described: Mapping[str, Any]) -> Finding:
    """Whether the user may do to an object's records what the sync does; what describe leaves out is taken for granted."""
    lacking = [right for member, right in RIGHTS.items() if described.get(member) is False]
    if not lacking:
        return Finding("ok", AREA, f"{crm_object}: rights", f"the user may {', '.join(RIGHTS.values())}")
    remedy = f"give the integration's user a permission set with {', '.join(RIGHTS.values())} and View All on {crm_object}"
    return Finding("problem", AREA, f"{crm_object}: rights", f"the user may not {', '.join(lacking)} records", remedy)


def sees_all(transport: SalesforceTransport, objects: Collection[str]) -> Iterator[Finding]:
    """Whether the user sees every record of objects, by the permission sets that it has, its profile's among them (Object Reference).

    One that sees only what is shared with it finds no other record, and makes it again.
    """
    try:
        mine = _all(transport, "PermissionSetAssignment", "PermissionSetId", compare("AssigneeId", "=", transport.user_id()))
        sets = [assignment["PermissionSetId"] for assignment in mine]
        everything = _all(transport, "PermissionSet", "Id", compare("Id", "IN", sets), compare("PermissionsViewAllData", "=", True))
        of_objects = compare("SobjectType", "IN", sorted(objects)), compare("PermissionsViewAllRecords", "=", True)
        granted = _all(transport, "ObjectPermissions", "SobjectType", compare("ParentId", "IN", sets), *of_objects)
    except (RequestRefusedError, AuthenticationError):
        yield Finding("ok", AREA, "View All", "not seen without the permission View Setup and Configuration")
        return
    for name in objects:
        subject = f"{name}: View All"
        if everything or any(one["SobjectType"] == name for one in granted):
            yield Finding("ok", AREA, subject, "the user sees every record")
        else:
            told = "the user sees only the records that are shared with it: others are not found, and may be made again"
            yield Finding("warning", AREA, subject, told, f"give the integration's user a permission set with View All on {name}")


def _all(transport: SalesforceTransport, sobject: str, field: str, *where: str) -> list[dict[str, Any]]:
    return [record for page in transport.query(select(sobject, ["Id", field], where=where)) for record in page]


def duplicate_rules(transport: SalesforceTransport, settings: SalesforceSettings, objects: Collection[str]) -> Iterator[Finding]:
    """The active duplicate rules of objects, which only users with *View Setup and Configuration* see (Object Reference, DuplicateRule).

    What a rule does about a duplicate, alert or block, is not told by queries.
    """
    where = [compare("IsActive", "=", True), compare("SobjectType", "IN", sorted(objects))]
    try:
        rules = [rule for page in transport.query(select("DuplicateRule", RULE_FIELDS, where=where)) for rule in page]
    except (RequestRefusedError, AuthenticationError):
        told = "not seen without the permission View Setup and Configuration; look at Setup, Duplicate Rules"
        yield Finding("ok", AREA, "duplicate rules", told)
        return
    if not rules:
        yield Finding("ok", AREA, "duplicate rules", f"none is active for {', '.join(sorted(objects))}")
    for rule in rules:
        name = f"{rule['SobjectType']}: duplicate rule"
        if settings.allow_duplicates == "none":
            told = f"{rule['DeveloperName']} is active: a save that it alerts of or blocks is refused, and told as a duplicate"
            remedy = "match by what it compares (`sync_on`), or let the API past its alerts with `allow_duplicates`"
        else:
            told = f"{rule['DeveloperName']} is active; allow_duplicates: {settings.allow_duplicates} passes its alerts, not its blocks"
            remedy = "see in Setup, Duplicate Rules, that its action is Allow"
        yield Finding("warning", AREA, name, told, remedy)
