"""The resources of Bulk API 2.0 ingest: a job is made, given its rows, closed, looked at until it is over, and asked for its results.

Sources: "Bulk API 2.0 and Bulk API Developer Guide" (Create a Job, Upload Job Data, Upload Complete, Abort a Job, Delete a Job, Get Job
Info, Get Job … Record Results; "Headers": none of them speaks of duplicate or assignment rules). That a job takes its rows in one request,
and the refusal of a second one, is as users report. Assumed, because the guide names no codes: those of refused requests; that results are
there once a job is over; and that no assignment rule runs but the one that the job names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse
from crm_pipeline.sandbox.salesforce.errors import CallError, RowError, not_found
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.jobs import (
    CHUNK,
    DELIMITERS,
    ENDINGS,
    BadContentError,
    IngestJob,
    Operation,
    columns_that_are_not_there,
    row_error,
    told,
    values,
    without_repeated,
)
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.saving import Record, Saver, decode
from crm_pipeline.sandbox.salesforce.table import Table

MOST_BYTES = 150_000_000
"""Of a job's content once it is encoded in base64, which makes four of three bytes."""
ASSIGNED = frozenset({"Case", "Lead"})
"""The objects for which a job may name an assignment rule."""
_MEMBERS = frozenset({"object", "operation", "contentType", "externalIdFieldName", "lineEnding", "columnDelimiter", "assignmentRuleId"})
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
RESULTS: Mapping[str, Callable[[IngestJob], str]] = MappingProxyType(
    {"successfulresults": IngestJob.successful, "failedresults": IngestJob.refused, "unprocessedrecords": IngestJob.unprocessed}
)


