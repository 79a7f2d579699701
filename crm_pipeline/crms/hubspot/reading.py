"""What HubSpot holds: its account, its properties, and records by id, by a unique value, or all of them.

Nothing here decides between create and update by search, whose index lags (source: HubSpot's search guide).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import pandas as pd

from crm_pipeline.contracts import Form, Members
from crm_pipeline.counting import counted
from crm_pipeline.crms.hubspot import KIND
from crm_pipeline.crms.hubspot.answers import SERVICE, NamelessError
from crm_pipeline.crms.hubspot.contracts import ACCOUNT, BATCH_READ, HISTORIES, HISTORY_READ, LABELS_READ, LIST, PROPERTIES, at_most
from crm_pipeline.crms.hubspot.errors import NO_ASSOCIATIONS, NOT_FOUND, Problem, read_problem
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.searching import Filter, Searcher, has_value, next_page
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.crms.hubspot.wire import crm_field
from crm_pipeline.errors import CrmFailsOnRecordException, ServiceError, UnexpectedAnswerError
from crm_pipeline.halving import may_be_of_one, read_in_halves
from crm_pipeline.letters import lowered
from crm_pipeline.schemas import CRM_FIELDS, FOUND

logger = logging.getLogger(__name__)

T = TypeVar("T")

OBJECT_BATCH = KIND.capabilities.batch_size
"""Inputs of an object batch call (source: HubSpot's object guides)."""

HISTORY_BATCH = 50
"""Inputs of an object batch read that asks for histories (seen by others: PipedreamHQ 8462)."""

ASSOCIATION_READ_BATCH = 1000
"""Inputs of an association batch read (source: HubSpot's changelog, 2025-02-10)."""

PAGE = 100
"""Records of a list page (source: HubSpot's object guides)."""

NOBODY = "1"
NOBODYS_EMAIL = "nobody@example.com"
"""What is asked for to see whether HubSpot answers such a question at all. Assumed: such an id, or address, is found or missing."""

HUBSPOT_DEFINED = "HUBSPOT_DEFINED"
MERGED_IDS = "hs_merged_object_ids"
ADDITIONAL_EMAILS = "hs_additional_emails"
PRIMARY = 1
"""Association type of a contact's primary company (source: HubSpot's associations guide)."""


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most ``size``."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def text(value: object) -> str | None:
    """A property's value, null where it is missing or blank."""
    return str(value) if value not in (None, "") else None


def merged_ids(record: dict[str, Any]) -> list[str]:
    """The ids of the records that were merged into this one."""
    merged = record["properties"].get(MERGED_IDS)
    return [one.strip() for one in str(merged).split(";") if one.strip()] if merged else []


def pages(transport: Transport, path: str, query: Mapping[str, str], *, holds: Form) -> Iterator[list[dict[str, Any]]]:
    """The ``results`` of every page of a list. A page may be empty; the last one is that which leads to no next."""
    passed: set[str] = set()
    after: str | None = None
    while True:
        answer = transport.get(path, query if after is None else {**query, "after": after}, label="read", holds=holds)
        yield answer["results"]
        after = next_page(answer)
        if after is None:
            return
        if after in passed:
            raise UnexpectedAnswerError("a list page leads back to one before", integration=transport.integration, service=SERVICE)
        passed.add(after)


Names = Callable[[dict[str, Any]], Iterable[str]]
"""By which of the ids that were asked for a result may be known."""


def _by_id(one: str) -> dict[str, str]:
    return {"id": one}


@dataclass(frozen=True, slots=True)
class BatchRead:
    """A kind of batch read: what its answer must hold, the code of an id for which there is nothing, whose a result is, and its size.

    ``nobody``: an id that is no record's, or hardly any. ``entry``: how an id is asked for.
    """

    holds: Members
    missing: str
    names: Names
    size: int
    nobody: str = NOBODY
    entry: Callable[[str], dict[str, str]] = _by_id


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a batch read gave, and the ids that it was asked for and that HubSpot fails on, each by itself."""

    results: list[dict[str, Any]]
    failed: set[str]


class Reader:
    """Reads records of one portal. ``key`` is the external key property, if the portal has one; ``in_flight``: batches at the same time."""

    def __init__(self, transport: Transport, paths: Paths, *, key: str | None, in_flight: int = 1) -> None:
        self._transport = transport
        self._paths = paths
        self._key = key
        self._in_flight = in_flight
        self.searcher = Searcher(transport, paths)

    def account(self) -> dict[str, Any]:
        """The account that the token leads to."""
        return self._transport.get(self._paths.account, label="sign_in", holds=ACCOUNT)

    def fields(self, object_name: str, *, sensitivities: Sequence[str] = ()) -> pd.DataFrame:
        """An object's properties (schemas.CRM_FIELDS); one call, and one for each sensitivity.

        HubSpot lists properties that hold sensitive data only to those who ask for them.
        """
        path = self._paths.properties_of(object_name)
        queries = [{}, *({"dataSensitivity": sensitivity} for sensitivity in sensitivities)]
        described = [
            entry for query in queries for entry in self._transport.get(path, query, label="describe", holds=PROPERTIES)["results"]
        ]
        rows = {entry["name"]: crm_field(entry) for entry in described if not entry.get("archived")}
        return CRM_FIELDS.build({name: [row[name] for row in rows.values()] for name in CRM_FIELDS.names})

    def records(
        self,
        object_name: str,
        ids: Sequence[str],
        properties: Sequence[str],
        *,
        id_property: str | None = None,
        histories: Sequence[str] = (),
    ) -> tuple[list[dict[str, Any]], set[str]]:
        """The records with these ids, or these values of a unique property, and the ids on which HubSpot fails; missing ones are left out.

        ``histories``: properties of which the versions are read too.
        Raises ServiceError when HubSpot gives another reason than a missing record for whatever is asked.
        """
        body: dict[str, Any] = {"properties": list(dict.fromkeys(properties)), HISTORIES: list(dict.fromkeys(histories))}
        if id_property is not None:
            body["idProperty"] = id_property
        names = _ids if id_property is None else partial(_held, field=id_property)
        holds, size = (HISTORY_READ, HISTORY_BATCH) if histories else (BATCH_READ, OBJECT_BATCH)
        read = BatchRead(holds, NOT_FOUND, names, size, nobody=NOBODYS_EMAIL if id_property == "email" else NOBODY)
        results, failed = self.batches(self._paths.batch(object_name, "read"), body, ids, read)
        return list({str(record["id"]): record for record in results}.values()), failed

    def current(
        self, object_name: str, ids: Sequence[str], properties: Sequence[str], *, histories: Sequence[str] = ()
    ) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """The record that each id leads to now, and the ids on which HubSpot fails.

        An id merged away leads to the record it is part of, a deleted one to none.

        HubSpot documents for single reads that they follow merges; that the batch form does is assumed. A record that names
        none of the ids, as after merges one upon the other, is told by asking for each of the rest on its own.
        """
        records, failed = self.records(object_name, ids, [*properties, MERGED_IDS], histories=histories)
        found = {str(record["id"]): record for record in records}
        wanted, led_elsewhere = set(ids), False
        for record in records:
            # Hardly any was merged: the others cost no more than their own id.
            if record["properties"].get(MERGED_IDS) or str(record["id"]) not in wanted:
                names = _ids(record)
                found |= dict.fromkeys(names, record)
                led_elsewhere = led_elsewhere or wanted.isdisjoint(names)
        for one in sorted(wanted - found.keys() - failed) if led_elsewhere else ():
            records, failing = self.records(object_name, [one], [*properties, MERGED_IDS], histories=histories)
            failed |= failing
            found |= dict.fromkeys([one], records[0]) if records else {}
        return {one: found[one] for one in ids if one in found}, failed

    def find(self, object_name: str, field: str, values: Sequence[str]) -> pd.DataFrame:
        """Records by a property (schemas.FOUND), compared trimmed and lower-cased; of emails the additional ones too.

        ``parent_crm_id`` is null throughout: batch reads carry no associations. Properties that are not unique are searched for.
        """
        folded = field == "email"
        asked: dict[str, list[str]] = {}
        for value in dict.fromkeys(values):
            asked.setdefault(lowered(value.strip()), []).append(value)
        asked.pop("", None)
        # HubSpot keeps emails in lower case, and other values as they were given.
        sent = list(asked) if folded else [value for values in asked.values() for value in values]
        properties = [field, *([ADDITIONAL_EMAILS] if folded else []), *([self._key] if self._key else [])]
        if folded or field == self._key:
            records, failed = self.records(object_name, sent, properties, id_property=field)
        else:
            records, failed = self.searcher.with_values(object_name, field, sent, properties)
        rows = [
            {"value": value, "crm_id": str(record["id"]), "key": self._key_of(record)}
            for record in records
            for held in _held(record, field)
            for value in asked.get(held, ())
        ]
        unread = [value for one in failed for value in asked[lowered(one.strip())]]
        rows += [{"value": value, "error_type": CrmFailsOnRecordException.__name__} for value in unread]
        return FOUND.of_columns({name: [row.get(name) for row in rows] for name in FOUND.names}, len(rows))

    def scan(self, object_name: str, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the property, page by page (schemas.FOUND, without parents).

        Where a page fails, by search: a page that one record makes fail leads to no next.
        """
        properties = list(filter(None, dict.fromkeys([field, self._key])))
        query = {"limit": str(PAGE), "archived": "false", "properties": ",".join(properties)}
        try:
            for page in pages(self._transport, self._paths.records(object_name), query, holds=LIST):
                yield from self._scanned(page, field)
        except ServiceError as error:
            wanted = [has_value(field)]
            if not (may_be_of_one(error) and self.searcher.answers(object_name, wanted, properties)):
                raise
            for records, unread in self.searched(object_name, wanted, properties):
                yield from self._scanned(records, field)
                if unread:
                    yield FOUND.build({"crm_id": sorted(unread), "error_type": [CrmFailsOnRecordException.__name__] * len(unread)})

    def searched(
        self, object_name: str, filters: Sequence[Filter], properties: Sequence[str]
    ) -> Iterator[tuple[list[dict[str, Any]], set[str]]]:
        """The records that filters admit, in parts, with the ids of those that HubSpot shows neither by search nor by id."""
        for records, failed in self.searcher.around(object_name, filters, properties):
            further, unread = self.records(object_name, [str(one) for one in failed], properties)
            if unread:
                logger.warning(
                    "integration %s: hubspot fails to show %s %s", self._transport.integration, object_name, ", ".join(sorted(unread))
                )
            yield [*records, *further], unread

    def _scanned(self, records: Sequence[dict[str, Any]], field: str) -> Iterator[pd.DataFrame]:
        """The records that have a value, in one frame; none where there is none."""
        held = [(record, text(record["properties"].get(field))) for record in records]
        rows = [(value, str(record["id"]), self._key_of(record)) for record, value in held if value is not None]
        if rows:
            yield FOUND.build(dict(zip(("value", "crm_id", "key"), map(list, zip(*rows, strict=True)), strict=True)))

    def primary_companies(self, contact_ids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """The primary company of each contact that has one, and the contacts on which HubSpot fails."""
        labels, failed = self.labels(contact_ids)
        return {contact: company for (contact, company), types in labels.items() if (HUBSPOT_DEFINED, PRIMARY) in types}, failed

    def labels(self, contact_ids: Sequence[str]) -> tuple[dict[tuple[str, str], frozenset[tuple[str, int]]], set[str]]:
        """Category and type of the associations of contact and company, by their ids, and the contacts on which HubSpot fails.

        A contact's first 500 associations are looked at.
        """
        found: dict[tuple[str, str], frozenset[tuple[str, int]]] = {}
        read = BatchRead(LABELS_READ, NO_ASSOCIATIONS, _contact, ASSOCIATION_READ_BATCH)
        results, failed = self.batches(self._paths.contact_companies("read"), {}, contact_ids, read)
        for result in results:
            for target in result["to"]:
                types = frozenset((kind["category"], kind["typeId"]) for kind in target["associationTypes"])
                found[str(result["from"]["id"]), str(target["toObjectId"])] = types
        return found, failed

    def _key_of(self, record: dict[str, Any]) -> str | None:
        return text(record["properties"].get(self._key)) if self._key else None

    def batches(self, path: str, body: Mapping[str, Any], ids: Iterable[str], read: BatchRead) -> tuple[list[dict[str, Any]], set[str]]:
        """What is read of these ids, and those on which HubSpot fails."""

        def send(part: Sequence[str], /, *, again: bool) -> BatchAnswer:
            return self._batch(path, body, part, read, again=again)

        def answers_for_others() -> bool:
            try:
                send([read.nobody], again=True)
            except ServiceError:
                return False
            return True

        batches = chunks(dict.fromkeys(ids), read.size)
        answers, failed = read_in_halves(batches, send, is_up=answers_for_others, in_flight=self._in_flight)
        return [result for answer in answers for result in answer.results], failed.keys() | {
            one for answer in answers for one in answer.failed
        }

    def _batch(self, path: str, body: Mapping[str, Any], asked: Sequence[str], read: BatchRead, *, again: bool) -> BatchAnswer:
        """The answer of a batch read, and where it leaves ids out without a word, or fails on them, that of one more for these.

        HubSpot names every id for which there is nothing (seen by others), and no answer is to be taken for a nothing. An id
        that is left out twice is believed to be missing.
        """
        results: list[dict[str, Any]] = []
        failed: set[str] = set()
        open_ids = list(asked)
        for _ in range(2):
            inputs = [read.entry(one) for one in open_ids]
            holds = at_most(read.holds, len(inputs))
            answer = self._transport.post(
                path, {**body, "inputs": inputs}, label="read", repeatable=not again, divisible=len(inputs) > 1, holds=holds
            ).content
            results += answer["results"]
            failing, left_out = self._failing(answer, open_ids, read), _left_out(answer, open_ids, read.names)
            failed = failing | failed.intersection(left_out)
            open_ids = [one for one in open_ids if one in failing or one in left_out]
            if not open_ids:
                break
            logger.warning(
                "integration %s: hubspot: a batch read tells nothing of %s", self._transport.integration, counted(len(open_ids), "id")
            )
        return BatchAnswer(results, failed)

    def _failing(self, answer: dict[str, Any], asked: Sequence[str], read: BatchRead) -> set[str]:
        """The ids for which an answer has another error than that there is nothing.

        Raises NamelessError where one names none of them, or others.
        """
        refused = problems(answer)
        if not refused:
            return set()
        told = {lowered(name.strip()) for result in answer["results"] for name in read.names(result)}
        by_name = {lowered(one.strip()): one for one in asked}
        failing: set[str] = set()
        for problem in refused:
            if problem.says(read.missing) or problem.says(NOT_FOUND):
                continue
            named = {lowered(one.strip()) for one in problem.ids | problem.from_ids}
            if not named or not named <= by_name.keys():
                raise NamelessError(integration=self._transport.integration, problem=problem)
            # Ids without a code are missing ones.
            failing |= {by_name[name] for name in named - told} if problem.codes else set()
        return failing


def problems(answer: dict[str, Any]) -> list[Problem]:
    """What an answer refuses of its request."""
    return [read_problem(error) for error in answer.get("errors") or []]


def _left_out(answer: dict[str, Any], asked: Sequence[str], names: Names) -> list[str]:
    """The ids of which an answer neither gives anything nor says that there is nothing.

    Where results and refusals are as many as the ids, or a refusal names none of them, every id has its answer under some name.
    """
    refused = [problem.ids | problem.from_ids for problem in problems(answer)]
    if len(answer["results"]) + sum(map(len, refused)) >= len(asked) or not all(refused):
        return []
    told = {lowered(name.strip()) for named in (*refused, *map(names, answer["results"])) for name in named}
    return [one for one in asked if lowered(one.strip()) not in told]


def _ids(record: dict[str, Any]) -> list[str]:
    """The ids that lead to a record, as far as it says."""
    return [str(record["id"]), *merged_ids(record)]


def _contact(result: dict[str, Any]) -> list[str]:
    """The contact whose associations a result holds."""
    return [str(result["from"]["id"])]


def _held(record: dict[str, Any], field: str) -> Iterator[str]:
    """The values by which a record is found, trimmed and lower-cased."""
    properties = record["properties"]
    value = str(properties.get(field) or "")
    if field != "email":
        yield lowered(value.strip())
        return
    addresses = [value, *str(properties.get(ADDITIONAL_EMAILS) or "").split(";")]
    yield from dict.fromkeys(lowered(address.strip()) for address in addresses)
