"""The composite resource: up to 25 calls in one, in order, each free to use the answers of those before it.

At most five of them may be collections or queries, and all together count as one call (reference: Composite). The codes
for a composite that is itself malformed are assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse
from crm_pipeline.sandbox.salesforce.errors import CallError
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg

MOST_SUBREQUESTS = 25
MOST_HEAVY_SUBREQUESTS = 5

Dispatch = Callable[[SalesforceOrg, ApiRequest], ApiResponse]

_URL = re.compile(r"(?P<base>/services/data/v\d+\.0)/(?P<path>.+)")
_ALLOWED = re.compile(r"sobjects(/.*)?|query(All)?(/.*)?|composite/sobjects(/.*)?", re.IGNORECASE)
_HEAVY = re.compile(r"(query|queryAll|composite/sobjects)(/.*)?", re.IGNORECASE)
_REFERENCE = re.compile(r"@\{(\w+)((?:\[\d+\]|\.\w+)*)\}")
_STEP = re.compile(r"\[(\d+)\]|\.(\w+)")
_REFERENCE_ID = re.compile(r"\w+")


def composite(org: SalesforceOrg, request: ApiRequest, *, dispatch: Dispatch) -> ApiResponse:
    """POST composite."""
    subrequests = _subrequests(request)
    all_or_none = request.object_body().get("allOrNone") is True
    answers: dict[str, Any] = {}
    with org.savepoint() as undo:
        results = [_subresult(org, request, sub, answers, dispatch) for sub in subrequests]
        if all_or_none and any(result["httpStatusCode"] >= 400 for result in results):
            undo()
            results = [result if result["httpStatusCode"] >= 400 else _halted(result) for result in results]
    return ApiResponse(200, {"compositeResponse": results})


def _subrequests(request: ApiRequest) -> list[dict[str, Any]]:
    subrequests = request.object_body().get("compositeRequest")
    if not isinstance(subrequests, list) or not subrequests or not all(isinstance(sub, dict) for sub in subrequests):
        raise CallError(400, "JSON_PARSER_ERROR", "compositeRequest: a list of subrequests is required")
    if len(subrequests) > MOST_SUBREQUESTS:
        raise CallError(400, "LIMIT_EXCEEDED", f"The request can't contain more than {MOST_SUBREQUESTS} operations")
    names = [sub.get("referenceId") for sub in subrequests]
    if not all(isinstance(name, str) and _REFERENCE_ID.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise CallError(400, "INVALID_INPUT", "Every subrequest needs a referenceId of its own of letters, numbers and underscores")
    heavy = sum(1 for sub in subrequests if (match := _URL.match(str(sub.get("url")))) and _HEAVY.fullmatch(_path(match["path"])))
    if heavy > MOST_HEAVY_SUBREQUESTS:
        message = f"The request can't contain more than {MOST_HEAVY_SUBREQUESTS} sObject Collections or query operations"
        raise CallError(400, "LIMIT_EXCEEDED", message)
    return subrequests


def _path(rest: str) -> str:
    return urlsplit(rest).path


def _subresult(org: SalesforceOrg, request: ApiRequest, sub: dict[str, Any], answers: dict[str, Any], dispatch: Dispatch) -> dict[str, Any]:
    """One subrequest's part of the answer; its body is kept in ``answers`` for those after it."""
    name = sub["referenceId"]
    try:
        response = dispatch(org, _as_request(request, sub, answers))
    except CallError as error:
        response = ApiResponse(error.status, error.body())
    if response.status < 300:
        answers[name] = response.body
    return {"body": response.body, "httpHeaders": dict(response.headers), "httpStatusCode": response.status, "referenceId": name}


def _as_request(request: ApiRequest, sub: dict[str, Any], answers: dict[str, Any]) -> ApiRequest:
    url = _filled(str(sub.get("url")), answers)
    match = _URL.match(url)
    if not match or not _ALLOWED.fullmatch(_path(match["path"])):
        raise CallError(400, "INVALID_INPUT", "The url of a subrequest is the path of a resource that composite supports")
    headers = {str(name).lower(): str(value) for name, value in (sub.get("httpHeaders") or {}).items()}
    return ApiRequest(
        method=str(sub.get("method", "")).upper(),
        path=_path(match["path"]),
        base=match["base"],
        params=dict(parse_qsl(urlsplit(match["path"]).query, keep_blank_values=True)),
        headers={**request.headers, **headers},
        body=_filled(sub.get("body"), answers),
    )


def _filled(value: Any, answers: dict[str, Any]) -> Any:
    """The value with every ``@{reference}`` in its texts replaced; raises CallError for one that leads nowhere."""
    if isinstance(value, dict):
        return {key: _filled(part, answers) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, answers) for part in value]
    return _REFERENCE.sub(lambda match: _looked_up(match, answers), value) if isinstance(value, str) else value


def _looked_up(match: re.Match[str], answers: dict[str, Any]) -> str:
    found = answers.get(match[1])
    for index, key in _STEP.findall(match[2]):
        if index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            found = found.get(key) if key and isinstance(found, dict) else None
    if found is None or isinstance(found, dict | list):
        raise CallError(400, "PROCESSING_HALTED", f"Invalid reference specified. No value for {match[0][2:-1]} found in {match[1]}")
    return str(found)


def _halted(result: dict[str, Any]) -> dict[str, Any]:
    message = "The transaction was rolled back since another operation in the same transaction failed."
    return {**result, "httpStatusCode": 400, "body": CallError(400, "PROCESSING_HALTED", message).body()}
