"""Associates contacts with their companies and accounts for every pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from crm_pipeline.crms.hubspot.answers import InputsRefusedError
from crm_pipeline.crms.hubspot.errors import Problem, read_problem, record_error
from crm_pipeline.crms.hubspot.inputs import ASSOCIATION_TYPES
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import chunks, entries
from crm_pipeline.crms.hubspot.results import Ledger
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import ParentNotFoundException, RecordRefusedException, ServiceError, ServiceFailedException

Pair = tuple[str, str]
"""Ids of a contact and a company."""


class Associator:
    """Associates contacts of one portal. Creating an association that exists changes nothing, so every call may be repeated."""

    def __init__(self, transport: Transport, paths: Paths, *, batch_size: int) -> None:
        self._transport = transport
        self._paths = paths
        self._batch_size = batch_size

    def associate(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Associate contacts (schemas.ASSOCIATIONS) with their companies, as primary ones (schemas.WRITE_RESULTS).

        Raises ServiceError when the service fails before anything is stored; afterwards the rows left are failed.
        """
        ledger = Ledger(rows["qbench_id"].tolist())
        positions: dict[Pair, list[int]] = {}
        for position, pair in enumerate(zip(rows["crm_id"], rows["parent_crm_id"], strict=True)):
            positions.setdefault((str(pair[0]), str(pair[1])), []).append(position)
        try:
            for pairs in chunks(positions, self._batch_size):
                self._send(pairs, positions, ledger)
        except ServiceError as error:
            if not ledger.wrote_something:
                raise
            for position in ledger.open():
                ledger.failed(position, ServiceFailedException, code=type(error).__name__)
        return ledger.frame()

    def _send(self, pairs: Sequence[Pair], positions: dict[Pair, list[int]], ledger: Ledger) -> None:
        """One request; where HubSpot refuses it as a whole, its halves, down to the pairs that are to blame."""
        inputs = [{"from": {"id": contact}, "to": {"id": company}, "types": list(ASSOCIATION_TYPES)} for contact, company in pairs]
        try:
            answer = self._transport.post(self._paths.contact_companies("create"), {"inputs": inputs}, label="associate").content
        except InputsRefusedError as refusal:
            if len(pairs) == 1:
                _fail(pairs, refusal.problem, positions, ledger)
                return
            middle = len(pairs) // 2
            self._send(pairs[:middle], positions, ledger)
            self._send(pairs[middle:], positions, ledger)
            return
        for result in entries(answer, "results"):
            pair = _pair(result)
            for position in positions.get(pair, ()):
                ledger.ok(position, crm_id=pair[0], created=None, parent_sent=True)
        for error in entries(answer, "errors"):
            problem = read_problem(error)
            _fail(_blamed(pairs, problem), problem, positions, ledger)


def _pair(result: dict[str, Any]) -> Pair:
    """The pair of a result, whose ids stand in members of their own or in ``from`` and ``to``."""
    contact = result.get("fromObjectId") or (result.get("from") or {}).get("id")
    company = result.get("toObjectId") or (result.get("to") or {}).get("id")
    return str(contact), str(company)


def _blamed(pairs: Sequence[Pair], problem: Problem) -> list[Pair]:
    """The pairs that an error speaks of; an error that names one side means every pair with it."""
    if len(pairs) == 1:
        return list(pairs)
    contacts = problem.from_ids or problem.ids
    companies = problem.to_ids or problem.ids
    if problem.from_ids and problem.to_ids:
        return [pair for pair in pairs if pair[0] in contacts and pair[1] in companies]
    return [pair for pair in pairs if (not problem.to_ids and pair[0] in contacts) or (not problem.from_ids and pair[1] in companies)]


def _fail(pairs: Sequence[Pair], problem: Problem, positions: dict[Pair, list[int]], ledger: Ledger) -> None:
    error = record_error(problem, not_found=ParentNotFoundException, email_taken=RecordRefusedException, sends_email=False)
    for pair in pairs:
        blamed = [one for one, ids in zip(pair, (problem.from_ids, problem.to_ids), strict=True) if one in ids]
        for position in positions[pair]:
            ledger.failed(position, error, code=problem.code, ids=blamed or pair)
