"""What goes to a CRM and what it answers, as frames."""

from __future__ import annotations

from crm_pipeline.frames import Column, FrameSchema

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
"""Rows to write, of one object. With two frames of the same index they are a crms.batch.WriteBatch; a CRM is handed them row by row."""

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
        Column(
            "note",
            "str",
            "what of a written row was left as it is, or which of other objects a refused one matches, with CRM ids; null for nothing",
        ),
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
