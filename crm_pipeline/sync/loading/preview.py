"""What would a load do? The same plan as a load's, counted instead of carried out; stores nothing and writes to no CRM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.counting import counted
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.fewest_calls import ASSOCIATE, fewest_calls
from crm_pipeline.mapping.digests import NO_DIGEST, digest_frame
from crm_pipeline.mapping.revision import mapping_digest
from crm_pipeline.mapping.spec import ContactSpec
from crm_pipeline.model import MODELS, Operation, RecordType, children
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import follow_deletions
from crm_pipeline.store.emails import shared_addresses
from crm_pipeline.store.normalized_records import count_of_other_mapping, normalized_by_id
from crm_pipeline.store.organizations import check_organization
from crm_pipeline.store.staging import EVERYTHING, FRAME_ROWS
from crm_pipeline.sync.order import LoadOrder, usual_object
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline.sync.planning.planned_accounts import TO_BE_CREATED, PlannedAccounts
from crm_pipeline.sync.planning.planner import Planner
from crm_pipeline.sync.planning.selection import Due, Named, Selection, begun, taken
from crm_pipeline.sync.unknown_fields import told, unknown_fields

PLANNED_ROWS = 2 * FRAME_ROWS
"""Rows that are planned at once where nothing comes back: a frame costs some hundred operations, however few rows it has. Of what comes
back, QBench's records are held meanwhile, which are many times larger than what is mapped of them."""
SAMPLE_IDS = 5
OTHER_MAPPING = "records are shown as another mapping made them; materialize the normalized assets, then plan again"
AFTER_ACCOUNT = "contact is written after its account, which the same load creates first"
AFTER_ACCOUNTS = "contacts are written after their account, which the same load creates first"


@dataclass(slots=True)
class Tally:
    """How many records, and a few of their QBench ids."""

    count: int = 0
    sample_ids: list[int] = field(default_factory=list)

    def add(self, qbench_ids: pd.Series) -> None:
        """Count these records."""
        self.count += len(qbench_ids)
        self.sample_ids.extend(qbench_ids.head(SAMPLE_IDS - len(self.sample_ids)).tolist() if len(self.sample_ids) < SAMPLE_IDS else [])


Reason = tuple[str, str | None]
"""What is planned (create, update, link, or the outcome of a record that is left alone) and the record error behind it."""


@dataclass(slots=True)
class Forecast:
    """What a load would do, counted. ``fields``: by CRM field and operation, the records that would get a new value there.

    ``reads``: the calls that the look-ups made, which the load makes again; ``writes``: those that it would make besides.
    ``values``: by QBench id, what would go to which CRM field; only where they are asked for.
    """

    integration: str
    crm: str
    record_type: RecordType
    rows: int = 0
    replanned: int = 0
    planned: dict[Reason, Tally] = field(default_factory=dict)
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    after_account: int = 0
    open_intents: int = 0
    other_mapping: int = 0
    unknown_fields: list[str] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)
    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    values: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What else is to be known."""
        notes = []
        if self.after_account:
            notes.append(counted(self.after_account, AFTER_ACCOUNT, AFTER_ACCOUNTS))
        if self.open_intents:
            one, many = (
                "create of an interrupted run is settled first; it may become an update",
                "creates of an interrupted run are settled",
            )
            notes.append(counted(self.open_intents, one, f"{many} first; they may become updates"))
        if self.other_mapping:
            notes.append(f"{self.other_mapping} {OTHER_MAPPING}")
        if self.unknown_fields:
            notes.append(told(self.unknown_fields))
        return notes + [f"{note} ({counted(count, 'record')})" for note, count in self.noted.most_common()]

    def as_json(self) -> dict[str, Any]:
        """The forecast in plain values."""
        return {
            "integration": self.integration,
            "crm": self.crm,
            "record_type": str(self.record_type),
            "rows": self.rows,
            "replanned": self.replanned,
            "plan": [
                {"operation": operation, "reason": reason, "count": tally.count, "sample_ids": tally.sample_ids}
                for (operation, reason), tally in self.planned.items()
            ],
            "fields": {name: dict(counts) for name, counts in self.fields.items()},
            "calls": {"reads": self.reads, "writes": self.writes},
            "notes": self.notes,
        }


class SharedAddresses:
    """The addresses that several staged contacts have, looked for once: they are the same for every CRM."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[tuple[str, RecordType], pd.Series] = {}

    def of(self, state: CrmState) -> pd.Series:
        """Those (str) of the records that this is the state of."""
        asked = state.integration, state.record_type
        if asked not in self._found:
            with self._store.transaction() as connection:
                self._found[asked] = shared_addresses(connection, state)
        return self._found[asked]


