"""The frames that cross module borders, column by column."""

from __future__ import annotations

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import MODELS, RecordType

CUSTOMERS_UNKNOWN = "customers"
"""``unreadable`` of a contact whose customers QBench does not tell; its content does not hold them."""

RAW = FrameSchema(
    "raw",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "last_updated, Unix seconds"),
        Column("content", "object", "the record as QBench gave it, a dict"),
        Column("unreadable", "str", "name of a field that could not be read (a date, for instance), else null"),
        Column("deleted", "bool", "the record is deleted in QBench"),
    ),
)
"""What extract stages: one row per record. An unreadable date takes the version of the row read before it."""

HELD = FrameSchema(
    "held",
    (
        *RAW.columns,
        Column(
            "since",
            "object",
            "dict of QBench field to [since when a person's value stands there, by our clock (ISO 8601, UTC); to how many seconds that "
            "is known, 0: to the millisecond]; null where nothing is known",
        ),
        Column(
            "bringing",
            "object",
            "dict of QBench field to [digest of the value that is about to be written there, when a person gave it in the CRM]; null "
            "where nothing is",
        ),
    ),
)
"""What is staged of records that come back from a CRM, with the times of their values."""

SOURCE_CHANGES = FrameSchema(
    "source_changes",
    (
        Column("qbench_id", "int64", "QBench id, each once"),
        Column("values", "object", "dict of QBench field to the value to write, None for a blank"),
    ),
)
"""What is to be written of records that are in QBench."""

SOURCE_RESULTS = FrameSchema(
    "source_results",
    (
        Column("qbench_id", "Int64", "QBench id; null of a new record that QBench did not make"),
        Column("error_type", "str", "name of a record error, null where QBench shows all that was sent"),
        Column("error_code", "str", "QBench's own code for the error, null without one"),
        Column(
            "error_fields", "str", "QBench fields that it refuses, or shows otherwise than they were sent (field_names.listed); else null"
        ),
        Column("version", "Int64", "last_updated of the record as it is now, Unix seconds; null where that is not known"),
        Column("content", "object", "the record as it is now, as schemas.RAW has it; null where that is not known"),
        Column("unreadable", "str", "name of a field that could not be read, else null"),
    ),
)
"""What became of records that were written in QBench, one row for each."""

NORMALIZED_META = (
    Column("qbench_id", "int64", "QBench id"),
    Column("version", "int64", "last_updated, Unix seconds"),
    Column("customer_id", "Int64", "contacts: the one customer; null when there is none or more than one"),
    Column("error_type", "str", "name of the record error that keeps the record from syncing anywhere, else null"),
    Column("error_fields", "str", "fields or ids that the error names, joined by ', ', else null"),
    Column("state_digest", "Int64", "digest of the staged state, of content and mapping; null before it is staged"),
)


def normalized_schema(record_type: RecordType) -> FrameSchema:
    """The normalized frame of a record type: its own columns, then the model's fields.

    Behind these may stand undeclared object columns: ``<crm>.<field>`` for a directly mapped CRM field and
    ``qbench.<field>`` for a QBench field that a match key names.
    """
    fields = tuple(Column(field.name, "Int64" if field.kind == "integer" else "str", field.meaning) for field in MODELS[record_type].fields)
    return FrameSchema(f"normalized_{record_type}", NORMALIZED_META + fields)


CRM_FIELDS = FrameSchema(
    "crm_fields",
    (
        Column("name", "str", "the field's API name"),
        Column("label", "str", "the label users see"),
        Column(
            "type",
            "str",
            "text, number, integer, boolean, date, datetime, choice, multi_choice, email, phone, url, reference, other",
        ),
        Column("length", "Int64", "longest text, in UTF-16 units (mapping.lengths); null when there is no such limit"),
        Column("creatable", "bool", "may be given when a record is created"),
        Column("updatable", "bool", "may be changed later"),
        Column("required", "bool", "a create without it is refused"),
        Column("unique", "bool", "no two records share a value"),
        Column("external_key", "bool", "may serve as the external key of an upsert"),
        Column("restricted", "bool", "only the options are accepted"),
        Column("options", "object", "list of (value, label), empty when there are none"),
    ),
)
"""A CRM object's fields as the CRM describes them."""

