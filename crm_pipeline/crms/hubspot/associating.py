"""Associates contacts with their companies and accounts for every pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from crm_pipeline.crms.hubspot.answers import InputsRefusedError
from crm_pipeline.crms.hubspot.errors import NO_ASSOCIATIONS, NOT_FOUND, Problem, read_problem, record_error
from crm_pipeline.crms.hubspot.inputs import ASSOCIATION_TYPES, STANDARD_LABELS
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import HUBSPOT_DEFINED, PRIMARY, Reader, chunks, entries
from crm_pipeline.crms.hubspot.results import Ledger
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import ParentNotFoundException, RecordRefusedException, ServiceError, ServiceFailedException

Pair = tuple[str, str]
"""Ids of a contact and a company."""

NOT_THERE = frozenset({NOT_FOUND, NO_ASSOCIATIONS, "INVALID_OBJECT_IDS"})
"""What refuses to remove an association that is not there, which is as good as removed."""


class Associator:
    """Associates contacts of one portal. Creating or removing what is so already changes nothing, so every call may be repeated."""

    def __init__(self, transport: Transport, paths: Paths, reader: Reader, *, batch_size: int) -> None:
        self._transport = transport
        self._paths = paths
        self._reader = reader
        self._batch_size = batch_size

    def associate(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Associate contacts (schemas.ASSOCIATIONS) with their companies, and take them from those they leave (schemas.WRITE_RESULTS).

        Raises ServiceError when the service fails before anything is stored; afterwards the rows left are failed.
        """
        ledger = Ledger(rows["qbench_id"].tolist())
        positions = _positions(rows["crm_id"], rows["parent_crm_id"])
        beside = set(positions) - set(_positions(*(rows.loc[~rows["beside"], name] for name in ("crm_id", "parent_crm_id"))))
        leaving: dict[Pair, list[int]] = {}
        try:
            for pairs in chunks(positions, self._batch_size):
                self._send(pairs, positions, ledger, beside=beside)
            stored = rows["previous_crm_id"].notna() & pd.Series(map(ledger.is_stored, range(len(rows))), index=rows.index, dtype="bool")
            leaving = _positions(rows["crm_id"].where(stored), rows["previous_crm_id"].where(stored))
            self._leave(leaving, ledger)
        except ServiceError as error:
            if not ledger.wrote_something:
                raise
            for position in (*ledger.open(), *(one for held in leaving.values() for one in held)):
                ledger.failed(position, ServiceFailedException, code=type(error).__name__)
        return ledger.frame()

    def _leave(self, pairs: dict[Pair, list[int]], ledger: Ledger) -> None:
        """Take contacts from the companies they leave; a pair with labels of the users' own loses the primary label only (rules.md, 20)."""
        labels = self._reader.labels([contact for contact, _ in pairs])
        there = {pair: labels[pair] for pair in pairs if pair in labels}
        plain = [pair for pair, types in there.items() if types <= STANDARD_LABELS]
        labelled = [pair for pair in there if pair not in plain]
        primary = [pair for pair in labelled if (HUBSPOT_DEFINED, PRIMARY) in there[pair]]
        for part in chunks(plain, self._batch_size):
            self._remove("archive", part, pairs, ledger)
        for part in chunks(primary, self._batch_size):
            self._remove("labels/archive", part, pairs, ledger)
        for pair in labelled:
            for position in filter(ledger.is_stored, pairs[pair]):
                ledger.note(position, f"not_pushed: account {pair[1]} is kept beside the new one, for its labels")

    def _remove(
        self, verb: Literal["archive", "labels/archive"], pairs: Sequence[Pair], positions: dict[Pair, list[int]], ledger: Ledger
    ) -> None:
        """Take associations away, or their primary label; what stays fails its rows, so that the next run removes it.

        A request refused as a whole is halved; an error that names no pair means every one of its request.
        """
        if verb == "archive":
            inputs = [{"from": {"id": contact}, "to": [{"id": company}]} for contact, company in pairs]
        else:
            inputs = [{"from": {"id": contact}, "to": {"id": company}, "types": [ASSOCIATION_TYPES[1]]} for contact, company in pairs]
        try:
            answer = self._transport.remove(self._paths.contact_companies(verb), {"inputs": inputs})
            problems = [read_problem(error) for error in entries(answer, "errors")]
        except InputsRefusedError as refusal:
            if len(pairs) > 1:
                middle = len(pairs) // 2
                self._remove(verb, pairs[:middle], positions, ledger)
                self._remove(verb, pairs[middle:], positions, ledger)
                return
            problems = [refusal.problem]
        for problem in problems:
            if NOT_THERE.isdisjoint(problem.codes):
                _fail(_blamed(pairs, problem, pairs) or pairs, problem, positions, ledger)

    def _send(self, pairs: Sequence[Pair], positions: dict[Pair, list[int]], ledger: Ledger, *, beside: set[Pair]) -> None:
        """One request; where HubSpot refuses it as a whole, its halves, down to the pairs that are to blame."""
        inputs = [
            {"from": {"id": pair[0]}, "to": {"id": pair[1]}, "types": list(ASSOCIATION_TYPES[:1] if pair in beside else ASSOCIATION_TYPES)}
            for pair in pairs
        ]
        try:
            answer = self._transport.post(self._paths.contact_companies("create"), {"inputs": inputs}, label="associate").content
        except InputsRefusedError as refusal:
            if len(pairs) == 1:
                _fail(pairs, refusal.problem, positions, ledger)
                return
            middle = len(pairs) // 2
            self._send(pairs[:middle], positions, ledger, beside=beside)
            self._send(pairs[middle:], positions, ledger, beside=beside)
            return
        for result in entries(answer, "results"):
            pair = _pair(result)
            for position in positions.get(pair, ()):
                ledger.ok(position, crm_id=pair[0], created=None, parent_sent=True)
        for error in entries(answer, "errors"):
            problem = read_problem(error)
            still_open = [pair for pair in pairs if not ledger.is_stored(positions[pair][0])]
            _fail(_blamed(pairs, problem, still_open), problem, positions, ledger)


def _positions(contacts: pd.Series, companies: pd.Series) -> dict[Pair, list[int]]:
    """The rows of each pair; rows without one are left out."""
    positions: dict[Pair, list[int]] = {}
    for position, (contact, company) in enumerate(zip(contacts, companies, strict=True)):
        if pd.notna(contact) and pd.notna(company):
            positions.setdefault((str(contact), str(company)), []).append(position)
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
    if len(pairs) == 1:
        return list(pairs)
    if problem.from_ids or problem.to_ids:
        return [
            (contact, company)
            for contact, company in pairs
            if (not problem.from_ids or contact in problem.from_ids) and (not problem.to_ids or company in problem.to_ids)
        ]
    return [pair for pair in still_open if pair[0] in problem.ids] or [pair for pair in still_open if pair[1] in problem.ids]


def _fail(pairs: Sequence[Pair], problem: Problem, positions: dict[Pair, list[int]], ledger: Ledger) -> None:
    error = record_error(problem, not_found=ParentNotFoundException, email_taken=RecordRefusedException, sends_email=False)
    for pair in pairs:
        blamed = [one for one, ids in zip(pair, (problem.from_ids, problem.to_ids), strict=True) if one in ids]
        for position in positions[pair]:
            ledger.failed(position, error, code=problem.code, ids=blamed or pair)
