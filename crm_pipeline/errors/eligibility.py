"""What keeps a record of QBench from a CRM before the CRM is asked: what it lacks, and what the rules say of it."""

from __future__ import annotations

from crm_pipeline.errors.record_error import Patience, RecordError
from crm_pipeline.model import Outcome, WaitsOn


class DeletedInQBenchException(RecordError):
    """A record that was deleted in QBench."""

    outcome = Outcome.SKIPPED
    wanted = True
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
    wanted = True
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
    wanted = True
    meaning = "The contact's customer is not in this CRM yet."
    remedy = "Nothing: the contact follows once the customer is synced."


class SyncsAsLeadException(RecordError):
    """A contact that goes to this CRM as a lead."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    wanted = True
    meaning = "The contact goes to this CRM as a lead, as `contacts_as` asks; what became of it stands at the leads."
    remedy = "Nothing: it goes on as a contact once people convert the lead."


class SyncsAsContactException(RecordError):
    """A contact that goes to this CRM as a contact, or not at all, and so is no lead."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.LINK
    wanted = True
    meaning = (
        "The contact is no lead in this CRM: it is a contact there already, or does not meet the rule of `contacts_as`, or is kept back "
        "as a contact."
    )
    names = "the CRM's contact, or what keeps it back"
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
    meaning = "A field that creating a contact or lead needs is empty in QBench."
    names = "it"
    remedy = "Fill the named field in QBench."


class FilteredOutException(RecordError):
    """A record that the integration's filter leaves out."""

    outcome = Outcome.SKIPPED
    waits_on = WaitsOn.CONFIGURATION
    wanted = True
    meaning = "The record is left out by the rules of the integration (`only`)."
    remedy = "Nothing, if that is intended; else change the record or the rules."


class InactiveCustomerException(RecordError):
    """A customer that is not active, where the integration syncs active ones only."""

    outcome = Outcome.SKIPPED
    wanted = True
    meaning = "The customer is not active in QBench and the integration syncs active customers only."
    remedy = "Nothing, if that is intended; else set the customer's status to ACTIVE in QBench."


class InactiveContactException(RecordError):
    """A contact that is not active, where the integration deletes such contacts."""

    outcome = Outcome.SKIPPED
    wanted = True
    meaning = "The contact is inactive by the rule `inactive`. While its customer is active, its CRM record goes to the bin."
    remedy = "Nothing, if that is intended; else change the contact or the rule: it then syncs as if it never had."


class UnreadableRecordException(RecordError):
    """A record whose date or shape cannot be read."""

    meaning = "QBench's record has a date or shape that cannot be read."
    names = "the field"
    remedy = "Correct the named field in QBench."