WRITE_ROWS = FrameSchema(
    "write_rows",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("operation", "str", "create, update or link"),
        Column("verb", "str", "how it is written: create, upsert or update (model.Verb); null where there is nothing to write"),
        Column("object", "str", "API name of the CRM's object; null: the usual one of the record type"),
        Column("crm_id", "str", "the CRM record to change; null for create"),
        Column("key", "str", "value of the external key to write; null without one"),
        Column("parent_crm_id", "str", "CRM id of the account to set as parent; null: leave the parent alone"),
    ),
)
"""One batch for the CRM to write. Always handed over with two frames of the same index, see crms.batch.WriteBatch."""

WRITE_RESULTS = FrameSchema(
    "write_results",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column(
            "crm_id", "str", "id of the CRM record, of a create refused as existing that of the one with its key; null when none is named"
        ),
        Column("created", "boolean", "True: the CRM made a new record; False: it existed; null: not said or not written"),
        Column("parent_sent", "bool", "the parent went with this write and needs no association"),
        Column("error_type", "str", "name of a record error, null when the write succeeded"),
        Column("error_code", "str", "the CRM's own code for the error, null when there is none"),
        Column("error_fields", "str", "CRM fields the error names, joined by ', ', else null"),
        Column("error_ids", "str", "CRM ids the error names, joined by ', ', else null"),
        Column("value_refused", "bool", "the CRM refuses the values of the named fields, each for itself: without them the row may go"),
        Column("kept", "object", "dict of CRM field to value: what a written row holds where that is not what was sent; null without"),
        Column("note", "str", "what of a written row was left as it is, with CRM ids; null when nothing was"),
    ),
)
"""What became of each row of a batch, exactly one result per row."""

ASSOCIATIONS = FrameSchema(
    "associations",
    (
        Column("qbench_id", "int64", "QBench id of the contact"),
        Column("crm_id", "str", "CRM id of the contact"),
        Column("parent_crm_id", "str", "CRM id of the account"),
        Column("beside", "bool", "the contact keeps its main account and belongs to this one too; else this becomes the main one"),
        Column("previous_crm_id", "str", "CRM ids of the accounts that the contact leaves, joined by ', '; null when it leaves none"),
    ),
)
"""Contacts to associate with their accounts, where a write cannot carry the parent."""

FOUND = FrameSchema(
    "found",
    (
        Column("value", "str", "the looked-up value as it was asked for"),
        Column("crm_id", "str", "id of a CRM record that has it"),
        Column("key", "str", "the external key the record carries, null without one"),
        Column(
            "parent_crm_id",
            "str",
            "contacts: CRM id of its account (of several its main one), null when it has none or it was not asked",
        ),
        Column("error_type", "str", "why the CRM does not tell which records have the value, else null"),
    ),
)
"""CRM records found by a key or a match field; a value with several records has several rows, one without has none.

A value that the CRM fails to look up has one row, with its error and without a record; of a scan, a record that it fails to show has
one without a value.
"""

EXAMINED = FrameSchema(
    "examined",
    (
        Column("crm_id", "str", "id of the CRM record as it was asked for"),
        Column("state", "str", "live, merged (into a record that is live) or deleted"),
        Column("leads_to", "str", "id of the record that it is now: its own, or the one that it was merged into; null when deleted"),
        Column("key", "str", "the external key that this record carries, null without one"),
        Column("parent_crm_id", "str", "contacts: CRM id of this record's account (of several its main one), null without one"),
        Column("absorbed", "str", "ids of all records merged into this one, joined by ', ', as far as they came along with it"),
    ),
)
"""What became of CRM records that are linked, one row per record asked for; fields that were asked for follow."""

CHANGED = FrameSchema(
    "changed",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("stamp", "datetime64[us, UTC]", "when it changed last, whoever or whatever did it; null where it could not be read"),
        Column("edited_at", "datetime64[us, UTC]", "when a user of the CRM changed it last, where the CRM tells that; else null"),
        Column("edited_by", "str", "the CRM's id of that user; else null"),
        Column("key", "str", "the external key that the record carries, null without one"),
        Column("parent_crm_id", "str", "contacts: CRM id of the record's account (of several its main one), null without one"),
        Column("error_type", "str", "record error of one that the CRM fails to show, of which nothing else is known; else null"),
    ),
)
"""Records that changed in a CRM, as they are now; their fields follow, as the CRM gave them."""

