"""Plans staged rows for one CRM: gathers what a plan is made from, and makes it. Reads the state and the CRM, writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import MappingError, NotInListException
from crm_pipeline.frames import among, blank, equal, one_of, where
from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.feasibility import mapping_problems
from crm_pipeline.mapping.leads import goes_as_lead
from crm_pipeline.mapping.payload import Payload, build_payload
from crm_pipeline.mapping.spec import ContactSpec
from crm_pipeline.mapping.targets import Route, Target
from crm_pipeline.model import MODELS, Operation, RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_calls import open_calls
from crm_pipeline.store.waiting import ids_released
from crm_pipeline.sync.order import LoadOrder, read
from crm_pipeline.sync.planning import eligibility
from crm_pipeline.sync.planning import email_claims as claims
from crm_pipeline.sync.planning.accounts import Accounts, parents_of
from crm_pipeline.sync.planning.both_ways import BothWays, Sides
from crm_pipeline.sync.planning.decision import Inputs, plan
from crm_pipeline.sync.planning.description import Description
from crm_pipeline.sync.planning.inclusion import listed
from crm_pipeline.sync.planning.leads import only_of_contacts_that_leave
from crm_pipeline.sync.planning.lookup import Lookup, Undecided, meaningless
from crm_pipeline.sync.planning.owners import Owners
from crm_pipeline.sync.planning.parents import former_customers, keep_parent, previous_parent_crm_ids, without_account
from crm_pipeline.sync.planning.plan import Plan, blank_only, keep_filled, left_alone, undone, with_verbs
from crm_pipeline.sync.planning.refused_writes import repeats, with_write_digests, without_refused
from crm_pipeline.sync.planning.selection import frames_by_id


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of normalized rows before they are looked for in the CRM.

    ``payload``, ``digests`` (of its values) and ``verdicts`` (eligibility.VERDICTS): one row each, in the rows' order. ``links``:
    schemas.LINKS, a row per linked record. ``parents``: eligibility.PARENTS, None for accounts. ``former_accounts``:
    schemas.CHECKED_LINKS of the accounts that contacts belonged to before. ``open_calls``: schemas.OPEN_CALLS. ``leads``: contacts
    that are leads in the CRM. ``as_leads``: these, and those that become some unless the CRM has them as contacts. ``claims``: by what
    the rows without a link are looked for (Lookup.claims), with their index.
    """

    payload: Payload
    digests: pd.DataFrame
    links: pd.DataFrame
    parents: pd.DataFrame | None
    former_accounts: pd.DataFrame
    verdicts: pd.DataFrame
    open_calls: pd.DataFrame
    leads: pd.Series
    as_leads: pd.Series
    claims: pd.DataFrame


