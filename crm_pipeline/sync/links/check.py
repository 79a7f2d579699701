"""Compares the links of one CRM with what the CRM has, and puts right what can be put right by itself (docs/rules.md, 27 to 29).

Runs under the lock of the loads, so that no record is written while its link changes. What is found is stored in one
transaction per record type; whatever a check did not get to, the next one does.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import account_for
from crm_pipeline.crms.examining import left_since
from crm_pipeline.errors import LinkConflictException, SyncsAsContactException
from crm_pipeline.model import MODELS, RecordType, children
from crm_pipeline.schemas import ASSOCIATIONS, CHECKED_LINKS, LINKS
from crm_pipeline.store.conflicts import forget_old_conflicts
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import follow_deletions
from crm_pipeline.store.link_checks import (
    count_links,
    forget_links,
    forget_parents,
    gone_links,
    hold_links,
    ids_in_doubt,
    last_check,
    links_after,
    mark_back,
    save_check,
    settle_back,
)
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.store.telling import tell_leads, tell_untold
from crm_pipeline.sync.links.converting import follow_conversions
from crm_pipeline.sync.links.findings import FINDINGS as FOUND
from crm_pipeline.sync.links.findings import outcomes, returned, told, without_account
from crm_pipeline.sync.links.keys import write_keys
from crm_pipeline.sync.links.policy import LinkPolicy, Verdict, judge
from crm_pipeline.sync.links.reader import LinkReader
from crm_pipeline.sync.links.removing import Remover
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.writing_turns import run_of, turn_at

logger = logging.getLogger(__name__)

Scope = Literal["recent", "full"]

CHECKED_ROWS = 2 * FRAME_ROWS
"""Links that are looked at together: a frame costs some hundred operations, however few rows it has."""

OVERLAP = timedelta(minutes=10)
"""How much earlier than the last check's begin a recent one looks: clocks differ, and a CRM's search may lag."""

FIRST_LOOK_BACK = timedelta(days=1)
"""How far back the first recent check looks; a full one sees the rest."""

FINDINGS = (
    *("relinked", "converted", "conflict", "deleted", "restored", "forgotten", "key_lost", "key_refused", "other_key"),
    *("other_account", "account_lost", "account_refused", "unread", "too_many", "removed", "kept", "too_many_to_remove"),
)
"""Everything that is counted beside ``checked``."""

SAMPLE_IDS = 5


@dataclass(slots=True)
class LinkReport:
    """The counts of one check of one record type, by finding, and a few of their QBench ids."""

    record_type: RecordType
    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[int]] = field(default_factory=dict)

    def add(self, finding: str, qbench_ids: Sequence[int]) -> None:
        """Count these records."""
        self.counts[finding] += len(qbench_ids)
        known = self.samples.setdefault(finding, [])
        known.extend(qbench_ids[: SAMPLE_IDS - len(known)])


class LinkCheck:
    """One check of the links of one CRM. ``run`` does it; ``reports`` say what was found, also after ``run`` raised.

    ``orders``: one per record type, accounts first, so that contacts are compared with accounts as they are now.
    """

    def __init__(self, orders: Sequence[LoadOrder], *, policy: LinkPolicy, store: Store, crm: Crm) -> None:
        self.reports = [LinkReport(order.state.record_type) for order in orders]
        self._orders = orders
        self._policy = policy
        self._store = store
        self._crm = crm
        self._held: Store
        """The store under the lock of the run, which it has while it runs."""

    @property
    def too_many_gone(self) -> bool:
        """Whether too many records were gone, or were to be deleted; then they are reported only."""
        return any(report.counts["too_many"] + report.counts["too_many_to_remove"] for report in self.reports)

    def run(self, scope: Scope) -> None:
        """Check all links, or those that may have changed since the last check.

        Raises the ServiceError or ConfigurationError that stopped it.
        """
        first = self._orders[0]
        with run_of(self._store, first.integration, first.crm) as lock:
            self._held = self._store.under(lock)
            org_id = self._crm.organization()
            with self._held.transaction() as connection:
                require_organization(connection, first.integration, first.crm, org_id=org_id, key_space=first.key_space)
                if scope == "full":
                    # Where none is stored any more, nothing else forgets the values of the last ones.
                    forget_old_conflicts(connection)
            for order, report in zip(self._orders, self.reports, strict=True):
                self._check(LinkReader(order, self._held, self._crm, org_id, order.state), report, scope=scope)
            # Contacts first: an account goes once it has none.
            for order, report in reversed(list(zip(self._orders, self.reports, strict=True))):
                self._remove(order, report, org_id=org_id)

    def _check(self, reader: LinkReader, report: LinkReport, *, scope: Scope) -> None:
        order, started, clock = reader.order, datetime.now(UTC), time.monotonic()
        with self._held.transaction() as connection:
            follow_deletions(connection, order.state)
            if scope == "full":
                tell_untold(connection, order.state)
        found = [self._looked_at(reader, links, report, scope=scope) for links in self._links(order, scope)]
        noted = [rows for rows in found if len(rows)]
        rows = self._whole(order, pd.concat(noted, ignore_index=True)) if noted else None
        # What is linked is decided in turn; looking at all links first would keep other integrations waiting.
        with turn_at(self._held, order.crm, org_id=reader.org_id, record_type=order.state.record_type) as turn:
            store = self._held.under(turn)
            findings = FOUND.empty() if rows is None else reader.reconcile(rows)
            if rows is not None:
                report.add("unread", _ids(rows, ~rows["qbench_id"].isin(findings["qbench_id"])))
            self._store_findings(store, reader, findings, report, back={} if rows is None else returned(rows, findings))
            if order.settings.send:
                for answer in write_keys(order, self._crm, findings[findings["key_lost"]]):
                    report.add("key_refused", _ids(answer, answer["error_type"].notna()))
                self._give_accounts_back(store, order, findings[findings["account_lost"]].reset_index(drop=True), report)
        with self._held.transaction() as connection:
            save_check(connection, order.state, scope=scope, started_at=started, counts=report.counts)
        logger.info(
            "%s %s %ss: checked %d links (%s) in %.1f s: %s",
            order.integration,
            order.crm,
            order.state.record_type,
            report.counts["checked"],
            scope,
            time.monotonic() - clock,
            ", ".join(f"{report.counts[name]} {name}" for name in FINDINGS if report.counts[name]) or "all as they were",
        )

    def _remove(self, order: LoadOrder, report: LinkReport, *, org_id: str) -> None:
        """Delete the CRM records that are to go, where the integration asks for it."""
        remover = Remover(order, self._held, self._crm, self._policy)
        if not remover.is_asked_for:
            return
        with turn_at(self._held, order.crm, org_id=org_id, record_type=order.state.record_type):
            removal = remover.run()
        report.add("removed", removal.removed)
        report.add("kept", removal.kept)
        report.add("too_many_to_remove", removal.too_many)

    def _links(self, order: LoadOrder, scope: Scope) -> Iterator[pd.DataFrame]:
        yield from self._all(order) if scope == "full" else self._in_doubt(order)

    def _all(self, order: LoadOrder) -> Iterator[pd.DataFrame]:
        after = -1
        while True:
            with self._held.transaction() as connection:
                links = links_after(connection, order.state, after=after, rows=CHECKED_ROWS)
            if links.empty:
                return
            yield links
            after = int(links["qbench_id"].iloc[-1])

    def _in_doubt(self, order: LoadOrder) -> Iterator[pd.DataFrame]:
        with self._held.transaction() as connection:
            before = last_check(connection, order.state)
        since = before - OVERLAP if before is not None else datetime.now(UTC) - FIRST_LOOK_BACK
        objects = crm_kinds()[order.crm].objects[order.state.record_type]
        gone = [crm_id for crm_object in objects for crm_id in left_since(self._crm, crm_object, since)]
        with self._held.transaction() as connection:
            ids = ids_in_doubt(connection, order.state, crm_ids=gone)
        for start in range(0, len(ids), FRAME_ROWS):
            with self._held.transaction() as connection:
                yield order.state.checked_links(connection, ids=ids[start : start + FRAME_ROWS])

    def _whole(self, order: LoadOrder, rows: pd.DataFrame) -> pd.DataFrame:
        """The same links (schemas.CHECKED_LINKS, and what else is known of them) with all that is stored of them (schemas.LINKS)."""
        with self._held.transaction() as connection:
            links = order.state.links(connection, ids=rows["qbench_id"].tolist())
        known = rows.columns.difference(LINKS.names, sort=False)
        return rows[["qbench_id", *known]].merge(links, on="qbench_id")

    def _looked_at(self, reader: LinkReader, links: pd.DataFrame, report: LinkReport, *, scope: Scope) -> pd.DataFrame:
        report.counts["checked"] += len(links)
        if MODELS[reader.state.record_type].made_of is not None:
            links = self._not_converted(reader, self._whole(reader.order, links), report)
        # What no stamp tells: formulas, transactions that ended late, what a search did not know yet.
        looked = reader.look(CHECKED_LINKS.check(links), for_changes=scope == "full")
        report.add("unread", looked.unread)
        return looked.rows

    def _not_converted(self, reader: LinkReader, links: pd.DataFrame, report: LinkReport) -> pd.DataFrame:
        """The links but those of leads that people converted, which are followed by now."""
        order = reader.order
        found, _ = follow_conversions(order, links, store=self._held, crm=self._crm, org_id=reader.org_id)
        rows = found.assign(
            version=found["qbench_id"].map(links.set_index("qbench_id")["version"]),
            reason=found["obstacle"].fillna("contact:" + found["contact_crm_id"]),
        )
        moved = rows["obstacle"].isna()
        report.add("converted", _ids(rows, moved))
        report.add("conflict", _ids(rows, ~moved))
        errors = pd.Series([SyncsAsContactException if gone else LinkConflictException for gone in moved], index=rows.index, dtype=object)
        with self._held.transaction() as connection:
            latest = order.state.outcomes(connection, ids=rows["qbench_id"].tolist())
            as_contacts = latest.loc[latest["error_type"].eq(SyncsAsContactException.__name__), "qbench_id"]
            # Those that are no leads keep saying so, of which the link is in conflict too.
            news = moved | ~rows["qbench_id"].isin(as_contacts)
            order.state.save_outcomes(connection, outcomes=told(rows, errors, latest)[news], attempt=order.attempt)
        return links[~links["qbench_id"].isin(found["qbench_id"])].reset_index(drop=True)

    def _store_findings(
        self, store: Store, reader: LinkReader, findings: pd.DataFrame, report: LinkReport, *, back: Mapping[int, str | None]
    ) -> None:
        """Store all that follows from the findings, before anything is asked of the CRM for them: a call may end the check.

        ``back``: the records that are there again (findings.returned).
        """
        state, ids = reader.state, findings["qbench_id"].tolist()
        with store.transaction() as connection:
            latest = state.outcomes(connection, ids=ids)
            reader.store_changes(connection, findings[findings["changed"]])
            # Who waits for an account that is away is looked at until it is there.
            looked = findings["account"].notna() | findings["customer_id"].isna()
            settle_back(connection, state, ids=_ids(findings, looked), lost=_ids(findings, findings["account_lost"]))
            for record_type in children(state.record_type):
                mark_back(connection, replace(state, record_type=record_type), customers=back)
            state.save_outcomes(connection, outcomes=outcomes(findings, latest), attempt=reader.order.attempt)
            if MODELS[state.record_type].made_of is not None:
                tell_leads(connection, state.contacts, outcomes=state.contacts.outcomes(connection, ids=ids))
            verdict = self._judged(connection, state, new=_ids(findings, findings["finding"].eq("deleted")))
            for record_type in children(state.record_type):
                # What is made in their place gets the contacts that the CRM kept.
                mark_back(connection, replace(state, record_type=record_type), customers=dict.fromkeys(verdict.forget))
        report.add("forgotten", verdict.forget)
        report.counts["too_many"] += verdict.reported
        for name, rows in findings.groupby("finding"):
            report.add(str(name), rows["qbench_id"].tolist())
        for name in ("key_lost", "other_key", "other_account", "account_lost"):
            report.add(name, _ids(findings, findings[name]))

    def _give_accounts_back(self, store: Store, order: LoadOrder, lost: pd.DataFrame, report: LinkReport) -> None:
        """Put contacts and accounts together again; a contact whose account is not taken is open, so that a load sends it."""
        size = self._crm.capabilities.association_batch_size
        for start in range(0, len(lost), size):
            part = lost.iloc[start : start + size].reset_index(drop=True)
            pairs = ASSOCIATIONS.build(
                part[["qbench_id", "crm_id"]].assign(parent_crm_id=part["account"], beside=False, previous_crm_id=None)
            )
            answer = account_for(pairs, self._crm.associate(pairs))
            refused = part[answer["error_type"].notna()]
            with store.transaction() as connection:
                settle_back(connection, order.state, ids=part["qbench_id"].tolist())
                forget_parents(connection, order.state, ids=refused["qbench_id"].tolist())
                latest = order.state.outcomes(connection, ids=refused["qbench_id"].tolist())
                order.state.save_outcomes(connection, outcomes=without_account(refused, latest), attempt=order.attempt)
            report.add("account_refused", refused["qbench_id"].tolist())

    def _judged(self, connection: Connection, state: CrmState, *, new: list[int]) -> Verdict:
        """Do about deleted records, of which ``new`` were noticed by this check, what the policy says."""
        gone = gone_links(connection, state)
        verdict = judge(gone, new=new, links=count_links(connection, state), policy=self._policy)
        hold_links(connection, state, ids=verdict.held)
        forget_links(connection, state, ids=verdict.forget)
        return verdict


def _ids(frame: pd.DataFrame, rows: pd.Series) -> list[int]:
    return [int(qbench_id) for qbench_id in frame.loc[rows, "qbench_id"]]
