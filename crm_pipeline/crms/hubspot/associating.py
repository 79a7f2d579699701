"""Associates contacts with their companies and accounts for every pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial
from itertools import compress
from typing import Any, Literal

import pandas as pd

from crm_pipeline.contracts import which_are_right
from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.crms.hubspot.answers import InputsDoubtedError, InputsRefusedError, NamelessError, problem_of
from crm_pipeline.crms.hubspot.contracts import ASSOCIATED, ASSOCIATED_ROW
from crm_pipeline.crms.hubspot.errors import NO_ASSOCIATIONS, NOT_FOUND, Problem, record_error
from crm_pipeline.crms.hubspot.inputs import ASSOCIATION_TYPES, STANDARD_LABELS
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import HUBSPOT_DEFINED, PRIMARY, Reader, chunks, problems
from crm_pipeline.crms.hubspot.results import Ledger
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    ParentNotFoundException,
    RecordRefusedException,
    ServiceError,
    ServiceFailedException,
)
from crm_pipeline.frames import plain
from crm_pipeline.halving import Alone, Send, code_of, in_halves

Pair = tuple[str, str]
"""Ids of a contact and a company."""

Removal = Literal["archive", "labels/archive"]

NOT_THERE = frozenset({NOT_FOUND, NO_ASSOCIATIONS, "INVALID_OBJECT_IDS"})
"""What refuses to remove an association that is not there, which is as good as removed."""


class Associator:
    """Associates contacts of one portal. Creating or removing what is so already changes nothing, so every call may be repeated."""

    def __init__(self, transport: Transport, paths: Paths, reader: Reader, *, batch_size: int) -> None:
        self._transport = transport
        self._paths = paths
        self._reader = reader
        self._batch_size = batch_size

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Associate contacts (schemas.ASSOCIATIONS) with their companies, and take them from those they leave.

        Raises ServiceError when the service fails before anything is stored; afterwards the rows left are failed.
        """
        ledger = Ledger(rows["qbench_id"].tolist())
        positions = _positions(rows["crm_id"], rows["parent_crm_id"])
        main = _positions(*(rows.loc[~rows["beside"], name] for name in ("crm_id", "parent_crm_id"))) if rows["beside"].any() else positions
        beside = positions.keys() - main.keys()
        moving = rows.index[rows["previous_crm_id"].notna()].tolist()
        try:
            for pairs in chunks(positions, self._batch_size):
                self._carry_out(partial(self._associate, positions=positions, ledger=ledger, beside=beside), pairs, positions, ledger)
            if moving:
                left = rows["previous_crm_id"].loc[list(filter(ledger.is_stored, moving))].str.split(", ").explode()
                self._leave(_positions(rows["crm_id"].loc[left.index], left), ledger)
        except ServiceError as error:
            if not ledger.wrote_something:
                raise
            # Of those that are to leave a company, nobody knows which did.
            for position in (*ledger.open(), *filter(ledger.is_stored, moving)):
                ledger.failed(position, ServiceFailedException, code=type(error).__name__)
        return ledger.results()

    def _leave(self, pairs: dict[Pair, list[int]], ledger: Ledger) -> None:
        """Take contacts from the companies they leave; pairs with users' own labels lose the primary label only (docs/rules.md, 20)."""
        labels, failed = self._reader.labels([contact for contact, _ in pairs])
        for pair in pairs:
            if pair[0] in failed:
                _fails_inside(pair, None, pairs, ledger)
        there = {pair: labels[pair] for pair in pairs if pair in labels}
        plain = [pair for pair, types in there.items() if types <= STANDARD_LABELS]
        labelled = [pair for pair in there if pair not in plain]
        primary = [pair for pair in labelled if (HUBSPOT_DEFINED, PRIMARY) in there[pair]]
        removals: tuple[tuple[Removal, list[Pair]], ...] = (("archive", plain), ("labels/archive", primary))
        for verb, leaving in removals:
            for part in chunks(leaving, self._batch_size):
                self._carry_out(partial(self._remove, verb=verb, positions=pairs, ledger=ledger), part, pairs, ledger)
        for pair in labelled:
            for position in filter(ledger.is_stored, pairs[pair]):
                ledger.note(position, f"not_pushed: account {pair[1]} is kept beside the new one, for its labels")

    def _carry_out(
        self, send: Send[Pair, Sequence[Pair]], pairs: Sequence[Pair], positions: Mapping[Pair, Sequence[int]], ledger: Ledger
    ) -> None:
        """Make one request; where HubSpot fails on it as a whole, its halves, down to the pairs that are to blame.

        ``send`` notes what became of its pairs and returns those to be sent again.
        """
        open_pairs, again = set(pairs), list[Pair]()
        try:
            for part in in_halves(pairs, send, repeatable=True, is_up=self._transport.is_up):
                if isinstance(part, Alone):
                    open_pairs.discard(part.item)
                    _fail_alone(part, positions, ledger)
                else:
                    open_pairs -= set(part.items)
                    again += part.answer
        except NamelessError as error:
            for pair in open_pairs:
                _fails_inside(pair, error, positions, ledger)
        if again:
            self._carry_out(send, again, positions, ledger)

    def _remove(
        self, pairs: Sequence[Pair], /, *, again: bool, verb: Removal, positions: Mapping[Pair, Sequence[int]], ledger: Ledger
    ) -> Sequence[Pair]:
        """Take associations away, or their primary label; what stays fails its rows, so that the next run removes it."""
        if verb == "archive":
            inputs = [{"from": {"id": contact}, "to": [{"id": company}]} for contact, company in pairs]
        else:
            inputs = [{"from": {"id": contact}, "to": {"id": company}, "types": [ASSOCIATION_TYPES[1]]} for contact, company in pairs]
        path = self._paths.contact_companies(verb)
        try:
            answer = self._transport.remove(path, {"inputs": inputs}, repeatable=not again, divisible=len(pairs) > 1)
        except (InputsRefusedError, InputsDoubtedError) as refusal:
            if len(pairs) == 1 and not NOT_THERE.isdisjoint(refusal.problem.codes):
                return ()
            raise
        for problem in problems(answer):
            if NOT_THERE.isdisjoint(problem.codes):
                blamed = _blamed(pairs, problem, pairs)
                if not blamed:
                    raise NamelessError(integration=self._transport.integration, problem=problem)
                _fail(blamed, problem, positions, ledger)
        return ()

    def _associate(
        self,
        pairs: Sequence[Pair],
        /,
        *,
        again: bool,
        positions: Mapping[Pair, Sequence[int]],
        ledger: Ledger,
        beside: Set[Pair],
    ) -> Sequence[Pair]:
        """Associate these pairs; those that an error without a name speaks of are to be sent again."""
        inputs = [
            {"from": {"id": pair[0]}, "to": {"id": pair[1]}, "types": list(ASSOCIATION_TYPES[:1] if pair in beside else ASSOCIATION_TYPES)}
            for pair in pairs
        ]
        path = self._paths.contact_companies("create")
        answer = self._transport.post(
            path, {"inputs": inputs}, label="associate", holds=ASSOCIATED, repeatable=not again, divisible=len(pairs) > 1
        ).content
        results = answer["results"]
        for pair in set(map(_pair, compress(results, which_are_right(results, ASSOCIATED_ROW)))):
            for position in positions.get(pair, ()):
                ledger.ok(position, crm_id=pair[0], created=None, parent_sent=True)
        nameless = []
        for problem in problems(answer):
            blamed = _blamed(pairs, problem, [pair for pair in pairs if not ledger.is_stored(positions[pair][0])])
            _fail(blamed, problem, positions, ledger)
            nameless += [] if blamed else [problem]
        silent = [pair for pair in pairs if positions[pair][0] not in ledger]
        if not nameless or not silent:
            return ()
        if len(silent) == len(pairs):
            raise NamelessError(integration=self._transport.integration, problem=nameless[0])
        return silent