class Planner:
    """The plans of one order, for the load that carries them out and the preview that shows them.

    ``org_id``: the CRM organization, proven to be the one that the integration's links belong to. ``notes``: takes what is to
    be told beside the plans, and of how many records. ``accounts``: those that contacts refer to. ``contacts``: those that leads are
    made of, as the state has them where left out. ``shared_addresses``: those (str) that several staged contacts have, where they are
    known: nobody is asked who else could claim another one. ``description``: what is known of the object's fields; left out, the CRM is
    asked. ``stores``: whether plans say what is to be stored of creates, of which all goes anyway, and of writes that may be refused.
    """

    def __init__(
        self,
        order: LoadOrder,
        *,
        store: Store,
        crm: Crm,
        org_id: str,
        notes: Counter[str],
        accounts: Accounts,
        contacts: Accounts | None = None,
        shared_addresses: pd.Series | None = None,
        description: Description | None = None,
        stores: bool = True,
    ) -> None:
        self._order = order
        self._stores = stores
        self._description = description
        self.has_problems = False
        """Whether a plan so far left a value out, or a record, for what the fields take."""
        self._accounts = accounts
        self._contacts = contacts or order.state.contacts
        self._shared_addresses = shared_addresses
        self._store = store
        self._crm = crm
        self._model = MODELS[order.record.record_type]
        self._org_id = org_id
        self.look_anew()
        self._owners = Owners(order, crm=crm, notes=notes, accounts=accounts)

    @cached_property
    def fields(self) -> pd.DataFrame:
        """The CRM object's fields (schemas.CRM_FIELDS)."""
        return self._crm.fields(self._order.crm_object) if self._description is None else self._description.fields

    @cached_property
    def mapped(self) -> tuple[Target, ...]:
        """The CRM fields that the order maps, also those that only come back."""
        return tuple(route.target for route in self._routes)

    @cached_property
    def _routes(self) -> tuple[Route, ...]:
        return self._order.routes(self.fields)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The CRM fields that the order writes."""
        return tuple(target for target in self.mapped if target.direction.goes_out)

    def look_anew(self) -> None:
        """Forget what was looked up in the CRM: others have written to it meanwhile."""
        self.lookup = Lookup(self._order, crm=self._crm, store=self._store, org_id=self._org_id)

    def plan(
        self, frame: pd.DataFrame, *, undecided: Mapping[int, Undecided] = MappingProxyType({}), matches: pd.DataFrame | None = None
    ) -> Plan:
        """The plan of normalized rows; ``undecided``: by QBench id, why an earlier create can neither be linked nor ruled out.

        ``matches``: matching.MATCHES where they are known already.
        Raises MappingError for mappings that can never work in this CRM, and the CRM's ServiceError.
        """
        order = self._order
        known = self._known(frame)
        payload, links = known.payload, known.links
        if order.resend is not None:
            payload, links = order.resend.applied(payload, links)
        if matches is None:
            matches = self._matches(frame, known, undecided=undecided)
        sides = self._sides(frame, known, payload, matches)
        inputs = Inputs(
            normalized=frame,
            payload=payload,
            digests=known.digests,
            verdicts=known.verdicts,
            links=links,
            matches=matches,
            parent_crm_ids=eligibility.parent_crm_ids(frame["customer_id"], known.parents),
            previous_parent_crm_ids=previous_parent_crm_ids(frame, links, known.former_accounts),
            match_notes=meaningless(known.claims).reindex(frame.index),
            open_calls=known.open_calls,
            as_leads=known.as_leads.to_numpy(),
            differs=None if sides is None else sides.differs,
            stores=self._stores,
        )
        key_of = order.key_of if order.settings.external_key else None
        planned = plan(inputs, model=self._model, key_of=key_of)
        if self._both_ways is not None and sides is not None:
            planned = self._both_ways.candidates(planned, sides, payload)
        planned = self._without_refused(planned, known.digests)
        if self._model.exclusive is not None:
            planned = claims.marked(planned, order.state, links=links, digests=known.digests)
        planned = self._in_their_lists(planned)
        planned = self._respecting_the_crm(self._owners.give(planned, frame), payload, sides, known)
        return with_verbs(planned, parent_goes_with=self._crm.capabilities.parent_goes_with)

    def _without_refused(self, planned: Plan, digests: pd.DataFrame) -> Plan:
        """The plan without what was refused before; an order to send everything, or what was refused, sends it again.

        With the digests of its writes, where they are stored or compared; ``digests``: of the payload's values.
        """
        order = self._order
        if self._stores:
            planned = with_write_digests(planned, digests, settings=order.settings)
        writes = planned.rows["qbench_id"].array[~equal(planned.rows["operation"], Operation.NONE)].tolist()
        if not writes or order.refused == "again" or order.resend is not None:
            return planned
        with self._store.transaction() as connection:
            latest = order.state.outcomes(connection, ids=writes)
            if blank(latest["write_digest"]).all():
                return planned
            if not self._stores:
                planned = with_write_digests(planned, digests, settings=order.settings)
            again = planned.rows.loc[repeats(planned, latest), "qbench_id"].tolist()
            released = ids_released(connection, order.state, ids=again, holding=eligibility.HOLDING) if again else frozenset()
        return without_refused(planned, latest, released=released)

    def _in_their_lists(self, planned: Plan) -> Plan:
        """The plan without the writes to records that are not in the lists which the integration syncs; new ones go to none yet."""
        known = one_of(planned.rows["operation"], [Operation.LINK, Operation.UPDATE])
        if not known.any():
            return planned
        found = listed(self._crm, self._order, planned.rows.loc[known, ["object", "crm_id"]])
        if found.unread:
            planned = left_alone(planned, pd.Series(sorted(found.unread), dtype="str"))
        if not found.outside:
            return planned
        reason = planned.rows["crm_id"].map(found.outside).astype("str")
        outside = reason.notna() & planned.rows["operation"].ne(Operation.NONE)
        return undone(planned, outside, error=NotInListException, reason=reason) if outside.any() else planned

    def _known(self, frame: pd.DataFrame) -> Known:
        """What the state says of normalized rows, and whether they may sync."""
        order = self._order
        payload = build_payload(frame, self._routes, crm_fields=self.fields, zone=order.reading.zone)
        self.has_problems |= bool(len(payload.problems) or len(payload.create_problems))
        self._require_possible()
        wanted = digests(payload.values)
        parents, winners = None, None
        with self._store.transaction() as connection:
            links = order.state.links(connection, ids=frame["qbench_id"].tolist())
            former = self._accounts.checked_links(connection, ids=former_customers(frame, links))
            if self._model.parent is not None:
                found = claims.contenders(connection, order.state, addresses=self._contended(frame["email"]), ids=frame["qbench_id"])
                ids = pd.concat([frame["customer_id"], found["customer_id"]], ignore_index=True)
                parents = parents_of(connection, order.state, accounts=self._accounts, customer_ids=ids)
                winners = claims.winners(frame["email"], found, parents)
            calls = open_calls(connection, order.state, ids=frame["qbench_id"].tolist())
            leads = self._are_leads(connection, frame)
            verdicts = eligibility.assess(frame, links, parents=parents, email_winners=winners)
            if self._model.made_of is not None:
                verdicts = self._of_contacts_that_leave(connection, verdicts, frame)
        as_leads = leads | goes_as_lead(frame, order.crm)
        looked_for = self.lookup.claims(frame[~frame["qbench_id"].isin(links["qbench_id"])] if len(links) else frame)
        return Known(payload, wanted, links, parents, former, verdicts, calls, leads, as_leads, looked_for)

    def _contended(self, addresses: pd.Series) -> pd.Series:
        """Those of these addresses, null else, that another contact could claim as well."""
        return addresses if self._shared_addresses is None else addresses.where(among(addresses, self._shared_addresses))

    def _are_leads(self, connection: Connection, frame: pd.DataFrame) -> pd.Series:
        """Which contacts are leads in the CRM (bool); these stay leads, whatever the rule says by now, until people convert them."""
        order = self._order
        if not (isinstance(order.record, ContactSpec) and order.crm in order.record.as_leads):
            return pd.Series(False, index=frame.index)
        leads = replace(order.state, record_type=RecordType.LEAD).checked_links(connection, ids=frame["qbench_id"].tolist())
        return frame["qbench_id"].isin(leads["qbench_id"])

    def _of_contacts_that_leave(self, connection: Connection, verdicts: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
        ids = frame["qbench_id"].tolist()
        contacts, outcomes = self._contacts.checked_links(connection, ids=ids), self._contacts.outcomes(connection, ids=ids)
        return only_of_contacts_that_leave(verdicts, frame, contacts=contacts, outcomes=outcomes)

    def _matches(self, frame: pd.DataFrame, known: Known, *, undecided: Mapping[int, Undecided]) -> pd.DataFrame:
        """The matches (matching.MATCHES) of the frame's rows without a link, decided together with their rivals in other frames."""
        if self._model.exclusive is not None:
            leaving = claims.given_up(self._order.state, frame=frame, links=known.links, digests=known.digests, verdicts=known.verdicts)
            self.lookup.expect_given_up(leaving)
        unlinked = self._to_match(known)
        rivals = [
            self._to_match(self._known(others))
            for others in frames_by_id(self._order, self.lookup.rivals(unlinked["qbench_id"]), store=self._store)
        ]
        found = self.lookup.matches(pd.concat([unlinked, *rivals], ignore_index=True), undecided=undecided)
        return where(found, found["qbench_id"].isin(unlinked["qbench_id"]))

    def _to_match(self, known: Known) -> pd.DataFrame:
        """What is looked for in the CRM: the claims that may sync and, where match keys can tell, that lack only their account."""
        after_match, leads, as_leads = (one.to_numpy() for one in (known.verdicts["after_match"], known.leads, known.as_leads))
        may = blank(known.verdicts["error_type"]) | (after_match if self.lookup.has_match_keys else after_match & as_leads)
        return where(known.claims, (may & ~leads)[known.claims.index])

    def _require_possible(self) -> None:
        if self._mapping_problems:
            raise MappingError(integration=self._order.integration, service=self._order.crm, problems=self._mapping_problems)

    @cached_property
    def _mapping_problems(self) -> list[str]:
        order, key = self._order, self._order.settings.external_key
        return mapping_problems(self.mapped, self.fields, spec=order.record, crm=order.crm, external_key=key)

    def _respecting_the_crm(self, planned: Plan, payload: Payload, sides: Sides | None, known: Known) -> Plan:
        """Leave alone what the CRM already has: filled if_blank fields, the account of a contact that is being linked, and what people
        changed there of the fields that come back.
        """
        targets, both = blank_only(payload), self._both_ways
        fields = [target.crm_field for target in targets]
        there = one_of(planned.rows["operation"], [Operation.LINK, Operation.UPDATE])
        first = without_account(planned.rows, links=known.links, open_calls=known.open_calls)
        asked = first | (there & planned.sent[fields].any(axis=1)) if fields and there.any() else first
        if both is not None and sides is not None:
            asked = asked | both.to_read(planned, sides)
            fields = [*fields, *both.crm_fields]
        read_at = datetime.now(UTC)
        current = read(self._crm, self._order.state, planned.rows[asked], fields) if asked.any() else pd.DataFrame()
        if asked.any():
            planned = left_alone(planned, current.loc[current["error_type"].notna(), "crm_id"])
            several, record = self._crm.capabilities.several_accounts, self._order.record
            policy = record.on_other_account if isinstance(record, ContactSpec) else "keep"
            planned = keep_parent(
                keep_filled(planned, current, targets),
                current,
                first=first,
                open_calls=known.open_calls,
                on_other_account=policy,
                several_accounts=several,
            )
        if both is None or sides is None:
            return planned
        return both.decide(planned, sides, current, read_at=read_at, insists=self._insists(payload))

    @cached_property
    def _both_ways(self) -> BothWays | None:
        """The fields that come back; None where none do."""
        if not any(target.direction.comes_back for target in self.mapped):
            return None
        return BothWays(self._order, store=self._store, crm=self._crm, crm_fields=self.fields)

    def _sides(self, frame: pd.DataFrame, known: Known, payload: Payload, matches: pd.DataFrame) -> Sides | None:
        """What is known of fields that come back; None where none do, or where nothing is to be decided about them."""
        looked_at = np.ones(len(frame), dtype=bool)
        if not self._stores:
            ids = pd.concat([known.links["qbench_id"], matches["qbench_id"]])
            looked_at = frame["qbench_id"].isin(ids).to_numpy()
        if self._both_ways is None or not looked_at.any():
            return None
        calls = known.open_calls
        over = calls.loc[calls["over"] & calls["content"].ne(NO_DIGEST), "qbench_id"].tolist() if len(calls) else []
        return self._both_ways.sides(frame, known.links, of=looked_at, in_doubt=over, insists=self._insists(payload))

    def _insists(self, payload: Payload) -> list[str]:
        """The CRM fields whose QBench value a person wants sent again."""
        return [target.crm_field for target in payload.targets if target.editable] if self._order.resend is not None else []
