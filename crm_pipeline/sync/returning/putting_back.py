"""Puts the loser's value of a conflict back, where it stood: into QBench, or into the CRM, as if a person had typed it there again.

The next runs take it for such an edit and bring it to the other side. So no base is touched. The side that is written is read right
before; what a person edits in the seconds between, the CRM's history tells the next load (sync.loading.replacing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from crm_pipeline.crms.abilities import VersionsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import WriteBatch, account_for
from crm_pipeline.errors import RestoreRefusedError
from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.model import LinkStatus, Operation, Verb
from crm_pipeline.schemas import RAW, REPLACING, SOURCE_CHANGES, WRITE_ROWS
from crm_pipeline.source import WritableSource
from crm_pipeline.store.conflicts import Conflict, save_restored
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.database import Store
from crm_pipeline.store.replacing import save_replacing
from crm_pipeline.sync.extracting.staging import ComingBack, stage
from crm_pipeline.sync.loading.replacing import answered
from crm_pipeline.sync.merging.fields import Side
from crm_pipeline.sync.order import LoadOrder, objects_of, read


@dataclass(frozen=True, eq=False, slots=True)
class _Now:
    """What both sides hold of a conflict's record: ``raw`` (schemas.RAW) and what the CRM ``shown``, whose reading began at ``read_at``."""

    way: WayBack
    raw: pd.DataFrame
    shown: pd.DataFrame
    read_at: datetime

    def digests(self, unit: str) -> dict[Side, int]:
        """The digest by side: of what QBench wants in the CRM, and of what the CRM shows."""
        forms = {Side.QBENCH: self.way.wanted(self.raw).forms, Side.CRM: self.way.forms(self.shown, self.raw)}
        return {side: int(digests(frame[[unit]]).iloc[0, 0]) for side, frame in forms.items()}

    def of_crm(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What the CRM shows in these fields."""
        row = self.shown[list(fields)].astype(object)
        return {str(name): value for name, value in row.where(row.notna(), None).iloc[0].items()}

    def in_qbench(self, unit: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What QBench's fields hold once these values of the CRM came there."""
        row = self.way.inverse(self.shown.assign(**{name: [value] for name, value in values.items()}), self.raw)
        written = {name: row.values[name].iloc[0] for name in row.writes if row.writes[name].iloc[0]}
        return {name: written.get(name, self.raw["content"].iloc[0].get(name)) for name in self.way.sources[unit]}


def loser_of(conflict: Conflict) -> Side:
    """The side whose value was written over."""
    return Side.QBENCH if conflict.winner == Side.CRM else Side.CRM


@dataclass(frozen=True, slots=True)
class PuttingBack:
    """The two services of a conflict, the state, and what comes ``back`` to QBench."""

    order: LoadOrder
    store: Store
    crm: Crm
    source: WritableSource
    back: ComingBack

    def run(self, conflict: Conflict) -> bool:
        """Write the loser's value where it stood; False where it stands there already, so that nothing is written.

        The caller holds the locks of whoever writes into the loser. Raises RestoreRefusedError where the winner's value does not stand on
        both sides, where the two records are not linked or not to be read, where nothing is sent to the CRM that lost, and where
        the value is refused; and either's ServiceError.
        """
        link, loser = self._link(conflict), loser_of(conflict)
        if loser is Side.CRM and not self.order.settings.send:
            raise RestoreRefusedError(f"nothing is sent to {self.order.crm} while `send: false` stands in the YAML")
        now = self._now(conflict, link)
        there = now.digests(conflict.field)
        told = {Side.QBENCH: conflict.qbench_digest, Side.CRM: conflict.crm_digest}
        stands = there[loser] == told[loser]
        if not stands:
            _require_the_winner(conflict, there, winner=told[Side(conflict.winner)])
        raw = RAW.empty() if stands or loser is Side.CRM else self._write_qbench(conflict)
        if not stands and loser is Side.CRM:
            self._write_crm(conflict, link, now)
        with self.store.transaction() as connection:
            record_type = self.order.record.record_type
            stage(connection, self.order.integration, record_type, frame=raw, source=self.source, back=self.back, late=True)
            if loser is Side.CRM:
                pend(connection, self.order.state, crm_ids=[conflict.crm_id], objects=link["object"].tolist())
            save_restored(connection, conflict.id)
        return not stands

    def _link(self, conflict: Conflict) -> pd.DataFrame:
        with self.store.transaction() as connection:
            links = self.order.state.links(connection, ids=[conflict.qbench_id])
        live = links[links["status"].eq(LinkStatus.LIVE) & links["crm_id"].eq(conflict.crm_id)].reset_index(drop=True)
        if live.empty:
            raise RestoreRefusedError(f"QBench id {conflict.qbench_id} is not linked to {conflict.crm_id} any more")
        return live

    def _now(self, conflict: Conflict, link: pd.DataFrame) -> _Now:
        """What both sides hold at this moment; the one that is written is read last."""
        order, crm, source = self.order, self.crm, self.source
        way = order.way_back(crm.fields(order.crm_object))
        if conflict.field not in way.units:
            raise RestoreRefusedError(f"{conflict.field} does not come back from {order.crm} by today's mapping; write it there by hand")
        fields = [route.target.crm_field for route in way.routes]
        reads = {
            Side.CRM: lambda: read(crm, order.state, link, fields),
            Side.QBENCH: lambda: source.by_id(order.record.record_type, [conflict.qbench_id]).frame,
        }
        loser, began = loser_of(conflict), datetime.now(UTC)
        found = {side: reads[side]() for side in sorted(Side, key=lambda side: side is loser)}
        raw, shown = found[Side.QBENCH], found[Side.CRM]
        if raw.empty or shown.empty or shown["error_type"].notna().any():
            raise RestoreRefusedError(f"QBench id {conflict.qbench_id} or {conflict.crm_id} cannot be read now")
        return _Now(way, raw, shown, began)

    def _write_crm(self, conflict: Conflict, link: pd.DataFrame, now: _Now) -> None:
        rows = WRITE_ROWS.build(link[["qbench_id", "object", "crm_id"]].assign(operation=Operation.UPDATE, verb=Verb.UPDATE))
        values = pd.DataFrame([dict(conflict.crm_value)], dtype=object)
        [(crm_object, _)] = objects_of(self.order.state, link["object"])
        batch = WriteBatch(rows, values, pd.DataFrame(True, index=values.index, columns=values.columns))
        began = datetime.now(UTC)
        if isinstance(self.crm, VersionsCrm):
            self._about_to_replace(conflict, link, now, began=began)
        answer = account_for(rows, self.crm.write(crm_object, batch.writes()))
        with self.store.transaction() as connection:
            answered(connection, self.order.state, rows["crm_id"], answer, began=began)
        _require_taken(self.order.crm, answer)

    def _about_to_replace(self, conflict: Conflict, link: pd.DataFrame, now: _Now, *, began: datetime) -> None:
        """Store what the call is about to replace: the next load asks whether that was what stands there now."""
        write: Mapping[str, Any] = {
            "shown": now.of_crm(conflict.crm_value),
            "sent": dict(conflict.crm_value),
            "qbench_value": now.in_qbench(conflict.field, conflict.crm_value),
            "qbench_digest": conflict.crm_digest,
            "qbench_since": began,
            "field": conflict.field,
            "read_at": now.read_at,
            "began_at": began,
        }
        row = link[["qbench_id", "object", "crm_id"]].iloc[0].to_dict() | write
        writes = REPLACING.of_rows(REPLACING.names, [[row.get(name) for name in REPLACING.names]])
        with self.store.transaction() as connection:
            save_replacing(connection, self.order.state, writes=writes, open_until=began + self.crm.call_lasts + self.crm.late_after)

    def _write_qbench(self, conflict: Conflict) -> pd.DataFrame:
        """The record as QBench has it then (schemas.RAW)."""
        changes = SOURCE_CHANGES.build({"qbench_id": pd.Series([conflict.qbench_id]), "values": pd.Series([dict(conflict.qbench_value)])})
        results = self.source.change(self.order.record.record_type, changes)
        _require_taken("QBench", results)
        return RAW.build(results)


def _require_the_winner(conflict: Conflict, now: Mapping[Side, int], *, winner: int) -> None:
    changed = [side for side in Side if now[side] != winner]
    if changed:
        names = " and in ".join("QBench" if side is Side.QBENCH else conflict.state.crm for side in changed)
        raise RestoreRefusedError(
            f"{conflict.field} of QBench id {conflict.qbench_id} holds another value than the one that won, in {names}: somebody edited it "
            "since, or that value is still on its way there. Look at the record, and write the other value by hand if it should stand"
        )


def _require_taken(service: str, results: pd.DataFrame) -> None:
    [row] = results.to_dict("records")
    if pd.notna(row["error_type"]):
        fields = f", fields {row['error_fields']}" if pd.notna(row["error_fields"]) else ""
        raise RestoreRefusedError(f"{service} does not take the value: {row['error_type']}{fields}")
