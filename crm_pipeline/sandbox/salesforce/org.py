"""One organization, with what its people, loaders and own processes do to it beside the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_pipeline.sandbox.salesforce.conversion import account_of, contact_of
from crm_pipeline.sandbox.salesforce.core import EXTERNAL_KEY, OrgCore, ValidationRule
from crm_pipeline.sandbox.salesforce.fields import ObjectSpec
from crm_pipeline.sandbox.salesforce.history import HISTORY_OF
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.table import Row, Table
from crm_pipeline.sandbox.salesforce.values import normal_form, rendered

__all__ = ["SalesforceOrg", "ValidationRule"]

MERGE_AT_MOST = 3
CASCADING = ("Contact", "Opportunity")
"""The objects whose records go with their account."""


@dataclass(kw_only=True, eq=False, repr=False)
class SalesforceOrg(OrgCore):
    """An organization with two users: ``user_id``, the integration's, whom the API acts as, and ``person_id``, who works by hand.

    Methods named after what people do take ``at``, the true time of it, now where it is left out, and ``by``, a user's id: ``person_id``
    where it is left out, but for ``add``. A time that has passed makes a change that becomes visible late, with its early stamp.
    """

    name: str = "Sandbox Laboratory Group"
    external_keys: bool = False
    """Account, Contact and Lead have ``QBench_Id__c``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._cascades: dict[str, list[tuple[str, str]]] = {}
        self._emptied: set[str] = set()
        self.person_id = ""
        self.organization_id = self._found(self.name)
        self.user_id = self.add_user(username="integration@sandbox.example", last_name="Integration", first_name="QBench")
        self.person_id = self.add_user(username="person@sandbox.example", last_name="Person", first_name="Pat")
        self._see_all(self.user_id)
        if self.external_keys:
            for object_name in ("Account", "Contact", "Lead"):
                self.add_field(object_name, name=EXTERNAL_KEY, type="string", length=64, external_id=True, unique=True)

    def add_user(self, *, username: str, last_name: str, first_name: str | None = None, active: bool = True) -> str:
        """Add a user and return the id."""
        values = {"Username": username, "Email": username, "FirstName": first_name, "LastName": last_name, "IsActive": active}
        return self.add("User", {**values, "UserType": "Standard", "Alias": last_name[:8]})

    # --- records

    def add(self, object_name: str, values: Mapping[str, Any], *, at: datetime | None = None, by: str | None = None) -> str:
        """Add a record as an import with every permission would, by the integration's user unless told otherwise; returns its long id.

        Read-only fields may be given, for instance an older LastModifiedDate; values are not checked but for required, unknown and unique
        fields (ValueError).
        """
        with self.mutex:
            table = self._tables[object_name]
            stamps = self.stamps(table.spec, created=True, at=at, by=by)
            row = {**table.spec.defaults, **stamps, **self._by_hand(table.spec, values)}
            row.setdefault("Id", self.next_id(table.spec))
            return self._saved_by_hand(table, row, set(values))

    def update(
        self, object_name: str, record_id: str, values: Mapping[str, Any], *, at: datetime | None = None, by: str | None = None
    ) -> None:
        """Change a record as a person would; None clears. KeyError for one that is not there or in the recycle bin."""
        with self.mutex:
            table = self._tables[object_name]
            changes = self._by_hand(table.spec, values, keep_null=True)
            stamps = self.stamps(table.spec, created=False, at=at, by=by or self.person_id)
            row = {**self._live(object_name, record_id), **stamps, **changes}
            self._saved_by_hand(table, {name: value for name, value in row.items() if value is not None}, set(values))

    def load(
        self, object_name: str, records: Iterable[Mapping[str, Any]], *, at: datetime | None = None, by: str | None = None
    ) -> list[str]:
        """Add records, and change those that come with an ``Id``, all with one stamp, as a data loader does. Returns their ids."""
        with self.mutex:
            moment, user, ids = at or self.clock(), by or self.person_id, []
            for record in records:
                values = {name: value for name, value in record.items() if name != "Id"}
                if "Id" in record:
                    self.update(object_name, record["Id"], values, at=moment, by=user)
                ids.append(record["Id"] if "Id" in record else self.add(object_name, values, at=moment, by=user))
            return ids

    def touch(self, object_name: str, record_ids: Iterable[str] | None = None, *, at: datetime | None = None) -> None:
        """Move ``SystemModstamp`` alone, of all live records where none are named, as processes of the system do.

        A value of a picklist was renamed, a roll-up computed, an address bounced: no field of anybody's changed.
        """
        with self.mutex:
            table, moment = self._tables[object_name], self.stamp(at)
            rows = list(table.live_rows()) if record_ids is None else [self._row(object_name, record_id) for record_id in record_ids]
            for row in rows:
                table.put({**row, "SystemModstamp": moment})

    def records(self, object_name: str, *, include_deleted: bool = False) -> list[dict[str, Any]]:
        """The records, oldest first, with every field, as the API shows them."""
        with self.mutex:
            table = self._tables[object_name]
            rows = table.rows.values() if include_deleted else table.live_rows()
            return [rendered(table.spec, row) for row in rows]

    def record(self, object_name: str, record_id: str) -> dict[str, Any]:
        """One record, deleted or not, with every field, as the API shows it; KeyError if it never was or is purged."""
        with self.mutex:
            return rendered(self._tables[object_name].spec, self._row(object_name, record_id))

    # --- deleting, merging, converting

    def delete(self, object_name: str, record_id: str, *, at: datetime | None = None, by: str | None = None) -> None:
        """Put a record into the recycle bin; an account takes its contacts and opportunities along."""
        with self.mutex:
            row = self._live(object_name, record_id)
            children = self.children(object_name, row["Id"])
            self._cascades[row["Id"]] = children
            for each_object, each_id in [(object_name, row["Id"]), *children]:
                self._set_deleted(each_object, each_id, deleted=True, at=at, by=by)

    def undelete(self, object_name: str, record_id: str, *, at: datetime | None = None, by: str | None = None) -> None:
        """Take a record, and what went with it, out of the recycle bin; KeyError if the bin was emptied."""
        with self.mutex:
            row = self._row(object_name, record_id)
            if row["Id"] in self._emptied:
                raise KeyError(record_id)
            for each_object, each_id in [(object_name, row["Id"]), *self._cascades.pop(row["Id"], [])]:
                self._set_deleted(each_object, each_id, deleted=False, at=at, by=by)

    def purge(self, object_name: str, record_id: str) -> None:
        """Delete a record, and what goes with it, past the recycle bin."""
        with self.mutex:
            row = self._row(object_name, record_id)
            for each_object, each_id in [(object_name, row["Id"]), *self.children(object_name, row["Id"])]:
                self._remove(each_object, each_id)

    def empty_recycle_bin(self, *, leaves_traces: bool = False) -> None:
        """Remove every deleted record for good: not even queryAll sees it any more.

        With ``leaves_traces``, as in the first hours after it (about a day, by the vendor), queryAll still does.
        """
        with self.mutex:
            bin_ = [(name, row["Id"]) for name, table in self._tables.items() for row in table.rows.values() if row.get("IsDeleted")]
            self._emptied.update(record_id for _, record_id in bin_)
            for object_name, record_id in () if leaves_traces else bin_:
                self._remove(object_name, record_id)

    def merge(self, object_name: str, winner: str, losers: list[str], *, at: datetime | None = None, by: str | None = None) -> None:
        """Merge records: the losers are deleted and point to the winner, their contacts and opportunities move to it."""
        with self.mutex:
            table = self._tables[object_name]
            if not table.spec.mergeable or not 1 <= len(losers) < MERGE_AT_MOST:
                raise ValueError(f"{object_name}: merges take one winner and one or two losers of a mergeable object")
            winner_id = self._live(object_name, winner)["Id"]
            for loser in losers:
                loser_id = self._live(object_name, loser)["Id"]
                for child_object, child_id in self.children(object_name, loser_id):
                    self.update(child_object, child_id, {"AccountId": winner_id}, at=at, by=by)
                self.update(object_name, loser_id, {"MasterRecordId": winner_id}, at=at, by=by)
                self._set_deleted(object_name, loser_id, deleted=True, at=at, by=by)
            self.update(object_name, winner_id, {}, at=at, by=by)

    def convert_lead(
        self,
        lead_id: str,
        *,
        account_id: str | None = None,
        contact_id: str | None = None,
        carried: Mapping[str, str] | None = None,
        at: datetime | None = None,
        by: str | None = None,
    ) -> tuple[str, str]:
        """Convert a lead as a person does, into new records or those named; returns the account's and the contact's id.

        A contact that is there takes the lead's values only where it has none. ``carried`` are the custom fields that the administrator
        mapped, of the lead to those of the contact. A lead without a company, which there are where there are person accounts, becomes
        one. Raises ValueError for a converted lead, and where a value is another contact's; then nothing is changed.
        """
        with self.mutex, self.savepoint() as undo:
            try:
                return self._converted(lead_id, account_id=account_id, contact_id=contact_id, carried=carried or {}, at=at, by=by)
            except (KeyError, ValueError):
                undo()
                raise

    # --- for the API's modules, which hold the mutex

    def children(self, object_name: str, record_id: str) -> list[tuple[str, str]]:
        """Object and id of the live records that a record takes along when it is deleted."""
        if object_name != "Account":
            return []
        tables = [self._tables[name] for name in CASCADING]
        return [(table.spec.name, row["Id"]) for table in tables for row in table.find(table.spec.fields["AccountId"], record_id)]

    # --- helpers

    def _converted(
        self,
        lead_id: str,
        *,
        account_id: str | None,
        contact_id: str | None,
        carried: Mapping[str, str],
        at: datetime | None,
        by: str | None,
    ) -> tuple[str, str]:
        lead = self._live("Lead", lead_id)
        if lead.get("IsConverted"):
            raise ValueError(f"{lead_id} is converted")
        user = by or self.person_id
        account = account_id or self.add("Account", account_of(lead), at=at, by=user)
        person = {"IsPersonAccount": True} if self._live("Account", account).get("IsPersonAccount") else {}
        values = {**contact_of(lead), **{target: lead[name] for name, target in carried.items() if name in lead}, "AccountId": account}
        if contact_id is None:
            contact = self.add("Contact", {**values, **person}, at=at, by=user)
        else:
            contact = contact_id
            there = self._live("Contact", contact_id)
            self.update("Contact", contact_id, {name: value for name, value in values.items() if name not in there}, at=at, by=by)
        ends = {"IsConverted": True, "ConvertedDate": self.stamp(at).date(), "ConvertedAccountId": account, "ConvertedContactId": contact}
        self.update("Lead", lead_id, {**ends, "Status": "Closed - Converted"}, at=at, by=by)
        return account, contact

    def _see_all(self, user_id: str) -> None:
        """Give a user the permission set of its profile, with *View All* on what is synced."""
        profile = self.add("PermissionSet", {"Name": "X00e_Integration", "Label": "Integration"})
        self.add("PermissionSetAssignment", {"AssigneeId": user_id, "PermissionSetId": profile})
        for object_name in ("Account", "Contact", "Lead", "Opportunity"):
            self.add("ObjectPermissions", {"ParentId": profile, "SobjectType": object_name, "PermissionsViewAllRecords": True})

    def _found(self, name: str) -> str:
        return self.add(
            "Organization",
            {
                "Name": name,
                "OrganizationType": "Enterprise Edition",
                "InstanceName": "SBX1",
                "IsSandbox": True,
                "LanguageLocaleKey": "en_US",
                "TimeZoneSidKey": "America/New_York",
            },
        )

    def _row(self, object_name: str, record_id: str) -> Row:
        return self._tables[object_name].rows[canonical(record_id) or record_id]

    def _live(self, object_name: str, record_id: str) -> Row:
        row = self._row(object_name, record_id)
        if row.get("IsDeleted"):
            raise KeyError(record_id)
        return row

    def _by_hand(self, spec: ObjectSpec, values: Mapping[str, Any], *, keep_null: bool = False) -> Row:
        unknown = values.keys() - spec.fields.keys()
        if unknown:
            raise ValueError(f"{spec.name} has no field {', '.join(sorted(unknown))}")
        normal = {name: normal_form(spec.fields[name], value) for name, value in values.items()}
        return {name: value for name, value in normal.items() if keep_null or value is not None}

    def _saved_by_hand(self, table: Table, row: Row, changed: set[str]) -> str:
        row = self.completed(table.spec, row, changed)
        missing = [field.name for field in table.spec.required if field.name not in row]
        taken = [field.name for field in table.spec.unique if self.holder(table, field, row)]
        if missing or taken:
            raise ValueError(f"{table.spec.name}: missing {missing}, taken {taken}")
        self.put(table, row)
        return str(row["Id"])

    def _set_deleted(self, object_name: str, record_id: str, *, deleted: bool, at: datetime | None, by: str | None) -> None:
        table = self._tables[object_name]
        stamps = self.stamps(table.spec, created=False, at=at, by=by or self.person_id)
        row = {**table.rows[record_id], **stamps, "IsDeleted": deleted}
        if not deleted:
            row.pop("MasterRecordId", None)
        self._saved_by_hand(table, row, set())
        for history, history_id in self._history(object_name, record_id):
            history.put({**history.rows[history_id], "IsDeleted": deleted})

    def _remove(self, object_name: str, record_id: str) -> None:
        for history, history_id in self._history(object_name, record_id):
            history.remove(history_id)
        if record_id in self._tables[object_name].rows:
            self._tables[object_name].remove(record_id)

    def _history(self, object_name: str, record_id: str) -> list[tuple[Table, str]]:
        """The rows of field history that go with a record."""
        if object_name not in HISTORY_OF:
            return []
        history = self._tables[HISTORY_OF[object_name]]
        return [(history, history_id) for history_id in history.ids_with(f"{object_name}Id", record_id)]
