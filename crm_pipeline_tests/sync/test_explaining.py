"""What became of a record, in sentences: a situation a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipeline.model import RecordType, WaitsOn
from crm_pipeline.store.standing import Condition
from crm_pipeline.store.stories import Pair, Part, Read, Story, Told
from crm_pipeline.sync.explaining import Around, explained, explained_back, notes, shown_parts

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 1, tzinfo=UTC)
CHANGED = datetime(2026, 11, 20, 8, tzinfo=UTC)
CRM = Around(crm="HubSpot", sends=True, makes=False, first_until=START + HOUR, first_load="manual", now=NOW)

READ = Read(int(CHANGED.timestamp()), CHANGED, False, None, False, None, None, {})
PAIR = Pair("41", "9", None, "created", "live", None, None, False, CHANGED, None, None, CHANGED, CHANGED)


def told(outcome: str, error_type: str | None = None, reason: str | None = None, **more: Any) -> Told:
    """What a run said of the record's state as it is."""
    said: dict[str, Any] = {"waits_on": None, "waits_for": None, "retryable": False, "run_id": "run", "partition_key": None}
    return Told(outcome, error_type, reason, **{**said, "at": NOW - HOUR, "of": CHANGED, **more})


def part(latest: Told | None = None, pair: Pair | None = None, **more: Any) -> Part:
    """A contact in HubSpot."""
    return Part("hubspot", RecordType.CONTACT, pair, latest, crm_id=None if pair is None else pair.crm_id, **more)


def said(one: Part, *, read: Read | None = READ, around: Around = CRM) -> tuple[Condition, str]:
    """Condition and sentence of a contact in this situation."""
    found = explained(Story("acme", RecordType.CONTACT, 7, read, (one,)), one, around)
    return found.condition, found.sentence


SYNCED, WAITING, FAILED, LEFT_OUT = Condition.SYNCED, Condition.WAITING, Condition.FAILED, Condition.LEFT_OUT
IS_THERE = "It is in HubSpot as a contact, as QBench has it."

SITUATIONS: dict[str, tuple[Part, Read | None, Condition, str]] = {
    "created": (part(told("created"), PAIR), READ, SYNCED, f"{IS_THERE} It was made there 2026-11-20 11:00 UTC."),
    "linked": (part(told("linked"), PAIR), READ, SYNCED, f"{IS_THERE} It was found there and linked 2026-11-20 11:00 UTC."),
    "updated": (part(told("updated"), PAIR), READ, SYNCED, f"{IS_THERE} Its last change was sent 2026-11-20 11:00 UTC."),
    "unchanged": (
        part(told("unchanged"), PAIR),
        READ,
        SYNCED,
        f"{IS_THERE} It was looked at last 2026-11-20 11:00 UTC, and there was nothing to send.",
    ),
    "filtered": (
        part(told("skipped", "FilteredOutException", waits_on="configuration")),
        READ,
        LEFT_OUT,
        "The record is left out by the rules of the integration (`only`).",
    ),
    "refused for good": (
        part(told("failed", "InvalidValueException", "fields: email")),
        READ,
        FAILED,
        "The CRM refuses a value for its form or by a validation rule (fields: email).",
    ),
    "refused for now": (
        part(told("failed", "RecordLockedException", retryable=True)),
        READ,
        WAITING,
        "The CRM had the record or its account locked.",
    ),
    "never read": (part(), None, FAILED, "It was never read from QBench."),
    "not normalized": (
        part(),
        replace(READ, unprepared=True),
        WAITING,
        "It was read from QBench, and is not prepared for the CRMs yet.",
    ),
    "never loaded": (part(), READ, WAITING, "It was read from QBench, and no load has taken it to HubSpot yet."),
    "never loaded, and wrong": (
        part(),
        replace(READ, error_type="NoEmailForContactException"),
        FAILED,
        "It was read from QBench, and no load to HubSpot has looked at it yet; it would be left out: "
        "the contact has no value in the field mapped to email.",
    ),
    "unreadable": (
        part(),
        replace(READ, unreadable="last_updated"),
        FAILED,
        "QBench's record has a date or shape that cannot be read (fields: last_updated).",
    ),
    "linked by hand": (part(None, PAIR), READ, WAITING, "It is linked, and no load has taken it to HubSpot yet."),
    "changed since": (
        part(told("created", of=CHANGED - HOUR), PAIR),
        READ,
        WAITING,
        "It changed in QBench (2026-11-20 08:00 UTC) and no load to HubSpot has taken that yet. HubSpot has its earlier state.",
    ),
    "changed since it was refused": (
        part(told("failed", "InvalidValueException", "fields: email", of=CHANGED - HOUR)),
        READ,
        WAITING,
        "It changed in QBench (2026-11-20 08:00 UTC) and no load to HubSpot has taken that yet. Before that: "
        "the CRM refuses a value for its form or by a validation rule (fields: email).",
    ),
    "read anew, and not normalized": (
        part(told("created"), PAIR),
        replace(READ, unprepared=True),
        WAITING,
        "It was read anew from QBench, with other content, and no load to HubSpot has taken that yet. HubSpot has its earlier state.",
    ),
    "of another mapping": (
        part(told("created", outdated=True), PAIR),
        READ,
        WAITING,
        "It is prepared anew, of other content or by another mapping, and no load to HubSpot has taken that yet. "
        "HubSpot has its earlier state.",
    ),
    "deleted and never there": (part(), replace(READ, deleted=True), LEFT_OUT, "It was deleted in QBench and is not in HubSpot."),
    "deleted and there": (
        part(told("created"), replace(PAIR, status="source_deleted")),
        replace(READ, deleted=True),
        LEFT_OUT,
        "It was deleted in QBench; what HubSpot has stays there and is not changed any more.",
    ),
    "deleted there by us": (
        part(told("created"), replace(PAIR, deleted_by_us=NOW)),
        replace(READ, deleted=True),
        LEFT_OUT,
        "It was deleted in QBench, and went to the bin of HubSpot 2026-11-20 12:00 UTC.",
    ),
    "deleted in the CRM": (
        part(told("created"), replace(PAIR, status="deleted")),
        READ,
        FAILED,
        "The linked record was deleted in the CRM (41).",
    ),
    "merged in the CRM": (
        part(told("created"), replace(PAIR, status="conflict", merged_into="42")),
        READ,
        FAILED,
        "The CRM record that matches, or that the linked one was merged into, belongs to another QBench record (41 was merged into 42).",
    ),
    "link removed": (
        part(told("created")),
        READ,
        WAITING,
        "It was made there 2026-11-20 11:00 UTC, but the link to it was removed since.",
    ),
}


