"""How contacts are linked to customers, and which of them are invited to the customer's portal?

Source: QBench's OpenAPI document, v2: both sides take an array and answer 204 without a body. Assumed: an id that the path names may be
left out of a row, and is refused where the row names another; one wrong row refuses all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from crm_pipeline.sandbox.qbench_access import problem, refused
from crm_pipeline.sandbox.qbench_writes import read_array
from crm_pipeline.sandbox.tenant import Invitation, Kind, QBenchTenant, Record

ID_NAME: Mapping[Kind, str] = {"customers": "customer_id", "contacts": "contact_id"}
JSON_TYPES: Mapping[str, type] = {
    "contact_id": int,
    "customer_id": int,
    "portal_user": bool,
    "send_portal_invite": bool,
    "receive_email": bool,
    "receive_invoice_email": bool,
    "portal_role_ids": list,
    "contact": dict,
    "customer": dict,
    "preferences": dict,
}
"""What a row may hold; anything else in it is dropped."""


async def link(tenant: QBenchTenant, kind: Kind, request: Request) -> Response:
    """Answer ``POST /contacts/{id}/customers`` or ``POST /customers/{id}/contacts``."""
    rows = await read_array(request, longest=tenant.habits.longest_array)
    with tenant.lock:
        own_id = live_id(tenant, kind, request.path_params["id"])
        given = [{ID_NAME[kind]: own_id, **row} for row in rows]
        problems = [
            problem(position, name, error) for position, row in enumerate(given) for name, error in _wrong(tenant, row, kind, own_id)
        ]
        if problems:
            raise refused(400, "bad_request", "the links are not valid", errors=problems)
        for row in given:
            _link(tenant, row)
    return Response(status_code=204)


def unlink(tenant: QBenchTenant, request: Request) -> Response:
    """Answer ``DELETE /customers/{id}/contacts/{contact_id}``."""
    with tenant.lock:
        customer_id = live_id(tenant, "customers", request.path_params["id"])
        contact_id = live_id(tenant, "contacts", request.path_params["contact_id"])
        if customer_id not in tenant.customer_ids[contact_id]:
            raise refused(404, "not_found", "the contact is not linked to the customer")
        _set_customers(tenant, contact_id, [key for key in tenant.customer_ids[contact_id] if key != customer_id])
    return Response(status_code=204)


def live_id(tenant: QBenchTenant, kind: Kind, record_id: int) -> int:
    """The id; raises Refused with 404 where there is no such record or it is deleted."""
    if record_id not in tenant.tables[kind].rows or record_id in tenant.tables[kind].deleted_at:
        raise refused(404, "not_found", f"no record {record_id}")
    return record_id


def _wrong(tenant: QBenchTenant, row: Record, kind: Kind, own_id: int) -> list[tuple[str, str]]:
    found = [(name, "type_error") for name, json_type in JSON_TYPES.items() if name in row and type(row[name]) is not json_type]
    found += [(name, "value_error.missing") for name in ID_NAME.values() if name not in row]
    if found:
        return found
    found += [(name, "value_error.unknown") for each, name in ID_NAME.items() if not _is_live(tenant, each, row[name])]
    if row[ID_NAME[kind]] != own_id:
        found.append((ID_NAME[kind], "value_error.other_than_path"))
    if not found and tenant.habits.repeated_link == "refused" and row["customer_id"] in tenant.customer_ids[row["contact_id"]]:
        found.append((ID_NAME["customers"], "value_error.linked"))
    return found


def _is_live(tenant: QBenchTenant, kind: Kind, record_id: Any) -> bool:
    return record_id in tenant.tables[kind].rows and record_id not in tenant.tables[kind].deleted_at


def _link(tenant: QBenchTenant, row: Record) -> None:
    contact_id, customer_id = row["contact_id"], row["customer_id"]
    _set_customers(tenant, contact_id, [*tenant.customer_ids[contact_id], customer_id])
    if row.get("send_portal_invite", tenant.habits.invites_unless_told):
        tenant.invitations.append(Invitation(contact_id, customer_id))


def _set_customers(tenant: QBenchTenant, contact_id: int, customers: list[int]) -> None:
    tenant.belong(contact_id, customers)
    if tenant.habits.links_touch:
        tenant.edit("contacts", contact_id, {}, stamp=tenant.stamp())
