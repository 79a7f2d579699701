"""Writes one batch of rows to HubSpot and accounts for every row.

Answers are in no order, may leave rows out and may refuse some rows (207) or all of them (400); each row is matched to what
speaks of it, and what nothing speaks of is failed: so an update of an id that was merged away, of which HubSpot says nothing
(seen by others).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from typing import Any

from crm_pipeline.contracts import which_are_right
from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.crms.hubspot.answers import NamelessError, problem_of
from crm_pipeline.crms.hubspot.contracts import WRITTEN, WRITTEN_ROW
from crm_pipeline.crms.hubspot.echoes import kept
from crm_pipeline.crms.hubspot.errors import Problem, record_error
from crm_pipeline.crms.hubspot.inputs import CREATE, UPSERT, Action, Input, Inputs, inputs_of, names_of, rounds
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import problems, text
from crm_pipeline.crms.hubspot.results import Ledger
from crm_pipeline.crms.hubspot.transport import Reply, Transport
from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    ParentNotFoundException,
    ServiceError,
    ServiceFailedException,
)
from crm_pipeline.halving import Alone, code_of, in_halves
from crm_pipeline.letters import lowered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes records of one portal. ``key_name`` is the external key property, if the portal has one."""

    transport: Transport
    paths: Paths
    key_name: str | None

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write a batch and account for every row.

        Raises ServiceError when the service fails before anything is stored; afterwards the rows left are failed, so that
        what is stored is not lost.
        """
        ledger = Ledger([one.qbench_id for one in writes])
        inputs = inputs_of(crm_object, writes, key_name=self.key_name)
        for position, crm_id in inputs.idle.items():
            ledger.idle(position, crm_id=crm_id)
        work = _Work(self, crm_object, ledger)
        try:
            work.carry_out(inputs)
        except ServiceError as error:
            if not ledger.wrote_something:
                raise
            for position in ledger.open():
                ledger.failed(position, ServiceFailedException, code=type(error).__name__)
        return ledger.results()


@dataclass(frozen=True, slots=True)
class _Work:
    """One batch being written; what becomes of its rows goes into the ledger."""

    writer: Writer
    crm_object: CrmObject
    ledger: Ledger

    def carry_out(self, batch: Inputs) -> None:
        for action, inputs in batch.by_action.items():
            for request in rounds(inputs):
                self._carry_out(action, request)

    def _carry_out(self, action: Action, request: Sequence[Input]) -> None:
        """The inputs in one request; where HubSpot fails on it as a whole, its halves, down to the rows that are to blame."""
        nameless: list[Input] = []
        try:
            for part in in_halves(request, partial(self._send, action), repeatable=action.repeatable, is_up=self.writer.transport.is_up):
                if isinstance(part, Alone):
                    self._fail_alone(action, part)
                else:
                    nameless += part.answer
        except NamelessError as error:
            for one in request:
                if one.position not in self.ledger:
                    self.ledger.failed(one.position, CrmFailsOnRecordException, code=code_of(error))
        if nameless:
            self._carry_out(action, nameless)

    def _send(self, action: Action, inputs: Sequence[Input], /, *, again: bool) -> list[Input]:
        """Make one request and note what became of its inputs; those that an error without a name speaks of, to be sent again."""
        reply = self.writer.transport.post(
            self.writer.paths.batch(self.crm_object.name, action.verb),
            {"inputs": [one.wire() for one in inputs]},
            label="write",
            holds=WRITTEN,
            repeatable=action.repeatable and not again,
            divisible=action.repeatable and len(inputs) > 1,
        )
        problems = self._account(action, inputs, replace(reply, repeated=reply.repeated or again))
        silent = [one for one in inputs if one.position not in self.ledger]
        if not silent or not problems or not _may_go_again(action, silent, problems):
            return []
        if len(silent) == len(inputs):
            raise NamelessError(integration=self.writer.transport.integration, problem=problems[0])
        return silent

    def _fail_alone(self, action: Action, part: Alone[Input]) -> None:
        if (problem := problem_of(part.error)) is not None:
            self._fail(action, part.item, problem)
        else:
            self.ledger.failed(part.item.position, CrmFailsOnRecordException, code=code_of(part.error))

    def _account(self, action: Action, inputs: Sequence[Input], reply: Reply) -> list[Problem]:
        """Note what an answer says of its inputs; the problems that name none of them."""
        for one, result in self._recognized(inputs, reply.content["results"]):
            self._stored(action, one, result, reply)
        nameless = []
        for problem in problems(reply.content):
            blamed = _blamed(action, inputs, problem)
            if not blamed and len(inputs) == 1 and inputs[0].position in self.ledger:
                blamed = list(inputs)
            if not blamed:
                nameless.append(problem)
            for one in blamed:
                # Ids may be those of other records than the inputs: without a trace id nothing speaks against a result.
                if action is CREATE or problem.traces or not self.ledger.is_stored(one.position):
                    self._fail(action, one, problem)
        return nameless

    def _recognized(self, inputs: Sequence[Input], results: Sequence[Any]) -> Iterator[tuple[Input, dict[str, Any]]]:
        """The results that speak of one input each, and it of one record. What contradicts itself is left out, never guessed at."""
        by_name = {name: one for one in inputs for name in one.names}
        found: dict[tuple[int, str], tuple[Input, dict[str, Any]]] = {}
        for result in compress(results, which_are_right(results, WRITTEN_ROW)):
            known = (by_name.get(name) for name in names_of(result, self.crm_object, key_name=self.writer.key_name))
            one = next(filter(None, known), None)
            if one is not None:
                found[one.position, str(result["id"])] = (one, result)
        if len(found) < len(results):
            logger.warning("%s: %d of %d results of a write cannot be told", self.crm_object.name, len(results) - len(found), len(results))
        claims = Counter(position for position, _ in found)
        holders = Counter(crm_id for _, crm_id in found)
        yield from (pair for (position, crm_id), pair in found.items() if claims[position] == 1 and holders[crm_id] == 1)

    def _stored(self, action: Action, one: Input, result: dict[str, Any], reply: Reply) -> None:
        self.ledger.ok(
            one.position,
            crm_id=str(result["id"]),
            created=_created(action, result, reply),
            parent_sent=action is CREATE and one.parent_crm_id is not None,
        )
        if others := kept(one.properties, result.get("properties") or {}):
            self.ledger.kept(one.position, {name: text(result["properties"][name]) for name in others})

    def _fail(self, action: Action, one: Input, problem: Problem) -> None:
        if action is CREATE and one.position in self.ledger:
            # HubSpot made the record and complains all the same: of what came inline, the association.
            self.ledger.without_parent(one.position)
            return
        error = record_error(problem, not_found=action.not_found, email_taken=action.email_taken, sends_email="email" in one.properties)
        ids = list(problem.owners)
        if error is ParentNotFoundException and one.parent_crm_id is not None:
            ids.append(one.parent_crm_id)
        self.ledger.failed(one.position, error, code=problem.code, fields=problem.properties, ids=ids)


def _created(action: Action, result: dict[str, Any], reply: Reply) -> bool | None:
    """Whether the write made a new record; not said where an earlier attempt of the same upsert may have made it."""
    if action is not UPSERT:
        return action is CREATE
    new = result.get("new")
    return None if new is None or (reply.repeated and not new) else bool(new)


def _may_go_again(action: Action, silent: Sequence[Input], problems: Sequence[Problem]) -> bool:
    """Whether these inputs may be sent again: a create only where each of them has an error, so that none was made."""
    return action.repeatable or len(silent) == len(problems)


def _blamed(action: Action, inputs: Sequence[Input], problem: Problem) -> list[Input]:
    """The inputs that an error speaks of: by trace ids, else by what its ids name."""
    if problem.traces:
        return [one for one in inputs if one.trace in problem.traces]
    named = {f"{action.id_name}:{lowered(one)}" for one in problem.ids}
    return [one for one in inputs if not named.isdisjoint(one.names)]