def _positions(contacts: pd.Series, companies: pd.Series) -> dict[Pair, list[int]]:
    """The rows (by index) of each pair; rows without one are left out."""
    positions: dict[Pair, list[int]] = {}
    for position, contact, company in zip(contacts.index, plain(contacts), plain(companies), strict=True):
        if contact is not None and company is not None:
            positions.setdefault((contact, company), []).append(position)
    return positions


def _pair(result: dict[str, Any]) -> Pair:
    """The pair of a result, whose ids stand in members of their own or in ``from`` and ``to``."""
    contact = result.get("fromObjectId") or (result.get("from") or {}).get("id")
    company = result.get("toObjectId") or (result.get("to") or {}).get("id")
    return str(contact), str(company)


def _blamed(pairs: Sequence[Pair], problem: Problem, still_open: Sequence[Pair]) -> list[Pair]:
    """The pairs that an error speaks of; an error that names one side means every pair with it.

    Ids without a side may be those of contacts or of companies: they mean open pairs only, by contact before by company.
    """
    if problem.from_ids or problem.to_ids:
        return [
            (contact, company)
            for contact, company in pairs
            if (not problem.from_ids or contact in problem.from_ids) and (not problem.to_ids or company in problem.to_ids)
        ]
    return [pair for pair in still_open if pair[0] in problem.ids] or [pair for pair in still_open if pair[1] in problem.ids]


def _fail_alone(part: Alone[Pair], positions: Mapping[Pair, Sequence[int]], ledger: Ledger) -> None:
    if (problem := problem_of(part.error)) is None:
        _fails_inside(part.item, part.error, positions, ledger)
    else:
        _fail([part.item], problem, positions, ledger)


def _fails_inside(pair: Pair, error: ServiceError | None, positions: Mapping[Pair, Sequence[int]], ledger: Ledger) -> None:
    for position in positions[pair]:
        ledger.failed(position, CrmFailsOnRecordException, code=code_of(error) if error else None, ids=pair)


def _fail(pairs: Sequence[Pair], problem: Problem, positions: Mapping[Pair, Sequence[int]], ledger: Ledger) -> None:
    error = record_error(problem, not_found=ParentNotFoundException, email_taken=RecordRefusedException, sends_email=False)
    for pair in pairs:
        blamed = [one for one, ids in zip(pair, (problem.from_ids, problem.to_ids), strict=True) if one in ids]
        for position in positions[pair]:
            ledger.failed(position, error, code=problem.code, ids=blamed or pair)
