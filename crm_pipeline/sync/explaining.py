"""What became of one record in one CRM and why, in sentences for people who know the record and not the pipeline. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crm_pipeline.counting import counted
from crm_pipeline.errors import (
    CustomersUnknownException,
    DeletedInCrmException,
    LinkConflictException,
    SyncsAsContactException,
    SyncsAsLeadException,
    UnreadableRecordException,
    record_errors,
)
from crm_pipeline.errors.wording import inside, told
from crm_pipeline.model import MODELS, LinkOrigin, LinkStatus, Outcome, RecordType, WaitsOn
from crm_pipeline.store.standing import Condition, condition_of
from crm_pipeline.store.stories import Pair, Part, Read, Story, Told


@dataclass(frozen=True, slots=True)
class Around:
    """What the words need to know beside the record.

    ``crm``: what people call it. ``sends``: the integration is active and may send there. ``makes``: new records of the CRM are made in
    QBench. ``first_until``: the end of the hour of the integration's start, ``first_load`` as the YAML has it: records of before then come
    with the first load.
    """

    crm: str
    sends: bool
    makes: bool
    first_until: datetime
    first_load: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Explained:
    """One sentence, and what follows from it. ``waits`` and ``remedy``: None where nothing is waited for, or to be done."""

    condition: Condition
    sentence: str
    waits: str | None = None
    remedy: str | None = None


NEXT_LOAD = "The next hourly run takes it up; nobody needs to do anything."

ORIGINS = {
    LinkOrigin.CREATED: "made by the sync",
    LinkOrigin.MATCHED: "found there by a match key",
    LinkOrigin.KEY: "found there by its external key",
    LinkOrigin.MANUAL: "linked by hand",
    LinkOrigin.TAKEN_OVER: "taken over from a deleted record of QBench",
}
"""How a link came to be, in words."""

_LAST = {
    Outcome.CREATED: "It was made there {at}",
    Outcome.LINKED: "It was found there and linked {at}",
    Outcome.UPDATED: "Its last change was sent {at}",
    Outcome.UNCHANGED: "It was looked at last {at}, and there was nothing to send",
}

_NOTES = {
    "not_pushed": "changed in QBench and not sent, because {crm} gets it only when the record is made: {what}",
    "omitted": "left out, because {crm} would not take the value: {what}",
    "truncated": "shortened to what {crm} holds: {what}",
    "kept by the CRM": "{crm} keeps a value of its own: {what}",
    "to_qbench": "changed in {crm}, and on its way into QBench: {what}",
    "not_taken": "changed in {crm} to a value that QBench cannot take: {what}",
    "conflict": "changed on both sides, see the conflicts: {what}",
    "written": "written into QBench: {what}",
    "not taken": "not taken into QBench: {what}",
    "other_account": "belongs to another account in {crm} than its customer's: {what}",
}
"""What the parts of a reason say that no error goes with."""


def moment(time: datetime) -> str:
    """A time as people read it."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def explained(story: Story, part: Part, around: Around) -> Explained:
    """What became of a record of QBench on its way into a CRM."""
    if story.read is None:
        return Explained(
            Condition.FAILED, "It was never read from QBench.", remedy="Check the id, or materialize the hour that it changed in."
        )
    if story.read.deleted:
        return _deleted(part, around)
    if part.latest is None:
        return _never_loaded(story.read, part, around)
    if part.latest.outdated or part.latest.of is None or int(part.latest.of.timestamp()) < story.read.version or story.read.unprepared:
        return _outdated(story.read, part, part.latest, around)
    if part.latest.error_type is not None:
        return of_error(part.latest, now=around.now)
    return _synced(part.pair, part.latest, part.record_type, around)


def explained_back(part: Part, around: Around) -> Explained | None:
    """What became of the CRM's changes on their way into QBench; None where nothing is to be said of them."""
    change = part.change
    if part.crm_id is None:
        return None
    if change is not None and change.error_type is not None:
        found = of_error(change, now=around.now)
        return Explained(
            found.condition, f"A change in {around.crm} did not go into QBench: {inside(found.sentence)}", found.waits, found.remedy
        )
    if part.pair is None and not around.makes and change is None:
        sentence = f"{around.crm}'s record is linked to none of QBench, and the integration makes none there of it."
        remedy = "Nothing, if that is intended; else link the two by hand, or let a match key find it."
        return Explained(Condition.LEFT_OUT, sentence, remedy=remedy)
    if part.change_waits:
        sentence = f"A change in {around.crm} was read and is not looked at yet."
        return Explained(Condition.WAITING, sentence, remedy="The next run that brings changes into QBench takes it up.")
    said = {
        Outcome.CREATED: f"The record was made in QBench, of {around.crm}'s",
        Outcome.LINKED: f"{around.crm}'s record was linked to the one that QBench has",
        Outcome.UPDATED: f"The last change in {around.crm} went into QBench",
    }
    if change is None or change.outcome not in said:
        return None
    return Explained(Condition.SYNCED, f"{said[Outcome(change.outcome)]}, {moment(change.at)}.")


