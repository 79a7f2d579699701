"""What a CRM has now in records that have no link: what they would be in QBench, and which of its records they could be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import ConvertingCrm, person_field_of
from crm_pipeline.crms.base import Crm
from crm_pipeline.frames import looked_up, no_text
from crm_pipeline.mapping.field_maps import MatchKey
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.mapping.meaningless import match_values
from crm_pipeline.model import MODELS, LinkStatus, made_of
from crm_pipeline.schemas import RAW
from crm_pipeline.store.creations import namesakes, open_creations, staged_values, with_accounts_now
from crm_pipeline.store.crm_records import staged_readings
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.link_checks import count_links
from crm_pipeline.store.normalized_records import staged_errors
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.sync.order import LoadOrder, read
from crm_pipeline.sync.planning.inclusion import listed_back
from crm_pipeline.sync.returning import gates
from crm_pipeline.sync.returning.looking import Looking
from crm_pipeline.sync.returning.newcomers import (
    MEANT,
    NEEDED,
    NEWCOMERS,
    asked_for,
    converted,
    emails_taken,
    faults,
    fields_of,
    matched,
    outside,
)

AT_ONCE = 1_000
"""CRM records that are read together."""


class Arrivals:
    """The records without a link of one run. ``org_id``: the CRM's organization, once it was asked."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, looking: Looking) -> None:
        self.org_id = ""
        self._order = order
        self._state = order.state
        self._record_type = order.record.record_type
        self._is_contact = MODELS[self._record_type].parent is not None
        self._store = store
        self._crm = crm
        self._looking = looking

    @property
    def way(self) -> WayBack:
        """How the records come back."""
        return self._looking.way

    def require_organization(self) -> None:
        """Raises WrongOrgError where the links belong to another organization."""
        order = self._order
        self.org_id = self._crm.organization()
        with self._store.transaction() as connection:
            require_organization(connection, order.integration, order.crm, org_id=self.org_id, key_space=order.key_space)

    def of(self, crm_ids: Sequence[str]) -> list[str]:
        """Of these records without a link, and of the contacts whose account has one by now, those that nobody is making yet.

        With one of several that had one email address come the others.
        """
        asked = list(crm_ids)
        with self._store.transaction() as connection:
            if self._is_contact:
                asked += with_accounts_now(connection, self._state, stopping=gates.STOPPING)
            if self._is_contact and asked:
                email = self.way.units[self.unit("email")][0].target.crm_field
                asked += namesakes(connection, self._state, crm_ids=asked, email=email)
            known = set(open_creations(connection, self._state)["crm_id"])
        return [crm_id for crm_id in dict.fromkeys(asked) if crm_id not in known]

    def decided(self, crm_ids: Sequence[str]) -> pd.DataFrame:
        """What is to be done with these records (newcomers.NEWCOMERS, and behind it TOLD); without those that the rule leaves out."""
        create = self._order.record.creates_in_qbench
        parts = [self.at(crm_ids[start : start + AT_ONCE]) for start in range(0, len(crm_ids), AT_ONCE)]
        newcomers = asked_for(pd.concat(parts, ignore_index=True), None if create is None else create.only, crm=self._order.crm)
        told = faults(newcomers, self._record_type)
        further_looks = (self._listed, self._converted, self._matched, self._emails) if self._is_contact else (self._listed, self._matched)
        for further in further_looks:
            undecided = told["error_type"].isna() & told["qbench_id"].isna()
            if undecided.any():
                found = further(newcomers[undecided].reset_index(drop=True)).set_axis(told.index[undecided])
                told = pd.concat([told[~undecided], found]).sort_index()
        return newcomers.join(told)

    def at(self, crm_ids: Sequence[str]) -> pd.DataFrame:
        """These records as the CRM has them now (NEWCOMERS, behind it the fields needed); without those that are gone or carry a key."""
        with self._store.transaction() as connection:
            staged = staged_readings(connection, self._state, crm_ids=crm_ids)
        if staged.empty:
            return NEWCOMERS.empty().assign(**dict.fromkeys(NEEDED[self._record_type], pd.Series(dtype="str")))
        self.require_organization()
        fields, person = self._fields(), person_field_of(self._crm, self._order.crm_object)
        now = read(self._crm, self._state, staged[["object", "crm_id"]], [*fields, *([person] if person else [])])
        key = self._order.settings.external_key
        now = now[now["error_type"].isna() & (True if key is None else now[key].isna())].reset_index(drop=True)
        values = now[fields].astype(object).where(now[fields].notna(), None)
        with self._store.transaction() as connection:
            parents = self._state.accounts.links_of(connection, crm_ids=now["parent_crm_id"].dropna().tolist())
            parents = parents[parents["status"].eq(LinkStatus.LIVE)].drop_duplicates("crm_id").set_index("crm_id")["qbench_id"]
            errors = staged_errors(connection, self._order.integration, self._state.accounts.record_type, ids=parents.tolist())
        stopping = errors[errors.isin(gates.STOPPING)]
        newcomers = NEWCOMERS.build(
            {
                "crm_id": now["crm_id"],
                "stamp": now["crm_id"].map(staged.set_index("crm_id")["stamp"]).astype("datetime64[us, UTC]"),
                "parent_crm_id": now["parent_crm_id"],
                "parent_qbench_id": now["parent_crm_id"].map(parents).astype("Int64"),
                "parent_error": now["parent_crm_id"].map(parents).map(stopping).astype("str"),
                "is_person": now[person].astype(str).str.lower().eq("true") if person else pd.Series(False, index=now.index),
                "shown": pd.Series(values.to_dict("records"), dtype=object),
            }
        )
        forms = self.way.forms(self.shown(newcomers), _nothing(len(newcomers)))
        return newcomers.assign(**{name: forms[self.unit(name)] for name in NEEDED[self._record_type]})

    def _listed(self, newcomers: pd.DataFrame) -> pd.DataFrame:
        records = newcomers[["crm_id"]].assign(object=no_text(newcomers.index))
        return outside(newcomers, listed_back(self._crm, self._order, records))

    def _converted(self, newcomers: pd.DataFrame) -> pd.DataFrame:
        ids = newcomers["crm_id"].tolist()
        parts = [self._of_leads(ids, replace(self._state, record_type=each)) for each in made_of(self._record_type)]
        meant = pd.concat([MEANT.empty(), *(found for found, _ in parts)], ignore_index=True)
        return converted(newcomers, meant, unread={crm_id for _, unread in parts for crm_id in unread})

    def _of_leads(self, contact_ids: list[str], leads: CrmState) -> tuple[pd.DataFrame, set[str]]:
        """Of which staged records the leads are that became these contacts (MEANT), and the contacts of which the CRM fails to tell it."""
        with self._store.transaction() as connection:
            if not isinstance(self._crm, ConvertingCrm) or not count_links(connection, leads):
                return MEANT.empty(), set()
        objects = crm_kinds()[leads.crm].objects[leads.record_type]
        came = pd.concat([self._crm.leads_of(crm_object, contact_ids) for crm_object in objects], ignore_index=True)
        with self._store.transaction() as connection:
            links = leads.links_of(connection, crm_ids=came["crm_id"].dropna().tolist())
            own = self._state.links(connection, ids=links["qbench_id"].tolist())
        of = came.merge(links[["crm_id", "qbench_id"]], on="crm_id")
        held_by = looked_up(of["qbench_id"], own, "crm_id")
        meant = MEANT.build({"crm_id": of["contact_crm_id"], "qbench_id": of["qbench_id"], "held_by": held_by})
        return meant, set(came.loc[came["crm_id"].isna(), "contact_crm_id"])

    def _matched(self, newcomers: pd.DataFrame) -> pd.DataFrame:
        return matched(newcomers, [self._meant(newcomers, key) for key in self._match_keys()])

    def _emails(self, newcomers: pd.DataFrame) -> pd.DataFrame:
        meant = self._with_values(newcomers[["crm_id", "email"]].rename(columns={"email": "value"}), "email")
        with self._store.transaction() as connection:
            sent = open_creations(connection, self._state)["sent"]
        under_way = [str(values[self.identifying]) for values in sent if self.identifying in values]
        return emails_taken(newcomers, meant, under_way=under_way)

    @property
    def identifying(self) -> str:
        """The field of QBench by which its records are looked for: a customer's name, a contact's email address."""
        members = self.way.units[self.unit(MODELS[self._record_type].identifying)]
        return str(next(route.source.from_ for route in members if route.source is not None))

    def values(self, newcomers: pd.DataFrame) -> list[dict[str, Any]]:
        """What each is in QBench: the values by field that would come back the same; nothing where a needed one would not."""
        if newcomers.empty:
            return []
        inverse = self.way.inverse(self.shown(newcomers), _nothing(len(newcomers)))
        needed = [self.unit(name) for name in NEEDED[self._record_type]]
        fit = inverse.fits[needed].all(axis=1)
        names, marker = list(inverse.writes.columns), self._order.marker_field
        found = []
        for crm_id, fits, marks, row in zip(
            newcomers["crm_id"], fit, inverse.writes.to_numpy(dtype=bool), inverse.values[names].to_numpy(dtype=object), strict=True
        ):
            values = {name: value for name, marked, value in zip(names, marks, row, strict=True) if marked and value is not None}
            mark = {marker: f"{self._order.crm}:{crm_id}"} if marker else {}
            found.append({**values, **mark} if fits else {})
        return found

    def _meant(self, newcomers: pd.DataFrame, key: MatchKey) -> pd.DataFrame:
        """The staged records (MEANT) that have the same value by a match key."""
        field = key.targets[self._order.crm]
        values = pd.Series([shown.get(field) for shown in newcomers["shown"]], index=newcomers.index, dtype=object)
        return self._with_values(pd.DataFrame({"crm_id": newcomers["crm_id"], "value": values}), key.source)

    def _with_values(self, asked: pd.DataFrame, source: str) -> pd.DataFrame:
        """The staged records (MEANT) whose normalized column has one of these values (``crm_id``, ``value``)."""
        known = MODELS[self._record_type].by_name.get(source)
        record, kind = self._order.record, known.kind if known is not None else "text"

        def folded(values: pd.Series) -> pd.Series:
            return match_values(values, kind, default_region=self._order.reading.default_region, meaningless=record.meaningless)

        wanted = asked.assign(value=folded(asked["value"])).dropna(subset=["value"])
        if wanted.empty:
            return MEANT.empty()
        pages = staged_values(self._store, self._state, source=source)
        staged = (page.assign(value=folded(page["value"])).rename(columns={"crm_id": "held_by"}) for page in pages)
        found = [wanted.merge(page, on="value")[["crm_id", "qbench_id", "held_by"]] for page in staged]
        return MEANT.build(pd.concat([MEANT.empty(), *found], ignore_index=True))

    def _match_keys(self) -> list[MatchKey]:
        """The rows of Sync on Fields that name this CRM."""
        return [key for key in self._order.record.sync_on if self._order.crm in key.targets]

    def unit(self, normalized: str) -> str:
        """The unit in which a normalized field comes back."""
        return next(unit for unit, members in self.way.units.items() if members[0].target.source == normalized)

    def shown(self, newcomers: pd.DataFrame) -> pd.DataFrame:
        """The CRM fields that come back, a column each, of newcomers (NEWCOMERS)."""
        fields = [route.target.crm_field for route in self.way.routes]
        return pd.DataFrame({name: [shown.get(name) for shown in newcomers["shown"]] for name in fields}, dtype=object)

    def _fields(self) -> list[str]:
        """The CRM fields that are looked at: those that come back, of match keys and of the rule, and the key."""
        order, create = self._order, self._order.record.creates_in_qbench
        named = [] if create is None or create.only is None else fields_of(create.only, crm=order.crm)
        matched = [key.targets[order.crm] for key in self._match_keys()]
        key = order.settings.external_key
        mapped = [route.target.crm_field for route in self.way.routes]
        return list(dict.fromkeys([*mapped, *matched, *named, *([key] if key else [])]))


def _nothing(count: int) -> pd.DataFrame:
    """Records of QBench (schemas.RAW) that hold nothing yet."""
    return RAW.build(
        {
            "qbench_id": pd.Series(range(count), dtype="int64"),
            "version": pd.Series([0] * count, dtype="int64"),
            "content": pd.Series([{} for _ in range(count)], dtype=object),
        }
    )
