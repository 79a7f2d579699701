"""Which resource answers a call: the REST API's paths, methods and handlers, as one table."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from crm_pipeline.sandbox.salesforce import batches, describe, ingest, metadata, queries, rows
from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse
from crm_pipeline.sandbox.salesforce.composite import composite
from crm_pipeline.sandbox.salesforce.errors import CallError, RowError, not_found
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg

Handler = Callable[..., ApiResponse]


def dispatch(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """Answer a call; raises CallError for one that is refused as a whole."""
    allowed: list[str] = []
    for method, pattern, handler in _RESOURCES:
        match = pattern.fullmatch(request.path.rstrip("/"))
        if match and method == request.method:
            named = {name: unquote(part) for name, part in match.groupdict().items()}
            with org.mutex:
                try:
                    return handler(org, request, **named)
                except RowError as error:
                    raise error.as_call_error() from None
        elif match:
            allowed.append(method)
    if allowed:
        message = f"HTTP Method '{request.method}' not allowed. Allowed are {','.join(sorted(set(allowed)))}"
        raise CallError(405, "METHOD_NOT_ALLOWED", message)
    raise not_found()


def _limits(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:  # noqa: ARG001 - every handler takes the request
    return ApiResponse(200, describe.limits(used=org.api_calls, maximum=org.daily_limit))


def _resource(method: str, path: str, handler: Handler) -> tuple[str, re.Pattern[str], Handler]:
    return method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), re.IGNORECASE), handler


_RESOURCES: tuple[tuple[str, re.Pattern[str], Handler], ...] = (
    _resource("GET", "limits", _limits),
    _resource("GET", "(?:query|queryAll)", queries.query),
    _resource("GET", "(?:query|queryAll)/(?P<locator>[^/-]+)-(?P<start>[0-9]+)", queries.query_more),
    _resource("GET", "sobjects", rows.list_objects),
    _resource("GET", "sobjects/{name}", rows.object_info),
    _resource("POST", "tooling/sobjects/CustomField", metadata.create_field),
    _resource("POST", "sobjects/(?P<name>PermissionSet|PermissionSetAssignment|FieldPermissions)", metadata.create_permission),
    _resource("POST", "sobjects/{name}", rows.create_row),
    _resource("GET", "sobjects/{name}/describe", rows.describe_object),
    _resource("GET", "sobjects/{name}/{record_id}", rows.read_row),
    _resource("PATCH", "sobjects/{name}/{record_id}", rows.update_row),
    _resource("DELETE", "sobjects/{name}/{record_id}", rows.delete_row),
    _resource("GET", "sobjects/{name}/{key}/{value}", rows.read_by_key),
    _resource("PATCH", "sobjects/{name}/{key}/{value}", rows.upsert_by_key),
    _resource("POST", "composite", partial(composite, dispatch=dispatch)),
    _resource("POST", "composite/sobjects", batches.create_many),
    _resource("PATCH", "composite/sobjects", batches.update_many),
    _resource("DELETE", "composite/sobjects", batches.delete_many),
    _resource("GET", "composite/sobjects/{name}", batches.retrieve_many),
    _resource("POST", "composite/sobjects/{name}", batches.retrieve_many),
    _resource("PATCH", "composite/sobjects/{name}/{key}", batches.upsert_many),
    _resource("POST", "jobs/ingest", ingest.create_job),
    _resource("GET", "jobs/ingest", ingest.list_jobs),
    _resource("GET", "jobs/ingest/{job_id}", ingest.job_info),
    _resource("PATCH", "jobs/ingest/{job_id}", ingest.change_job),
    _resource("DELETE", "jobs/ingest/{job_id}", ingest.delete_job),
    _resource("PUT", "jobs/ingest/{job_id}/batches", ingest.upload),
    _resource("GET", "jobs/ingest/{job_id}/(?P<which>successfulResults|failedResults|unprocessedrecords)", ingest.results),
)