class Preview:
    """The plans of one integration for one CRM; accounts first, so that contacts find those that would be there by then, leads last."""

    def __init__(
        self,
        *,
        store: Store,
        crm: Crm,
        accounts: PlannedAccounts,
        frame_rows: int | None = None,
        keeps_values: bool = False,
        shared: SharedAddresses | None = None,
    ) -> None:
        """``frame_rows``: how many are planned at once. ``keeps_values``: forecasts hold what would be sent, of few records; else they
        hold no value of any. ``shared``: what the previews of other CRMs look at too.
        """
        self._shared = shared or SharedAddresses(store)
        self._keeps_values = keeps_values
        self._store = store
        self._crm = crm
        self._accounts = accounts
        self._contacts: PlannedAccounts | None = None
        self._frame_rows = frame_rows

    def forecast(self, order: LoadOrder, selection: Selection) -> Forecast:
        """What a load of this order would do with these rows. Raises what stops a load before its first write."""
        forecast = Forecast(order.integration, order.crm, order.record.record_type)
        before = Counter(self._crm.calls.snapshot())
        org_id = self._org_id(order)
        planner = Planner(
            order,
            store=self._store,
            crm=self._crm,
            org_id=org_id,
            notes=forecast.noted,
            accounts=self._accounts,
            contacts=self._contacts,
            shared_addresses=self._shared_addresses(order, selection),
            stores=False,
        )
        again = self._begin(order, selection, forecast)
        written: Counter[str] = Counter()
        for part in taken(order, selection, again=again, store=self._store, frame_rows=self._rows_at_once(order)):
            forecast.replanned += len(part.frame) if part.replanned else 0
            forecast.rows += 0 if part.replanned else len(part.frame)
            planned = planner.plan(part.frame)
            links = planned.rows.loc[planned.rows["operation"].eq(Operation.LINK), ["qbench_id", "crm_id"]]
            planner.lookup.expect_linked(links["qbench_id"], links["crm_id"])
            self._count(forecast, planned, order)
            written.update(self._rows_per_call(planned.rows))
            self._expect(order, planned)
        forecast.reads = dict(Counter(self._crm.calls.snapshot()) - before)
        forecast.writes = fewest_calls(self._crm, usual_object(order.state), written)
        return forecast

    def _rows_at_once(self, order: LoadOrder) -> int:
        return self._frame_rows or (FRAME_ROWS if order.units_back else PLANNED_ROWS)

    def _expect(self, order: LoadOrder, planned: Plan) -> None:
        """Let what is planned next find this plan carried out, where it refers to it."""
        if children(order.record.record_type):
            self._accounts.add(planned)
        if isinstance(order.record, ContactSpec) and order.record.as_leads:
            self._contacts = self._contacts or PlannedAccounts(order.state)
            self._contacts.add(planned)

    def _begin(self, order: LoadOrder, selection: Selection, forecast: Forecast) -> list[int]:
        """The records that a load takes besides its window's, as it finds them when it begins; what beginning changes is undone."""
        with self._store.trial() as connection:
            forecast.open_intents = len(order.state.open_intents(connection))
            forecast.other_mapping = _of_other_mapping(connection, order, selection)
            forecast.unknown_fields = unknown_fields(connection, order.integration, order.record)
            if MODELS[order.record.record_type].parent is None:
                return begun(connection, order, selection, accounts=self._accounts)
            # As the load of accounts does before.
            follow_deletions(connection, order.state.accounts)
            return begun(connection, order, selection, accounts=self._accounts, written_before=sorted(self._accounts.written))

    def _shared_addresses(self, order: LoadOrder, selection: Selection) -> pd.Series | None:
        """The addresses that several contacts have, where all contacts are planned."""
        if selection != EVERYTHING or MODELS[order.record.record_type].exclusive is None:
            return None
        return self._shared.of(order.state)

    def _org_id(self, order: LoadOrder) -> str:
        org_id = self._crm.organization()
        with self._store.transaction() as connection:
            check_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)
        return org_id

    def _count(self, forecast: Forecast, planned: Plan, order: LoadOrder) -> None:
        rows = planned.rows
        shown = rows["operation"].where(rows["operation"] != Operation.NONE, rows["outcome"])
        for (operation, reason), ids in rows["qbench_id"].groupby([shown, rows["error_type"].fillna("")], sort=True):
            forecast.planned.setdefault((str(operation), str(reason) or None), Tally()).add(ids)
        forecast.after_account += int(rows["parent_crm_id"].str.startswith(TO_BE_CREATED).fillna(value=False).sum())
        changed = self._changed(planned, order)
        for operation in (Operation.CREATE, Operation.UPDATE, Operation.LINK):
            counts = changed.to_numpy(dtype=bool)[rows["operation"].eq(operation).to_numpy()].sum(axis=0)
            for name, count in zip(changed.columns, counts.tolist(), strict=True):
                if count:
                    forecast.fields.setdefault(str(name), Counter())[str(operation)] += count
        if self._keeps_values:
            writes = rows["operation"].ne(Operation.NONE).to_numpy()
            going = planned.values.astype(object).where(planned.values.notna(), None)[writes].to_dict("records")
            goes = changed[writes].to_dict("records")
            for qbench_id, values, marks in zip(rows.loc[writes, "qbench_id"].tolist(), going, goes, strict=True):
                forecast.values[qbench_id] = {name: value for name, value in values.items() if marks[name]}

    def _changed(self, planned: Plan, order: LoadOrder) -> pd.DataFrame:
        """Per row and CRM field, whether a new value goes there: of an update only what differs from what was sent before."""
        updates = planned.rows["operation"].eq(Operation.UPDATE).to_numpy()
        if not updates.any():
            return planned.sent
        rows = planned.rows[updates]
        with self._store.transaction() as connection:
            links = order.state.links(connection, ids=rows["qbench_id"].tolist())
        columns = list(planned.sent.columns)
        stored = digest_frame(rows["qbench_id"].map(links.set_index("qbench_id")["digests"]), columns)
        differs = digest_frame(rows["digests"], columns).ne(stored)
        cleared = planned.values[updates].isna() & stored.eq(NO_DIGEST)
        changed = planned.sent.copy()
        changed.loc[updates] = planned.sent[updates] & differs & ~cleared
        return changed

    def _rows_per_call(self, rows: pd.DataFrame) -> Counter[str]:
        """Rows by the verb of their call, and under ``associate`` those whose account needs a call of its own."""
        rows = rows.loc[rows["operation"].ne(Operation.NONE), ["verb", "parent_crm_id"]]
        associated = rows["parent_crm_id"].notna() & ~rows["verb"].isin(list(self._crm.capabilities.parent_goes_with))
        return Counter({**rows["verb"].value_counts().to_dict(), ASSOCIATE: int(associated.sum())})


