"""Can the tenant be read as the integration wants it? A sign-in and a page of each of its objects; nothing is written."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from crm_pipeline.counting import counted
from crm_pipeline.diagnosis import Finding, of_error
from crm_pipeline.errors import CrmPipelineError, ServiceError
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.contracts import RELATED, record_id
from crm_pipeline.qbench.dates import parse_date
from crm_pipeline.qbench.listing import NEWEST_FIRST, VERSION_KEY
from crm_pipeline.qbench.reading import deleted_since

AREA = "qbench"
MOST_AHEAD = timedelta(minutes=5)
"""How far a clock, or a date, may be ahead before it is told."""


def qbench_findings(client: QBenchClient, fields: Mapping[RecordType, Collection[str]]) -> Iterator[Finding]:
    """Whether the credentials are taken, what is seen with them, and whether records have the ``fields`` that the YAML names."""
    try:
        client.sign_in()
    except CrmPipelineError as error:
        yield of_error(AREA, "sign-in", error)
        return
    yield Finding("ok", AREA, "sign-in", f"signed in to {client.caller.host}")
    for record_type, named in fields.items():
        yield from _of_object(client, record_type, named)
    yield from _of_settings(client)


def _of_object(client: QBenchClient, record_type: RecordType, named: Collection[str]) -> Iterator[Finding]:
    name = MODELS[record_type].qbench_object
    try:
        page = client.list_page(name, page=1, size=client.settings.page_size, parameters=NEWEST_FIRST)
    except ServiceError as error:
        yield of_error(AREA, name, error)
        return
    if not page.records:
        remedy = f"if there are some, let the API client's user see them; else make a {name.removesuffix('s')} to check the mapping with"
        yield Finding("warning", AREA, name, f"it sees no {name}", remedy)
        return
    total = counted(len(page.records) if page.total is None else page.total, name.removesuffix("s"), form=",")
    yield Finding("ok", AREA, name, f"it sees {total}" + ("" if page.total is not None else " or more"))
    yield from _fields(name, page.records, named)
    yield from _dates(client, name, page.records)
    yield from _single(client, record_type, page.records[0])


def _single(client: QBenchClient, record_type: RecordType, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether a record may be read by its id, and the records that it belongs to, or that belong to it: QBench grants each by itself."""
    name, number = MODELS[record_type].qbench_object, record_id(record.get("id"))
    others = MODELS[RecordType.ACCOUNT if MODELS[record_type].parent else RecordType.CONTACT].qbench_object
    calls: Mapping[str, Callable[[], object]] = {
        f"{name} by id": lambda: client.record(f"{name}/{number}"),
        f"{others} of {name}": lambda: client.list_page(f"{name}/{number}/{others}", page=1, size=1, holds=RELATED),
    }
    for subject, call in calls.items() if number is not None else ():
        try:
            call()
        except ServiceError as error:
            yield of_error(AREA, subject, error)
        else:
            yield Finding("ok", AREA, subject, "granted")


def _fields(name: str, records: Sequence[Mapping[str, Any]], named: Collection[str]) -> Iterator[Finding]:
    """Whether the newest records have the fields, be they blank."""
    known = sorted({field for record in records for field in record})
    for field in named:
        if field in known:
            yield Finding("ok", AREA, f"{name}: {field}", "there")
            continue
        near = difflib.get_close_matches(field, known, n=1)
        guess = f"did you mean {near[0]}? Else " if near else ""
        yield Finding(
            "warning",
            AREA,
            f"{name}: {field}",
            f"none of the newest {counted(len(records), name.removesuffix('s'))} has this field: it is misspelt, or filled in none of them",
            f"{guess}compare its name with the API name of the additional field in QBench; where it is misspelt, it is blank in the CRMs",
        )


def _dates(client: QBenchClient, name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Whether the newest date can be read, and lies in the past."""
    moments = [parse_date(record.get(VERSION_KEY), zone=client.zone) for record in records]
    if all(moment is None for moment in moments):
        remedy = f"ask QBench's support for the form of {VERSION_KEY}: without it nothing can be read by its date"
        yield Finding("problem", AREA, f"{name}: {VERSION_KEY}", "no date of these can be read", remedy)
        return
    newest = max(moment.seconds for moment in moments if moment is not None)
    ahead = newest - time.time() - client.clock.ahead.total_seconds()
    if ahead > MOST_AHEAD.total_seconds():
        remedy = "set qbench.time_zone to the zone of the tenant's dates: records are read once that time has come"
        yield Finding("warning", AREA, f"{name}: {VERSION_KEY}", f"the newest date lies {_told(ahead)} ahead", remedy)


def _of_settings(client: QBenchClient) -> Iterator[Finding]:
    ahead = abs(client.clock.ahead.total_seconds())
    if ahead > MOST_AHEAD.total_seconds():
        remedy = "set this machine's clock by a time server"
        yield Finding("warning", AREA, "clock", f"this machine's clock and QBench's are {_told(ahead)} apart", remedy)
    if client.settings.updates_probe:
        answers = deleted_since(client, RecordType.ACCOUNT, int(time.time())) is not None
        remedy = "" if answers else "leave `qbench.updates_probe` away; the list of deleted records is read instead"
        told = "answered" if answers else "not answered by this tenant"
        yield Finding("ok" if answers else "warning", AREA, "probe for changes", told, remedy)
    if client.settings.writes:
        told = "what it may write is seen by the first write only; it needs PATCH, and POST where records are made"
        yield Finding("ok", AREA, "writing", told)


def _told(seconds: float) -> str:
    return counted(round(seconds / 60), "minute", form=",")