def of_error(latest: Told, *, now: datetime) -> Explained:
    """What an outcome with an error says."""
    error = record_errors().get(latest.error_type or "")
    return Explained(
        condition_of(latest.outcome, latest.error_type, retryable=latest.retryable),
        told(latest.error_type, latest.reason),
        waits=_waits(latest, now=now),
        remedy=None if error is None else error.remedy,
    )


def notes(part: Part, around: Around) -> Iterator[str]:
    """What else is to be known of a record in a CRM, in words."""
    if part.creating_since is not None:
        yield (
            f"An attempt to make it in {around.crm} ({moment(part.creating_since)}) got no answer: the next load looks whether it is "
            "there, before it sends anything."
        )
    if part.writing_until is not None:
        yield f"{around.crm} may still carry out an earlier write, until {moment(part.writing_until)}; other values wait for that."
    if part.named_by:
        ids = ", ".join(map(str, part.named_by))
        records = counted(len(part.named_by), "record")
        yield f"What became of {records} of QBench names it, as one to be linked with or in the way: ask about {ids}."
    for latest in (part.latest, part.change):
        if latest is not None and latest.error_type is None and latest.reason and not latest.outdated:
            yield from (_note(each, around) for each in latest.reason.split("; "))
    if not around.sends:
        yield f"Nothing is sent to {around.crm} at present: the integration is paused there (`active: false`, or `send: false`)."


def shown_parts(story: Story) -> list[Part]:
    """The parts that people are shown: of a contact and the lead that it may be instead, the one of the two that counts."""
    return [part for part in story.parts if not _told_elsewhere(part, story)]


def _told_elsewhere(part: Part, story: Story) -> bool:
    other = next((each for each in story.parts if each.crm == part.crm and each.record_type != part.record_type), None)
    if other is None or part.pair is not None:
        return False
    error = None if part.latest is None else part.latest.error_type
    if part.record_type is RecordType.LEAD:
        return other.latest is None or other.latest.error_type != SyncsAsLeadException.__name__
    return error == SyncsAsLeadException.__name__ and (other.latest is None or other.latest.error_type != SyncsAsContactException.__name__)


def _deleted(part: Part, around: Around) -> Explained:
    if part.pair is None:
        return Explained(Condition.LEFT_OUT, f"It was deleted in QBench and is not in {around.crm}.")
    if part.pair.deleted_by_us is not None:
        return Explained(
            Condition.LEFT_OUT, f"It was deleted in QBench, and went to the bin of {around.crm} {moment(part.pair.deleted_by_us)}."
        )
    return Explained(
        Condition.LEFT_OUT,
        f"It was deleted in QBench; what {around.crm} has stays there and is not changed any more.",
        remedy=f"Nothing; delete it by hand in {around.crm} where it should go there too.",
    )


def _never_loaded(read: Read, part: Part, around: Around) -> Explained:
    if read.unreadable is not None and part.pair is None:
        error = CustomersUnknownException if read.unreadable == "customers" else UnreadableRecordException
        return Explained(Condition.FAILED, told(error.__name__, f"fields: {read.unreadable}"), remedy=error.remedy)
    linked = "It is linked, and" if part.pair is not None else "It was read from QBench, and"
    if read.unprepared:
        return Explained(Condition.WAITING, f"{linked} is not prepared for the CRMs yet.", remedy=NEXT_LOAD)
    if read.error_type is not None:
        error_type = record_errors().get(read.error_type)
        wanted = error_type is not None and error_type.wanted
        return Explained(
            Condition.LEFT_OUT if wanted else Condition.FAILED,
            f"{linked} no load to {around.crm} has looked at it yet; it would be left out: {inside(told(read.error_type, None))}",
            remedy=None if error_type is None else error_type.remedy,
        )
    sentence = f"{linked} no load has taken it to {around.crm} yet."
    if not around.sends:
        return Explained(Condition.WAITING, sentence, remedy="Let the integration send again, where that is wanted.")
    if read.version < around.first_until.timestamp() and around.first_load != "automatic":
        if around.first_load == "none":
            remedy = "Change it in QBench, or send it with `crm-pipeline send`: with `first_load: none` older records wait for that."
            return Explained(Condition.LEFT_OUT, sentence, remedy=remedy)
        remedy = f"It belongs to the first load, which somebody starts: materialize the first partition of the loads to {around.crm}."
        return Explained(Condition.WAITING, sentence, remedy=remedy)
    return Explained(Condition.WAITING, sentence, remedy=NEXT_LOAD)


