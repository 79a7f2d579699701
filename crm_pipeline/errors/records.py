"""What can be wrong with one record: the rows of the table in docs/errors.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crm_pipeline.model import Outcome, WaitsOn


@dataclass(frozen=True, slots=True)
class Patience:
    """How what failed for a passing cause is tried again.

    ``first_minutes``: to the first try, None: as ``retries:`` in the YAML says. ``gives_up``: after as many tries as it says; where
    the cause says nothing about the record, or may last for weeks, never.
    """

    first_minutes: float | None = None
    gives_up: bool = True


class RecordError(Exception):
    """What is wrong with one record. A class is a row of the error table: it is named in outcomes, not raised.

    ``outcome`` is what the record ends as; ``retryable`` whether trying again unchanged can help, and ``patience`` how that is done;
    ``waits_on`` what must change for it to be tried again; ``meaning`` and ``remedy`` are the words shown to the user.
    """

    outcome: ClassVar[Outcome] = Outcome.FAILED
    retryable: ClassVar[bool] = False
    patience: ClassVar[Patience] = Patience()
    waits_on: ClassVar[WaitsOn] = WaitsOn.RECORD
    meaning: ClassVar[str] = ""
    remedy: ClassVar[str] = ""


class DeletedInQBenchException(RecordError):
    """A record that was deleted in QBench."""

    outcome = Outcome.SKIPPED
    meaning = "The record was deleted in QBench; what it became in the CRM stays there and is not changed any more."
    remedy = "Nothing; delete it by hand in the CRM where it should go there too."


class NoNameForCustomerException(RecordError):
    """A customer without a name."""

    outcome = Outcome.SKIPPED
    meaning = "The customer has no value in the field mapped to name."
    remedy = "Fill in the name in QBench."


class NoEmailForContactException(RecordError):
    """A contact without an email."""

    outcome = Outcome.SKIPPED
    meaning = "The contact has no value in the field mapped to email."
    remedy = "Fill in the email address in QBench."


class InvalidEmailException(RecordError):
    """A contact whose email is no single valid address."""

    outcome = Outcome.SKIPPED
    meaning = "The contact's email is not one valid address."
    remedy = "Correct it in QBench; where the field holds several addresses, map it with take: first."


class ContactWithMoreThanOneCustomerException(RecordError):
    """A contact linked to more than one customer."""

    outcome = Outcome.SKIPPED
    meaning = "The contact is linked to more than one customer in QBench."
    remedy = "Keep one customer on the contact in QBench."


class NoCustomerForContactException(RecordError):
    """A contact linked to no customer."""

    outcome = Outcome.SKIPPED
    meaning = "The contact is linked to no customer in QBench."
    remedy = "Link the contact to its customer in QBench."


class CustomersUnknownException(RecordError):
    """A contact whose customers QBench fails to tell."""

    meaning = "QBench fails, or refuses to answer, whenever it is asked for this contact's customers. What is in the CRM stays as it is."
    remedy = (
        "Nothing at first: they are asked for again with every hourly run, and the contact follows. If it stays, look at the contact's "
        "customers in QBench, and ask QBench's support about GET /contacts/ID/customers."
    )


class CustomerNotSyncedException(RecordError):
    """A contact whose customer has no link in this CRM and will not get one by itself."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.CUSTOMER
    meaning = "The contact's customer is not in this CRM and will not be without a change."
    remedy = "See the customer's own outcome; the contact follows once the customer is synced."


class PersonAccountException(RecordError):
    """A record of a CRM that is an account and a contact at once."""

    outcome = Outcome.SKIPPED
    meaning = (
        "The record is an account and a contact in one (a person account of Salesforce). QBench has no such record: none is made of it."
    )
    remedy = "Make the customer and its contact in QBench by hand, or have an ordinary account and contact in the CRM."


class CustomerNotYetSyncedException(RecordError):
    """A contact whose customer has no link in this CRM yet."""

    outcome = Outcome.DEFERRED
    waits_on = WaitsOn.CUSTOMER
    meaning = "The contact's customer is not in this CRM yet."
    remedy = "Nothing: the contact follows once the customer is synced."