def _of_other_mapping(connection: Connection, order: LoadOrder, selection: Selection) -> int:
    digest = mapping_digest(order.record, order.reading)
    ids = selection.ids if isinstance(selection, Named) else None
    window = None if isinstance(selection, Named) else selection.window if isinstance(selection, Due) else selection
    return count_of_other_mapping(connection, order.integration, order.record.record_type, mapping_digest=digest, window=window, ids=ids)


def forecasts(
    order_of: Callable[[RecordType], LoadOrder],
    selections: Mapping[RecordType, Selection],
    *,
    store: Store,
    crm: Crm,
    keeps_values: bool = False,
    shared: SharedAddresses | None = None,
) -> Iterator[Forecast]:
    """What loads of these record types would do, each by its order; ``keeps_values``: with the values that would go. ``shared``: what
    the forecasts of other CRMs look at too.

    What others depend on is planned first, wanted or not: accounts decide which contacts have a parent, these which are leads.
    Raises what stops a load before its first write.
    """
    needed = dict.fromkeys(each for record_type in selections for each in (*_before(record_type), record_type))
    orders = {record_type: order_of(record_type) for record_type in needed}
    accounts = PlannedAccounts(next(iter(orders.values())).state.accounts)
    preview = Preview(store=store, crm=crm, accounts=accounts, keeps_values=keeps_values, shared=shared)
    wanted, chosen = next(iter(selections.items()))
    for record_type, order in orders.items():
        rows = selections.get(record_type, chosen)
        if record_type not in selections and isinstance(chosen, Named) and MODELS[record_type].source is not MODELS[wanted].source:
            rows = _customers_of(order.integration, wanted, contacts=chosen, store=store)
        forecast = preview.forecast(order, rows)
        if record_type in selections:
            yield forecast


def _before(record_type: RecordType) -> Iterator[RecordType]:
    """The record types on whose plans that of this one depends, in their order."""
    source = MODELS[record_type].source
    yield from (other for other in (MODELS[source].parent, MODELS[record_type].made_of) if other is not None)


def _customers_of(integration: str, record_type: RecordType, *, contacts: Named, store: Store) -> Named:
    with store.transaction() as connection:
        frame = normalized_by_id(connection, integration, record_type, ids=list(contacts.ids))
    return Named(tuple(frame["customer_id"].dropna().astype("int64").unique().tolist()))
