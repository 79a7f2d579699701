"""How a batch is written: by sObject Collections, 200 rows a request, and every row of it accounted for.

A request holds rows of one verb: ``update`` by id, ``upsert`` by the external key, ``create``. What the answers leave open
(a request refused as a whole, automation that fails for one row) goes out again in halves, so that no row is lost for
another's sake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from simple_salesforce.api import Salesforce

from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.crms.encoding import json_body
from crm_pipeline.crms.salesforce import KIND
from crm_pipeline.crms.salesforce.contracts import SAVED
from crm_pipeline.crms.salesforce.errors import (
    RowProblem,
    RowsFailedAlikeError,
    RowsRefusedError,
)
from crm_pipeline.crms.salesforce.queries import SelectIn
from crm_pipeline.crms.salesforce.results import (
    Answer,
    answers_of,
    blamed,
    fails_inside,
    is_limited,
    is_unsure,
    may_fail_for_others,
    with_own_limits,
    without_contradictions,
)
from crm_pipeline.crms.salesforce.rows import Row
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    ExistingRecordException,
    ParentNotFoundException,
    RecordLockedException,
    RequestRefusedError,
    ServiceError,
    ServiceFailedException,
)
from crm_pipeline.halving import Alone, in_halves
from crm_pipeline.model import Verb

ROWS_PER_REQUEST = KIND.capabilities.batch_size
SAVE_DUPLICATES: Mapping[str, str] = MappingProxyType(
    {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false; runAsCurrentUser=true"}
)

ASSIGNS = "Sforce-Auto-Assign"
ALLOWED_DUPLICATES: Mapping[str, frozenset[Verb]] = MappingProxyType(
    {"none": frozenset(), "updates": frozenset({Verb.UPDATE}), "all": frozenset(Verb)}
)


Call = Callable[[Salesforce], Any]


@dataclass(frozen=True, slots=True)
class Request:
    """Rows that one HTTP request carries."""

    verb: Verb
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes rows of one object. ``key_field`` is the external key or null, ``label`` what the calls are counted as.

    ``assigns``: whether assignment rules are to run ("Assignment Rule Header"); None: nothing is said.
    """

    transport: SalesforceTransport
    sobject: str
    key_field: str | None
    allow_duplicates: Literal["none", "updates", "all"]
    assigns: bool | None
    label: str

    def write(self, rows: list[Row]) -> list[WriteResult]:
        """Write the rows and account for each.

        Raises a ServiceError only while nothing of the rows is written; later, the rows it concerns are
        ServiceFailedException. A used-up limit of the organization is raised when no row was saved, else by the next write.
        """
        self.transport.ensure_reserve()
        answers = self.settle(self._carry_out(self._requests(rows)))
        limited = next(filter(is_limited, answers), None)
        if limited:
            stop = self.transport.limit_reached(f"a limit of the organization is used up: {limited.problem.code}")
            if all(answer.error for answer in answers):
                raise stop
        return [answer.result() for answer in answers]

    def request(self, verb: Verb, rows: Sequence[Row]) -> Call:
        """The call that writes these rows, of one verb."""
        method, path = self._route(verb)
        body = {"allOrNone": False, "records": [self._record(verb, row) for row in rows]}
        headers = dict(SAVE_DUPLICATES) if verb in ALLOWED_DUPLICATES[self.allow_duplicates] else {}
        if self.assigns is not None:
            headers[ASSIGNS] = str(self.assigns).upper()
        return partial(Salesforce.restful, path=path, method=method, data=json_body(body), headers=headers)

    def _requests(self, rows: list[Row]) -> Iterator[Request]:
        for verb in (Verb.UPDATE, Verb.UPSERT, Verb.CREATE):
            chosen = [row for row in rows if row.verb == verb]
            for start in range(0, len(chosen), ROWS_PER_REQUEST):
                yield Request(verb, tuple(chosen[start : start + ROWS_PER_REQUEST]))

    def _carry_out(self, requests: Iterator[Request]) -> list[Answer]:
        answers: list[Answer] = []
        queue = deque(requests)
        while queue:
            request = queue.popleft()
            try:
                for found in self._answers(request):
                    answers.extend(found)
            except ServiceError as error:
                if not isinstance(error, RowsFailedAlikeError) and not answers:
                    raise
                known = {answer.row.qbench_id for answer in answers}
                left = [row for row in request.rows if row.qbench_id not in known]
                if isinstance(error, RowsFailedAlikeError):
                    answers.extend(fails_inside(row, error) for row in left)
                    continue
                return [
                    *answers,
                    *(Answer(row, error=ServiceFailedException) for row in (*left, *(row for one in queue for row in one.rows))),
                ]
        return answers

    def _answers(self, request: Request) -> Iterator[list[Answer]]:
        """What became of the rows of a request; where Salesforce fails on it as a whole, of its halves, down to the rows to blame."""
        rest: list[Row] = []
        send = partial(self._send, request.verb)
        for part in in_halves(request.rows, send, repeatable=request.verb is not Verb.CREATE, is_up=self.transport.is_up):
            if isinstance(part, Alone):
                yield [blamed(part)]
                continue
            unsettled = {answer.row.qbench_id: answer.row for answer in may_fail_for_others(part.answer)}
            rest += unsettled.values()
            yield [answer for answer in part.answer if answer.row.qbench_id not in unsettled]
        if rest:
            yield from self._answers(replace(request, rows=tuple(rest)))

    def _send(self, verb: Verb, rows: Sequence[Row], /, *, again: bool) -> list[Answer]:
        """Make one request; its answers by position."""
        request, attempts = self.request(verb, rows), 0

        def send(client: Salesforce) -> Any:
            nonlocal attempts
            attempts += 1
            return request(client)

        repeatable = verb is not Verb.CREATE
        try:
            found = self.transport.call(
                send,
                label=self.label,
                holds=replace(SAVED, exactly=len(rows)),
                repeatable=repeatable and not again,
                divisible=repeatable and len(rows) > 1,
            )
        except RowsRefusedError as refusal:
            if self._is_about_the_key_field(verb, refusal.problem):
                raise self._key_refused(refusal) from None
            raise
        repeated = again or attempts > 1
        answers = answers_of(rows, found, sobject=self.sobject, verb=verb, repeated=repeated)
        if len(may_fail_for_others(answers)) == len(rows):
            raise RowsFailedAlikeError(integration=self.transport.integration, problem=answers[0].problem)
        return with_own_limits(without_contradictions(answers))

    def _is_about_the_key_field(self, verb: Verb, problem: RowProblem) -> bool:
        """The external key is no such field, or not visible: no row of any request would be accepted."""
        return verb is Verb.UPSERT and problem.code == "INVALID_FIELD" and problem.names(str(self.key_field))

    def _key_refused(self, refusal: RowsRefusedError) -> RequestRefusedError:
        """The same refusal as that of the whole request, which no halving cures."""
        return RequestRefusedError(
            f"does not know {self.key_field} as an external key of {self.sobject} (missing, or not visible to the run-as user): "
            f"{refusal.code}; check external_key",
            integration=refusal.integration,
            service=refusal.service,
            code=refusal.code,
        )

    def _route(self, verb: Verb) -> tuple[str, str]:
        if verb is Verb.UPSERT:
            return "PATCH", f"composite/sobjects/{self.sobject}/{self.key_field}"
        return ("PATCH" if verb is Verb.UPDATE else "POST"), "composite/sobjects"

    def _record(self, verb: Verb, row: Row) -> dict[str, object]:
        identity = {"id": row.crm_id} if verb is Verb.UPDATE else {}
        key = {self.key_field: row.key} if self.key_field and row.key else {}
        return {"attributes": {"type": self.sobject}, **identity, **row.values, **key}

    def settle(self, answers: list[Answer]) -> list[Answer]:
        """Decide by reading what codes alone leave open: whose a taken key is, and which of two records is gone.

        A record that carries the row's own key is named and left alone: a create's values are not those of an update.
        A taken key whose record is neither named nor found is being written by another call: it is there, or free, in a moment.
        """
        open_answers = [answer for answer in answers if answer.error and (self._key_is_taken(answer) or is_unsure(answer))]
        if not open_answers:
            return answers
        settled = [answer for answer in answers if not (self._key_is_taken(answer) or is_unsure(answer))]
        try:
            held, unread = self._keys({one for answer in open_answers for one in (answer.row.crm_id, *answer.problem.ids) if one})
            by_key, failing = self._holders([str(answer.row.key) for answer in open_answers if self._holder_is_unnamed(answer)])
            held, unread = held | by_key, unread | failing
        except ServiceError:
            return [*settled, *(answer._replace(error=ServiceFailedException) for answer in open_answers)]
        holders = {key: record_id for record_id, key in held.items() if key}
        for answer in open_answers:
            if not unread.isdisjoint((answer.row.crm_id, answer.row.key, *answer.problem.ids)):
                settled.append(answer._replace(error=CrmFailsOnRecordException))
            elif answer.row.crm_id is None and answer.row.key in holders:
                holder = holders[answer.row.key]
                settled.append(answer._replace(crm_id=holder, problem=replace(answer.problem, ids=(holder,))))
            elif self._holder_is_unnamed(answer):
                settled.append(answer._replace(error=RecordLockedException))
            elif answer.row.crm_id in held:
                settled.append(answer._replace(error=ParentNotFoundException))
            else:
                settled.append(answer)
        return settled

    def _key_is_taken(self, answer: Answer) -> bool:
        """A create refused because a record already carries the row's key, as far as is said; no other unique field is looked at."""
        return (
            answer.error is ExistingRecordException
            and answer.problem.code == "DUPLICATE_VALUE"
            and bool(self.key_field and answer.row.key)
            and (not answer.problem.fields or answer.problem.names(str(self.key_field)))
        )

    def _holder_is_unnamed(self, answer: Answer) -> bool:
        """A taken key of which the message, in another language or about an unfinished save, does not say whose it is."""
        return self._key_is_taken(answer) and not answer.problem.ids

    def _keys(self, record_ids: set[str]) -> tuple[dict[str, object], set[str]]:
        """The external keys of the records that exist, by id, and the ids on which Salesforce fails."""
        fields = ["Id", self.key_field] if self.key_field else ["Id"]
        found, failed = self.transport.retrieve(self.sobject, sorted(record_ids), fields)
        return {str(record["Id"]): record.get(str(self.key_field)) for record in found}, failed

    def _holders(self, keys: list[str]) -> tuple[dict[str, object], set[str]]:
        """The external keys, of these, that records carry, by the record's id, and the keys on which Salesforce fails."""
        field = str(self.key_field)
        found, failed = self.transport.query_in(SelectIn(self.sobject, ["Id", field], field), keys)
        return {str(record["Id"]): record[field] for record in found}, failed
