"""Where does a CRM keep a normalized field? As the CRM's own folder says (crms.preset)."""

from __future__ import annotations

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.preset import Preset
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import RecordType


def preset(crm: str, record_type: RecordType) -> Preset:
    """The table of one CRM and record type. Raises ConfigurationError for a CRM that is not known."""
    if crm not in crm_kinds():
        raise ConfigurationError(f"there is no CRM {crm}; known are: {', '.join(crm_kinds())}")
    return crm_kinds()[crm].usual(record_type).preset


def preset_field(crm: str, record_type: RecordType, field: str) -> str | None:
    """The CRM field of a plain normalized field (no phone, no address); null where the CRM has none."""
    return preset(crm, record_type).fields.get(field)


def owner_field(crm: str) -> str | None:
    """The field of a CRM's accounts and contacts that says who owns them; null where no owner can be given."""
    return crm_kinds()[crm].owner_field