EDITS = FrameSchema(
    "edits",
    (
        Column("crm_id", "str", "id of the CRM record, as it was asked for"),
        Column("crm_field", "str", "the CRM's field"),
        Column("edited_at", "datetime64[us, UTC]", "since when it holds what it holds, by the CRM's clock"),
        Column("edited_by", "str", "who gave it that, in the CRM's words; null where it does not say"),
        Column("evidence", "str", "field history, or record stamp: when the whole record was edited last"),
    ),
)
"""When fields of CRM records were edited, one row for each of which something is known."""

FIELD_HISTORY, RECORD_STAMP = "field history", "record stamp"
"""What an edit's time rests on."""

VERSIONS = FrameSchema(
    "versions",
    (
        Column("crm_id", "str", "id of the CRM record, as it was asked for"),
        Column("crm_field", "str", "the CRM's field, as it was asked for"),
        Column("value", "object", "what it was given, as the CRM shows it; null: it was emptied"),
        Column("edited_at", "datetime64[us, UTC]", "when, by the CRM's clock"),
    ),
)
"""What fields of CRM records were given, whoever did it, those of one field in the order in which it was done."""

MEMBERS = FrameSchema(
    "members",
    (
        Column("crm_id", "str", "id of the CRM record, as it was asked for"),
        Column("member", "boolean", "whether it is in the list; a record that is gone is not; null where the CRM fails to tell"),
        Column("error_type", "str", "record error of one of which the CRM fails to tell it; else null"),
    ),
)
"""Which records are in a CRM's list, one row per record asked for."""

REMOVED = FrameSchema(
    "removed",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("error_type", "str", "why it is still there: name of a record error; null where it is in the bin, or was gone before"),
        Column("error_code", "str", "the CRM's own code for the error, null when there is none"),
    ),
)
"""What became of records that were to be deleted, one row per record asked for."""

CHILDREN = FrameSchema(
    "children",
    (
        Column("parent_crm_id", "str", "id of the account"),
        Column("crm_id", "str", "id of a record that would be deleted together with it; null where the CRM fails to tell"),
        Column("object", "str", "API name of that record's object"),
        Column("error_type", "str", "record error of an account of which the CRM fails to tell what would go with it; else null"),
    ),
)
"""What would be deleted together with accounts; an account with which nothing goes has no row."""

CONVERTED = FrameSchema(
    "converted",
    (
        Column("crm_id", "str", "id of the lead"),
        Column("contact_crm_id", "str", "id of the contact that it became; null where it became none, or one that the CRM has forgotten"),
        Column("account_crm_id", "str", "id of the account that this contact belongs to; null without one"),
        Column("person", "bool", "that contact is an account at once (crms.abilities.PersonsCrm)"),
        Column("error_type", "str", "record error of a lead that the CRM fails to show; else null"),
    ),
)
"""Leads that people converted; one that is open, or gone, has no row."""

OWNERS = FrameSchema(
    "owners",
    (
        Column("user", "str", "the user as it was asked for"),
        Column("owner_id", "str", "what the CRM's owner field takes; null where the user cannot own records"),
        Column("problem", "str", "unknown, inactive or ambiguous; unread where the CRM fails to tell; null where there is none"),
    ),
)
"""Who is to own records, one row per user asked for."""

UNREAD = "unread"
"""The problem of a user of whom the CRM fails to tell anything."""

INTENTS = FrameSchema(
    "intents",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("sent", "object", "dict of CRM field to value as it was sent, parent id under 'parent_crm_id'"),
        Column("object", "str", "API name of the CRM's object that the record was to be in; null: the usual one of its record type"),
        Column("created_at", "datetime64[us, UTC]", "when the intent was written"),
        Column("answered_at", "datetime64[us, UTC]", "when its call came back without telling what it made; null: it may not be over"),
        Column("sent_with", "Int64", "how many creates its call carried; null where it was not kept"),
    ),
)
"""Creates that were sent or about to be sent without an external key and whose answer is not known."""

