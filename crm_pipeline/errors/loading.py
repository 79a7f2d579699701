"""What keeps a record from a CRM once that is asked: what is there already, and what the CRM refuses."""

from __future__ import annotations

from crm_pipeline.errors.record_error import Patience, RecordError
from crm_pipeline.model import Outcome, WaitsOn


class AmbiguousMatchException(RecordError):
    """Several CRM records match one QBench record, or several QBench records claim one."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "More than one record could be meant."
    names = "them"
    remedy = "Merge them in the CRM, sharpen sync_on, or link by hand."


class LinkConflictException(RecordError):
    """The matching CRM record is linked to another QBench record."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM record that matches, or that the linked one was merged into, belongs to another QBench record."
    names = "it"
    remedy = "Merge or correct the QBench records, or move the link by hand."


class OtherAccountException(RecordError):
    """The CRM contact that matches belongs to another account."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM contact that matches belongs to another account, and on_other_account is refuse."
    names = "both"
    remedy = "Correct the contact's account in the CRM or its customer in QBench, or set on_other_account to keep or move."


class ExistingRecordException(RecordError):
    """The CRM refuses to create the record because it is already there."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The CRM already holds this record and no match key links it."
    names = "its id"
    remedy = "Add a match key to sync_on, or link the two by hand; it also follows once a load links or writes that record."


class DuplicateEmailException(RecordError):
    """A contact whose email address is another QBench contact's."""

    outcome = Outcome.SKIPPED
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.EMAIL
    meaning = (
        "Another QBench contact has the same email address and is the one that syncs. On the way back also: several new records of the CRM "
        "have it, and none of them is made."
    )
    names = "it"
    remedy = (
        "Merge the contacts in QBench, or in the CRM, or give one of them another address; the contact follows once the address is free."
    )


class EmailTakenException(RecordError):
    """Another CRM contact owns the email address."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.EMAIL
    meaning = "Another CRM contact owns this email address. Nothing was written."
    names = "its id"
    remedy = (
        "Correct or merge that contact in the CRM (where two contacts swapped addresses, free one of them there), then send the record "
        "again with `crm-pipeline retry`. It follows by itself once a load links or writes that contact."
    )


class EmailBlockedException(RecordError):
    """The CRM blocks the email address for good."""

    outcome = Outcome.SKIPPED
    meaning = "A privacy (GDPR) deletion in the CRM blocks this email address for good."
    remedy = "Give the contact another address in QBench; the CRM will not take this one again."


class DuplicateRecordException(RecordError):
    """A duplicate rule or unique field of the CRM refuses an update."""

    meaning = "A duplicate rule or unique field of the CRM refuses the value."
    names = "fields and ids"
    remedy = "Resolve the duplicates in the CRM, or allow them with allow_duplicates."


class DeletedInCrmException(RecordError):
    """The linked CRM record was deleted."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    meaning = "The linked record was deleted in the CRM."
    remedy = "Restore it in the CRM, or remove the link to have it created again; links.when_deleted does so by itself."


class ValueTooLongException(RecordError):
    """A value is longer than the CRM's field."""

    meaning = "A value is longer than the CRM field holds."
    names = "the field"
    remedy = "Shorten it in QBench, or set on_invalid for the field."


class InvalidOptionException(RecordError):
    """A value is none of the CRM field's options."""

    meaning = "A value is not among the options of the CRM field."
    names = "the field"
    remedy = "Add the option in the CRM, or translate the value in the mapping."


class InvalidValueException(RecordError):
    """A value that the CRM refuses for its form or by a validation rule."""

    meaning = "The CRM refuses a value for its form or by a validation rule."
    names = "the fields"
    remedy = "Correct the named fields in QBench, or the mapping."


class RequiredFieldException(RecordError):
    """The CRM requires a field that is not sent."""

    meaning = "The CRM requires a field that the record lacks."
    names = "it"
    remedy = "Map the field, or fill it in QBench."


class ParentNotFoundException(RecordError):
    """The account that a contact refers to cannot be used in the CRM."""

    waits_on = WaitsOn.LINK
    meaning = "The CRM does not find, or does not let us use, the contact's account."
    remedy = "Check the account in the CRM and the integration user's access."


class RecordRefusedException(RecordError):
    """The CRM refuses the record with a code of its own."""

    meaning = "The CRM refuses the record."
    names = "the CRM's error code"
    remedy = "Look the code up in the CRM's documentation; correct the record or the CRM's automation."


class MappingRefusedException(RecordError):
    """The CRM does not know a field, or does not let us write it."""

    waits_on = WaitsOn.CONFIGURATION
    meaning = "The CRM does not know a mapped field, or the integration user may not write it."
    names = "it"
    remedy = "Correct the mapping, or give the user access to the field."


class NoAccessToObjectException(RecordError):
    """The integration user may not write any record of the object."""

    waits_on = WaitsOn.CONFIGURATION
    meaning = "The integration user may not create or change records of this object in the CRM."
    remedy = "Give the user create and edit rights on the object."


class NoAccessToRecordException(RecordError):
    """The integration user may not write this record, or use one that it refers to."""

    meaning = "The CRM does not let the integration user write this record, or use a record that it refers to."
    names = "the field"
    remedy = (
        "Share that record with the integration user in the CRM, or give the user rights on all records of the object (where none can be "
        "created, on the object itself); then send the record again with `crm-pipeline retry`."
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
    meaning = "The CRM fails with an error of its own whenever it is sent this record, alone or with others."
    names = "the code"
    remedy = "Nothing at first: it is tried again. If it stays, look for automation (trigger, flow, workflow) that fails on it in the CRM."


class NotInListException(RecordError):
    """The CRM's record is not in the list that the integration syncs, or takes changes from."""

    outcome = Outcome.SKIPPED
    retryable = True
    patience = Patience(first_minutes=60, gives_up=False)
    waits_on = WaitsOn.TIME
    wanted = True
    meaning = (
        "The record is in the CRM, but not in the list that the integration syncs or takes changes from. Nothing flows between the two "
        "where `crm_list` names it, nothing comes back where `only_in_list` does. It stays as it is."
    )
    names = "it"
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
