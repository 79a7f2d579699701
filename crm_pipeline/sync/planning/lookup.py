"""Asks the CRM which records could be meant: by external key, by email, and by one scan per other match key and run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property, partial
from itertools import chain
from typing import NamedTuple

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import CrmFailsOnRecordException, RecordError
from crm_pipeline.frames import among, blank, no_text, where
from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.field_maps import MatchKey
from crm_pipeline.mapping.folding import fold
from crm_pipeline.mapping.meaningless import match_values
from crm_pipeline.mapping.presets import preset_field
from crm_pipeline.mapping.spellings import spellings
from crm_pipeline.mapping.values import texts
from crm_pipeline.model import MODELS, FieldKind, LinkOrigin
from crm_pipeline.schemas import FOUND, HOLDERS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import left_behind
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.matching import LEFT_BEHIND, MATCHES, PAIRS, choose, contested, one_each, pairs_of, rivals_of
from crm_pipeline.sync.planning.reasons import names

logger = logging.getLogger(__name__)

_FOLDED = "folded."

FEW = 200
"""Emails that are looked up at once, in a call or two; for more it is asked first whether the CRM has any email at all."""


class Undecided(NamedTuple):
    """Why nothing is sent for a record whose earlier create is not decided (sync.loading.intents.settle_intents)."""

    error: type[RecordError]
    reason: str


class Lookup:
    """The look-ups of one load. What a scan found is kept for the load; nothing is asked before a row needs it."""

    def __init__(self, order: LoadOrder, *, crm: Crm, store: Store, org_id: str) -> None:
        self._order = order
        self._state = order.state
        self._crm = crm
        self._store = store
        self._org_id = org_id
        self._match_keys = [key for key in order.record.sync_on if order.crm in key.targets]
        self.unread: set[str] = set()
        """Ids of CRM records that were in the way and that the CRM failed to read."""
        self._scans: dict[tuple[str, FieldKind], pd.DataFrame] = {}
        self._unshown: set[tuple[str, FieldKind]] = set()
        """Scans that could not show every record."""
        self._blank: dict[str, bool] = {}
        self._given_up: set[int] = set()
        self._planned_links = HOLDERS.empty()

    def claims(self, rows: pd.DataFrame) -> pd.DataFrame:
        """By what normalized rows are looked for: ``qbench_id``, the texts of each match key's source, and ``folded.<source>``.

        The latter is what they are compared by (str): null where a text names nobody, so that nothing is looked for.
        """
        sources = dict.fromkeys(key.source for key in self._match_keys if key.source in rows.columns)
        given = {source: texts(rows[source]).values for source in sources}
        folded = {_FOLDED + source: self._fold(values, _kind(self._state, source)) for source, values in given.items()}
        return pd.DataFrame({"qbench_id": rows["qbench_id"], **given, **folded}, index=rows.index)

    def matches(self, claims: pd.DataFrame, *, undecided: Mapping[int, Undecided]) -> pd.DataFrame:
        """The matches (matching.MATCHES) of rows without a link (see ``claims``): by their key first, then by each match key."""
        held_back = _undecided(claims, undecided)
        found = [held_back]
        rows = _without(claims, held_back)
        if self._order.settings.external_key is not None and len(rows) and self._has_keyed_records:
            found.append(self._by_key(rows, self._order.settings.external_key))
            rows = _without(rows, found[-1])
        for match_key in self._match_keys:
            if len(rows):
                found.append(self._by_match_key(rows, match_key))
                rows = _without(rows, found[-1])
        filled = [frame for frame in found if len(frame)]
        return one_each(MATCHES.build(pd.concat(filled, ignore_index=True))) if filled else MATCHES.empty()

    def rivals(self, qbench_ids: pd.Series) -> list[int]:
        """QBench ids of the staged records that claim, by a scanned match key, a CRM record which one of these records claims.

        They are to be matched together with them, so that it makes no difference which records share a frame.
        """
        return rivals_of(qbench_ids, self._contested) if len(qbench_ids) and len(self._contested) else []

    def expect_given_up(self, addresses: set[int]) -> None:
        """Addresses (digests) that the load takes from contacts of ours: they find these no more, whether it was sent by then or not."""
        self._given_up |= addresses

    def expect_linked(self, qbench_ids: pd.Series, crm_ids: pd.Series) -> None:
        """Records that are linked by the time the next rows are looked for, though no link is stored: nobody else finds them free."""
        links = pd.DataFrame({"crm_id": crm_ids, "qbench_id": qbench_ids}).assign(integration=self._state.integration)
        self._planned_links = HOLDERS.build(pd.concat([self._planned_links, links], ignore_index=True))

    @property
    def has_match_keys(self) -> bool:
        """Whether any match key applies in this CRM."""
        return bool(self._match_keys)

    def among_named(self, refused: pd.DataFrame, crm_ids: list[str], *, own: pd.DataFrame) -> pd.DataFrame:
        """The matches (matching.MATCHES) of normalized rows whose create was refused because these CRM records are there.

        ``own``: columns ``qbench_id`` and ``crm_id``, records that carry the rows' own keys. The others are read anew, since what
        was found before the create did not show them.
        """
        keys = fold(self._order.key_of(own["qbench_id"]))
        claims = pd.DataFrame({"qbench_id": own["qbench_id"], "value": keys, "key": self._order.key_of(own["qbench_id"])})
        carriers = FOUND.build({"value": keys, "crm_id": own["crm_id"], "key": claims["key"]})
        found = [self._choose(claims, carriers, origin=LinkOrigin.KEY)]
        rows = _without(self.claims(refused), found[-1])
        for match_key in self._match_keys:
            if len(rows) and match_key.source in rows:
                found.append(self._choose(self._claims(rows, match_key), self._named(rows, match_key, crm_ids), origin=LinkOrigin.MATCHED))
                rows = _without(rows, found[-1])
        return MATCHES.build(pd.concat(found, ignore_index=True))

    @cached_property
    def _contested(self) -> pd.DataFrame:
        pairs: list[pd.DataFrame] = []
        for match_key in self._match_keys:
            # Of contacts that share an email only one may sync (docs/rules.md, 22): claims that are looked up do not compete.
            if not self._is_email(match_key):
                kind = _kind(self._state, match_key.source)
                fold_values = partial(self._fold, kind=kind)
                candidates = self._scanned(match_key.targets[self._state.crm], kind)
                pairs += pairs_of(self._state, match_key.source, candidates, store=self._store, fold=fold_values)
        return contested(pd.concat(pairs, ignore_index=True)) if pairs else PAIRS.empty()

    @cached_property
    def _has_keyed_records(self) -> bool:
        return self._crm.has_keyed_records(self._order.crm_object)

    def _by_key(self, rows: pd.DataFrame, external_key: str) -> pd.DataFrame:
        keys = self._order.key_of(rows["qbench_id"])
        candidates = self._crm.find(self._order.crm_object, external_key, keys.tolist())
        if candidates.empty:
            return MATCHES.empty()
        claims = pd.DataFrame({"qbench_id": rows["qbench_id"], "value": fold(keys), "key": keys})
        return self._choose(claims, candidates.assign(value=fold(candidates["value"])), origin=LinkOrigin.KEY)

    def _by_match_key(self, rows: pd.DataFrame, match_key: MatchKey) -> pd.DataFrame:
        if match_key.source not in rows:
            return MATCHES.empty()
        kind = _kind(self._state, match_key.source)
        folded = rows[_FOLDED + match_key.source]
        crm_field = match_key.targets[self._state.crm]
        if self._is_email(match_key):
            candidates = self._found(crm_field, folded.dropna().unique().tolist())
            candidates = candidates.assign(value=self._fold(candidates["value"], kind)) if len(candidates) else candidates
        else:
            candidates = self._scanned(crm_field, kind)
            if (crm_field, kind) in self._unshown:
                asked = self._asked(crm_field, kind, rows.loc[folded.notna() & ~folded.isin(candidates["value"]), match_key.source])
                candidates = pd.concat([candidates, asked], ignore_index=True)
        return self._choose(self._claims(rows, match_key), candidates, origin=LinkOrigin.MATCHED) if len(candidates) else MATCHES.empty()

    def _asked(self, crm_field: str, kind: FieldKind, source: pd.Series) -> pd.DataFrame:
        """Candidates (schemas.FOUND, folded) among the records that a scan could not show, by the values in their usual spellings."""
        values = source.unique()
        region = self._order.reading.default_region
        wanted = chain.from_iterable(spellings(value, kind, default_region=region) for value in values)
        found = self._crm.find(self._order.crm_object, crm_field, list(dict.fromkeys(wanted)))
        return found.assign(value=self._fold(found["value"], kind))

    def _claims(self, rows: pd.DataFrame, match_key: MatchKey) -> pd.DataFrame:
        values, ids = rows[_FOLDED + match_key.source], rows["qbench_id"]
        return pd.DataFrame({"qbench_id": ids, "value": values, "key": self._order.key_of(ids)})

    def _is_email(self, match_key: MatchKey) -> bool:
        """Whether the CRM compares the field as we do, so that it can be asked instead of scanned."""
        email = preset_field(self._state.crm, self._state.record_type, "email")
        return match_key.source == "email" and match_key.targets[self._state.crm] == email

    def _named(self, rows: pd.DataFrame, match_key: MatchKey, crm_ids: list[str]) -> pd.DataFrame:
        """Candidates (schemas.FOUND, folded): by email also those that the CRM did not name, else those of the ids."""
        kind, crm_field = _kind(self._state, match_key.source), match_key.targets[self._state.crm]
        if self._is_email(match_key):
            found = self._crm.find(self._order.crm_object, crm_field, rows[_FOLDED + match_key.source].dropna().unique().tolist())
        elif crm_ids:
            key = self._order.settings.external_key
            held = self._crm.read(self._order.crm_object, crm_ids, [crm_field, *([key] if key else [])])
            self.unread |= set(held.loc[held["error_type"].notna(), "crm_id"])
            found = FOUND.build({"value": held[crm_field], "crm_id": held["crm_id"], "key": held[key] if key else None})
        else:
            return FOUND.empty()
        return found.assign(value=self._fold(found["value"], kind))

    def _found(self, crm_field: str, wanted: list[str]) -> pd.DataFrame:
        if crm_field not in self._blank and len(wanted) > FEW:
            self._blank[crm_field] = not self._crm.has_values(self._order.crm_object, crm_field)
        if not wanted or self._blank.get(crm_field):
            return FOUND.empty()
        return self._crm.find(self._order.crm_object, crm_field, wanted)

    def _scanned(self, crm_field: str, kind: FieldKind) -> pd.DataFrame:
        scan = crm_field, kind
        if scan not in self._scans:
            frames = [frame.assign(value=self._fold(frame["value"], kind)) for frame in self._crm.scan(self._order.crm_object, crm_field)]
            found = pd.concat(frames, ignore_index=True) if frames else FOUND.empty()
            unshown = ~blank(found["error_type"])
            if unshown.any():
                self._unshown.add(scan)
                logger.warning(
                    "integration %s: %s fails to show %d records by %s; values that no other has are asked for by their usual spellings",
                    self._state.integration,
                    self._state.crm,
                    unshown.sum(),
                    crm_field,
                )
            self._scans[scan] = where(found, ~unshown)
        return self._scans[scan]

    def _choose(self, claims: pd.DataFrame, candidates: pd.DataFrame, *, origin: LinkOrigin) -> pd.DataFrame:
        near = candidates[among(candidates["value"], claims["value"])]
        if near.empty:
            return MATCHES.empty()
        if near["error_type"].notna().any():
            unread = near["error_type"].notna()
            failed = claims["value"].isin(near.loc[unread, "value"])
            told = self._choose(claims[~failed], near[~unread], origin=origin)
            return MATCHES.build(pd.concat([told, _unread(claims[failed], origin=origin)], ignore_index=True))
        with self._store.transaction() as connection:
            crm_ids = near["crm_id"].unique().tolist()
            holders = self._state.holders(connection, org_id=self._org_id, crm_ids=crm_ids)
            planned = self._planned_links
            holders = pd.concat([holders, planned[planned["crm_id"].isin(crm_ids)]], ignore_index=True) if len(planned) else holders
            near = self._without_given_up(near, holders)
            left = left_behind(connection, self._state, org_id=self._org_id, crm_ids=crm_ids).rename(columns={"qbench_id": "left_by"})
        left = LEFT_BEHIND.build(left.assign(left_key=self._order.key_of(left["left_by"])))
        return choose(claims, near, holders, origin=origin, integration=self._state.integration, left_behind=left)

    def _without_given_up(self, candidates: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
        if not self._given_up:
            return candidates
        ours = holders.loc[holders["integration"] == self._state.integration, "crm_id"]
        leaves = digests(candidates[["value"]])["value"].isin(self._given_up) & candidates["crm_id"].isin(ours)
        return candidates[~leaves]

    def _fold(self, values: pd.Series, kind: FieldKind) -> pd.Series:
        order = self._order
        return match_values(values, kind, default_region=order.reading.default_region, meaningless=order.record.meaningless)


def meaningless(claims: pd.DataFrame) -> pd.Series:
    """Per row (``Lookup.claims``) the match keys whose value names nobody, so that nothing was looked for (str); null without one."""
    sources = [name for name in claims if _FOLDED + name in claims]
    nobody = {source: ~blank(claims[source]) & blank(claims[_FOLDED + source]) for source in sources}
    if not any(column.any() for column in nobody.values()):
        return no_text(claims.index)
    return "no match by a value that names nobody: " + names(pd.DataFrame(nobody, index=claims.index))


def _kind(state: CrmState, source: str) -> FieldKind:
    field = MODELS[state.record_type].by_name.get(source)
    return field.kind if field is not None else "text"


def _without(rows: pd.DataFrame, matched: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows["qbench_id"].isin(matched["qbench_id"])] if len(matched) else rows


def _unread(claims: pd.DataFrame, *, origin: LinkOrigin) -> pd.DataFrame:
    """The matches of claims that the CRM fails to look up: nothing is sent for them, or a record could be created twice."""
    return MATCHES.build(
        claims[["qbench_id"]].assign(
            origin=str(origin), error_type=CrmFailsOnRecordException.__name__, reason="the CRM fails whenever it is asked for the record"
        )
    )


def _undecided(rows: pd.DataFrame, undecided: Mapping[int, Undecided]) -> pd.DataFrame:
    if not undecided:
        return MATCHES.empty()
    ids = rows["qbench_id"][rows["qbench_id"].isin(list(undecided))].reset_index(drop=True)
    why = [undecided[qbench_id] for qbench_id in ids]
    return MATCHES.build(
        {
            "qbench_id": ids,
            "origin": pd.Series(str(LinkOrigin.CREATED), index=ids.index, dtype="str"),
            "error_type": pd.Series([one.error.__name__ for one in why], index=ids.index, dtype="str"),
            "reason": pd.Series([one.reason for one in why], index=ids.index, dtype="str"),
        }
    )
