"""The query resources: ``query``, ``queryAll`` and the pages after the first."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse
from crm_pipeline.sandbox.salesforce.errors import CallError
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.query import Found, run
from crm_pipeline.sandbox.salesforce.soql import parse

SMALLEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Cursor:
    """An answer that is longer than a page: what was found when the query ran, and its page size."""

    found: Found
    page_size: int


def query(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """GET query?q=… or queryAll?q=…, which sees the recycle bin too."""
    statement = request.params.get("q")
    if statement is None:
        raise CallError(400, "MALFORMED_QUERY", "unexpected token: <EOF>")
    deleted_too = request.path.lower().startswith("queryall")
    found = run(org, parse(statement), deleted_too=deleted_too)
    page_size = _page_size(org, request)
    locator = f"01g{uuid.uuid4().hex[:15]}"
    if len(found.rows) > page_size:
        org.cursors[locator] = Cursor(found, page_size)
        while len(org.cursors) > org.open_cursors:
            org.cursors.popitem(last=False)
    return _page(request, Cursor(found, page_size), locator, 0)


def query_more(org: SalesforceOrg, request: ApiRequest, locator: str, start: str) -> ApiResponse:
    """GET query/{locator}-{start}. A user holds ten open cursors; opening another ends the oldest."""
    cursor = org.cursors.get(locator)
    if not isinstance(cursor, Cursor) or int(start) >= len(cursor.found.rows):
        raise CallError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(request, cursor, locator, int(start))


def _page(request: ApiRequest, cursor: Cursor, locator: str, start: int) -> ApiResponse:
    end = start + cursor.page_size
    found = cursor.found
    body = {
        "totalSize": found.total,
        "done": end >= len(found.rows),
        "records": [found.show(row, request.base) for row in found.rows[start:end]],
    }
    if not body["done"]:
        resource = "queryAll" if request.path.lower().startswith("queryall") else "query"
        body["nextRecordsUrl"] = f"{request.base}/{resource}/{locator}-{end}"
    return ApiResponse(200, body)


def _page_size(org: SalesforceOrg, request: ApiRequest) -> int:
    """The organization's page size, or a smaller one that the Sforce-Query-Options header asks for."""
    name, _, number = request.headers.get("sforce-query-options", "").partition("=")
    if name.strip().lower() != "batchsize" or not number.strip().isdigit():
        return org.page_size
    return max(SMALLEST_PAGE, min(int(number), org.page_size))
