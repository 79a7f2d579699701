"""What became of a row, by Salesforce's answer: saved, refused, unaccounted, or to be tried with fewer rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crm_pipeline.contracts import which_are_right
from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.crms.salesforce.contracts import SAVED_ROW, UPSERTED_ROW
from crm_pipeline.crms.salesforce.errors import (
    GONE_CODES,
    LIMIT_CODES,
    VALUE_CODES,
    RowProblem,
    may_be_of_the_call,
    problem_of,
    read_problem,
    record_error,
)
from crm_pipeline.crms.salesforce.ids import long_id
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, Row
from crm_pipeline.errors import CrmFailsOnRecordException, RecordError, ServiceError, ServiceFailedException, UnaccountedException
from crm_pipeline.halving import Alone, code_of
from crm_pipeline.model import Verb

NO_PROBLEM = RowProblem(None)


class Answer(NamedTuple):
    """What became of a row: the record's id and whether it is new, or an error."""

    row: Row
    crm_id: str | None = None
    created: bool | None = None
    error: type[RecordError] | None = None
    problem: RowProblem = NO_PROBLEM

    def result(self) -> WriteResult:
        """The answer as whoever wrote the row wants it."""
        if self.error is None:
            return WriteResult(self.row.qbench_id, self.crm_id, self.created, parent_sent=self.row.carries_parent)
        return WriteResult(
            self.row.qbench_id,
            self.crm_id,
            error_type=self.error.__name__,
            error_code=self.problem.code,
            error_fields=", ".join(self.problem.fields) or None,
            error_ids=", ".join(self.problem.ids) or None,
            value_refused=self.problem.code in VALUE_CODES and PARENT_FIELD not in self.problem.fields,
            note=f"matches {', '.join(self.problem.others)}" if self.problem.others else None,
        )


def answers_of(rows: Sequence[Row], said: Sequence[Any], *, sobject: str, verb: Verb, repeated: bool) -> list[Answer]:
    """What is said of each row of a request; ``repeated``: an earlier call may have written it."""
    told = zip(rows, said, which_are_right(said, UPSERTED_ROW if verb is Verb.UPSERT else SAVED_ROW), strict=True)
    return [
        _answer_of(row, one, sobject=sobject, verb=verb, repeated=repeated) if right else Answer(row, error=UnaccountedException)
        for row, one, right in told
    ]


def _answer_of(row: Row, said: Any, *, sobject: str, verb: Verb, repeated: bool) -> Answer:
    if not said["success"]:
        return refused(row, read_problem(said["errors"], sobject=sobject))
    crm_id = long_id(said["id"])
    if row.crm_id is not None and crm_id != long_id(row.crm_id):
        return Answer(row, error=UnaccountedException)
    return Answer(row, crm_id=crm_id, created=_created(said, verb=verb, repeated=repeated))


def is_limited(answer: Answer) -> bool:
    """Whether a limit of the organization is what failed the row."""
    return answer.error is ServiceFailedException and answer.problem.code in LIMIT_CODES


def with_own_limits(answers: list[Answer]) -> list[Answer]:
    """The answers of one request, with a limit that took only some of its rows as their own trouble: the organization's takes them all."""
    if all(answer.error for answer in answers):
        return answers
    return [answer._replace(error=CrmFailsOnRecordException) if answer.problem.code in LIMIT_CODES else answer for answer in answers]


def without_contradictions(answers: list[Answer]) -> list[Answer]:
    """The answers, those unaccounted that name one new record for several rows."""
    made: Counter[str | None] = Counter(answer.crm_id for answer in answers if answer.crm_id and answer.row.crm_id is None)
    return [Answer(answer.row, error=UnaccountedException) if made[answer.crm_id] > 1 else answer for answer in answers]


def _created(said: Mapping[str, Any], *, verb: Verb, repeated: bool) -> bool | None:
    """Whether the record is new. That a repeated upsert found it there may be our own doing: then nobody knows."""
    if verb is not Verb.UPSERT:
        return verb is Verb.CREATE
    created: bool = said["created"]
    return created if created or not repeated else None


def refused(row: Row, problem: RowProblem) -> Answer:
    """What became of a row that was refused for this."""
    return Answer(row, error=record_error(problem, crm_id=row.crm_id, parent_sent=row.carries_parent), problem=problem)


def blamed(part: Alone[Row]) -> Answer:
    """What became of a row that failed alone, while others got through."""
    problem = problem_of(part.error)
    return fails_inside(part.item, part.error) if problem is None else refused(part.item, problem)


def fails_inside(row: Row, error: ServiceError) -> Answer:
    """What became of a row on which Salesforce fails."""
    return Answer(row, error=CrmFailsOnRecordException, problem=RowProblem(code_of(error)))


def may_fail_for_others(answers: Sequence[Answer]) -> list[Answer]:
    """The rows of a call that may have failed for another row's sake: with fewer rows they may get through.

    One alone among rows that were saved is itself to blame.
    """
    saved = sum(answer.error is None for answer in answers)
    failed = [answer for answer in answers if answer.error and answer.error is not UnaccountedException]
    found = [answer for answer in failed if may_be_of_the_call(answer.problem, saved=saved)]
    one_is_to_blame = len(found) == 1 and saved == len(answers) - 1 > 0
    return [] if one_is_to_blame else found


def is_unsure(answer: Answer) -> bool:
    """A record is gone, and the answer does not say whether the row's own or its account."""
    return answer.problem.code in GONE_CODES and not answer.problem.fields and answer.row.crm_id is not None and answer.row.carries_parent