def create_job(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """POST jobs/ingest."""
    if not org.takes_jobs:
        raise CallError(400, "FEATURENOTENABLED", "Bulk API is not enabled for this organization or user")
    asked = request.object_body()
    if unknown := sorted(asked.keys() - _MEMBERS):
        raise CallError(400, "JSON_PARSER_ERROR", f'Unrecognized field "{unknown[0]}"')
    table = org.table(str(asked.get("object", "")))
    if table is None or (table.spec.name, "read") in org.denied or not table.spec.writeable:
        raise CallError(400, "INVALIDENTITY", f"InvalidEntity : Entity '{asked.get('object')}' is not supported by Bulk API")
    key = asked.get("externalIdFieldName")
    operation = next((one for one in OPERATIONS if one == asked.get("operation")), None)
    if operation is None or asked.get("contentType", "CSV") != "CSV":
        raise CallError(400, "INVALIDJOB", "InvalidJob : operation or contentType is not supported")
    if asked.get("lineEnding", "LF") not in ENDINGS or asked.get("columnDelimiter", "COMMA") not in DELIMITERS:
        raise CallError(400, "INVALIDJOB", "InvalidJob : lineEnding or columnDelimiter is not supported")
    if (operation == "upsert") != (key is not None):
        raise CallError(400, "INVALIDJOB", "InvalidJob : externalIdFieldName is required for upsert, and for nothing else")
    if key is not None:
        named = table.spec.by_lower_name.get(str(key).lower())
        if named is None or not (named.external_id or named.id_lookup):
            message = f"InvalidJob : Field name provided, {key} is not an External ID or indexed field for {table.spec.name}"
            raise CallError(400, "INVALIDJOB", message)
    rule = asked.get("assignmentRuleId")
    if rule is not None and table.spec.name not in ASSIGNED:
        raise CallError(400, "INVALIDJOB", f"InvalidJob : no assignment rule applies to {table.spec.name}")
    job = IngestJob(
        id=org.next_id_of("750"),
        object_name=table.spec.name,
        operation=operation,
        key=key,
        ending=asked.get("lineEnding", "LF"),
        delimiter=asked.get("columnDelimiter", "COMMA"),
        assignment_rule=rule,
        api_version=float(request.base.rpartition("v")[2]),
        created=org.stamp(),
        created_by=org.user_id,
    )
    org.jobs[job.id] = job
    return ApiResponse(200, _shown(job, counts=False))


def list_jobs(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:  # noqa: ARG001 - every handler takes the request
    """GET jobs/ingest."""
    return ApiResponse(200, {"done": True, "records": [_shown(job, counts=False) for job in org.jobs.values()], "nextRecordsUrl": None})


def job_info(org: SalesforceOrg, request: ApiRequest, job_id: str) -> ApiResponse:  # noqa: ARG001 - every handler takes the request
    """GET jobs/ingest/{id}; the job goes on by one step."""
    job = _job(org, job_id)
    work(org, job, rows=org.job_pace)
    return ApiResponse(200, _shown(job, counts=True))


def upload(org: SalesforceOrg, request: ApiRequest, job_id: str) -> ApiResponse:
    """PUT jobs/ingest/{id}/batches: all rows of a job at once."""
    job = _in(_job(org, job_id), "Open")
    if not isinstance(request.body, str):
        raise CallError(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be text/csv")
    if len(request.body.encode()) * 4 // 3 > MOST_BYTES:
        raise CallError(413, "REQUEST_ENTITY_TOO_LARGE", "The content of a job must not exceed 150 MB")
    if job.content is not None:
        message = (
            f"Found multiple contents for job: <{job.id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new Job "
            "and make sure you only do 'PUT' once on a given Job."
        )
        raise CallError(400, "INVALIDJOB", message)
    job.content = request.body
    return ApiResponse(201)


def change_job(org: SalesforceOrg, request: ApiRequest, job_id: str) -> ApiResponse:
    """PATCH jobs/ingest/{id}: close it, so that it is processed, or abort it; what it saved stays."""
    job, state = _job(org, job_id), request.object_body().get("state")
    if state == "UploadComplete":
        _in(job, "Open").state = "UploadComplete"
    elif state == "Aborted":
        _in(job, "Open", "UploadComplete", "InProgress").end("Aborted")
    else:
        raise CallError(400, "INVALIDJOBSTATE", f"A job cannot be changed to {state}")
    return ApiResponse(200, _shown(job, counts=False))


def delete_job(org: SalesforceOrg, request: ApiRequest, job_id: str) -> ApiResponse:  # noqa: ARG001 - every handler takes the request
    """DELETE jobs/ingest/{id}, with its rows and results."""
    del org.jobs[_in(_job(org, job_id), "UploadComplete", "JobComplete", "Failed", "Aborted").id]
    return ApiResponse(204)


def results(org: SalesforceOrg, request: ApiRequest, job_id: str, which: str) -> ApiResponse:  # noqa: ARG001 - every handler takes the request
    """GET jobs/ingest/{id}/successfulResults, failedResults or unprocessedrecords, as CSV."""
    return ApiResponse(200, RESULTS[which.lower()](_in(_job(org, job_id), "JobComplete", "Failed", "Aborted")))


def work(org: SalesforceOrg, job: IngestJob, *, rows: int) -> None:
    """Process so many rows of a closed job; the first step only begins."""
    if job.state == "UploadComplete":
        job.state = "InProgress"
    elif job.state == "InProgress":
        try:
            if not job.rows:
                job.read()
            _work(org, job, rows=rows)
        except BadContentError as error:
            job.end("Failed", str(error))


def _work(org: SalesforceOrg, job: IngestJob, *, rows: int) -> None:
    table = org.table(job.object_name)
    if table is None:
        raise BadContentError(f"InvalidBatch : Entity '{job.object_name}' is not there")
    needed = {"insert": (), "upsert": (job.key or "",)}.get(job.operation, ("Id",))
    lower = {name.lower() for name in job.columns}
    if missing := [*columns_that_are_not_there(table.spec, job.columns), *(name for name in needed if name.lower() not in lower)]:
        raise BadContentError(f"InvalidBatch : Field name not found : {missing[0]}")
    saver = Saver(org, table, assigns=job.assignment_rule is not None)
    end = min(job.processed + rows, len(job.rows))
    while job.processed < end:
        _chunk(org, job, table, saver, range(job.processed, min(job.processed + CHUNK, end)))
    if job.processed == len(job.rows):
        job.state = "JobComplete"


def _chunk(org: SalesforceOrg, job: IngestJob, table: Table, saver: Saver, places: range) -> None:
    decoded = [_decoded(org, table, job, place) for place in places]
    problems = [record.problem for record in decoded]
    if job.operation == "upsert" and job.key is not None:
        key = table.spec.by_lower_name[job.key.lower()]
        names = [key.fold(record.values.get(key.name)) for record in decoded]
        problems = without_repeated(names, problems, "Duplicate external id specified")
    elif job.operation != "insert":
        problems = without_repeated([canonical(record.id) or record.id for record in decoded], problems, "Duplicate Id specified")
    for place, record, problem in zip(places, decoded, problems, strict=True):
        try:
            if problem is not None:
                raise problem
            job.done[place] = _saved(job, table, saver, record)
        except (RowError, CallError) as error:
            named = canonical(record.id) if isinstance(record.id, str) else None
            job.failed[place] = named or "", told(row_error(error))


def _decoded(org: SalesforceOrg, table: Table, job: IngestJob, place: int) -> Record:
    try:
        return decode(org, table.spec, values(table.spec, job.rows[place]))
    except (RowError, CallError) as error:
        return Record(job.rows[place].get("Id") or None, problem=row_error(error))


def _saved(job: IngestJob, table: Table, saver: Saver, record: Record) -> tuple[str, bool]:
    match job.operation:
        case "insert":
            return saver.create(record), True
        case "update":
            return saver.update(record), False
        case "upsert":
            return saver.upsert(record, table.spec.by_lower_name[(job.key or "").lower()])
    if job.operation == "hardDelete":
        raise RowError("INSUFFICIENT_ACCESS_OR_READONLY", "the user lacks the permission Bulk API Hard Delete")
    return saver.delete(record.id), False


def _job(org: SalesforceOrg, job_id: str) -> IngestJob:
    job = org.jobs.get(canonical(job_id) or job_id)
    if job is None:
        raise not_found()
    return job


def _in(job: IngestJob, *states: str) -> IngestJob:
    if job.state not in states:
        raise CallError(400, "INVALIDJOBSTATE", f"Job is in state {job.state}, not in {' or '.join(states)}")
    return job


def _shown(job: IngestJob, *, counts: bool) -> dict[str, Any]:
    stamp = f"{job.created.isoformat()[:19]}.000+0000"
    shown: dict[str, Any] = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object_name,
        "createdById": job.created_by,
        "createdDate": stamp,
        "systemModstamp": stamp,
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": job.api_version,
        "lineEnding": job.ending,
        "columnDelimiter": job.delimiter,
    }
    if job.key is not None:
        shown["externalIdFieldName"] = job.key
    if job.assignment_rule is not None:
        shown["assignmentRuleId"] = job.assignment_rule
    if job.state == "Open":
        shown["contentUrl"] = f"services/data/v{job.api_version}/jobs/ingest/{job.id}/batches"
    if counts:
        shown |= {"jobType": "V2Ingest", "retries": 0, "numberRecordsProcessed": job.processed, "numberRecordsFailed": len(job.failed)}
        shown |= dict.fromkeys(("totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime"), job.processed)
    if job.error is not None:
        shown["errorMessage"] = job.error
    return shown