@pytest.mark.parametrize(("one", "read", "condition", "sentence"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_situation_is_told_in_a_sentence(one: Part, read: Read | None, condition: Condition, sentence: str) -> None:
    assert said(one, read=read) == (condition, sentence)


WAITS = {
    WaitsOn.RECORD: "a change of the record itself",
    WaitsOn.CUSTOMER: "customer 5 to come into the CRM",
    WaitsOn.EMAIL: "the email address to become free, which QBench id 5 has",
    WaitsOn.LINK: "a change of its link: records merged or corrected in the CRM, or linked by hand",
    WaitsOn.HOLDER: "the CRM's record 5 to be linked, written or corrected",
    WaitsOn.CONFIGURATION: "a change of the integration's YAML, of the CRM's set-up or of the record",
    WaitsOn.TIME: "its next try",
}


@pytest.mark.parametrize("waits_on", WaitsOn)
def test_what_is_waited_for_is_told(waits_on: WaitsOn) -> None:
    one = part(told("skipped", "AmbiguousMatchException", waits_on=waits_on, waits_for="5"))
    assert explained(Story("acme", RecordType.CONTACT, 7, READ, (one,)), one, CRM).waits == WAITS[waits_on]


@pytest.mark.parametrize(
    ("after", "tries", "waits"),
    [
        (timedelta(minutes=4), 1, "its next try at 2026-11-20 12:04 UTC, 4 minutes from now, after 1 try so far"),
        (timedelta(hours=5), 3, "its next try at 2026-11-20 17:00 UTC, 5 hours from now, after 3 tries so far"),
        (timedelta(days=3), 12, "its next try at 2026-11-23 12:00 UTC, 3 days from now, after 12 tries so far"),
        (timedelta(minutes=-5), 2, "its next try, which is due since 2026-11-20 11:55 UTC, after 2 tries so far"),
    ],
)
def test_the_next_try_is_told_with_how_long_it_is_until_then(after: timedelta, tries: int, waits: str) -> None:
    latest = told("failed", "RecordLockedException", waits_on="time", retryable=True, attempts=tries, next_attempt_at=NOW + after)
    one = part(latest)
    assert explained(Story("acme", RecordType.CONTACT, 7, READ, (one,)), one, CRM).waits == waits


BEFORE_START = replace(READ, version=int(START.timestamp()) - 60)


@pytest.mark.parametrize(
    ("first_load", "condition", "words"),
    [
        ("manual", WAITING, "materialize the first partition"),
        ("none", LEFT_OUT, "Change it in QBench"),
        ("automatic", WAITING, "The next hourly"),
    ],
)
def test_who_waits_for_the_first_load_is_told_who_starts_it(first_load: str, condition: Condition, words: str) -> None:
    one = part()
    found = explained(Story("acme", RecordType.CONTACT, 7, BEFORE_START, (one,)), one, replace(CRM, first_load=first_load))
    assert (found.condition, words in str(found.remedy)) == (condition, True)


BACK: dict[str, tuple[Part, Condition | None, str]] = {
    "nothing changed": (part(None, PAIR, change=told("unchanged")), None, ""),
    "brought": (part(None, PAIR, change=told("updated")), SYNCED, "The last change in HubSpot went into QBench, 2026-11-20 11:00 UTC."),
    "made": (part(None, PAIR, change=told("created")), SYNCED, "The record was made in QBench, of HubSpot's, 2026-11-20 11:00 UTC."),
    "waits": (part(None, PAIR, change_waits=True), WAITING, "A change in HubSpot was read and is not looked at yet."),
    "refused": (
        part(None, PAIR, change=told("failed", "NotFitForQBenchException", "not taken: phone (too_long)")),
        FAILED,
        "A change in HubSpot did not go into QBench: a value that was changed in the CRM does not go into QBench "
        "(not taken: phone (too_long)).",
    ),
    "never linked": (part(), None, ""),
    "of no record": (
        replace(part(change_waits=True), crm_id="41"),
        LEFT_OUT,
        "HubSpot's record is linked to none of QBench, and the integration makes none there of it.",
    ),
}


@pytest.mark.parametrize(("one", "condition", "sentence"), BACK.values(), ids=BACK)
def test_the_way_back_is_told(one: Part, condition: Condition | None, sentence: str) -> None:
    found = explained_back(one, CRM)
    assert (None if found is None else found.condition, "" if found is None else found.sentence) == (condition, sentence)


def test_what_is_new_in_the_crm_waits_where_it_is_made_in_qbench() -> None:
    found = explained_back(replace(part(change_waits=True), crm_id="41"), replace(CRM, makes=True))
    assert found is not None
    assert (found.condition, found.sentence) == (WAITING, "A change in HubSpot was read and is not looked at yet.")


def test_what_was_said_of_an_earlier_state_is_not_told_beside_the_present_one() -> None:
    assert list(notes(part(told("updated", reason="omitted: industry", outdated=True), PAIR), CRM)) == []


def test_what_a_reason_says_beside_an_outcome_is_told_in_words() -> None:
    latest = told("updated", reason="not_pushed: phone; omitted: industry; truncated: name; a newer version was sent before")
    assert list(notes(part(latest, PAIR), CRM)) == [
        "changed in QBench and not sent, because HubSpot gets it only when the record is made: phone",
        "left out, because HubSpot would not take the value: industry",
        "shortened to what HubSpot holds: name",
        "a newer version was sent before",
    ]


def test_what_is_under_way_or_paused_is_told() -> None:
    unsettled = part(None, creating_since=NOW, writing_until=NOW + HOUR)
    first, second, third = notes(unsettled, replace(CRM, sends=False))
    assert first.startswith("An attempt to make it in HubSpot (2026-11-20 12:00 UTC) got no answer")
    assert second.startswith("HubSpot may still carry out an earlier write, until 2026-11-20 13:00 UTC")
    assert third.startswith("Nothing is sent to HubSpot at present")


@pytest.mark.parametrize(
    ("contact", "lead", "shown"),
    [
        (told("skipped", "SyncsAsLeadException"), told("created"), RecordType.LEAD),
        (told("created"), told("skipped", "SyncsAsContactException"), RecordType.CONTACT),
        (told("skipped", "NoEmailForContactException"), told("skipped", "SyncsAsContactException"), RecordType.CONTACT),
        (None, None, RecordType.CONTACT),
    ],
)
def test_of_a_contact_and_its_lead_the_one_that_counts_is_shown(contact: Told | None, lead: Told | None, shown: RecordType) -> None:
    parts = tuple(
        Part("salesforce", record_type, latest=latest) for record_type, latest in ((RecordType.CONTACT, contact), (RecordType.LEAD, lead))
    )
    [found] = shown_parts(Story("acme", RecordType.CONTACT, 7, READ, parts))
    assert found.record_type is shown