OPEN_CALLS = FrameSchema(
    "open_calls",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("content", "int64", "digest of what the call makes of the record (mapping.digests.contents)"),
        Column("parent_crm_id", "str", "contacts: CRM id of the account that the call gives them; null where it gives none"),
        Column("over", "bool", "the CRM cannot carry the call out any more"),
        Column("over_at", "int64", "when that is so, Unix seconds"),
    ),
)
"""Writes whose answer was lost, or is not stored yet; a record may have several."""

LINKS = FrameSchema(
    "links",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("object", "str", "API name of the CRM's object that the record is in; null: the usual one of its record type"),
        Column("crm_id", "str", "id of the CRM record"),
        Column("origin", "str", "created, matched, key, manual or taken_over"),
        Column("version", "int64", "version last sent"),
        Column("digests", "object", "dict of CRM field to digest of the value last wanted"),
        Column("parent_qbench_id", "Int64", "contacts: QBench id of the customer last sent as parent; null: none sent yet"),
        Column("status", "str", "live, deleted, conflict or source_deleted"),
        Column("merged_into", "str", "of a conflict after a merge in the CRM: id of the record that it was merged into, else null"),
        Column("held", "bool", "deleted in the CRM with too many others at once: reported only, whatever the policy"),
        Column("linked_at", "datetime64[us, UTC]", "when the two were linked; set by the store"),
        Column(
            "back_from",
            "str",
            "contacts: it or its account is back in the CRM and not looked at since: CRM id that a merge had made of the account, empty "
            "after a deletion; else null",
        ),
    ),
)
"""Stored pairs of a QBench record and a CRM record."""

BASES = FrameSchema(
    "bases",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column(
            "bases", "object", "dict of unit to [digest that QBench last wanted, digest that the CRM last showed]; null where none is kept"
        ),
        Column("sending", "object", "dict of unit to the digest that is about to be sent to the CRM; null where nothing is"),
        Column("open_until", "datetime64[us, UTC]", "until when that may still arrive; null where nothing may"),
        Column(
            "touched_at", "datetime64[us, UTC]", "readings of the CRM record that began then or before say nothing; null: any one counts"
        ),
    ),
)
"""What links keep of the units that come back (mapping.inverse). Digests are of canonical forms.

Of a unit that is not in ``bases``, nothing was accepted from the CRM yet (merging.fields.FIELDS, ``seen``).
"""

CRM_RECORDS = FrameSchema(
    "crm_records",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("object", "str", "API name of the CRM's object that it is in; null: the usual one of its record type"),
        Column("stamp", "datetime64[us, UTC]", "when it changed last, by the CRM; null where it was never in a window"),
        Column("read_at", "datetime64[us, UTC]", "when the reading began, by our clock; null where it was not read yet"),
        Column("edited_at", "datetime64[us, UTC]", "when a user of the CRM changed it last, where the CRM tells that; else null"),
        Column("edited_by", "str", "the CRM's id of that user; else null"),
        Column("key", "str", "the external key that it carries, null without one"),
        Column("parent_crm_id", "str", "contacts: CRM id of its account (of several its main one), null without one"),
        Column("fields", "object", "dict of CRM field to its value as the CRM gave it"),
        Column("error_type", "str", "record error of one that the CRM fails to show, whose fields are those of before; else null"),
    ),
)
"""The newest readings of records that changed in a CRM, as they are staged."""

CHANGE_OUTCOMES = FrameSchema(
    "change_outcomes",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("qbench_id", "Int64", "QBench id of the record that it is linked to; null without one"),
        Column("stamp", "datetime64[us, UTC]", "the CRM's stamp of the reading that the outcome speaks of; null where it has none"),
        Column("outcome", "str", "created, updated, linked, unchanged, skipped, deferred or failed, in QBench"),
        Column("error_type", "str", "name of the record error, null when there is none"),
        Column("reason", "str", "codes, field names and ids; never a field value"),
        Column("waits_on", "str", "what must change for another try (model.WaitsOn), else null"),
        Column("waits_for", "str", "whose, where that is another record: its id; else null"),
        Column("retryable", "bool", "trying again unchanged may help"),
    ),
)
"""What became of changes of a CRM's records on their way into QBench."""

