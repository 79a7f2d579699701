"""The state of one organization: its users, objects and records, and what a person does to them by hand."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, FieldType, ObjectSpec
from crm_pipeline.sandbox.salesforce.ids import canonical, new_id
from crm_pipeline.sandbox.salesforce.places import Places, settle_places, standard_places, with_code_fields
from crm_pipeline.sandbox.salesforce.standard_objects import PERSON_ACCOUNT_FIELDS, STANDARD_OBJECTS
from crm_pipeline.sandbox.salesforce.table import Row, Table, Undo, roll_back
from crm_pipeline.sandbox.salesforce.values import normal_form, rendered

EXTERNAL_KEY = "QBench_Id__c"
MERGE_AT_MOST = 3


@dataclass(frozen=True)
class ValidationRule:
    """An active validation rule: saves of records that ``refuses`` says True to fail with ``message``."""

    object_name: str
    refuses: Callable[[Row], bool]
    message: str = "This record breaks a rule of the organization."
    field: str | None = None


class SalesforceOrg:
    """One organization, safe over threads. What is not set is as in a fresh Enterprise org.

    ``external_keys`` adds ``QBench_Id__c`` to Account and Contact; ``person_accounts`` and ``state_country_picklists`` turn
    those features on. ``daily_limit``, ``page_size``, ``longest_address`` (bytes, with the headers), ``open_cursors``,
    ``duplicates_named_in_collections`` (whether a collection's DUPLICATES_DETECTED carries the ids; assumed not, as users of
    the vendor report) and ``clock`` may be set at any time. Times are kept in whole seconds, as the vendor does.
    """

    def __init__(
        self,
        *,
        client_id: str = "sandbox-consumer-key",
        client_secret: str = "sandbox-consumer-secret",  # noqa: S107 - of the stand-in, which guards nothing
        name: str = "Sandbox Laboratory Group",
        external_keys: bool = False,
        person_accounts: bool = False,
        state_country_picklists: bool = False,
        daily_limit: int = 100_000,
        latest_version: int = 67,
        duplicates_named_in_collections: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.person_accounts = person_accounts
        self.daily_limit = daily_limit
        self.latest_version = latest_version
        self.duplicates_named_in_collections = duplicates_named_in_collections
        self.clock = clock
        self.page_size = 2_000
        self.longest_address = 16_384
        self.open_cursors = 10
        self.api_calls = 0
        self.cursors: OrderedDict[str, Any] = OrderedDict()
        self.duplicate_rules: list[DuplicateRule] = []
        self.validation_rules: list[ValidationRule] = []
        self.obstacles: list[Obstacle] = []
        self.places: Places | None = standard_places() if state_country_picklists else None
        self.mutex = threading.RLock()
        self._undo: Undo = []
        self._sessions: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._locks: Counter[tuple[str, str]] = Counter()
        self._cascades: dict[str, list[tuple[str, str]]] = {}
        self._tables = {spec.name: Table(self._with_features(spec)) for spec in STANDARD_OBJECTS}
        self.organization_id = self._found(name)
        self.user_id = self.add_user(username="integration@sandbox.example", last_name="Integration", first_name="QBench")
        if external_keys:
            for object_name in ("Account", "Contact"):
                self.add_field(object_name, name=EXTERNAL_KEY, type="string", length=64, external_id=True, unique=True)

    # --- metadata

    def objects(self) -> list[ObjectSpec]:
        """Every object of the organization."""
        with self.mutex:
            return [table.spec for table in self._tables.values()]

    def table(self, object_name: str) -> Table | None:
        """The records of an object, whatever the name's case; None if there is no such object."""
        return self._tables.get(object_name) or next(
            (table for name, table in self._tables.items() if name.lower() == object_name.lower()), None
        )

    def add_field(self, object_name: str, *, name: str, type: FieldType, **properties: Any) -> None:
        """Add a field as an administrator would; ``properties`` are those of FieldSpec."""
        self._set_field(object_name, FieldSpec(name, type, **properties))

    def change_field(self, object_name: str, name: str, **properties: Any) -> None:
        """Change a field's properties, for instance ``restricted_picklist=True`` or ``length=10``."""
        self._set_field(object_name, replace(self._tables[object_name].spec.fields[name], **properties))

    def hide_field(self, object_name: str, name: str) -> None:
        """Take the field out of the integration user's sight (field-level security)."""
        self.change_field(object_name, name, visible=False)

    def add_user(self, *, username: str, last_name: str, first_name: str | None = None, active: bool = True) -> str:
        """Add a user and return the id."""
        values = {"Username": username, "Email": username, "FirstName": first_name, "LastName": last_name, "IsActive": active}
        return self.add("User", {**values, "UserType": "Standard", "Alias": last_name[:8]})

    # --- records, by hand

    def add(self, object_name: str, values: dict[str, Any]) -> str:
        """Add a record as a person or an import with every permission would, and return its 18-character id.

        Read-only fields may be given; values are not checked but for required, unknown and unique fields (ValueError).
        """
        with self.mutex:
            table = self._tables[object_name]
            stamps = self.stamps(table.spec, created=True)
            row = {**table.spec.defaults, **stamps, **self._by_hand(table.spec, values)}
            row.setdefault("Id", self.next_id(table.spec))
            return self._saved_by_hand(table, row, set(values))

    def update(self, object_name: str, record_id: str, values: dict[str, Any]) -> None:
        """Change a record as a person would; None clears."""
        with self.mutex:
            table = self._tables[object_name]
            changes = self._by_hand(table.spec, values, keep_null=True)
            row = {**self._row(object_name, record_id), **self.stamps(table.spec, created=False), **changes}
            self._saved_by_hand(table, {name: value for name, value in row.items() if value is not None}, set(values))

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

    def delete(self, object_name: str, record_id: str) -> None:
        """Put a record into the recycle bin; an account takes its contacts along."""
        with self.mutex:
            row = self._row(object_name, record_id)
            self._set_deleted(object_name, row["Id"], deleted=True)
            if object_name == "Account":
                children = [("Contact", child["Id"]) for child in self._children("AccountId", row["Id"])]
                self._cascades[row["Id"]] = children
                for child_object, child_id in children:
                    self._set_deleted(child_object, child_id, deleted=True)

    def undelete(self, object_name: str, record_id: str) -> None:
        """Take a record, and what went with it, out of the recycle bin."""
        with self.mutex:
            restored = [(object_name, self._row(object_name, record_id)["Id"])]
            for each_object, each_id in restored + self._cascades.pop(restored[0][1], []):
                self._set_deleted(each_object, each_id, deleted=False)

    def merge(self, object_name: str, winner: str, losers: list[str]) -> None:
        """Merge records: the losers are deleted and point to the winner, their contacts move to it."""
        with self.mutex:
            table = self._tables[object_name]
            if not table.spec.mergeable or not 1 <= len(losers) < MERGE_AT_MOST:
                raise ValueError(f"{object_name}: merges take one winner and one or two losers of a mergeable object")
            winner_id = self._row(object_name, winner)["Id"]
            for loser in losers:
                loser_id = self._row(object_name, loser)["Id"]
                if object_name == "Account":
                    for child in self._children("AccountId", loser_id):
                        self.update("Contact", child["Id"], {"AccountId": winner_id})
                self.update(object_name, loser_id, {"MasterRecordId": winner_id})
                self._set_deleted(object_name, loser_id, deleted=True)
            self.update(object_name, winner_id, {})

    def empty_recycle_bin(self) -> None:
        """Remove every deleted record for good: not even queryAll sees it any more."""
        with self.mutex:
            for table in self._tables.values():
                for record_id in [row["Id"] for row in table.rows.values() if row.get("IsDeleted")]:
                    table.remove(record_id)

    # --- behaviour on purpose

    def lock(self, object_name: str, id_or_key: str, *, times: int = 1) -> None:
        """Let the next saves of this record (its id or any external id), or of its children, fail with UNABLE_TO_LOCK_ROW."""
        with self.mutex:
            self._locks[object_name, canonical(id_or_key) or id_or_key.casefold()] += times

    def take_lock(self, object_name: str, names: list[str]) -> bool:
        """Whether someone else holds one of these records; each such answer uses one of the lock's times up."""
        for name in names:
            if self._locks[object_name, name] > 0:
                self._locks[object_name, name] -= 1
                return True
        return False

    def add_duplicate_rule(self, rule: DuplicateRule) -> None:
        """Activate a duplicate rule."""
        with self.mutex:
            self.duplicate_rules.append(rule)

    def add_validation_rule(self, rule: ValidationRule) -> None:
        """Activate a validation rule."""
        with self.mutex:
            self.validation_rules.append(rule)

    # --- sessions and calls

    def sign_in(self) -> str:
        """A new session's access token."""
        with self.mutex:
            self._numbers["session"] += 1
            token = f"{self.organization_id[:15]}!{self._numbers['session']:06d}"
            self._sessions.add(token)
            return token

    def knows_session(self, token: str) -> bool:
        """Whether the token belongs to a session that has not expired."""
        with self.mutex:
            return token in self._sessions

    def expire_sessions(self) -> None:
        """End every session: the next call with its token is answered 401."""
        with self.mutex:
            self._sessions.clear()

    def count_call(self) -> bool:
        """Count one call towards the daily limit; False, and not counted, if there is none left."""
        with self.mutex:
            if self.api_calls >= self.daily_limit:
                return False
            self.api_calls += 1
            return True

    # --- for the API's modules, which hold the mutex

    @contextmanager
    def savepoint(self) -> Iterator[Callable[[], None]]:
        """Within it, the function it gives undoes every change made since; savepoints nest."""
        start = len(self._undo)
        tables = list(self._tables.values())
        outermost = all(table.undo is None for table in tables)
        for table in tables:
            table.undo = self._undo
        try:
            yield lambda: roll_back(self._undo, down_to=start)
        finally:
            if outermost:
                self._undo.clear()
                for table in tables:
                    table.undo = None

    def next_id(self, spec: ObjectSpec) -> str:
        """The id of the object's next record."""
        self._numbers[spec.name] += 1
        return new_id(spec.key_prefix, self._numbers[spec.name])

    def stamps(self, spec: ObjectSpec, *, created: bool) -> Row:
        """The system fields that every save sets, and those of a create."""
        now = self.clock().astimezone(UTC).replace(microsecond=0)
        user = getattr(self, "user_id", None)
        stamps = {"LastModifiedDate": now, "LastModifiedById": user, "SystemModstamp": now}
        if created:
            stamps |= {"CreatedDate": now, "CreatedById": user, "OwnerId": user, "IsDeleted": False}
        return {name: value for name, value in stamps.items() if name in spec.fields and value is not None}

    # --- helpers

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

    def _with_features(self, spec: ObjectSpec) -> ObjectSpec:
        if self.places is not None and spec.name in ("Account", "Contact", "Lead"):
            spec = with_code_fields(spec, self.places)
        if self.person_accounts and spec.name == "Account":
            for field in PERSON_ACCOUNT_FIELDS:
                spec = spec.with_field(field)
        return spec

    def _set_field(self, object_name: str, field: FieldSpec) -> None:
        with self.mutex:
            table = self._tables[object_name]
            table.respecify(table.spec.with_field(field))

    def _row(self, object_name: str, record_id: str) -> Row:
        return self._tables[object_name].rows[canonical(record_id) or record_id]

    def _children(self, field: str, parent_id: str) -> list[Row]:
        table = self._tables["Contact"]
        return table.find(table.spec.fields[field], parent_id)

    def _by_hand(self, spec: ObjectSpec, values: dict[str, Any], *, keep_null: bool = False) -> Row:
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
        table.put(row)
        return str(row["Id"])

    def completed(self, spec: ObjectSpec, row: Row, changed: set[str]) -> Row:
        """The row with what the organization derives itself: the compound name, and codes beside state and country texts."""
        if self.places is not None:
            row = settle_places(spec, row, changed, self.places)
        parts = spec.name_from or (("FirstName", "LastName") if row.get("IsPersonAccount") else ())
        if parts:
            row = {**row, "Name": " ".join(row[part] for part in parts if part in row)}
        return row

    def holder(self, table: Table, field: FieldSpec, row: Row) -> str | None:
        """The id of another live record that has the row's value in a unique field."""
        value = row.get(field.name)
        return next((other["Id"] for other in table.find(field, value) if other["Id"] != row["Id"]), None) if value is not None else None

    def _set_deleted(self, object_name: str, record_id: str, *, deleted: bool) -> None:
        table = self._tables[object_name]
        row = {**table.rows[record_id], **self.stamps(table.spec, created=False), "IsDeleted": deleted}
        if not deleted:
            row.pop("MasterRecordId", None)
        self._saved_by_hand(table, row, set())