class SyncsAsLeadException(RecordError):
    """A contact that goes to this CRM as a lead."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The contact goes to this CRM as a lead, as `contacts_as` asks; what became of it stands at the leads."
    remedy = "Nothing: it goes on as a contact once people convert the lead."


class SyncsAsContactException(RecordError):
    """A contact that goes to this CRM as a contact, or not at all, and so is no lead."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = (
        "The contact is no lead in this CRM: it is a contact there already, or does not meet the rule of `contacts_as`, or is kept back "
        "as a contact. The outcome names the CRM's contact, or what keeps it back."
    )
    remedy = "Look at the contact's own outcome; it becomes a lead by itself where nothing else stands in its way."


class ConvertedLeadException(RecordError):
    """A lead that people convert while it is written."""

    retryable = True
    patience = Patience(first_minutes=1)
    waits_on = WaitsOn.TIME
    meaning = "The CRM's lead was converted into a contact while it was about to be written; nothing was written."
    remedy = "Nothing: with the next try the link moves to the contact."


class MissingFieldForContactException(RecordError):
    """A contact or lead that lacks a field needed to create it."""

    outcome = Outcome.SKIPPED
    meaning = "A field that creating a contact or lead needs is empty in QBench; the outcome names it."
    remedy = "Fill the named field in QBench."


class FilteredOutException(RecordError):
    """A record that the integration's filter leaves out."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.CONFIGURATION
    meaning = "The record does not meet the integration's `only` rules."
    remedy = "Nothing, if that is intended; else change the record or the rules."


class InactiveCustomerException(RecordError):
    """A customer that is not active, where the integration syncs active ones only."""

    outcome = Outcome.SKIPPED
    meaning = "The customer is not active in QBench and the integration syncs active customers only."
    remedy = "Nothing, if that is intended; else set the customer's status to ACTIVE in QBench."


class InactiveContactException(RecordError):
    """A contact that is not active, where the integration deletes such contacts."""

    outcome = Outcome.SKIPPED
    meaning = "The contact is inactive by the rule `inactive`. While its customer is active, its CRM record goes to the bin."
    remedy = "Nothing, if that is intended; else change the contact or the rule: it then syncs as if it never had."


class UnreadableRecordException(RecordError):
    """A record whose date or shape cannot be read."""

    meaning = "QBench's record has a date or shape that cannot be read; the outcome names the field."
    remedy = "Correct the named field in QBench."


class AmbiguousMatchException(RecordError):
    """Several CRM records match one QBench record, or several QBench records claim one."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "More than one record could be meant; the outcome names them."
    remedy = "Merge them in the CRM, sharpen sync_on, or link by hand."


class LinkConflictException(RecordError):
    """The matching CRM record is linked to another QBench record."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM record that matches, or that the linked one was merged into, belongs to another QBench record; the outcome names it."
    remedy = "Merge or correct the QBench records, or move the link by hand."


class OtherAccountException(RecordError):
    """The CRM contact that matches belongs to another account."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM contact that matches belongs to another account, and on_other_account is refuse; the outcome names both."
    remedy = "Correct the contact's account in the CRM or its customer in QBench, or set on_other_account to keep or move."


class ExistingRecordException(RecordError):
    """The CRM refuses to create the record because it is already there."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM already holds this record and no match key links it; the outcome names its id."
    remedy = "Add a match key to sync_on, or link the two by hand; it also follows once a load links or writes that record."


class DuplicateEmailException(RecordError):
    """A contact whose email address is another QBench contact's."""

    outcome = Outcome.SKIPPED
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.EMAIL
    meaning = (
        "Another QBench contact has the same email address and is the one that syncs; the outcome names it. On the way back also: several "
        "new records of the CRM have it, and none of them is made."
    )
    remedy = (
        "Merge the contacts in QBench, or in the CRM, or give one of them another address; the contact follows once the address is free."
    )


