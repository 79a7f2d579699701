"""HubSpot as the rest of the package sees it: the Crm protocol (crms.base) over one portal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.crms.base import CrmObject, Limits
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS, KIND, provisioning
from crm_pipeline.crms.hubspot.associating import Associator
from crm_pipeline.crms.hubspot.changes import changed
from crm_pipeline.crms.hubspot.deleting import Remover
from crm_pipeline.crms.hubspot.diagnosis import company_creation, scopes
from crm_pipeline.crms.hubspot.edits import edits, versions
from crm_pipeline.crms.hubspot.examining import examine, merged_since
from crm_pipeline.crms.hubspot.intents import resolve
from crm_pipeline.crms.hubspot.lists import TYPE_IDS, Lists
from crm_pipeline.crms.hubspot.owners import find_owners
from crm_pipeline.crms.hubspot.paths import PATHS
from crm_pipeline.crms.hubspot.reading import Reader, text
from crm_pipeline.crms.hubspot.settings import HubSpotSettings
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.crms.hubspot.writing import Writer
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.pacing import Leases
from crm_pipeline.schemas import CHILDREN, OWNERS

SENSITIVITIES = ("sensitive", "highly_sensitive")

UI_DOMAIN = "app.hubspot.com"
USUAL_AT_ONCE = 20
"""How many calls go at the same time at most, but for writes to which HubSpot answers so late that its limit asks for more."""


class HubSpotCrm:
    """One portal's companies and contacts. Safe over threads."""

    def __init__(self, settings: HubSpotSettings, *, integration: str) -> None:
        paths = PATHS[settings.path_family]
        self._settings = settings
        self._paths = paths
        self._transport = Transport(settings, integration=integration)
        self.calls = self._transport.calls
        # Writes may be under way beside them.
        in_flight = max(1, min(USUAL_AT_ONCE, settings.calls_in_flight // 2))
        self._reader = Reader(self._transport, paths, key=settings.external_key, in_flight=in_flight)
        self._writer = Writer(self._transport, paths, settings.external_key)
        self._associator = Associator(self._transport, paths, self._reader, batch_size=settings.association_batch_size)
        self._remover = Remover(self._transport, paths, self._reader)
        self._lists = Lists(self._transport, paths, self._reader)
        self._lock = threading.Lock()
        self._account: dict[str, Any] | None = None
        self._fields: dict[str, pd.DataFrame] = {}
        self.capabilities = replace(
            KIND.capabilities, association_batch_size=settings.association_batch_size, calls_in_flight=settings.calls_in_flight
        )
        self.late_after = timedelta(seconds=settings.late_seconds)
        self.call_lasts = settings.attempts * timedelta(seconds=settings.timeout_seconds + settings.waits.longest_seconds)

    @property
    def calls_at_once(self) -> int:
        """How many writes go at the same time: the usual ones, and more where HubSpot takes so long that its limit asks for more."""
        limits, most = self._settings.limits, self.capabilities.calls_at_once
        asked_for = self._transport.answer_times.calls_at_once(calls=limits.calls, seconds=limits.seconds, most=most)
        return min(most, max(USUAL_AT_ONCE, asked_for))

    def share_pace(self, leases: Leases) -> None:
        """Keep the limits together with all who use the token."""
        self._transport.share_pace(leases)

    def limits(self) -> Limits:
        """The daily calls, where HubSpot tells them, and the pace that the settings keep."""
        used, total = self._transport.daily_calls() or (None, None)
        pace = self._settings.limits
        return Limits(daily_used=used, daily_total=total, calls_per_second=pace.calls / pace.seconds)

    def organization(self) -> str:
        """The portal id; asked once, counted as sign_in. Raises ServiceError."""
        with self._lock:
            if self._account is None:
                self._account = self._reader.account()
            return str(self._account["portalId"])

    def fields(self, crm_object: CrmObject) -> pd.DataFrame:
        """The object's properties (schemas.CRM_FIELDS); asked once.

        Properties that hold sensitive data are listed only with the setting sensitive_properties: HubSpot leaves them out
        unless asked, and a property is not to be called missing before it was.
        """
        with self._lock:
            if crm_object.name not in self._fields:
                sensitivities = SENSITIVITIES if self._settings.sensitive_properties else ()
                self._fields[crm_object.name] = self._reader.fields(crm_object.name, sensitivities=sensitivities)
            return self._fields[crm_object.name]

    def has_keyed_records(self, crm_object: CrmObject) -> bool:
        """Whether any record carries the external key (docs/rules.md, 3); False without a key.

        A search, whose index lags by seconds: a key written a moment ago may be overlooked. That is harmless, because an
        upsert by the key finds the record itself.
        """
        key = self._settings.external_key
        return key is not None and self.has_values(crm_object, key)

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the property. A search, whose index lags by seconds."""
        return self._reader.searcher.has_any(crm_object.name, field)

    def find(self, crm_object: CrmObject, field: str, values: list[str]) -> pd.DataFrame:
        """Records by the external key or email (schemas.FOUND); ``parent_crm_id`` is not asked, hence null."""
        return self._reader.find(crm_object.name, field, values)

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND); ``parent_crm_id`` is not asked, hence null."""
        return self._reader.scan(crm_object.name, field)

    def read(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Current values, under the ids that were asked for even where a merge gave the record another.

        Columns ``crm_id``, ``parent_crm_id`` (contacts: the primary company), the fields, all text, and ``error_type``.
        """
        records, failed = self._reader.current(crm_object.name, crm_ids, fields)
        parents: dict[str, str] = {}
        if crm_object == CONTACTS and records:
            parents, failing = self._reader.primary_companies([str(record["id"]) for record in records.values()])
            failed |= {asked for asked, record in records.items() if str(record["id"]) in failing}
        records |= {asked: {"id": asked, "properties": {}} for asked in failed}
        columns: dict[str, list[str | None]] = {
            "crm_id": list(records),
            "parent_crm_id": [parents.get(str(record["id"])) for record in records.values()],
        }
        for field in fields:
            columns[field] = [text(record["properties"].get(field)) for record in records.values()]
        columns["error_type"] = [CrmFailsOnRecordException.__name__ if asked in failed else None for asked in records]
        return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})

    def examine(self, crm_object: CrmObject, crm_ids: list[str], *, fields: Sequence[str] = ()) -> pd.DataFrame:
        """What became of these records (schemas.EXAMINED), 100 a call."""
        return examine(self._reader, crm_object, crm_ids, key=self._settings.external_key, fields=fields)

    def left(self, crm_object: CrmObject, *, since: datetime) -> list[str]:
        """Ids of records that were merged away since then; a search, whose index lags by seconds. Deletions are not among them."""
        return merged_since(self._reader, crm_object, since)

    def changed(
        self, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
    ) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
        """The records that changed in the window (schemas.CHANGED): a search for each object, and a read for each 100 that changed.

        The search's index lags by seconds: a window that ends now misses what changed a moment ago.
        """
        return changed(self._reader, wanted, since=since, until=until, key=self._settings.external_key)

    def edits(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Since when these properties hold what they hold (schemas.EDITS), by their histories: a call for 50 records."""
        return edits(self._reader, crm_object, crm_ids, fields)

    def versions(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str], *, since: datetime) -> pd.DataFrame:
        """What these properties were given (schemas.VERSIONS), by all of their histories: a call for 50 records."""
        return versions(self._reader, crm_object, crm_ids, fields, since=since)

    def findings(self, written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        """The scopes of the token, a call, and whether HubSpot may make companies of its own."""
        yield scopes(self._transport, self._settings, list(written))
        yield from company_creation(written)

    def why_not(self, field: FieldToMake) -> str | None:
        """Why no property of this name is made."""
        return provisioning.why_not(field)

    def by_hand(self, field: FieldToMake) -> str:
        """The clicks that make a property."""
        return provisioning.by_hand(field)

    def make_field(self, field: FieldToMake) -> list[str]:
        """Make a property, two calls; every user and token sees it."""
        return provisioning.make(self._transport, self._paths, field)

    @property
    def clock_ahead(self) -> timedelta:
        """How far HubSpot's clock is ahead of ours."""
        return self._transport.clock.ahead

    def list_id(self, crm_object: CrmObject, crm_list: str) -> str:
        """The id of a list, by its name or id; asked once. Needs the scope crm.lists.read."""
        return self._lists.id_of(crm_object, crm_list)

    def members(self, crm_object: CrmObject, crm_list: str, crm_ids: list[str]) -> pd.DataFrame:
        """Which of these records are in a list (schemas.MEMBERS), a call for 100; one that is gone is in none."""
        return self._lists.members(crm_object, crm_list, crm_ids)

    def remove(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """Move records to the bin (schemas.REMOVED), two calls for 100; nothing goes with a company."""
        return self._remover.remove(crm_object, crm_ids)

    def children(self, account_ids: list[str]) -> pd.DataFrame:  # noqa: ARG002 - the contacts of a company that is archived stay
        """What goes with companies: nothing (schemas.CHILDREN)."""
        return CHILDREN.empty()

    def owners(self, users: list[str]) -> pd.DataFrame:
        """Owners by id or email, who must not have left (schemas.OWNERS)."""
        return OWNERS.build(pd.DataFrame(find_owners(self._transport, self._paths, list(dict.fromkeys(users))), columns=OWNERS.names))

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write one batch and account for every row.

        Costs one call for each of: rows with an id, rows with a key only, rows with neither.
        """
        return self._writer.write(crm_object, writes)

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Associate contacts (schemas.ASSOCIATIONS) with their companies, and take them from those they leave."""
        return self._associator.associate(rows)

    def resolve_intents(self, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
        """Which records the creates of these intents (schemas.INTENTS) made: columns ``qbench_id``, ``crm_id``."""
        return resolve(self._reader, crm_object, intents)

    def settles_after(self, crm_object: CrmObject, *, answered: bool = False) -> timedelta:
        """Until the create's call must be over, and for companies until search has caught up.

        A contact's email lets no second one be made, but only while QBench leaves it as it was sent.
        """
        settings = self._settings
        carried_out = 0 if answered else settings.timeout_seconds + settings.late_seconds
        found = settings.search_lag_seconds if crm_object == COMPANIES else 0
        return timedelta(seconds=carried_out + found)

    def is_up(self) -> bool:
        """Whether HubSpot answers now, asked once for its account details."""
        return self._transport.is_up()

    def record_url(self, crm_object: CrmObject, crm_id: str, *, org_id: str) -> str:
        """The record's page in HubSpot: at the portal's own address once organization() was asked, until then where HubSpot leads there."""
        domain = (self._account or {}).get("uiDomain") or UI_DOMAIN
        return f"https://{domain}/contacts/{org_id}/record/{TYPE_IDS[crm_object.name]}/{crm_id}"

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()
