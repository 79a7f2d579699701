"""What one organization is: its settings, objects, records and sessions, and what every save does, whoever saves."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, FieldType, ObjectSpec
from crm_pipeline.sandbox.salesforce.history import HISTORY_OF, MOST_TRACKED, changes_between, trackable
from crm_pipeline.sandbox.salesforce.ids import canonical, new_id
from crm_pipeline.sandbox.salesforce.jobs import IngestJob
from crm_pipeline.sandbox.salesforce.places import Places, settle_places, standard_places, with_code_fields
from crm_pipeline.sandbox.salesforce.standard_objects import PERSON_ACCOUNT_FIELDS, STANDARD_OBJECTS
from crm_pipeline.sandbox.salesforce.table import Row, Table, Undo, roll_back

EXTERNAL_KEY = "QBench_Id__c"
SETUP = frozenset({"DuplicateRule", "PermissionSet", "PermissionSetAssignment", "FieldPermissions", "ObjectPermissions"})
"""Objects that only those query who may see the set-up."""


@dataclass(frozen=True)
class ValidationRule:
    """An active validation rule: saves of records that ``refuses`` says True to fail with ``message``."""

    object_name: str
    refuses: Callable[[Row], bool]
    message: str = "This record breaks a rule of the organization."
    field: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class OrgCore:
    """One organization, safe over threads. What is not set is as in a fresh Enterprise org.

    Settings may be changed at any time, but for ``person_accounts`` and ``state_country_picklists``, which turn those features on.
    Times are kept in whole seconds, as the vendor does.
    """

    client_id: str = "sandbox-consumer-key"
    client_secret: str = "sandbox-consumer-secret"  # noqa: S105 - of the stand-in, which guards nothing
    person_accounts: bool = False
    state_country_picklists: bool = False
    daily_limit: int = 100_000
    latest_version: int = 67
    page_size: int = 2_000
    longest_address: int = 16_384
    """Bytes of a URL with the headers."""
    open_cursors: int = 10
    duplicates_named_in_collections: bool = False
    """Whether a collection's DUPLICATES_DETECTED carries the ids; assumed not, as users of the vendor report."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The true time."""
    clock_ahead: float = 0.0
    """By how many seconds the organization's own clock is ahead of it, in stamps and in the ``Date`` of answers."""
    on_request: Callable[[str, str], None] | None = None
    """Called with method and path before a call is answered; tests change records there, between two calls."""
    formatting: Callable[[str, Any], Any] | None = None
    """What is kept of a value that is saved, by people and by the API, from the field's name and the value."""
    edits_converted_leads: bool = False
    """Whether converted leads can be updated, as some organizations allow."""
    assigned_owner: dict[str, Callable[[Row], str]] = field(default_factory=dict)
    """By object, the owner that the active assignment rule finds for a record.

    It is used in each save by the API, unless the call says ``Sforce-Auto-Assign: FALSE`` (the header's default is TRUE).
    """
    undeletable: set[str] = field(default_factory=set)
    """Ids of records that cannot be deleted because others hang on them; nor can their accounts."""
    history_names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """How field history names a field, where not as the object does, by object and field."""
    duplicate_rules: list[DuplicateRule] = field(default_factory=list)
    validation_rules: list[ValidationRule] = field(default_factory=list)
    views_setup: bool = True
    """Whether the integration's user has *View Setup and Configuration*, without which rules and permissions are not there for queries."""
    customizes: bool = False
    """Whether the user has *Customize Application* and *Manage Profiles and Permission Sets*: who integrates seldom has."""
    denied: set[tuple[str, Literal["read", "create", "edit"]]] = field(default_factory=set)
    """What the integration's user may not do to the records of objects. One that may not be read is not there for the user."""
    obstacles: list[Obstacle] = field(default_factory=list)
    takes_jobs: bool = True
    """Whether the organization and its user may use Bulk API 2.0."""
    job_pace: int = 5_000
    """How many rows an ingest job processes between two looks at it."""

    def __post_init__(self) -> None:
        self.api_calls = 0
        self.cursors: OrderedDict[str, Any] = OrderedDict()
        self.jobs: dict[str, IngestJob] = {}
        self.places: Places | None = standard_places() if self.state_country_picklists else None
        self.mutex = threading.RLock()
        self.organization_id = ""
        self.user_id = ""
        self._undo: Undo = []
        self._sessions: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._locks: Counter[tuple[str, str]] = Counter()
        self._tracked: dict[str, tuple[str, ...]] = {}
        self._tables = {spec.name: Table(self._with_features(spec)) for spec in STANDARD_OBJECTS}

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

    def is_queryable(self, object_name: str) -> bool:
        """Whether the object is there for queries: a history only where it is turned on ("Field History Tracking" in the help).

        Rules and permissions are for those who may see the set-up.
        """
        if (object_name, "read") in self.denied or (object_name in SETUP and not self.views_setup):
            return False
        return object_name not in {HISTORY_OF[name] for name in HISTORY_OF.keys() - self._tracked.keys()}

    def add_field(self, object_name: str, *, name: str, type: FieldType, **properties: Any) -> None:
        """Add a field as an administrator would; ``properties`` are those of FieldSpec, ``formula`` for a formula field."""
        self._set_field(object_name, FieldSpec(name, type, **properties))

    def change_field(self, object_name: str, name: str, **properties: Any) -> None:
        """Change a field's properties, for instance ``restricted_picklist=True`` or ``length=10``."""
        self._set_field(object_name, replace(self._tables[object_name].spec.fields[name], **properties))

    def hide_field(self, object_name: str, name: str) -> None:
        """Take the field out of the integration user's sight (field-level security)."""
        self.change_field(object_name, name, visible=False)

    def track(self, object_name: str, *fields: str) -> None:
        """Turn field history on for these fields too, from now on.

        Raises ValueError for more than 20 of an object, and for a field that cannot be tracked; KeyError for an unknown one.
        """
        with self.mutex:
            spec = self._tables[object_name].spec
            tracked = tuple(dict.fromkeys((*self._tracked.get(object_name, ()), *fields)))
            refused = [name for name in tracked if not trackable(spec.fields[name])]
            if object_name not in HISTORY_OF or refused or len(tracked) > MOST_TRACKED:
                raise ValueError(f"{object_name}: at most {MOST_TRACKED} fields can be tracked, and none of {refused}")
            self._tracked[object_name] = tracked

    def untrack(self, object_name: str, *fields: str) -> None:
        """Turn field history off for these fields; what there is of it stays."""
        with self.mutex:
            self._tracked[object_name] = tuple(name for name in self._tracked.get(object_name, ()) if name not in fields)

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
            table = self._tables["DuplicateRule"]
            shown = {
                "DeveloperName": rule.name,
                "MasterLabel": rule.name.replace("_", " "),
                "SobjectType": rule.object_name,
                "IsActive": True,
            }
            self.put(table, {"Id": self.next_id(table.spec), **shown, **self.stamps(table.spec, created=True, at=None, by=None)})

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
        return self.next_id_of(spec.key_prefix)

    def next_id_of(self, key_prefix: str) -> str:
        """The next id that begins so."""
        self._numbers[key_prefix] += 1
        return new_id(key_prefix, self._numbers[key_prefix])

    def stamp(self, at: datetime | None = None) -> datetime:
        """What the organization's clock shows at a true time, now where none is given."""
        return ((at or self.clock()).astimezone(UTC) + timedelta(seconds=self.clock_ahead)).replace(microsecond=0)

    def stamps(self, spec: ObjectSpec, *, created: bool, at: datetime | None = None, by: str | None = None) -> Row:
        """The system fields that every save sets, and those of a create; by the integration user unless told otherwise."""
        now, user = self.stamp(at), by or self.user_id
        stamps = {"LastModifiedDate": now, "LastModifiedById": user, "SystemModstamp": now}
        if created:
            stamps |= {"CreatedDate": now, "CreatedById": user, "OwnerId": user, "IsDeleted": False}
        return {name: value for name, value in stamps.items() if name in spec.fields and value != ""}

    def completed(self, spec: ObjectSpec, row: Row, changed: set[str]) -> Row:
        """The row as the organization keeps it: its own forms of values, the compound name, codes beside state and country texts."""
        if self.formatting is not None:
            kept = {name: self.formatting(name, row[name]) for name in changed if name in row}
            row = {name: value for name, value in {**row, **kept}.items() if value is not None}
        if self.places is not None:
            row = settle_places(spec, row, changed, self.places)
        parts = spec.name_from or (("FirstName", "LastName") if row.get("IsPersonAccount") else ())
        if parts:
            row = {**row, "Name": " ".join(row[part] for part in parts if part in row)}
        return row

    def put(self, table: Table, row: Row) -> None:
        """Keep a row, and the history of its tracked fields."""
        old = table.rows.get(row["Id"])
        table.put(row)
        name = table.spec.name
        if name in self._tracked:
            history = self._tables[HISTORY_OF[name]]
            for change in changes_between(table.spec, old, row, tracked=self._tracked[name], names=self.history_names):
                history.put({"Id": self.next_id(history.spec), **change})

    def holder(self, table: Table, field: FieldSpec, row: Row) -> str | None:
        """The id of another live record that has the row's value in a unique field."""
        value = row.get(field.name)
        return next((other["Id"] for other in table.find(field, value) if other["Id"] != row["Id"]), None) if value is not None else None

    # --- helpers

    def _with_features(self, spec: ObjectSpec) -> ObjectSpec:
        if self.places is not None and spec.name in ("Account", "Contact", "Lead"):
            spec = with_code_fields(spec, self.places)
        if self.person_accounts:
            for field in PERSON_ACCOUNT_FIELDS.get(spec.name, ()):
                spec = spec.with_field(field)
        return spec

    def _set_field(self, object_name: str, field: FieldSpec) -> None:
        with self.mutex:
            table = self._tables[object_name]
            table.respecify(table.spec.with_field(field))
