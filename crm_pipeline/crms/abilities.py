"""What a CRM may be able to do besides: a protocol for each ability, which its client fulfils or leaves out.

Whoever needs one asks ``isinstance``, never which CRM it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import pandas as pd

from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.crms.batch import WriteBatch, WriteJob
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.diagnosis import Finding
from crm_pipeline.model import Verb


@runtime_checkable
class TimedCrm(Protocol):
    """A CRM that takes so many calls in a time. The longer it takes to answer, the more must be under way to make as many."""

    @property
    def calls_at_once(self) -> int:
        """How many writes go at the same time, as quickly as it answers now; no more than its capabilities say."""
        ...


@runtime_checkable
class JobsCrm(Protocol):
    """A CRM that takes many writes as one job. It carries it out in its own time, also where nobody waits for it, and keeps its results.

    Whoever stores the job before it is carried out need not send its rows again, whatever becomes of him: the job is asked.
    """

    job_lasts: timedelta
    """For how long after it was made a job may be carried out."""

    calls_of_a_job: int
    """The fewest calls that a job costs."""

    def rows_of_a_job(self, crm_object: CrmObject, verb: Verb) -> int | None:
        """How many writes of one verb make a job; None where they are sent by calls alone."""
        ...

    def rows_that_fit(self, crm_object: CrmObject, batch: WriteBatch) -> int:
        """How many rows of a batch of one verb, from its first, one job takes: one at least, and fewer than all where it is too large."""
        ...

    def open_job(self, crm_object: CrmObject, batch: WriteBatch) -> WriteJob | None:
        """Make a job for a batch that fits, which it is not given yet: as long as it is not carried out, it writes nothing.

        None where the CRM makes none for it.
        """
        ...

    def carry_out(self, crm_object: CrmObject, batch: WriteBatch, job: WriteJob) -> pd.DataFrame:
        """Give a job its batch, and account for every row once it is over (schemas.WRITE_RESULTS, in any order).

        What it left undone is RecordLockedException: certainly not written, it may go again at once. Raises a ServiceError that ends
        a load where it is not known to be over.
        """
        ...

    def take_up(self, crm_object: CrmObject, rows: pd.DataFrame, job: WriteJob) -> pd.DataFrame | None:
        """The same for the job of a load that ended meanwhile, by its rows (schemas.WRITE_ROWS): it ends before this returns.

        Of a row that was refused nothing but RecordLockedException is told. None where the CRM has forgotten the job.
        """
        ...


@runtime_checkable
class OwnersCrm(Protocol):
    """A CRM whose records can be given owners: ``CrmKind.owner_field`` names a field."""

    def owners(self, users: list[str]) -> pd.DataFrame:
        """Who these users (ids, usernames, emails: as the CRM names them) are as owners of records (schemas.OWNERS)."""
        ...


@runtime_checkable
class MergingCrm(Protocol):
    """A CRM that tells into which records others were merged. Of another, ``crms.examining`` tells only whether they are there."""

    def examine(self, crm_object: CrmObject, crm_ids: list[str], *, fields: Sequence[str] = ()) -> pd.DataFrame:
        """What became of these records (schemas.EXAMINED): merges are followed to the end, a record not to be found is deleted.

        One that the CRM fails to read has no row. ``fields``: what to read besides, at no further call; they follow, as the CRM gave
        them, of the record that it is now.
        """
        ...


@runtime_checkable
class LeavingCrm(Protocol):
    """A CRM that tells which of its records left lately. Of another it is noticed when all links are looked at."""

    def left(self, crm_object: CrmObject, *, since: datetime) -> list[str]:
        """Ids of records that left since then, as far as the CRM tells it in a call or two; it may name others, and miss some.

        They were merged away or deleted, or, of leads, converted.
        """
        ...


@runtime_checkable
class ChangesCrm(Protocol):
    """A CRM that tells which of its records changed, by stamps of its own."""

    def changed(
        self, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
    ) -> Iterator[tuple[CrmObject, pd.DataFrame]]:
        """The records that changed last from ``since`` (None: the beginning of time) up to, not including, ``until``.

        ``wanted``: by object, the fields to read. In frames (schemas.CHANGED), those of one object after the other; an object in
        which nothing changed has none. Whole seconds. A record that changes meanwhile may come with its new stamp, or not at all:
        then it comes in a later window. So does one whose stamp moved though nothing changed. Records that left do not come.
        Costs no more calls for several objects in which nothing changed than the CRM needs.
        """
        ...


@runtime_checkable
class EditsCrm(Protocol):
    """A CRM that tells, of some fields at least, when they were edited. Where two edits of one value meet, that is evidence."""

    def edits(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Since when these fields of these records hold what they hold, and who gave it (schemas.EDITS); by the CRM's own clock.

        A field of which the CRM tells nothing has no row, nor have those of a record that is gone or that it fails on.
        """
        ...


