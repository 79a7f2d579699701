"""By which mapping was a record normalized? One that carries another digest is out of date."""

from __future__ import annotations

import hashlib

from crm_pipeline.mapping.reading import RULES, Reading
from crm_pipeline.mapping.spec import ContactSpec, RecordSpec


def mapping_digest(spec: RecordSpec, reading: Reading) -> str:
    """A digest of all that decides what a raw record becomes: a row that carries another one is out of date."""
    decides = f"{spec.model_dump_json(exclude=_says_nothing_of_it(spec))}|{reading.default_region}|{reading.time_zone}|{RULES}"
    if isinstance(spec, ContactSpec) and spec.as_leads:
        decides += f"|{sorted((crm, rule and rule.model_dump_json()) for crm, rule in spec.as_leads.items())}"
    return hashlib.blake2b(decides.encode(), digest_size=8).hexdigest()


def _says_nothing_of_it(spec: RecordSpec) -> set[str]:
    """The keys that are about CRM records alone."""
    keys = {"when_deleted_in_qbench", "also_linked", "from_crm", "lead"}
    return keys if isinstance(spec, ContactSpec) and spec.delete_inactive else keys | {"inactive", "delete_inactive"}
