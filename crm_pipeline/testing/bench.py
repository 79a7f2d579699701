"""What the conformance suite needs to know of one CRM: its adapter, its stand-in seen from the CRM's side, and field names.

A CRM joins the suite with a pytest fixture ``bench`` that gives one, fresh and empty, with its credentials in the environment,
and with a module of tests that holds ``from crm_pipeline.testing.suite import *``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crm_pipeline.crms.base import Crm, CrmKind, CrmObject
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal


class Connect(Protocol):
    """Makes an adapter on the stand-in; keywords replace settings of the YAML (``external_key=None``, ``url=...``)."""

    def __call__(self, **settings: Any) -> Crm:
        """Make it."""
        ...


@dataclass(frozen=True, slots=True)
class FieldNames:
    """A CRM object's fields by what the suite uses them for.

    ``match``: account name, or email of a contact or lead. ``text``: a plain optional text field. ``short`` and ``short_length``: a text
    field and the most characters it takes. ``choice`` and ``option``: a restricted choice field and one option it has.
    ``required``: further values that a create needs (a contact's last name). ``number``: a whole-number field, if any.
    """

    match: str
    text: str
    short: str
    short_length: int
    choice: str
    option: str
    required: Mapping[str, str]
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request of the adapter as a fault names it: method, and a regular expression searched in the path."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Bench:
    """One CRM under test.

    ``faults`` and ``journal``: those of the server on which the stand-in runs (``crm_pipeline.sandbox.server.serve``), whose name of
    the service is the CRM's. ``key``: the CRM's unique field for the external key, set by ``connect`` unless told otherwise. Where the
    CRM keeps no field unique, the suite connects without one; ``key`` is then never asked for, nor ``keyed_create`` called.
    ``records`` lists live records as flat dicts, the CRM id under ``id``, other values under the CRM's field names, a field
    without a value None or absent. ``add`` makes a record as a user of the CRM would and returns its id; ``delete`` deletes
    it, ``restore`` takes it out of the bin and ``merge`` merges the second into the first and returns the merged one's id, likewise
    (in a CRM that tells no merges, or has none, it is enough that the second is gone); ``parent`` is a contact's (primary) account
    id. ``secret`` names the environment variable of the credential that the suite makes wrong. The requests are those of
    ``Crm.write`` for ``record_type``: a create with a key, a create without one, an update by id. ``edit`` gives a record values as
    a user of the CRM would; it is needed where the CRM tells edits or versions. ``make_list`` makes a list of this name with these
    records in it; it is needed where the CRM has lists. ``convert`` makes a new account and contact of a lead, as a user of the CRM
    would, and returns their ids; it and the ``fields`` of leads are needed where the CRM keeps leads.
    """

    kind: CrmKind
    faults: Faults
    journal: Journal
    key: str
    connect: Connect
    fields: Mapping[RecordType, FieldNames]
    add: Callable[[RecordType, Mapping[str, object]], str]
    records: Callable[[RecordType], list[dict[str, Any]]]
    delete: Callable[[RecordType, str], None]
    restore: Callable[[RecordType, str], None]
    merge: Callable[[RecordType, str, str], str]
    parent: Callable[[str], str | None]
    secret: str
    keyed_create: Callable[[RecordType], Request]
    plain_create: Callable[[RecordType], Request]
    update: Callable[[RecordType], Request]
    edit: Callable[[RecordType, str, Mapping[str, object]], None] | None = None
    make_list: Callable[[RecordType, str, Sequence[str]], None] | None = None
    convert: Callable[[str], tuple[str, str]] | None = None

    def object(self, record_type: RecordType) -> CrmObject:
        """The CRM's object for these records."""
        return self.kind.usual(record_type)
