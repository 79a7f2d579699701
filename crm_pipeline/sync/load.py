"""Loads one record type into one CRM: plans the staged rows frame by frame and carries the plan out batch by batch.

The only place where sync does I/O. What a batch did is stored (link, digests, outcome) in one transaction right after its
answer, so that a crash costs one batch at most.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm, WriteBatch
from crm_pipeline.errors import (
    MappingError,
    OpenRecordsError,
    RecordLockedException,
    ServiceError,
    ServiceFailedException,
    UnaccountedException,
)
from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.payload import Payload, build_payload
from crm_pipeline.mapping.targets import Target
from crm_pipeline.mapping.validity import mapping_problems
from crm_pipeline.model import MODELS, Operation, RecordType
from crm_pipeline.schemas import ASSOCIATIONS, WRITE_RESULTS, WRITE_ROWS
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import follow_deletions, left_behind, release
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.staging import FRAME_ROWS, Window, normalized_by_id, normalized_stream, staged_errors
from crm_pipeline.store.waiting import ids_to_plan_again
from crm_pipeline.sync import eligibility, emails, results
from crm_pipeline.sync.claims import EmailClaims
from crm_pipeline.sync.intents import sent_fields, settle_intents
from crm_pipeline.sync.lookup import Lookup
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning import Inputs, Plan, blank_only, keep_filled, keep_parent, plan
from crm_pipeline.sync.report import LoadReport

logger = logging.getLogger(__name__)

ROUNDS = 3
"""How often a row that the CRM had locked is sent within one load."""


class Load:
    """One load. ``run`` does it; ``report`` says what was done, also after ``run`` raised."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm) -> None:
        self.order = order
        self.report = LoadReport()
        self._store = store
        self._crm = crm
        self._record_type = order.spec.record_type
        self._to_write: dict[str, Plan] = {}
        self._to_repeat: list[Plan] = []
        self._to_associate: list[tuple[pd.DataFrame, pd.DataFrame]] = []
        self._unclear: set[int] = set()
        self._given_up: set[int] = set()
        self._claims = EmailClaims(order)

    def run(self, window: Window) -> LoadReport:
        """Load the window's rows and those for which what they waited for has changed.

        Raises the ServiceError or ConfigurationError that stopped it, after storing what was done, and OpenRecordsError
        when rows are left that failed for a passing cause.
        """
        with self._store.lock(f"{self.order.integration}: writing {self.order.crm}"):
            try:
                for frame in self._frames(window):
                    self._plan_and_write(frame)
                self._finish()
            except ServiceError:
                self._leave_parents_open()
                raise
        if self.report.retryable:
            raise OpenRecordsError(
                f"integration {self.order.integration}: {self.report.retryable} records are still to be written to "
                f"{self.order.crm}; materialize the partition again to send only these"
            )
        return self.report

    def _frames(self, window: Window) -> Iterator[pd.DataFrame]:
        with self._store.transaction() as connection:
            follow_deletions(connection, self.order.state)
        for frame in normalized_stream(self._store, self.order.integration, self._record_type, window=window):
            self.report.rows += len(frame)
            yield frame
        yield from self._freed_frames(window)

    def _freed_frames(self, window: Window) -> Iterator[pd.DataFrame]:
        with self._store.transaction() as connection:
            ids = ids_to_plan_again(connection, self.order.state, holding=eligibility.HOLDING)
        for start in range(0, len(ids), FRAME_ROWS):
            with self._store.transaction() as connection:
                part = ids[start : start + FRAME_ROWS]
                frame = normalized_by_id(connection, self.order.integration, self._record_type, ids=part)
            freed = frame[~window.covers(frame["version"])].reset_index(drop=True)
            self.report.replanned += len(freed)
            if len(freed):
                yield freed

    @cached_property
    def _org_id(self) -> str:
        org_id = self._crm.organization()
        with self._store.transaction() as connection:
            key_space = self.order.key_space
            require_organization(connection, self.order.integration, self.order.crm, org_id=org_id, key_space=key_space)
        return org_id

    @cached_property
    def _fields(self) -> pd.DataFrame:
        return self._crm.fields(self._record_type)

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.order, crm=self._crm, store=self._store, org_id=self._org_id)

    @cached_property
    def _undecided(self) -> list[int]:
        """QBench ids whose earlier create can neither be found nor ruled out."""
        return settle_intents(self.order.state, store=self._store, crm=self._crm, org_id=self._org_id)

    def _plan_and_write(self, frame: pd.DataFrame) -> None:
        planned = self._plan(frame)
        if self._is_under_way(planned.rows):
            # Only once that is written are its links known, without which a record would be created, or linked, twice.
            self._finish()
            del self._undecided
            planned = self._plan(frame)
        done = results.decided(planned.rows)
        with self._store.transaction() as connection:
            self._save_outcomes(connection, done)
        self.report.add(done)
        writes = planned.take(planned.rows["operation"] != Operation.NONE)
        for part in emails.in_order(writes):
            self._buffer_in_turn(part)

    def _buffer_in_turn(self, part: Plan) -> None:
        """Buffer writes, behind those that give up an email which one of these takes."""
        if emails.takes(part.rows, self._given_up).any():
            self._write_rest()
        self._given_up |= emails.given_up(part.rows)
        verbs = _verbs(part.rows)
        for verb in verbs.unique():
            self._buffer(str(verb), part.take(verbs == verb))

    def _is_under_way(self, rows: pd.DataFrame) -> bool:
        """Whether a row was planned before in this load (it changed meanwhile), or leads to a CRM record that another one takes."""
        parts = [*(part.rows for part in (*self._to_write.values(), *self._to_repeat)), *(rows for rows, _ in self._to_associate)]
        qbench_ids = self._unclear.union(*(part["qbench_id"] for part in parts))
        crm_ids = set().union(*(part["crm_id"].dropna() for part in parts))
        return bool((rows["qbench_id"].isin(qbench_ids) | rows["crm_id"].isin(crm_ids)).any())

    def _plan(self, frame: pd.DataFrame) -> Plan:
        # In this order: the organization is proven before anything else is asked of it.
        undecided = self._undecided
        payload = build_payload(frame, crm=self.order.crm, spec=self.order.spec, crm_fields=self._fields)
        self._require_possible(payload)
        ids = frame["qbench_id"].tolist()
        with self._store.transaction() as connection:
            links = self.order.state.links(connection, ids=ids)
            customers = self._customers(connection, frame)
            wanted = digests(payload.values)
            winners = self._claims.winners(connection, frame, wanted)
        verdicts = eligibility.assess(frame, links, record_type=self._record_type, customers=customers, email_winners=winners)
        unlinked = verdicts["error_type"].isna() & ~frame["qbench_id"].isin(links["qbench_id"])
        inputs = Inputs(
            normalized=frame,
            payload=payload,
            digests=wanted,
            verdicts=verdicts,
            links=links,
            matches=self._lookup.matches(frame[unlinked], undecided=undecided),
            parent_crm_ids=eligibility.parent_crm_ids(frame["customer_id"], customers),
        )
        key_of = self.order.key_of if self.order.settings.external_key else None
        planned = self._claims.marked(plan(inputs, model=MODELS[self._record_type], key_of=key_of), links=links, digests=wanted)
        return self._respecting_the_crm(planned, blank_only(payload))

    def _require_possible(self, payload: Payload) -> None:
        key = self.order.settings.external_key
        problems = mapping_problems(payload.targets, self._fields, crm=self.order.crm, record_type=self._record_type, external_key=key)
        if problems:
            raise MappingError(integration=self.order.integration, service=self.order.crm, problems=problems)

    def _customers(self, connection: Connection, frame: pd.DataFrame) -> pd.DataFrame | None:
        if self._record_type is not RecordType.CONTACT:
            return None
        ids = frame["customer_id"].dropna().astype("int64").unique().tolist()
        parent = self.order.parent
        errors = staged_errors(connection, self.order.integration, RecordType.ACCOUNT, ids=ids)
        links, outcomes = parent.links(connection, ids=ids), parent.outcomes(connection, ids=ids)
        return eligibility.parents(frame["customer_id"], links, outcomes, errors=errors)

    def _respecting_the_crm(self, planned: Plan, targets: list[Target]) -> Plan:
        """Leave alone what the CRM already has: filled if_blank fields, and the account of a contact that is being linked."""
        fields = [target.crm_field for target in targets]
        known = planned.rows["operation"].isin([Operation.LINK, Operation.UPDATE])
        linking_contacts = (planned.rows["operation"] == Operation.LINK) & planned.rows["parent_crm_id"].notna()
        asked = (planned.sent[fields].any(axis=1) & known) | linking_contacts
        if not asked.any():
            return planned
        current = self._crm.read(self._record_type, planned.rows.loc[asked, "crm_id"].tolist(), fields)
        return keep_parent(keep_filled(planned, current, targets), current)

    def _buffer(self, verb: str, part: Plan) -> None:
        pending = self._to_write[verb].followed_by(part) if verb in self._to_write else part
        size = self._crm.batch_size(self._record_type)
        full = len(pending.rows) // size * size
        for start in range(0, full, size):
            self._write(pending.slice(start, start + size))
        self._to_write[verb] = pending.slice(full, len(pending.rows))

    def _finish(self) -> None:
        """Carry out everything that waits for a fuller batch."""
        self._write_rest()
        self._repeat_locked_rows()
        self._associate(at_least=1)

    def _write_rest(self) -> None:
        for pending in self._to_write.values():
            if len(pending.rows):
                self._write(pending)
        self._to_write.clear()
        self._given_up.clear()

    def _repeat_locked_rows(self) -> None:
        for repeat in range(2, ROUNDS + 1):
            again, self._to_repeat = self._to_repeat, []
            for part in again:
                self._write(part, attempt=repeat)

    def _write(self, batch: Plan, *, attempt: int = 1) -> None:
        """Send one batch and store what became of it, also when the call fails."""
        self._save_intents(batch)
        try:
            answer = self._crm.write(
                self._record_type, WriteBatch(WRITE_ROWS.build(batch.rows[WRITE_ROWS.names]), batch.values, batch.sent)
            )
        except ServiceError:
            self._store_results(batch.rows, results.failed(batch.rows, ServiceFailedException.__name__))
            raise
        answer = results.account_for(batch.rows, answer)
        again = answer["error_type"].eq(RecordLockedException.__name__) & (attempt < ROUNDS)
        if attempt == 1:
            again |= self._is_in_our_own_way(answer)
        if again.any():
            self._to_repeat.append(batch.take(again))
        self._store_results(batch.rows[~again].reset_index(drop=True), answer[~again].reset_index(drop=True))
        self._associate(at_least=self._crm.association_batch_size)
        logger.info(
            "%s %s %ss: wrote %d, %d of them refused; %d of %d rows accounted for",
            self.order.integration,
            self.order.crm,
            self._record_type,
            len(batch.rows),
            int(answer["error_type"].notna().sum()),
            self.report.accounted,
            self.report.rows + self.report.replanned,
        )

    def _is_in_our_own_way(self, answer: pd.DataFrame) -> pd.Series:
        """Rows refused for a record that we linked: another row of this load may move that out of the way (rules.md, 23)."""
        named = answer["error_ids"].where(answer["error_type"].isin(results.EXISTING))
        if named.isna().all():
            return pd.Series(False, index=answer.index)
        with self._store.transaction() as connection:
            holders = self.order.state.holders(connection, org_id=self._org_id, crm_ids=named.dropna().tolist())
        ours = holders.loc[holders["integration"] == self.order.integration, "crm_id"]
        return named.isin(ours)

    def _store_results(self, rows: pd.DataFrame, answer: pd.DataFrame) -> None:
        unclear = answer["error_type"].isin([ServiceFailedException.__name__, UnaccountedException.__name__])
        self._unclear.update(rows.loc[unclear, "qbench_id"])
        with self._store.transaction() as connection:
            taken = results.taken_over(rows, answer)
            release(connection, self.order.state, org_id=self._org_id, crm_ids=taken)
            wanted = results.named_as_existing(answer)
            left = left_behind(connection, self.order.state, org_id=self._org_id, crm_ids=wanted)
            answer = results.name_left_behind(answer, left)
            holders = self.order.state.holders(connection, org_id=self._org_id, crm_ids=answer["crm_id"].dropna().tolist())
            answer = results.refuse_held(answer, holders, integration=self.order.integration)
            pending = results.parent_open(rows, answer)
            outcomes = results.outcomes(rows, answer)[~pending].reset_index(drop=True)
            self.order.state.save_links(connection, org_id=self._org_id, links=results.links(rows, answer))
            self.order.state.close_intents(connection, ids=rows.loc[~unclear, "qbench_id"].tolist())
            self._save_outcomes(connection, outcomes)
        if pending.any():
            self._to_associate.append((rows[pending], answer[pending]))
        self.report.add(outcomes)

    def _associate(self, *, at_least: int) -> None:
        """Associate the written contacts with their accounts in full calls, while there are ``at_least`` as many."""
        size = self._crm.association_batch_size
        while sum(len(rows) for rows, _ in self._to_associate) >= at_least:
            rows, written = self._waiting_for_parent()
            self._associate_batch(rows[:size].reset_index(drop=True), written[:size].reset_index(drop=True))
            self._to_associate = [(rows[size:], written[size:])]

    def _waiting_for_parent(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The written contacts (planning.PLAN) that are not associated yet, and their results."""
        rows, written = zip(*self._to_associate, strict=True)
        return pd.concat(rows, ignore_index=True), pd.concat(written, ignore_index=True)

    def _leave_parents_open(self) -> None:
        """Store that contacts are written whose association the load did not get to."""
        if self._to_associate:
            outcomes = results.outcomes(*self._waiting_for_parent())
            with self._store.transaction() as connection:
                self._save_outcomes(connection, outcomes)
            self.report.add(outcomes)

    def _associate_batch(self, rows: pd.DataFrame, written: pd.DataFrame) -> None:
        pairs = ASSOCIATIONS.build(rows[["qbench_id", "parent_crm_id"]].assign(crm_id=written["crm_id"]))
        answer = results.account_for(rows, self._crm.associate(pairs))
        answer = WRITE_RESULTS.build(
            answer.assign(created=written["created"], crm_id=written["crm_id"], parent_sent=answer["error_type"].isna())
        )
        outcomes = results.outcomes(rows, answer)
        with self._store.transaction() as connection:
            self.order.state.save_links(connection, org_id=self._org_id, links=results.links(rows, answer))
            self._save_outcomes(connection, outcomes)
        self.report.add(outcomes)

    def _save_intents(self, batch: Plan) -> None:
        unrepeatable = (batch.rows["operation"] == Operation.CREATE) & batch.rows["key"].isna()
        if unrepeatable.any():
            creates = batch.take(unrepeatable)
            ids = creates.rows["qbench_id"].tolist()
            with self._store.transaction() as connection:
                self.order.state.save_intents(connection, org_id=self._org_id, run_id=self.order.run_id, ids=ids, sent=sent_fields(creates))

    def _save_outcomes(self, connection: Connection, outcomes: pd.DataFrame) -> None:
        self.order.state.save_outcomes(connection, outcomes=outcomes, run_id=self.order.run_id, partition_key=self.order.partition_key)


def _verbs(rows: pd.DataFrame) -> pd.Series:
    """Rows that go in the same calls share a verb: known records by id, new ones by key or plainly."""
    by_id = rows["crm_id"].notna()
    return pd.Series("create", index=rows.index, dtype="str").mask(rows["key"].notna(), "upsert").mask(by_id, "update")