class EmailTakenException(RecordError):
    """Another CRM contact owns the email address."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.EMAIL
    meaning = "Another CRM contact owns this email address; the outcome names its id. Nothing was written."
    remedy = (
        "Correct or merge that contact in the CRM (where two contacts swapped addresses, free one of them there), then send the record "
        "again with `crm-pipeline resync --force`. It follows by itself once a load links or writes that contact."
    )


class EmailBlockedException(RecordError):
    """The CRM blocks the email address for good."""

    outcome = Outcome.SKIPPED
    meaning = "A privacy (GDPR) deletion in the CRM blocks this email address for good."
    remedy = "Give the contact another address in QBench; the CRM will not take this one again."


class DuplicateRecordException(RecordError):
    """A duplicate rule or unique field of the CRM refuses an update."""

    meaning = "A duplicate rule or unique field of the CRM refuses the value; the outcome names fields and ids."
    remedy = "Resolve the duplicates in the CRM, or allow them with allow_duplicates."


class DeletedInCrmException(RecordError):
    """The linked CRM record was deleted."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The linked record was deleted in the CRM."
    remedy = "Restore it in the CRM, or remove the link to have it created again; links.when_deleted does so by itself."


class ValueTooLongException(RecordError):
    """A value is longer than the CRM's field."""

    meaning = "A value is longer than the CRM field holds; the outcome names the field."
    remedy = "Shorten it in QBench, or set on_invalid for the field."


class InvalidOptionException(RecordError):
    """A value is none of the CRM field's options."""

    meaning = "A value is not among the options of the CRM field; the outcome names the field."
    remedy = "Add the option in the CRM, or translate the value in the mapping."


class InvalidValueException(RecordError):
    """A value that the CRM refuses for its form or by a validation rule."""

    meaning = "The CRM refuses a value for its form or by a validation rule; the outcome names the fields."
    remedy = "Correct the named fields in QBench, or the mapping."


class RequiredFieldException(RecordError):
    """The CRM requires a field that is not sent."""

    meaning = "The CRM requires a field that the record lacks; the outcome names it."
    remedy = "Map the field, or fill it in QBench."


class ParentNotFoundException(RecordError):
    """The account that a contact refers to cannot be used in the CRM."""

    waits_on = WaitsOn.LINK
    meaning = "The CRM does not find, or does not let us use, the contact's account."
    remedy = "Check the account in the CRM and the integration user's access."


class RecordRefusedException(RecordError):
    """The CRM refuses the record with a code of its own."""

    meaning = "The CRM refuses the record; the outcome names the CRM's error code."
    remedy = "Look the code up in the CRM's documentation; correct the record or the CRM's automation."


class MappingRefusedException(RecordError):
    """The CRM does not know a field, or does not let us write it."""

    waits_on = WaitsOn.CONFIGURATION
    meaning = "The CRM does not know a mapped field, or the integration user may not write it; the outcome names it."
    remedy = "Correct the mapping, or give the user access to the field."


class NoAccessToObjectException(RecordError):
    """The integration user may not write any record of the object."""

    waits_on = WaitsOn.CONFIGURATION
    meaning = "The integration user may not create or change records of this object in the CRM."
    remedy = "Give the user create and edit rights on the object."


class NoAccessToRecordException(RecordError):
    """The integration user may not write this record, or use one that it refers to."""

    meaning = "The CRM does not let the integration user write this record, or use a record that it refers to; the outcome names the field."
    remedy = (
        "Share that record with the integration user in the CRM, or give the user rights on all records of the object (where none can be "
        "created, on the object itself); then send the record again with `crm-pipeline resync --force`."
    )


class RecordLockedException(RecordError):
    """The CRM record was locked or the CRM was busy with it."""

    retryable = True
    waits_on = WaitsOn.TIME
    meaning = "The CRM had the record or its account locked."
    remedy = "Nothing: it is tried again."


