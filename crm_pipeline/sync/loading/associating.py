"""Contacts that are written and whose account needs a call of its own: gathered until such a call is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from crm_pipeline.errors import ServiceError
from crm_pipeline.frames import where
from crm_pipeline.sync.links.reader import LinkReader
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.merged_or_deleted import follow_parents
from crm_pipeline.sync.loading.open_calls import Answered
from crm_pipeline.sync.loading.sending import Contacts, Sending
from crm_pipeline.sync.loading.storing import Storing

MOST_WAITING = 10_000
"""So many written contacts wait for their account at most, unless one call takes more: all that is known of them is in memory."""


class Associating:
    """The associations of one load. ``accounts``: makes what looks at their accounts' links."""

    def __init__(self, job: Job, sending: Sending, storing: Storing, *, accounts: Callable[[], LinkReader]) -> None:
        limits = job.crm.capabilities
        self._most = limits.association_batch_size * max(1, min(limits.calls_at_once, MOST_WAITING // limits.association_batch_size))
        self._sending = sending
        self._storing = storing
        self._accounts = accounts
        self._gathered: list[Contacts] = []

    @property
    def waiting(self) -> list[pd.DataFrame]:
        """The rows (plan.PLAN) that wait."""
        return [one.rows for one in self._gathered]

    def add(self, rows: pd.DataFrame, written: pd.DataFrame) -> None:
        """Gather written contacts (plan.PLAN, and their results in schemas.WRITE_RESULTS)."""
        if len(rows):
            self._gathered.append(Contacts(rows, written))

    def send(self, *, at_least: int) -> None:
        """Associate contacts with their accounts, while there are ``at_least`` as many. Raises the ServiceError of a CRM that is down."""
        while sum(map(len, self._gathered)) >= at_least:
            contacts = Contacts.together(self._gathered)
            now = contacts.slice(0, self._most)
            self._gathered = [contacts.slice(len(now), len(contacts))] if len(contacts) > len(now) else []
            self._send(now)

    def send_full(self) -> None:
        """Associate as many contacts as make as many full calls as go at the same time."""
        self.send(at_least=self._most)

    def leave_open(self) -> None:
        """Store that contacts are written whose association the load did not get to."""
        if self._gathered:
            left = Contacts.together(self._gathered)
            self._storing.associated(left.rows, left.written)

    def _send(self, contacts: Contacts) -> None:
        """Send contacts' accounts at the same time and store what became of them.

        Raises the ServiceError of a CRM that is down; the contacts of its call wait on.
        """
        stop: ServiceError | None = None
        done: list[tuple[pd.DataFrame, pd.DataFrame, Answered]] = []
        try:
            for part, answer, call in self._answered(contacts):
                if call.stops:
                    stop = call.error
                    self._storing.end_association(call)
                    self._gathered.append(part)
                else:
                    done.append((part.rows, answer, call))
        finally:
            if done:
                rows, answers = (pd.concat(frames, ignore_index=True) for frames in ([one[0] for one in done], [one[1] for one in done]))
                self._storing.associated(rows, answers, calls=[call for *_, call in done])
        if stop is not None:
            raise stop

    def _answered(self, contacts: Contacts) -> Iterator[tuple[Contacts, pd.DataFrame, Answered]]:
        """Contacts as they were sent last, what became of them, and by which calls: once more where the account was merged."""
        for part, call in self._sending.associate(contacts):
            if call.stops:
                yield part, call.results, call
                continue
            rows, answer, moved = follow_parents(self._accounts, part.rows, call.results, unless=call.results["error_type"].isna())
            followed = Contacts(rows, part.written)
            yield followed.take(~moved), where(answer, ~moved), call
            if moved.any():
                for again, repeated in self._sending.associate(followed.take(moved)):
                    yield again, repeated.results, repeated