CONFLICTS = FrameSchema(
    "conflicts",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("crm_id", "str", "id of the CRM record"),
        Column("field", "str", "the unit: a CRM field, or the name of a group"),
        Column("qbench_value", "object", "dict of QBench field to the value that stood there"),
        Column("crm_value", "object", "dict of CRM field to the value that stood there"),
        Column("qbench_digest", "int64", "of what QBench wanted in the CRM, in canonical form"),
        Column("crm_digest", "int64", "of what the CRM showed, in canonical form"),
        Column("qbench_since", "datetime64[us, UTC]", "when a person gave QBench's value, by our clock; null: not known"),
        Column("crm_since", "datetime64[us, UTC]", "when a person gave the CRM's value, by our clock; null: not known"),
        Column("winner", "str", "qbench or crm: whose value stands"),
        Column("evidence", "str", "what decided it (merging.fields.Evidence)"),
    ),
)
"""Values that are written over though the other side did not know them."""

REPLACING = FrameSchema(
    "replacing",
    (
        Column("id", "Int64", "number of the stored write; null of one that is to be stored"),
        Column("qbench_id", "int64", "QBench id"),
        Column("object", "str", "API name of the CRM's object that the record is in; null: the usual one of the record type"),
        Column("crm_id", "str", "id of the CRM record"),
        Column("field", "str", "the unit: a CRM field, or the name of a group"),
        Column("shown", "object", "dict of each CRM field of the unit to the value that the last look at the record showed"),
        Column("sent", "object", "dict of CRM field to the value that was written there then"),
        Column("qbench_value", "object", "dict of QBench field to the value that was sent"),
        Column("qbench_digest", "int64", "of what QBench wanted in the CRM, in canonical form"),
        Column("qbench_since", "datetime64[us, UTC]", "when a person gave QBench's value, by our clock; null: not known"),
        Column("read_at", "datetime64[us, UTC]", "when that look began, by our clock"),
        Column("began_at", "datetime64[us, UTC]", "when the call began that wrote, by our clock"),
    ),
)
"""Writes of units that come back: whether each replaced just what had been shown, the CRM's history tells afterwards."""


CREATIONS = FrameSchema(
    "creations",
    (
        Column("crm_id", "str", "id of the CRM record"),
        Column("sent", "object", "dict of QBench field to value, as it was sent or is about to be"),
        Column("created_at", "datetime64[us, UTC]", "when that was stored"),
        Column("qbench_id", "Int64", "of the record that was made, whose customer is still to be linked; null: not known"),
    ),
)
"""Records that are being made in QBench because the CRM has them."""

STAGED_VALUES = FrameSchema(
    "staged_values",
    (
        Column("qbench_id", "int64", "QBench id of a record that is not deleted"),
        Column("value", "str", "the value of the normalized column that was asked for"),
        Column("crm_id", "str", "id of the CRM record that it is linked to; null without a link"),
    ),
)
"""What staged records hold in one column."""

HOLDERS = FrameSchema(
    "holders",
    (
        Column("crm_id", "str", "id of a linked CRM record"),
        Column("integration", "str", "the integration that it is linked by"),
        Column("qbench_id", "int64", "QBench id of the record that it is linked to"),
    ),
)
"""Who holds CRM records, over all integrations."""

OUTCOMES = FrameSchema(
    "outcomes",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("version", "int64", "version the outcome speaks of"),
        Column("outcome", "str", "created, updated, linked, unchanged, skipped, deferred or failed"),
        Column("error_type", "str", "name of the record error, null when there is none"),
        Column("reason", "str", "codes, field names and ids; never a field value"),
        Column("waits_on", "str", "what must change for another try (model.WaitsOn), else null"),
        Column("waits_for", "str", "whose: QBench id of a customer or of who has the email, CRM id of a holder; else null"),
        Column("retryable", "bool", "trying again unchanged may help"),
        Column("due_at", "Int64", "of a retryable one that was not tried: when it can be, Unix seconds; null: as the back-off says"),
        Column("state_digest", "Int64", "digest of the normalized state that the outcome speaks of; null: of none that is known"),
        Column(
            "write_digest",
            "str",
            "of what waits: digest of the settings, and of the write that the CRM refused for good",
        ),
    ),
)
"""What became of each record in one CRM."""