class RecordHeldException(RecordError):
    """The CRM keeps the record from being changed while something that people decide is under way: an approval, a process."""

    retryable = True
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = "The CRM holds the record for an approval or another process that is under way, and lets nobody change it meanwhile."
    remedy = "Nothing: it is tried again every few hours for as long as that takes. Ending the approval in the CRM frees it."


class ServiceFailedException(RecordError):
    """The call that carried the record failed; the CRM may or may not have stored it."""

    retryable = True
    patience = Patience(gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = "The call that carried the record failed before the CRM answered for it."
    remedy = "Nothing: it is tried again, safely."


class CrmFailsOnRecordException(RecordError):
    """The CRM fails inside whenever it is sent this record, while it takes others."""

    retryable = True
    waits_on = WaitsOn.TIME
    meaning = "The CRM fails with an error of its own whenever it is sent this record, alone or with others; the outcome names the code."
    remedy = "Nothing at first: it is tried again. If it stays, look for automation (trigger, flow, workflow) that fails on it in the CRM."


class NotInListException(RecordError):
    """The CRM's record is not in the list that the integration syncs, or takes changes from."""

    outcome = Outcome.SKIPPED
    retryable = True
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = (
        "The record is in the CRM, but not in the list that the outcome names: nothing flows between the two where `crm_list` names it, "
        "nothing comes back where `only_in_list` does. It stays as it is."
    )
    remedy = "None if that is as it should be. Else put it into the list in the CRM; it is looked for there every few hours."


class OwnerUnreadException(RecordError):
    """The CRM fails to tell who is to own the new record."""

    retryable = True
    patience = Patience(gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = "The CRM fails whenever it is asked for the user who is to own the record, and an owner is given only when it is created."
    remedy = "Nothing at first: it is tried again. If it stays, look at that user in the CRM, or name another one in the owner rule."


class UnaccountedException(RecordError):
    """The CRM's answer says nothing about the record."""

    retryable = True
    waits_on = WaitsOn.TIME
    meaning = "The CRM's answer did not say what became of the record."
    remedy = "Nothing: it is tried again, safely."


class AssociationPendingException(RecordError):
    """The contact is written, but its account is not associated yet."""

    retryable = True
    waits_on = WaitsOn.TIME
    meaning = "The contact is in the CRM, but not yet associated with its account."
    remedy = "Nothing: only the association is sent again."


class RefusedByQBenchException(RecordError):
    """QBench refuses what is to be written of the record."""

    meaning = "QBench refuses the values that come from the CRM; the outcome names the fields, where QBench does, and its error code."
    remedy = "Correct the named fields in the CRM; the record follows once it changes there."


class NotTakenByQBenchException(RecordError):
    """QBench answered a write with success and did not keep what was sent."""

    meaning = "QBench took the write, but shows other values than were sent in the fields that the outcome names: it drops fields it lacks."
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
        "A value that was changed in the CRM does not go into QBench; the outcome names the field and why: too_long, never_blank (QBench "
        "keeps it filled), several_phones (it is not clear which one is the record's), would_not_come_back (QBench would want another "
        "value in the CRM). Both sides stay as they are."
    )
    remedy = "Correct the value in the CRM, or give it the value that it should have in QBench."


class PingPongException(RecordError):
    """A field that is written to and fro without end."""

    retryable = True
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = (
        "A field of this record was brought into QBench three times within a day, and the record was sent to the CRM as often: automation "
        "on one of the sides seems to turn the value back. The outcome names the field, which is not brought for now."
    )
    remedy = "Look for the automation in the CRM, and for other integrations in QBench, that write this field; let one of them win."


class ChangedMeanwhileException(RecordError):
    """A record that people changed in QBench whenever it was to be written."""

    retryable = True
    patience = Patience(gives_up=False)
    waits_on = WaitsOn.TIME
    meaning = "The record was changed in QBench just when a change from the CRM was about to be written, time and again."
    remedy = "Nothing: it is tried again."


def record_errors() -> dict[str, type[RecordError]]:
    """Every record error by its name, in the order of this module."""
    return {error.__name__: error for error in RecordError.__subclasses__()}
