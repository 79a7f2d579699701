"""What the state database keeps, as frames."""

from __future__ import annotations

from crm_pipeline.frames import Column, FrameSchema

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
        Column(
            "content", "int64", "digest of what the call makes of the record (mapping.digests.contents); 0: its account is to be sent yet"
        ),
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

CHECKED_LINKS = FrameSchema(
    "checked_links",
    tuple(
        column
        for column in LINKS.columns
        if column.name in {"qbench_id", "object", "crm_id", "parent_qbench_id", "status", "merged_into", "back_from"}
    ),
)
"""Of links, what tells whether their CRM records are what they were: of nearly all of them a check needs no more."""

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