@runtime_checkable
class VersionsCrm(Protocol):
    """A CRM that tells, of some fields at least, what they held before: so a write that replaced what nobody had seen can be told."""

    def versions(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str], *, since: datetime) -> pd.DataFrame:
        """What these fields of these records were given from ``since`` on, by the CRM's own clock (schemas.VERSIONS).

        Our own writes are among them. A field of which the CRM keeps no values has no rows, nor have those of a record that is gone,
        that is part of another one now, or that it fails on.
        """
        ...


@runtime_checkable
class ListsCrm(Protocol):
    """A CRM whose users keep lists of its records."""

    def list_id(self, crm_object: CrmObject, crm_list: str) -> str:
        """The id of the list of this object's records that has this name, or else this id.

        Raises ConfigurationError where there is none, with the names that there are.
        """
        ...

    def members(self, crm_object: CrmObject, crm_list: str, crm_ids: list[str]) -> pd.DataFrame:
        """Which of these records are in that list now (schemas.MEMBERS). A list may lag behind what its records hold."""
        ...


@runtime_checkable
class DeletingCrm(Protocol):
    """A CRM in which records can be deleted so that people can restore them."""

    def remove(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """Move these records to the bin and account for each (schemas.REMOVED); one that is gone already is no error.

        What ``children`` tells of an account goes with it. Raises a ServiceError only while none is removed; later, the records it
        concerns are ServiceFailedException.
        """
        ...

    def children(self, account_ids: list[str]) -> pd.DataFrame:
        """The records that the CRM would delete together with these accounts (schemas.CHILDREN), whoever made them."""
        ...


@runtime_checkable
class ConvertingCrm(Protocol):
    """A CRM that keeps leads, which people convert into contacts: ``CrmKind.objects`` has some for leads.

    Its ``find`` and ``scan`` pass over converted leads, but those with an external key that is asked for; whatever else shows them too.
    """

    def converted(self, crm_object: CrmObject, crm_ids: list[str]) -> pd.DataFrame:
        """Which of these leads people converted, and into what (schemas.CONVERTED)."""
        ...

    def leads_of(self, crm_object: CrmObject, contact_ids: list[str]) -> pd.DataFrame:
        """The leads that people converted into these contacts: columns ``contact_crm_id`` and ``crm_id``.

        The latter is null for a contact about which the CRM fails to tell.
        """
        ...


@runtime_checkable
class DiagnosingCrm(Protocol):
    """A CRM that tells of its own set-up what the description of its fields does not: rights, rules, settings."""

    def findings(self, written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        """What is found of rights, rules and settings for the objects of these names; nothing is written.

        ``written``: by object, the fields that the integration writes there. May raise a ServiceError; what is found until then counts.
        """
        ...


@runtime_checkable
class FieldGuideCrm(Protocol):
    """A CRM whose fields people make, and that says how."""

    def why_not(self, field: FieldToMake) -> str | None:
        """Why there can be no field of this name that is made, in words; None where there can be one."""
        ...

    def by_hand(self, field: FieldToMake) -> str:
        """The clicks that make the field, and let the integration's user see and edit it."""
        ...


@runtime_checkable
class FieldMakingCrm(FieldGuideCrm, Protocol):
    """A CRM in which fields can be made by its API."""

    def make_field(self, field: FieldToMake) -> list[str]:
        """Make the field and let the integration's user see and edit it; what was done beside making it, in words.

        Nothing that is there is changed. Done again it finishes what broke off. Raises a ServiceError, or ConfigurationError where
        something stands in the way that people have to see to.
        """
        ...


@runtime_checkable
class ClockCrm(Protocol):
    """A CRM whose answers show what time it thinks it is."""

    @property
    def clock_ahead(self) -> timedelta:
        """How far its clock is ahead of ours, as far as its answers told; zero before the first."""
        ...


@runtime_checkable
class PersonsCrm(Protocol):
    """A CRM in which a record can be an account and a contact at once."""

    def person_field(self, crm_object: CrmObject) -> str | None:
        """The field that is true in such records; null where the organization has none of them."""
        ...


def person_field_of(crm: Crm, crm_object: CrmObject) -> str | None:
    """The field that tells records that are an account and a contact at once; null where there are none."""
    return crm.person_field(crm_object) if isinstance(crm, PersonsCrm) else None


def clock_ahead_of(crm: Crm) -> timedelta:
    """How far the CRM's clock is ahead of ours; zero of one that does not tell."""
    return crm.clock_ahead if isinstance(crm, ClockCrm) else timedelta(0)
