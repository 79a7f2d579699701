"""Makes in QBench what people made in a CRM: what is about to be made is stored first, so that no lost answer makes it twice."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import (
    AmbiguousMatchException,
    CustomerNotYetSyncedException,
    LinkConflictException,
    NoCustomerForContactException,
    NotFitForQBenchException,
    NotTakenByQBenchException,
    QBenchFailsOnRecordException,
    RefusedByQBenchException,
    ServiceError,
)
from crm_pipeline.halving import code_of, may_be_of_one, most_failures
from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.model import MODELS, LinkStatus, Outcome
from crm_pipeline.schemas import RAW
from crm_pipeline.source import WritableSource
from crm_pipeline.store.change_outcomes import change_outcomes, save_change_outcomes
from crm_pipeline.store.creations import answered, claim, forget, open_creations
from crm_pipeline.store.crm_records import looked_at, pend, staged_readings
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.organizations import moment
from crm_pipeline.store.raw_records import raw_by_id
from crm_pipeline.store.reading import is_being_read_first
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.extracting.staging import ComingBack, stage
from crm_pipeline.sync.made_in_qbench import CLOCKS_APART, keep, link_anew, save_agreed, showing
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning.arrivals import AT_ONCE, Arrivals
from crm_pipeline.sync.returning.keying import KEYS_REFUSED, give_keys
from crm_pipeline.sync.returning.looking import Looking
from crm_pipeline.sync.returning.newcomers import NEEDED, makes_from
from crm_pipeline.sync.returning.outcomes import of_newcomers
from crm_pipeline.sync.returning.selection import asked_for

logger = logging.getLogger(__name__)

LATE = timedelta(minutes=10)
"""How long a create may still arrive whose call broke off; assumed."""

AT_A_LINK = [error.__name__ for error in (RefusedByQBenchException, QBenchFailsOnRecordException)]
"""What can go wrong where a contact is linked to its customer, so that this is tried again: in its time, or once something changed."""

FAR_AHEAD = 4_102_444_800
"""The year 2100 in Unix seconds, after which no record was updated."""


class Creating:
    """The creates of one run; none where the order does not ask for them. ``settle`` comes first.

    ``told``: the outcomes (schemas.CHANGE_OUTCOMES) so far, as they were stored.
    """

    def __init__(
        self, order: LoadOrder, *, store: Store, source: WritableSource, crm: Crm, looking: Looking, back: ComingBack, lock: Lock
    ) -> None:
        self.told: list[pd.DataFrame] = []
        self._order = order
        self._state = order.state
        self._record_type = order.record.record_type
        self._is_contact = MODELS[self._record_type].parent is not None
        self._store = store
        self._source = source
        self._crm = crm
        self._looking = looking
        self._back = back
        self._lock = lock
        self._arrivals = Arrivals(order, store=store, crm=crm, looking=looking)
        self._makes = makes_from(order.record, order.crm)

    @property
    def _way(self) -> WayBack:
        return self._looking.way

    def settle(self) -> None:
        """Find what creates made whose answer is not stored, and do what is left of them. Raises the ServiceError that stopped it."""
        if not self._makes:
            return
        with self._store.transaction() as connection:
            creations = open_creations(connection, self._state)
        if creations.empty:
            return
        self._arrivals.require_organization()
        creations = self._to_be_tried(creations)
        with reading(self._source, integration=self._order.integration, store=self._store):
            for create in creations.itertuples():
                with self._store.transaction() as connection:
                    [staged] = staged_readings(connection, self._state, crm_ids=[create.crm_id]).itertuples()
                if pd.notna(create.qbench_id):
                    if self._connect(staged, int(create.qbench_id)):
                        with self._store.transaction() as connection:
                            # What a person changed there meanwhile was not looked at.
                            pend(connection, self._state, crm_ids=[create.crm_id])
                else:
                    self._find(staged, create.sent, created_at=create.created_at)

    @property
    def unfinished(self) -> set[str]:
        """CRM ids of contacts that were made and not linked to their customer yet: what they show is looked at once they are."""
        if not (self._makes and self._is_contact):
            return set()
        with self._store.transaction() as connection:
            creations = open_creations(connection, self._state)
        return set(creations.loc[creations["qbench_id"].notna(), "crm_id"])

    def _to_be_tried(self, creations: pd.DataFrame) -> pd.DataFrame:
        """The creates (schemas.CREATIONS) without the contacts whose link QBench refused, as long as nothing about them changed.

        One that QBench failed on for a passing cause has its time.
        """
        ids = creations.loc[creations["qbench_id"].notna(), "crm_id"].tolist()
        asked = asked_for(self._order, store=self._store)
        with self._store.transaction() as connection:
            latest = change_outcomes(connection, self._state, crm_ids=ids)
            staged = staged_readings(connection, self._state, crm_ids=ids)
        shown = set(zip(staged["crm_id"], staged["stamp"], strict=True))
        as_then = [pair in shown for pair in zip(latest["crm_id"], latest["stamp"], strict=True)]
        same = pd.Series(as_then, index=latest.index, dtype=bool) | latest["retryable"]
        waits = latest["error_type"].isin(AT_A_LINK) & same & ~latest["crm_id"].isin(asked)
        self.told.append(latest[waits].reset_index(drop=True))
        return creations[~creations["crm_id"].isin(latest.loc[waits, "crm_id"])]

    def planned(self, crm_ids: Sequence[str]) -> list[str]:
        """Of these CRM records without a link, and of those whose account has one by now, the ones that are to be made.

        Of the others what is wrong is stored, or the record of QBench that they are. Raises the CRM's ServiceError.
        """
        if not self._makes:
            return []
        asked = self._arrivals.of(crm_ids)
        if not asked:
            return []
        if not self._is_staged_whole():
            with self._store.transaction() as connection:
                pend(connection, self._state, crm_ids=asked)
            return []
        found = self._arrivals.decided(asked)
        wrong, there = found["error_type"].notna(), found["qbench_id"].notna()
        if wrong.any():
            self._save(of_newcomers(found[wrong].assign(qbench_id=pd.NA)))
        for row in found[there].itertuples():
            self._link(row, int(row.qbench_id))
        ids: list[str] = found.loc[~wrong & ~there, "crm_id"].tolist()
        return ids

    def make(self, crm_ids: Sequence[str], *, asked: Collection[str]) -> None:
        """Make them. Raises the ServiceError that stopped it; what is made is stored.

        One on which QBench fails stops no other; its error is raised at the end, but of those that are looked at because they are
        ``asked`` for: that is told by their outcomes.
        """
        if not crm_ids:
            return
        failed: dict[str, ServiceError] = {}
        in_a_row, most = 0, most_failures(len(crm_ids))
        with reading(self._source, integration=self._order.integration, store=self._store):
            for start in range(0, len(crm_ids), AT_ONCE):
                newcomers = self._arrivals.at(crm_ids[start : start + AT_ONCE])
                for row, values in zip(newcomers.itertuples(), self._arrivals.values(newcomers), strict=True):
                    if (error := self._make(row, values)) is None:
                        in_a_row = 0
                        continue
                    failed[str(row.crm_id)] = error
                    in_a_row += 1
                    if in_a_row > most:
                        raise error
        for crm_id, error in failed.items():
            if crm_id not in asked:
                raise error

    def give_keys(self) -> None:
        """Write their external keys into the CRM records that were linked. Raises the CRM's ServiceError; what is written stays."""
        refused = give_keys(self._order, store=self._store, crm=self._crm) if self._makes else KEYS_REFUSED.empty()
        if refused.empty:
            return
        # One that this run made ends as what its key became.
        self.told = [told[~told["crm_id"].isin(refused["crm_id"])] for told in self.told]
        self._save(of_newcomers(refused))

    def _is_staged_whole(self) -> bool:
        """Whether all that QBench has can be compared with; else its records would be made again."""
        with self._store.transaction() as connection:
            reads = is_being_read_first(connection, self._order.integration, self._record_type)
        if reads is None:
            return next(self._source.changes(self._record_type, since=None, until=FAR_AHEAD), None) is None
        return not reads

    def _make(self, row: Any, values: dict[str, Any]) -> ServiceError | None:
        """Make one record, and link it to its customer; the error with which QBench, which is up, fails on it. Its create stays open."""
        if not values:
            self._tell(row.crm_id, row.stamp, NotFitForQBenchException.__name__, reason=f"needed: {', '.join(NEEDED[self._record_type])}")
            return None
        with self._store.transaction() as connection:
            claimed = claim(
                connection, self._state, org_id=self._arrivals.org_id, run_id=self._order.run_id, crm_id=row.crm_id, sent=values
            )
        if not claimed:
            self._tell(row.crm_id, row.stamp, LinkConflictException.__name__, reason="another integration has it")
            return None
        self._lock.require()
        try:
            result = self._source.create(self._record_type, values).iloc[0]
        except ServiceError as error:
            if not error.executed:
                self._forget(row.crm_id)
            if not may_be_of_one(error) or not self._is_up():
                raise
            self._tell(row.crm_id, row.stamp, QBenchFailsOnRecordException.__name__, reason=code_of(error))
            return error
        # Another run may have found by now what was made here.
        self._lock.require()
        if pd.isna(result["qbench_id"]):
            self._forget(row.crm_id)
            self._tell(row.crm_id, row.stamp, result["error_type"], reason=_details(result))
            return None
        qbench_id = int(result["qbench_id"])
        if result["content"] is None or pd.isna(result["version"]):
            with self._store.transaction() as connection:
                answered(connection, self._state, crm_id=row.crm_id, qbench_id=qbench_id)
            return None
        lost = result["error_fields"] if result["error_type"] == NotTakenByQBenchException.__name__ else None
        if not self._keep(row, _as_raw(result)):
            return None
        if self._is_contact:
            self._connect(row, qbench_id)
        else:
            self._tell(row.crm_id, row.stamp, None, qbench_id=qbench_id, reason=f"not taken: {lost}" if pd.notna(lost) else None)
        return None

    def _is_up(self) -> bool:
        """Whether QBench shows that there is nothing in a window in which there is nothing."""
        try:
            next(self._source.changes(self._record_type, since=FAR_AHEAD, until=FAR_AHEAD + 1), None)
        except ServiceError:
            return False
        return True

    def _keep(self, row: Any, raw: pd.DataFrame) -> bool:
        """Stage a record that was made, and link it, in one transaction; whether it could be linked."""
        with self._store.transaction() as connection:
            self._stage(connection, raw)
            held_by = keep(connection, self._order, way=self._way, org_id=self._arrivals.org_id, crm_id=row.crm_id, raw=raw)
        self._normalize(raw)
        if held_by is not None:
            self._tell_held(row, int(raw["qbench_id"].iloc[0]), held_by)
        return held_by is None

    def _connect(self, row: Any, qbench_id: int) -> bool:
        """Link a contact that was made to its customer; whether it is linked. Until then, its create is not over."""
        crm_id, account = row.crm_id, row.parent_crm_id
        with self._store.transaction() as connection:
            links = self._state.accounts.links_of(connection, crm_ids=[] if pd.isna(account) else [account])
        links = links[links["status"].eq(LinkStatus.LIVE)]
        if links.empty:
            error = NoCustomerForContactException if pd.isna(account) else CustomerNotYetSyncedException
            self._tell(crm_id, row.stamp, error.__name__, qbench_id=qbench_id, reason=None if pd.isna(account) else f"account {account}")
            return False
        self._lock.require()
        try:
            result = self._source.connect(contact_id=qbench_id, customer_id=int(links["qbench_id"].iloc[0])).iloc[0]
        except ServiceError as error:
            if not may_be_of_one(error) or self._source.by_id(self._record_type, [qbench_id]).frame.empty:
                raise
            # QBench is up: the others need not wait for this one.
            self._tell(crm_id, row.stamp, QBenchFailsOnRecordException.__name__, qbench_id=qbench_id, reason=code_of(error))
            return False
        error_type = result["error_type"] if pd.notna(result["error_type"]) else None
        shown = result["content"] is not None and pd.notna(result["version"])
        held_by = None
        with self._store.transaction() as connection:
            if shown:
                raw = _as_raw(result)
                self._stage(connection, raw)
                if not len(self._state.links_of(connection, crm_ids=[crm_id])):
                    held_by = keep(connection, self._order, way=self._way, org_id=self._arrivals.org_id, crm_id=crm_id, raw=raw)
            if error_type not in AT_A_LINK:
                forget(connection, self._state, crm_id=crm_id)
        if shown:
            self._normalize(_as_raw(result))
        if held_by is not None:
            self._tell_held(row, qbench_id, held_by)
            return False
        self._tell(crm_id, row.stamp, error_type, qbench_id=qbench_id, reason=_details(result))
        return error_type is None

    def _find(self, row: Any, sent: dict[str, Any], *, created_at: pd.Timestamp) -> None:
        """What a create made whose answer was lost; once nothing can arrive any more, it may be made anew."""
        crm_id = row.crm_id
        found = self._source.matching(self._record_type, str(sent[self._arrivals.identifying]))
        with self._store.transaction() as connection:
            linked = self._state.links(connection, ids=found["qbench_id"].tolist())["qbench_id"]
            now = moment(connection)
        found = found[~found["qbench_id"].isin(linked) & found["version"].ge(int((created_at - CLOCKS_APART).timestamp()))]
        found = showing(sent, found.reset_index(drop=True), marker=self._order.marker_field)
        if len(found) == 1:
            if not self._keep(row, found):
                return
            if self._is_contact:
                self._connect(row, int(found["qbench_id"].iloc[0]))
            else:
                self._tell(crm_id, row.stamp, None, qbench_id=int(found["qbench_id"].iloc[0]))
        elif len(found):
            ids = ", ".join(map(str, found["qbench_id"]))
            self._tell(crm_id, row.stamp, AmbiguousMatchException.__name__, reason=f"QBench ids {ids}")
        elif now - created_at >= LATE:
            with self._store.transaction() as connection:
                forget(connection, self._state, crm_id=crm_id)
                latest = change_outcomes(connection, self._state, crm_ids=[crm_id])
                given_up = latest["error_type"].eq(QBenchFailsOnRecordException.__name__) & ~latest["retryable"]
                if not (given_up & latest["stamp"].eq(row.stamp)).any():
                    pend(connection, self._state, crm_ids=[crm_id])

    def _link(self, row: Any, qbench_id: int) -> None:
        """Link a CRM record to one that QBench has. Whose value stands is as where a load links the two (merging, case 8)."""
        held_by = None
        with self._store.transaction() as connection:
            raw = RAW.build(raw_by_id(connection, self._order.integration, self._record_type, ids=[qbench_id]))
            if len(raw):
                held_by = link_anew(connection, self._order, org_id=self._arrivals.org_id, crm_id=row.crm_id, qbench_id=qbench_id)
            if len(raw) and held_by is None:
                shown = self._arrivals.shown(pd.DataFrame({"shown": pd.Series([row.shown], dtype=object)}))
                bases = self._first_bases(raw, shown)
                save_agreed(connection, self._order, crm_id=row.crm_id, qbench_id=qbench_id, bases=bases)
        if held_by is not None:
            self._tell_held(row, qbench_id, held_by)
            return
        self._tell(row.crm_id, row.stamp, None, qbench_id=qbench_id, outcome=Outcome.LINKED)
        with self._store.transaction() as connection:
            # What goes into QBench, the next run decides.
            pend(connection, self._state, crm_ids=[row.crm_id])

    def _first_bases(self, raw: pd.DataFrame, shown: pd.DataFrame) -> dict[str, list[int]]:
        """Bases by which the side whose value stands counts as changed, and the other one does not."""
        [wanted] = digests(self._way.wanted(raw).forms).to_dict("records")
        [held] = digests(self._way.forms(shown, raw)).to_dict("records")
        bases = {}
        for unit, members in self._way.units.items():
            ours, theirs, target = int(wanted[unit]), int(held[unit]), members[0].target
            if ours == theirs:
                bases[unit] = [ours, theirs]
            elif NO_DIGEST in (ours, theirs):
                bases[unit] = [NO_DIGEST, NO_DIGEST]
            elif target.direction is Direction.FROM_CRM or target.rule is Rule.PREFER_CRM:
                bases[unit] = [ours, NO_DIGEST]
            else:
                bases[unit] = [NO_DIGEST, theirs]
        return bases

    def _tell(
        self,
        crm_id: str,
        stamp: Any,
        error_type: str | None,
        *,
        qbench_id: int | None = None,
        reason: str | None = None,
        outcome: Outcome = Outcome.CREATED,
    ) -> None:
        told = {"crm_id": [crm_id], "qbench_id": [qbench_id], "stamp": [stamp], "error_type": [error_type], "reason": [reason]}
        self._save(of_newcomers(pd.DataFrame(told, dtype=object), done=outcome))

    def _tell_held(self, row: Any, qbench_id: int, held_by: str) -> None:
        """That a CRM record is not linked to this record of QBench, since it is linked to another one."""
        reason = f"{row.crm_id}, which QBench id {qbench_id} is the same as, is linked to {held_by}"
        self._tell(row.crm_id, row.stamp, LinkConflictException.__name__, reason=reason)

    def _save(self, told: pd.DataFrame) -> None:
        with self._store.transaction() as connection:
            save_change_outcomes(connection, self._state, outcomes=told, attempt=self._order.attempt)
            looked_at(connection, self._state, crm_ids=told["crm_id"].tolist())
        self.told.append(told)

    def _forget(self, crm_id: str) -> None:
        with self._store.transaction() as connection:
            forget(connection, self._state, crm_id=crm_id)

    def _stage(self, connection: Any, raw: pd.DataFrame) -> None:
        order = self._order
        stage(connection, order.integration, self._record_type, frame=raw, source=self._source, back=self._back, late=True)

    def _normalize(self, raw: pd.DataFrame) -> None:
        order = self._order
        normalize_named(self._store, order.integration, order.record, ids=raw["qbench_id"].tolist(), reading=order.reading)


def _details(result: pd.Series) -> str | None:
    """What QBench said of a refusal (schemas.SOURCE_RESULTS): codes and field names."""
    return "; ".join(f"{name}: {result[name]}" for name in ("error_code", "error_fields") if pd.notna(result[name])) or None


def _as_raw(result: pd.Series) -> pd.DataFrame:
    """One row of schemas.SOURCE_RESULTS as one of schemas.RAW."""
    return RAW.build(pd.DataFrame([{name: result[name] for name in ("qbench_id", "version", "content", "unreadable")}]))
