"""The Salesforce adapter: what the Crm protocol asks for, told as SOQL and sObject Collections."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pandas as pd

from crm_pipeline.calls import CallCounter
from crm_pipeline.crms.base import CrmObject, Limits
from crm_pipeline.crms.batch import Write, WriteBatch, WriteJob, WriteResult
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, KIND, LEADS, provisioning
from crm_pipeline.crms.salesforce.changes import changed
from crm_pipeline.crms.salesforce.contracts import DESCRIBED
from crm_pipeline.crms.salesforce.converting import CONVERTED_FIELD, conversions, leads_of, with_contacts
from crm_pipeline.crms.salesforce.deleting import Remover, children
from crm_pipeline.crms.salesforce.diagnosis import duplicate_rules, rights, sees_all
from crm_pipeline.crms.salesforce.edits import Editing
from crm_pipeline.crms.salesforce.examining import DELETED_FIELD, examine, left_since
from crm_pipeline.crms.salesforce.fields import crm_fields
from crm_pipeline.crms.salesforce.intents import matching_intents
from crm_pipeline.crms.salesforce.jobs import Jobs
from crm_pipeline.crms.salesforce.owners import find_owners
from crm_pipeline.crms.salesforce.queries import SelectIn, compare, select
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, Row, json_value, rows_of
from crm_pipeline.crms.salesforce.settings import SalesforceSettings
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.crms.salesforce.writing import ALLOWED_DUPLICATES, Writer
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import CrmFailsOnRecordException, RequestRefusedError, ServiceError
from crm_pipeline.halving import may_be_of_one
from crm_pipeline.letters import lowered
from crm_pipeline.model import Verb
from crm_pipeline.schemas import FOUND, OWNERS

logger = logging.getLogger(__name__)

PERSON_ACCOUNT = "IsPersonAccount"
CALLS_OF_A_JOB = 6
"""One to make it, to upload its rows, and to close it; two looks, and the results of the rows that were saved."""

W = TypeVar("W", bound=Writer)


class SalesforceCrm:
    """One Salesforce organization (``crm_pipeline.crms.base.Crm``). Signs in with the first call."""

    def __init__(self, settings: SalesforceSettings, integration: str) -> None:
        self.calls = CallCounter()
        self.late_after = timedelta(seconds=settings.late_seconds)
        self.call_lasts = settings.attempts * timedelta(seconds=settings.timeout_seconds + settings.waits.longest_seconds)
        self.job_lasts = timedelta(seconds=settings.bulk_seconds) + self.call_lasts + self.late_after
        self.calls_of_a_job = CALLS_OF_A_JOB
        self._jobs_refused = False
        self.capabilities = replace(KIND.capabilities, calls_in_flight=settings.calls_in_flight)
        self._settings = settings
        self._transport = SalesforceTransport(settings, integration=integration, calls=self.calls)
        self._editing = Editing(self._transport)
        self._fields: dict[str, pd.DataFrame] = {}
        self._rights: dict[str, Finding] = {}

    def limits(self) -> Limits:
        """The daily calls; Salesforce limits no pace."""
        used, total = self._transport.daily_calls or (None, None)
        return Limits(daily_used=used, daily_total=total, calls_per_second=None)

    def organization(self) -> str:
        """The 18-character id of the organization, as the token's answer tells it; asked for where that does not."""
        if (known := self._transport.identity.organization) is not None:
            return known
        for page in self._transport.query(select("Organization", ["Id"])):
            for record in page:
                return str(record["Id"])
        raise self._transport.unexpected("does not show its organization")

    def fields(self, crm_object: CrmObject) -> pd.DataFrame:
        """The object's fields (schemas.CRM_FIELDS) that the run-as user sees; described once."""
        if crm_object.name not in self._fields:
            path = f"sobjects/{crm_object.name}/describe"
            answer = self._transport.call(lambda client: client.restful(path), label="describe", holds=DESCRIBED)
            self._fields[crm_object.name] = crm_fields(answer["fields"])
            self._rights[crm_object.name] = rights(crm_object.name, answer)
        return self._fields[crm_object.name]

    def has_keyed_records(self, crm_object: CrmObject) -> bool:
        """Whether any record carries the external key; false without one."""
        key = self._settings.external_key
        return key is not None and self.has_values(crm_object, key)

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field; also where Salesforce fails on the one that it would show."""
        statement = select(crm_object.name, ["Id"], where=[compare(field, "!=", None)], limit=1)
        try:
            return any(page for page in self._transport.query(statement))
        except ServiceError as error:
            of_none = select(crm_object.name, ["Id", field], where=[compare("Id", "=", None)], limit=1)
            if not (may_be_of_one(error) and self._transport.answers(of_none)):
                raise
            return True

    def find(self, crm_object: CrmObject, field: str, values: list[str]) -> pd.DataFrame:
        """Records whose field equals one of the values (schemas.FOUND); Salesforce compares Name and Email without case."""
        asked = list(dict.fromkeys(value for value in values if isinstance(value, str) and value.strip()))
        if not asked:
            return FOUND.empty()
        statement = SelectIn(crm_object.name, self._found_fields(crm_object, field), field, self._candidates(crm_object, field))
        records, failed = self._transport.query_in(statement, asked)
        if not records and not failed:
            return FOUND.empty()
        found = self._found(crm_object, field, records)
        wanted = pd.DataFrame({"asked": pd.Series(asked, dtype="str")})
        matched = found.merge(wanted.assign(folded=_folded(wanted["asked"])), left_on=_folded(found["value"]), right_on="folded")
        told = matched.assign(value=matched["asked"])[FOUND.names].drop_duplicates()
        if not failed:
            return FOUND.build(told)
        untold = pd.DataFrame({"value": sorted(failed), "error_type": CrmFailsOnRecordException.__name__})
        return FOUND.build(pd.concat([told, untold], ignore_index=True))

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND), in frames of at most 2,000 rows."""
        where = [compare(field, "!=", None), *self._candidates(crm_object, field)]
        fields = self._found_fields(crm_object, field)
        for part, unread in self._transport.all_records(crm_object.name, fields, where=where):
            if part:
                yield self._found(crm_object, field, part)
            if unread:
                yield FOUND.build({"error_type": [CrmFailsOnRecordException.__name__] * unread})

    def read(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Current values: columns ``crm_id``, ``parent_crm_id`` (null for accounts), the fields as JSON gave them, and ``error_type``.

        Salesforce writes a whole number of a Number field as 4711.0: it is 4711 here.
        """
        parent = [PARENT_FIELD] if crm_object == CONTACTS else []
        wanted = list({name.lower(): name for name in ["Id", *parent, *fields]}.values())
        records, failed = self._transport.retrieve(crm_object.name, list(dict.fromkeys(crm_ids)), wanted)
        records += [{"Id": one} for one in failed]
        return pd.DataFrame(
            {
                "crm_id": pd.Series([record["Id"] for record in records], dtype="str"),
                "parent_crm_id": pd.Series([record.get(PARENT_FIELD) if parent else None for record in records], dtype="str"),
                **{name: pd.Series([json_value(record.get(name)) for record in records], dtype="object") for name in fields},
                "error_type": pd.Series(
                    [CrmFailsOnRecordException.__name__ if record["Id"] in failed else None for record in records], dtype="str"
                ),
            }
        )

    def examine(self, crm_object: CrmObject, crm_ids: list[str], *, fields: Sequence[str] = ()) -> pd.DataFrame:
        """What became of these records (schemas.EXAMINED, the fields as JSON gave them), 2,000 live ones a call."""
        key = self._settings.external_key
        further = [*([key] if key else []), *([PARENT_FIELD] if crm_object == CONTACTS else [])]
        return examine(self._transport, crm_object.name, crm_ids, further=further, key=key, fields=fields)

    def left(self, crm_object: CrmObject, *, since: datetime) -> list[str]:
        """Ids of records that were deleted, merged away or converted since then, as far back as the recycle bin reaches."""
        ways = [DELETED_FIELD, *([CONVERTED_FIELD] if crm_object == LEADS else [])]
        return left_since(self._transport, crm_object.name, since, ways=ways)

    def changed(
        self, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
    ) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
        """The records that changed in the window (schemas.CHANGED): one call where nothing did, else one more for 2,000 of an object."""
        return changed(self._transport, wanted, since=since, until=until, key=self._settings.external_key)

    def converted(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """The leads among these that people converted (schemas.CONVERTED), 2,000 a call; their contacts cost what ``examine`` does."""
        became, failed = conversions(self._transport, crm_object.name, crm_ids)
        ids = became["contact_crm_id"].dropna().unique().tolist()
        person = self.person_field(CONTACTS) if ids else None
        contacts = self.examine(CONTACTS, ids, fields=[person] if person else [])
        return with_contacts(became, contacts, person=person, failed=failed)

    def leads_of(self, crm_object: CrmObject, contact_ids: list[str]) -> pd.DataFrame:
        """The leads that became these contacts (columns ``contact_crm_id``, ``crm_id``), some 570 contacts a call."""
        return leads_of(self._transport, crm_object.name, contact_ids)

    def edits(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Since when these fields hold what they hold (schemas.EDITS), by the field history of those that are tracked.

        Of the others the record's last edit is told, where that was not ours. Costs a call for 2,000 records, one for some 570 histories.
        """
        return self._editing.edits(crm_object.name, crm_ids, fields)

    def versions(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str], *, since: datetime) -> pd.DataFrame:
        """What these fields were given since then (schemas.VERSIONS), where they are tracked: a query for some 570 records."""
        return self._editing.versions(crm_object.name, crm_ids, fields, since=since)

    def findings(self, written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        """The rights on these objects, and the active duplicate rules, as far as the run-as user sees them; four calls."""
        yield from (self._rights[name] for name in written if name in self._rights)
        yield from sees_all(self._transport, written.keys())
        yield from duplicate_rules(self._transport, self._settings, written.keys())

    def why_not(self, field: FieldToMake) -> str | None:
        """Why no custom field of this name is made."""
        return provisioning.why_not(field)

    def by_hand(self, field: FieldToMake) -> str:
        """The clicks in Setup that make a field and show it to the integration's user."""
        return provisioning.by_hand(field)

    def make_field(self, field: FieldToMake) -> list[str]:
        """Make a custom field and show it to the run-as user.

        Who needs *Customize Application* and *Manage Profiles and Permission Sets* for that.
        """
        return provisioning.make(self._transport, field)

    def person_field(self, crm_object: CrmObject) -> str | None:
        """The field of person accounts, and of their contacts, in organizations that have the feature."""
        return PERSON_ACCOUNT if self.fields(crm_object)["name"].eq(PERSON_ACCOUNT).any() else None

    @property
    def clock_ahead(self) -> timedelta:
        """How far Salesforce's clock is ahead of ours."""
        return self._transport.clock.ahead

    def remove(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """Move records to the recycle bin (schemas.REMOVED), 200 a call; accounts take their contacts and opportunities along."""
        return self._writer(crm_object, label="write", kind=Remover).remove(crm_ids)

    def children(self, account_ids: list[str]) -> pd.DataFrame:
        """The contacts and opportunities of accounts (schemas.CHILDREN). Needs read access to both objects."""
        return children(self._transport, account_ids)

    def owners(self, users: list[str]) -> pd.DataFrame:
        """Users by id or username, who must be active (schemas.OWNERS)."""
        return OWNERS.build(pd.DataFrame(find_owners(self._transport, list(dict.fromkeys(users))), columns=OWNERS.names))

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write a batch, one request per verb that its rows need; the parent goes with the row."""
        rows = rows_of(writes)
        sendable = [row for row in rows if not row.is_idle]
        written = self._writer(crm_object, label="write", kind=Writer).write(sendable) if sendable else []
        return written + [WriteResult(row.qbench_id, row.crm_id) for row in rows if row.is_idle]

    def rows_of_a_job(self, crm_object: CrmObject, verb: Verb) -> int | None:
        """As many as ``bulk_from`` says; None for writes that need a header which no job has."""
        settings, assigns = self._settings, self._settings.assigns(crm_object.asset)
        ruled = assigns is True or (assigns is None and crm_object == LEADS)
        if settings.bulk_from == "never" or self._jobs_refused or ruled or verb in ALLOWED_DUPLICATES[settings.allow_duplicates]:
            return None
        return settings.bulk_from

    def rows_that_fit(self, crm_object: CrmObject, batch: WriteBatch) -> int:
        """As many as 100 MB hold, as the CSV of an ingest job."""
        return self._jobs(crm_object).fitting(batch)

    def open_job(self, crm_object: CrmObject, batch: WriteBatch) -> WriteJob | None:
        """Make an ingest job of Bulk API 2.0; None, and none from now on, where Salesforce refuses to."""
        try:
            return self._jobs(crm_object).open(batch)
        except RequestRefusedError as refusal:
            self._jobs_refused = True
            logger.warning("integration %s: no job is made, so all goes by calls of 200 records: %s", refusal.integration, refusal)
            return None

    def carry_out(self, crm_object: CrmObject, batch: WriteBatch, job: WriteJob) -> pd.DataFrame:
        """Upload a job's rows, close it, look at it until it is over, and read its results (schemas.WRITE_RESULTS)."""
        return self._jobs(crm_object).carry_out(batch, job)

    def take_up(self, crm_object: CrmObject, rows: pd.DataFrame, job: WriteJob) -> pd.DataFrame | None:
        """The results of an earlier load's job (schemas.WRITE_RESULTS), which is aborted where it was not closed."""
        return self._jobs(crm_object).take_up(rows, job)

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Set contacts' accounts (schemas.ASSOCIATIONS), for the rows whose write could not carry them; the one before is left by that."""
        contacts = [
            Row(qbench_id=int(row.qbench_id), verb=Verb.UPDATE, crm_id=row.crm_id, key=None, values={PARENT_FIELD: row.parent_crm_id})
            for row in rows.itertuples()
        ]
        return self._writer(CONTACTS, label="associate", kind=Writer).write(contacts) if contacts else []

    def resolve_intents(self, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
        """The records that these creates made: created by our user since the intent, with the identifying values sent.

        A query sees a record as soon as its create is carried out.
        """
        return matching_intents(self._transport, crm_object, intents)

    def settles_after(self, crm_object: CrmObject, *, answered: bool = False) -> timedelta:  # noqa: ARG002 - the same for both objects
        """Until the create's call must be over: a query finds at once what was made."""
        return timedelta(0) if answered else self.late_after + timedelta(seconds=self._settings.timeout_seconds)

    def is_up(self) -> bool:
        """Whether Salesforce answers now, asked once for the organization's id."""
        return self._transport.is_up()

    def record_url(self, crm_object: CrmObject, crm_id: str, *, org_id: str) -> str:  # noqa: ARG002 - the address tells the organization
        """The record's page in Lightning Experience."""
        host = self._settings.url or f"https://{self._settings.domain}.salesforce.com"
        return f"{host}/lightning/r/{crm_object.name}/{crm_id}/view"

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _jobs(self, crm_object: CrmObject) -> Jobs:
        writer = self._writer(crm_object, label="write", kind=Writer)
        return Jobs(writer, lasts=self._settings.bulk_seconds, first_wait=self._settings.waits.first_seconds)

    def _writer(self, crm_object: CrmObject, *, label: str, kind: type[W]) -> W:
        return kind(
            transport=self._transport,
            sobject=crm_object.name,
            key_field=self._settings.external_key,
            allow_duplicates=self._settings.allow_duplicates,
            assigns=self._settings.assigns(crm_object.asset),
            label=label,
        )

    def _candidates(self, crm_object: CrmObject, field: str) -> list[str]:
        """Conditions on records that may be matched: person accounts are no candidates for accounts (docs/rules.md, 7).

        Nor are converted leads for leads, but by the external key, by which a create would find them ("upsert", assumed).
        """
        if crm_object == LEADS:
            return [] if field == self._settings.external_key else [compare(CONVERTED_FIELD, "=", False)]
        if crm_object == ACCOUNTS and self.person_field(crm_object) is not None:
            return [compare(PERSON_ACCOUNT, "=", False)]
        return []

    def _found_fields(self, crm_object: CrmObject, field: str) -> list[str]:
        key = [self._settings.external_key] if self._settings.external_key else []
        return ["Id", field, *key, *([PARENT_FIELD] if crm_object == CONTACTS else [])]

    def _found(self, crm_object: CrmObject, field: str, page: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        asked = {name.lower(): name for name in self._found_fields(crm_object, field)}
        frame = pd.DataFrame(page).rename(columns=lambda name: asked.get(name.lower(), name))
        if len(frame) and frame[field].isna().any():
            raise self._transport.unexpected(f"found a record by {field} that has no value in it")
        columns = {"value": field, "crm_id": "Id", "key": self._settings.external_key, "parent_crm_id": PARENT_FIELD}
        if crm_object == ACCOUNTS:
            columns["parent_crm_id"] = None
        return FOUND.build(
            {name: _as_text(frame[source]) for name, source in columns.items() if source in frame.columns} if len(frame) else {}
        )


def _as_text(values: pd.Series) -> pd.Series:
    """Values to be read as text: whole numbers, which a Number field gives as 4711.0, without a fraction."""
    return values if values.dtype == "str" else pd.Series([json_value(value) for value in values], dtype="object")


def _folded(values: pd.Series) -> pd.Series:
    return values.str.strip().map(lowered, na_action="ignore")
