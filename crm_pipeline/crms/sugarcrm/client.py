"""SugarCRM as the rest of the package sees it: the Crm protocol (crms.base) over one site."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd

from crm_pipeline.contracts import fault_of
from crm_pipeline.crms.base import CrmObject, Limits
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.crms.sugarcrm import CONTACTS, KIND, LEADS, provisioning
from crm_pipeline.crms.sugarcrm.changes import changed, edits
from crm_pipeline.crms.sugarcrm.contracts import FIELD, FIELDS
from crm_pipeline.crms.sugarcrm.converting import CONVERTED_FIELD, converted, is_converted, leads_of
from crm_pipeline.crms.sugarcrm.diagnosis import rights
from crm_pipeline.crms.sugarcrm.fields import crm_fields
from crm_pipeline.crms.sugarcrm.own_ids import own_ids
from crm_pipeline.crms.sugarcrm.owners import find_owners
from crm_pipeline.crms.sugarcrm.queries import has_id, has_left
from crm_pipeline.crms.sugarcrm.queries import since as from_then_on
from crm_pipeline.crms.sugarcrm.reading import DELETED, PARENT, Reader, is_deleted
from crm_pipeline.crms.sugarcrm.settings import SugarSettings
from crm_pipeline.crms.sugarcrm.transport import Transport
from crm_pipeline.crms.sugarcrm.values import TRUE
from crm_pipeline.crms.sugarcrm.writing import Row, Writer
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import CrmFailsOnRecordException, DeletedInCrmException, NoAccessToRecordException
from crm_pipeline.pacing import Leases
from crm_pipeline.schemas import CHILDREN, CONVERTED, EDITS, OWNERS, REMOVED


class SugarCrm:
    """One site's accounts, contacts and leads. Safe over threads."""

    def __init__(self, settings: SugarSettings, *, integration: str) -> None:
        self._settings = settings
        self._transport = Transport(settings, integration=integration)
        self.calls = self._transport.calls
        self._reader = Reader(self._transport, settings.external_key, self._kinds)
        self._writer = Writer(self._transport, self._reader, settings.external_key, settings.external_key_prefix)
        self._lock = threading.Lock()
        self._fields: dict[str, pd.DataFrame] = {}
        self._ours: str | None = None
        self.capabilities = replace(KIND.capabilities, batch_size=settings.batch_size, association_batch_size=settings.batch_size)
        self.late_after = timedelta(seconds=settings.late_seconds)
        self.call_lasts = settings.attempts * timedelta(seconds=settings.timeout_seconds + settings.waits.longest_seconds)

    def share_pace(self, leases: Leases) -> None:
        """Keep the limit together with all who use the site."""
        self._transport.share_pace(leases)

    def limits(self) -> Limits:
        """The pace that the settings keep; SugarCRM has no limits."""
        pace = self._settings.limits
        return Limits(daily_used=None, daily_total=None, calls_per_second=pace.calls / pace.seconds)

    def organization(self) -> str:
        """The site's address without its scheme: SugarCRM has no other id. Signs in. Raises ServiceError."""
        self._transport.sign_in()
        return self._settings.url.partition("://")[2]

    def fields(self, crm_object: CrmObject) -> pd.DataFrame:
        """The module's fields (schemas.CRM_FIELDS); asked once."""
        with self._lock:
            if crm_object.name not in self._fields:
                answer = self._transport.ask("get_module_fields", crm_object.name, label="describe", holds=FIELDS)
                described = answer["module_fields"].values()
                if fault := next(filter(None, (fault_of(field, FIELD) for field in described)), None):
                    raise self._transport.unexpected(f"described {crm_object.name}, but of a field {fault}")
                self._fields[crm_object.name] = crm_fields(described)
            return self._fields[crm_object.name]

    def has_keyed_records(self, crm_object: CrmObject) -> bool:
        """Whether any record shows an external key; False without a field for it."""
        key = self._settings.external_key
        return key is not None and self.has_values(crm_object, key)

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field."""
        return self._reader.has_values(crm_object, field)

    def find(self, crm_object: CrmObject, field: str, values: list[str]) -> pd.DataFrame:
        """Records by the external key's field, or contacts by their main address (schemas.FOUND)."""
        return self._reader.find(crm_object, field, values)

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND), 1,000 a call."""
        return self._reader.scan(crm_object, field)

    def read(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Current values, all text: columns ``crm_id``, ``parent_crm_id``, the fields, and ``error_type``."""
        parent = [PARENT] if crm_object.record_type == CONTACTS.record_type else []
        records, failed = self._reader.by_ids(crm_object, crm_ids, [*parent, *fields])
        rows = [*records.values(), *({"id": crm_id} for crm_id in sorted(failed))]
        columns = {"crm_id": "id", "parent_crm_id": PARENT, **{name: name for name in fields}}
        told = {name: pd.Series([row.get(source) for row in rows], dtype="str") for name, source in columns.items()}
        errors = [CrmFailsOnRecordException.__name__ if row["id"] in failed else None for row in rows]
        return pd.DataFrame({**told, "error_type": pd.Series(errors, dtype="str")})

    def left(self, crm_object: CrmObject, *, since: datetime) -> list[str]:
        """Ids of records that were deleted or converted since then; whether they were merged away SugarCRM does not tell."""
        converts = [CONVERTED_FIELD] if crm_object == LEADS else []
        where = [has_left(crm_object.name, [DELETED, *converts]), from_then_on(crm_object.name, since)]
        pages = self._reader.all(crm_object, converts, where=where, include="live and deleted")
        return [record["id"] for records, _ in pages for record in records if is_deleted(record) or is_converted(record)]

    def changed(
        self, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
    ) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
        """The records that changed in the window (schemas.CHANGED): a call for each object, and one more for each 1,000 records."""
        return changed(self._reader, wanted, since=since, until=until)

    def converted(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:  # noqa: ARG002 - there is one object for leads
        """The leads among these that people converted (schemas.CONVERTED), 200 a call; for those one more about their contacts."""
        rows = converted(self._reader, list(dict.fromkeys(crm_ids)))
        return CONVERTED.build(pd.DataFrame(rows, columns=CONVERTED.names)) if rows else CONVERTED.empty()

    def leads_of(self, crm_object: CrmObject, contact_ids: list[str]) -> pd.DataFrame:  # noqa: ARG002 - there is one object for leads
        """The leads that became these contacts (columns ``contact_crm_id``, ``crm_id``), 200 contacts a call."""
        return pd.DataFrame(leads_of(self._reader, contact_ids), columns=["contact_crm_id", "crm_id"], dtype="str")

    def edits(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """When the records were edited last, where that was not by our user (schemas.EDITS); a call for 200."""
        if not (crm_ids and fields):
            return EDITS.empty()
        if self._ours is None:
            user = self._settings.user.read(integration=self._transport.integration)
            self._ours = find_owners(self._transport, [user])[0]["owner_id"]
        return edits(self._reader, crm_object, crm_ids, fields, ours=self._ours)

    def findings(self, written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        """What the user may do in these modules; a call."""
        return rights(self._transport, written.keys())

    def why_not(self, field: FieldToMake) -> str | None:
        """Why Studio makes no field of this name."""
        return provisioning.why_not(field)

    def by_hand(self, field: FieldToMake) -> str:
        """The clicks in Studio that make a field."""
        return provisioning.by_hand(field)

    @property
    def clock_ahead(self) -> timedelta:
        """How far the site's clock is ahead of ours."""
        return self._transport.clock.ahead

    def remove(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """Mark records as deleted (schemas.REMOVED), two calls for a batch; nothing goes with an account."""
        asked = dict(enumerate(dict.fromkeys(crm_ids)))
        rows = [Row(place, crm_id, key="", values={DELETED: TRUE}) for place, crm_id in asked.items()]
        told = {one.qbench_id: one for part in self._parts(rows) for one in self._writer.write(crm_object, part, label="write")}
        there = [None if told[place].error_type == DeletedInCrmException.__name__ else told[place] for place in asked]
        return REMOVED.build(
            {
                "crm_id": list(asked.values()),
                "error_type": [one and (one.error_type or NoAccessToRecordException.__name__) for one in there],
                "error_code": [one and one.error_code for one in there],
            }
        )

    def children(self, account_ids: list[str]) -> pd.DataFrame:  # noqa: ARG002 - the contacts of a deleted account stay
        """What goes with accounts: nothing (schemas.CHILDREN)."""
        return CHILDREN.empty()

    def owners(self, users: list[str]) -> pd.DataFrame:
        """Active users by id, user name or email (schemas.OWNERS)."""
        return OWNERS.build(pd.DataFrame(find_owners(self._transport, list(dict.fromkeys(users))), columns=OWNERS.names))

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write one batch and account for every row: written, and read back; accounts are looked at before."""
        rows = self._writer.rows_of(crm_object, writes)
        idle = [row for row in rows if row.crm_id is not None and not row.values]
        sendable = [row for row in rows if row.crm_id is None or row.values]
        written = self._writer.write(crm_object, sendable, label="write") if sendable else []
        return written + [WriteResult(row.qbench_id, row.crm_id) for row in idle]

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Set contacts' accounts (schemas.ASSOCIATIONS); the one before is left by that."""
        contacts = [Row(int(row.qbench_id), str(row.crm_id), key="", values={PARENT: str(row.parent_crm_id)}) for row in rows.itertuples()]
        return self._writer.write(CONTACTS, contacts, label="associate") if contacts else []

    def resolve_intents(self, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
        """The records that these creates (schemas.INTENTS) made: columns ``qbench_id``, ``crm_id``; their ids tell."""
        keys = {f"{self._settings.external_key_prefix}{qbench_id}": int(qbench_id) for qbench_id in intents["qbench_id"]}
        ids = {one: qbench_id for key, qbench_id in keys.items() for one in own_ids(crm_object, key)}

        def condition(part: Sequence[str]) -> str:
            return has_id(crm_object, (one for key in part for one in own_ids(crm_object, key)))

        there, failed = self._reader.of_each(crm_object, list(keys), [], condition=condition)
        found = [(ids[record["id"]], record["id"]) for record in there if record["id"] in ids]
        found += [(keys[key], None) for key in sorted(failed)]
        return pd.DataFrame(
            {
                "qbench_id": pd.Series([qbench_id for qbench_id, _ in found], dtype="int64"),
                "crm_id": pd.Series([crm_id for _, crm_id in found], dtype="str"),
            }
        )

    def settles_after(self, crm_object: CrmObject, *, answered: bool = False) -> timedelta:  # noqa: ARG002 - alike for all
        """At once: a create that is carried out later is refused, where its record was made by another meanwhile."""
        return timedelta(0)

    def is_up(self) -> bool:
        """Whether SugarCRM answers now."""
        return self._transport.is_up()

    def record_url(self, crm_object: CrmObject, crm_id: str, *, org_id: str) -> str:  # noqa: ARG002 - the address tells the organization
        """The record's page. Assumed of SuiteCRM 8."""
        if self._settings.has_new_pages:
            return f"{self._settings.url.removesuffix('/legacy')}/#/{crm_object.name.lower()}/record/{crm_id}"
        return f"{self._settings.url}/index.php?module={crm_object.name}&action=DetailView&record={crm_id}"

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _kinds(self, crm_object: CrmObject) -> Mapping[str, str]:
        """The types of a module's fields by their names."""
        fields = self.fields(crm_object)
        return dict(zip(fields["name"], fields["type"], strict=True))

    def _parts(self, rows: list[Row]) -> Iterator[list[Row]]:
        size = self.capabilities.batch_size
        return (rows[start : start + size] for start in range(0, len(rows), size))
