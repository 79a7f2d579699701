"""What keeps a change that was made in a CRM from QBench."""

from __future__ import annotations

from crm_pipeline.errors.record_error import Patience, RecordError
from crm_pipeline.model import WaitsOn


class RefusedByQBenchException(RecordError):
    """QBench refuses what is to be written of the record."""

    meaning = "QBench refuses the values that come from the CRM."
    names = "the fields, where QBench does, and its error code"
    remedy = "Correct the named fields in the CRM; the record follows once it changes there."


class NotTakenByQBenchException(RecordError):
    """QBench answered a write with success and did not keep what was sent."""

    meaning = "QBench took the write, but shows other values than were sent: it drops fields it lacks."
    names = "the fields"
    remedy = "Correct the name of the field in the mapping, or add it in QBench; where QBench shortens values, shorten them in the CRM."


class QBenchFailsOnRecordException(RecordError):
    """QBench fails inside whenever it is to write this record, while it takes others."""

    retryable = True
    waits_on = WaitsOn.TIME
    meaning = "QBench fails with an error of its own whenever it is to write this record, alone or with others."
    remedy = "Nothing at first: it is tried again. If it stays, look at the record in QBench, and ask QBench's support."


class NotFitForQBenchException(RecordError):
    """What the CRM shows cannot stand in QBench, or would not come back from there the same."""

    meaning = (
        "A value that was changed in the CRM does not go into QBench. Why may be too_long, never_blank (QBench "
        "keeps it filled), several_phones (it is not clear which one is the record's), would_not_come_back (QBench would want another "
        "value in the CRM). Both sides stay as they are."
    )
    names = "the field and why"
    remedy = "Correct the value in the CRM, or give it the value that it should have in QBench."


class PingPongException(RecordError):
    """A field that is written to and fro without end."""

    retryable = True
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = (
        "A field of this record was brought into QBench three times within a day, and the record was sent to the CRM as often: automation "
        "on one of the sides seems to turn the value back. It is not brought for now."
    )
    names = "the field"
    remedy = "Look for the automation in the CRM, and for other integrations in QBench, that write this field; let one of them win."


class ChangedMeanwhileException(RecordError):
    """A record that people changed in QBench whenever it was to be written."""

    retryable = True
    patience = Patience(gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = "The record was changed in QBench just when a change from the CRM was about to be written, time and again."
    remedy = "Nothing: it is tried again."