def _outdated(read: Read, part: Part, latest: Told, around: Around) -> Explained:
    changed = moment(datetime.fromtimestamp(read.version, UTC))
    remedy = NEXT_LOAD
    if latest.of is None or int(latest.of.timestamp()) < read.version:
        what = f"It changed in QBench ({changed})"
    elif read.unprepared:
        what = "It was read anew from QBench, with other content,"
    else:
        what = "It is prepared anew, of other content or by another mapping,"
        remedy = "The next load of its hour takes it up; after a change of the mapping, `<name>/<crm>/resync` takes all."
    there = f" {around.crm} has its earlier state." if part.pair is not None else ""
    before = f" Before that: {inside(told(latest.error_type, latest.reason))}" if latest.error_type is not None else ""
    return Explained(Condition.WAITING, f"{what} and no load to {around.crm} has taken that yet.{there}{before}", remedy=remedy)


def _synced(pair: Pair | None, latest: Told, record_type: RecordType, around: Around) -> Explained:
    last = _LAST[Outcome(latest.outcome)].format(at=moment(latest.at))
    if pair is None:
        sentence = f"{last}, but the link to it was removed since."
        remedy = "The next load that takes it looks for it there; `crm-pipeline resync --ids` has one do so now."
        return Explained(Condition.WAITING, sentence, remedy=remedy)
    if pair.status == LinkStatus.DELETED:
        return _of_link(DeletedInCrmException, pair.crm_id)
    if pair.status == LinkStatus.CONFLICT:
        merged = f"{pair.crm_id} was merged into {pair.merged_into}" if pair.merged_into else pair.crm_id
        return _of_link(LinkConflictException, merged)
    as_what = f" as {'an' if record_type is RecordType.ACCOUNT else 'a'} {record_type}"
    return Explained(Condition.SYNCED, f"It is in {around.crm}{as_what}, as QBench has it. {last}.")


def _of_link(error: type[DeletedInCrmException] | type[LinkConflictException], reason: str) -> Explained:
    return Explained(Condition.FAILED, told(error.__name__, reason), remedy=error.remedy)


def _waits(latest: Told, *, now: datetime) -> str | None:
    if latest.next_attempt_at is not None:
        tries = f"after {latest.attempts} {'try' if latest.attempts == 1 else 'tries'} so far"
        if latest.next_attempt_at <= now:
            return f"its next try, which is due since {moment(latest.next_attempt_at)}, {tries}"
        return f"its next try at {moment(latest.next_attempt_at)}, {_in_words(latest.next_attempt_at - now)} from now, {tries}"
    whose = latest.waits_for or "another record"
    awaited = {
        WaitsOn.RECORD: "a change of the record itself",
        WaitsOn.CUSTOMER: f"customer {whose} to come into the CRM",
        WaitsOn.EMAIL: f"the email address to become free, which QBench id {whose} has",
        WaitsOn.LINK: "a change of its link: records merged or corrected in the CRM, or linked by hand",
        WaitsOn.HOLDER: f"the CRM's record {whose} to be linked, written or corrected",
        WaitsOn.CONFIGURATION: "a change of the integration's YAML, of the CRM's set-up or of the record",
        WaitsOn.TIME: "its next try",
    }
    return None if latest.waits_on is None else awaited[WaitsOn(latest.waits_on)]


def _in_words(time: timedelta) -> str:
    minutes = max(1, round(time.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    return f"{round(minutes / 60)} hours" if minutes < 48 * 60 else f"{round(minutes / 60 / 24)} days"


def _note(said: str, around: Around) -> str:
    label, colon, what = said.partition(": ")
    words = _NOTES.get(label)
    return words.format(crm=around.crm, what=what) if words is not None and colon else said


def one_of(story: Story) -> str:
    """What the record is called in QBench: customer or contact."""
    return MODELS[story.record_type].qbench_object.removesuffix("s")
